package ast

import "strconv"

// DeclareCursor is DECLARE name CURSOR FOR query.
type DeclareCursor struct {
	Place
	Name   Ident
	Binary bool
	Scroll Scroll
	Hold   bool // WITH HOLD
	Query  Stmt // a Query or a Shorthand
}

// Scroll says whether a cursor goes backwards.
type Scroll uint8

// What DECLARE says of it.
const (
	ScrollDefault Scroll = iota
	ScrollYes            // SCROLL
	ScrollNo             // NO SCROLL
)

// FetchCursor is FETCH and MOVE.
type FetchCursor struct {
	Place
	Move      bool
	Direction FetchDirection
	Count     int64 // below zero: the other way, or from the end
	All       bool  // FORWARD ALL and BACKWARD ALL; Count is zero
	Name      Ident
}

// FetchDirection is where a fetch goes.
type FetchDirection uint8

// The directions. NEXT, PRIOR, FIRST and LAST are FORWARD 1, BACKWARD 1, ABSOLUTE 1 and
// ABSOLUTE -1.
const (
	FetchForward FetchDirection = iota
	FetchBackward
	FetchAbsolute
	FetchRelative
)

// CloseCursor is CLOSE name, or CLOSE ALL.
type CloseCursor struct {
	Place
	Name Ident
	All  bool
}

func (*DeclareCursor) stmt() {}
func (*FetchCursor) stmt()   {}
func (*CloseCursor) stmt()   {}

// cursorStmt prints the statements about cursors.
func (p *printer) cursorStmt(s Stmt) {
	switch s := s.(type) {
	case *DeclareCursor:
		p.s("DECLARE ")
		p.ident(s.Name)
		p.flag(s.Binary, " BINARY")
		p.flag(s.Scroll == ScrollNo, " NO")
		p.flag(s.Scroll != ScrollDefault, " SCROLL")
		p.s(" CURSOR ")
		p.flag(s.Hold, "WITH HOLD ")
		p.s("FOR ")
		p.stmt(s.Query)
	case *FetchCursor:
		p.s(map[bool]string{false: "FETCH ", true: "MOVE "}[s.Move])
		p.s([...]string{"FORWARD ", "BACKWARD ", "ABSOLUTE ", "RELATIVE "}[s.Direction])
		if s.All {
			p.s("ALL")
		} else {
			p.s(strconv.FormatInt(s.Count, 10))
		}
		p.s(" FROM ")
		p.ident(s.Name)
	case *CloseCursor:
		p.s("CLOSE ")
		if s.All {
			p.s("ALL")
			return
		}
		p.ident(s.Name)
	}
}
