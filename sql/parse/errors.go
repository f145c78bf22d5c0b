package parse

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// badClause is PK002: a clause of a native operator that cannot stand there.
func (p *parser) badClause(t token, format string, args ...any) {
	if p.err == nil {
		p.fail(t, pgerr.BadOperatorClause, format, args...)
	}
}

// unsupported stands for a part of a statement that only has a name.
func unsupported(t token, what string) *ast.Unsupported {
	return &ast.Unsupported{Place: t.at(), What: what}
}
