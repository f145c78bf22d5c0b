package parse

import (
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// cursorStatement reads DECLARE, FETCH, MOVE and CLOSE.
func (p *parser) cursorStatement() ast.Stmt {
	t := p.next()
	switch t.text {
	case "declare":
		return p.declare(t)
	case "close":
		c := &ast.CloseCursor{Place: t.at()}
		if c.All = p.acceptKw("all"); !c.All {
			c.Name = p.ident()
		}
		return c
	}
	f := &ast.FetchCursor{Place: t.at(), Move: t.text == "move", Count: 1}
	switch {
	case p.acceptKw("next"):
	case p.acceptKw("prior"):
		f.Direction = ast.FetchBackward
	case p.acceptKw("first"):
		f.Direction = ast.FetchAbsolute
	case p.acceptKw("last"):
		f.Direction, f.Count = ast.FetchAbsolute, -1
	case p.acceptKw("absolute"):
		f.Direction, f.Count = ast.FetchAbsolute, p.signed(32)
	case p.acceptKw("relative"):
		f.Direction, f.Count = ast.FetchRelative, p.signed(32)
	case p.acceptKw("forward"):
		p.fetchCount(f)
	case p.acceptKw("backward"):
		f.Direction = ast.FetchBackward
		p.fetchCount(f)
	default:
		p.fetchCount(f)
	}
	if !p.acceptKw("from") {
		p.acceptKw("in")
	}
	f.Name = p.ident()
	return f
}

// fetchCount reads a number or ALL, if there is one.
func (p *parser) fetchCount(f *ast.FetchCursor) {
	switch t := p.tok(); {
	case p.acceptKw("all"):
		f.All, f.Count = true, 0
	case t.kind == tokNumber, t.is("-"), t.is("+"):
		f.Count = p.signed(32)
	}
}

// signed takes a whole number of so many bits, with or without a sign.
func (p *parser) signed(bits int) int64 {
	sign := ""
	if p.accept("-") {
		sign = "-"
	} else {
		p.accept("+")
	}
	t := p.tok()
	if t.kind != tokNumber {
		p.unexpected()
		return 0
	}
	n, err := strconv.ParseInt(sign+t.text, 10, bits)
	if err != nil {
		p.unexpected()
		return 0
	}
	p.i++
	return n
}

func (p *parser) declare(t token) ast.Stmt {
	d := &ast.DeclareCursor{Place: t.at(), Name: p.ident()}
	for !p.acceptKw("cursor") {
		switch {
		case p.acceptKw("binary"):
			d.Binary = true
		case p.acceptKw("insensitive"), p.acceptKw("asensitive"): // all are
		case p.acceptKw("scroll"):
			d.Scroll = ast.ScrollYes
		case p.acceptKw("no", "scroll"):
			d.Scroll = ast.ScrollNo
		default:
			p.unexpected()
			return d
		}
	}
	if d.Hold = p.acceptKw("with", "hold"); !d.Hold {
		p.acceptKw("without", "hold")
	}
	p.expectKw("for")
	at := p.tok()
	d.Query = p.statement()
	switch d.Query.(type) {
	case ast.Query, *ast.Shorthand, *ast.Unsupported:
	default:
		p.fail(at, pgerr.SyntaxError, "a cursor reads a query")
	}
	return d
}
