package session

import "github.com/prickledb/prickle/sql"

// LimitCursors sets how many bytes of rows cursors may keep.
func (s *Session) LimitCursors(bytes int64) { s.cursorLimit = bytes }

// Used has f called with each plan that is kept, or was and comes again.
func (p *Plans) Used(f func(within sql.CompileContext, p *Prepared, kept *sql.Statement, again bool)) {
	p.used = f
}

// Kept is how many plans are kept.
func (p *Plans) Kept() int { return len(p.plans.byKey) }

// MaxPlans is how many are kept at most.
const MaxPlans = maxPlans
