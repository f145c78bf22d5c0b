package ast

import "unicode/utf8"

// Pos is a byte offset in the statement text as sent, NoPos when the node was
// not made from text.
type Pos int32

// NoPos is the position of a node that was made by hand.
const NoPos Pos = -1

// Node is anything in the tree.
type Node interface {
	Pos() Pos
}

// Place is embedded in every node. It keeps the offset plus one, so that the
// zero value means that there is none.
type Place struct{ after int32 }

// At is the place at a byte offset.
func At(pos Pos) Place { return Place{int32(pos) + 1} }

// Pos is the byte offset where the node begins. For operators it is the
// operator itself, as PostgreSQL reports them.
func (p Place) Pos() Pos { return Pos(p.after - 1) }

// CharPosition turns a byte offset in sql into the 1-based character position
// that the wire protocol wants. It is 0 for NoPos.
func CharPosition(sql string, pos Pos) int {
	if pos < 0 {
		return 0
	}
	if int(pos) > len(sql) {
		pos = Pos(len(sql))
	}
	return utf8.RuneCountInString(sql[:pos]) + 1
}

// Ident is one identifier. Name is already folded to lower case unless it was
// quoted.
type Ident struct {
	Place
	Name   string
	Quoted bool // it stood in double quotes, so it is never a keyword
}

// ID makes an identifier without a place.
func ID(name string) Ident { return Ident{Name: name} }
