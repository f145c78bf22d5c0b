package parse

import "github.com/prickledb/prickle/sql/ast"

const (
	// maxTextBytes bounds the statement text. Larger loads belong in COPY.
	maxTextBytes = 16 << 20

	// maxTokens bounds the memory of the token list, 40 bytes each.
	maxTokens = 2 << 20

	// maxDepth bounds how deep parentheses, subqueries and prefix operators may
	// nest. A parenthesised subquery counts four times. The stack this takes is a
	// few megabytes at most, here and in every later walk.
	maxDepth = 2000

	// maxChain bounds the left-deep chains of a text: a + b + c, x::a::b, UNION
	// UNION UNION. They cost the parser no stack, but every later walk of the
	// tree does recurse into them. The first chainFree links of each are free,
	// so only monsters pay.
	maxChain  = 50_000
	chainFree = 64

	// maxNameBytes is how long identifiers are.
	maxNameBytes = ast.MaxNameBytes
)
