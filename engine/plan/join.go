package plan

import (
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// JoinKind says which rows a Join gives besides pairs that match.
type JoinKind uint8

// The kinds of joins. Asof gives of the pairs that match, for each row of the left side, the
// one that is nearest by the inequality of the condition; AsofLeft has a row of the left side
// without a match, too. Semi and Anti give rows of the left side that have, or have not, a
// match. NotIn is Anti for NOT IN: a comparison with NULL is a doubt, and a row in doubt
// does not come out.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	RightJoin
	FullJoin
	AsofJoin
	AsofLeftJoin
	SemiJoin
	AntiJoin
	NotInJoin
)

var joinNames = [...]string{"", " Left", " Right", " Full", " Asof", " Asof Left", " Semi", " Anti", " Not In"}

// Join gives pairs of rows of two inputs. A pair matches if the keys are equal, NULL being
// equal to nothing, and On is true. Its schema is that of both sides, or of the left one for
// Semi, Anti and NotIn.
type Join struct {
	Left, Right Node
	Kind        JoinKind
	// LeftKeys and RightKeys are of equal number and of equal types, each over its side.
	LeftKeys, RightKeys []expr.Expr
	NullSafe            []bool    // per key, whether NULL is equal to NULL; nil: for none it is
	On                  expr.Expr // over both sides, the left one's columns first; nil is true
	// Narrows is the side of whose groups only those are computed that the other side asks for.
	Narrows Narrowing
}

// Asof says whether a row of the left side has one match at most, the nearest.
func (k JoinKind) Asof() bool { return k == AsofJoin || k == AsofLeftJoin }

// LeftOnly says whether the result has columns of the left side alone.
func (k JoinKind) LeftOnly() bool { return k >= SemiJoin }

// Schema implements Node.
func (n *Join) Schema() vec.Schema {
	left := n.Left.Schema()
	if n.Kind.LeftOnly() {
		return left
	}
	return append(left[:len(left):len(left)], n.Right.Schema()...)
}

// Inputs implements Node.
func (n *Join) Inputs() []Node { return []Node{n.Left, n.Right} }

// WithInputs implements Node.
func (n *Join) WithInputs(in []Node) Node { c := *n; c.Left, c.Right = in[0], in[1]; return &c }

// Describe implements Node.
func (n *Join) Describe(p *Printer) {
	if n.Kind.Asof() {
		p.Line("Merge%s Join", joinNames[n.Kind])
		if c, err := n.AsofCondition(); err == nil { // who runs it says what is wrong
			keys := &Join{LeftKeys: c.LeftKeys, RightKeys: c.RightKeys, NullSafe: c.NullSafe}
			p.Detail("Merge Cond", "%s", strings.Join(append(keys.keyTexts(), exprText(c.Left)+" "+c.Op+" "+exprText(c.Right)), ", "))
			if c.OfLeft != nil {
				p.Detail("Join Filter", "%s", exprText(c.OfLeft))
			}
		}
		return
	}
	if len(n.LeftKeys) == 0 {
		p.Line("Nested Loop%s Join", joinNames[n.Kind])
	} else {
		p.Line("Hash%s Join", joinNames[n.Kind])
		p.Detail("Hash Cond", "%s", strings.Join(n.keyTexts(), ", "))
	}
	if n.On != nil {
		p.Detail("Join Filter", "%s", exprText(n.On))
	}
	if n.Narrows != NarrowsNone {
		p.Detail("Narrows Groups", "%s", n.narrowedTexts())
	}
}

// keyTexts is the comparisons of the keys.
func (n *Join) keyTexts() []string {
	out := make([]string, len(n.LeftKeys))
	for i, k := range n.LeftKeys {
		out[i] = exprText(k) + n.equals(i) + exprText(n.RightKeys[i])
	}
	return out
}

// equals is the operator that compares the i-th keys.
func (n *Join) equals(i int) string {
	if n.NullSafe != nil && n.NullSafe[i] {
		return " IS NOT DISTINCT FROM "
	}
	return " = "
}
