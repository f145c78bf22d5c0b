package parse

import "github.com/prickledb/prickle/sql/ast"

// kind is what a token is.
type kind uint8

const (
	tokEOF    kind = iota
	tokIdent       // unquoted name or keyword; text is folded
	tokQuoted      // "name"
	tokString      // text is the value
	tokBytes       // X'…'; text is the bytes
	tokNumber      // text is decimal
	tokParam       // text is the digits after $
	tokOp          // an operator, or one of := => :: ::?
	tokPunct       // ( ) [ ] , ; . :
)

// token is one lexical element. The words of the grammar are not told apart
// from names here: what a word means depends on where it stands.
type token struct {
	kind kind
	pos  int32
	end  int32
	text string
}

func (t token) at() ast.Place { return ast.At(ast.Pos(t.pos)) }

// is says whether t is the punctuation or operator text.
func (t token) is(text string) bool {
	return (t.kind == tokPunct || t.kind == tokOp) && t.text == text
}

// kw says whether t is the unquoted word, given in lower case.
func (t token) kw(word string) bool { return t.kind == tokIdent && t.text == word }
