package parse

import (
	"math"
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
)

// Statement is one statement of a text and the part of the text it came from.
type Statement struct {
	Stmt  ast.Stmt
	Start int // byte offset of the first word
	End   int // byte offset after the last word, before the semicolon
	// Params is the highest $n in the statement.
	Params int
}

// Text is the statement's part of the text that was parsed.
func (s Statement) Text(sql string) string { return sql[s.Start:s.End] }

// Result is what a text holds.
type Result struct {
	Statements []Statement
	Notices    []*pgerr.Error // cut identifiers
}

// Statements parses a text of any number of statements, separated by
// semicolons. An empty text has none. Positions in the trees and in errors are
// those in the whole text.
func Statements(sql string) ([]Statement, error) {
	r, err := Text(sql)
	if err != nil {
		return nil, err
	}
	return r.Statements, nil
}

// Text is Statements with the notices.
func Text(sql string) (*Result, error) {
	p, err := newParser(sql)
	if err != nil {
		return nil, err
	}
	r := &Result{Notices: p.notices}
	for {
		for p.accept(";") {
		}
		if p.tok().kind == tokEOF {
			break
		}
		start := p.tok()
		p.params = 0
		stmt := p.statement()
		if p.tok().kind != tokEOF && !p.tok().is(";") {
			p.unexpected()
		}
		if p.err != nil {
			return nil, p.err
		}
		r.Statements = append(r.Statements, Statement{
			Stmt: stmt, Start: int(start.pos), End: int(p.toks[p.i-1].end), Params: p.params,
		})
	}
	if p.err != nil {
		return nil, p.err
	}
	return r, nil
}

// One parses a text that must hold exactly one statement.
func One(sql string) (ast.Stmt, error) {
	stmts, err := Statements(sql)
	if err != nil {
		return nil, err
	}
	if len(stmts) != 1 {
		return nil, pgerr.New(pgerr.SyntaxError, "text has %d statements, want one", len(stmts))
	}
	return stmts[0].Stmt, nil
}

// Query parses a text that must hold exactly one query.
func Query(sql string) (ast.Query, error) {
	stmt, err := One(sql)
	if err != nil {
		return nil, err
	}
	q, ok := stmt.(ast.Query)
	if !ok {
		return nil, pgerr.New(pgerr.SyntaxError, "text is not a query").At(1)
	}
	return q, nil
}

// Expr parses a text that holds one expression and nothing else.
func Expr(sql string) (ast.Expr, error) {
	p, err := newParser(sql)
	if err != nil {
		return nil, err
	}
	x := p.expr()
	if p.tok().kind != tokEOF {
		p.unexpected()
	}
	if p.err != nil {
		return nil, p.err
	}
	return x, nil
}

// parser walks the tokens. After the first error it sees only the end of the
// input, so every loop ends and no caller needs to check; whatever tree it
// returns then is thrown away.
type parser struct {
	sql     string
	toks    []token
	i       int
	err     error
	notices []*pgerr.Error
	depth   int
	chain   int
	params  int
	// needAs is set in the source of a native operator, where an alias needs AS.
	needAs bool
}

func newParser(sql string) (*parser, error) {
	toks, notices, err := lex(sql)
	if err != nil {
		return nil, err
	}
	return &parser{sql: sql, toks: toks, notices: notices}, nil
}

func (p *parser) tok() token { return p.toks[p.i] }

// ahead is the token n after the current one.
func (p *parser) ahead(n int) token {
	if p.i+n < len(p.toks) {
		return p.toks[p.i+n]
	}
	return p.toks[len(p.toks)-1]
}

// next takes the current token.
func (p *parser) next() token {
	t := p.toks[p.i]
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

func (p *parser) accept(text string) bool {
	if p.tok().is(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.unexpected()
	}
}

// kw says whether the words come next.
func (p *parser) kw(words ...string) bool {
	for n, w := range words {
		if !p.ahead(n).kw(w) {
			return false
		}
	}
	return true
}

func (p *parser) acceptKw(words ...string) bool {
	if p.kw(words...) {
		p.i += len(words)
		return true
	}
	return false
}

func (p *parser) expectKw(words ...string) {
	for _, w := range words {
		if !p.acceptKw(w) {
			p.unexpected()
			return
		}
	}
}

// oneOf takes one of the words and says which, or fails.
func (p *parser) oneOf(words ...string) string {
	for _, w := range words {
		if p.acceptKw(w) {
			return w
		}
	}
	p.unexpected()
	return ""
}

// stop keeps the first error and moves to the end of the input.
func (p *parser) stop(err *pgerr.Error) {
	if p.err == nil {
		p.err = err
	}
	p.i = len(p.toks) - 1
}

func (p *parser) fail(t token, code, format string, args ...any) *pgerr.Error {
	err := pgerr.New(code, format, args...).At(ast.CharPosition(p.sql, ast.Pos(t.pos)))
	p.stop(err)
	return err
}

// unexpected is the syntax error at the current token.
func (p *parser) unexpected() { p.unexpectedAt(p.tok()) }

func (p *parser) unexpectedAt(t token) {
	if p.err != nil {
		return
	}
	if t.kind == tokEOF {
		p.fail(t, pgerr.SyntaxError, "syntax error at end of input")
		return
	}
	p.fail(t, pgerr.SyntaxError, "syntax error at or near \"%s\"", shown(p.sql[t.pos:t.end]))
}

// enter counts one level of nesting; the caller leaves with p.depth--.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > maxDepth {
		p.fail(p.tok(), pgerr.StatementTooComplex, "stack depth limit exceeded").
			WithHint("Simplify the statement: it nests too deep.")
		return false
	}
	return true
}

// link counts the n-th link of a left-deep chain.
func (p *parser) link(n int) {
	if n <= chainFree {
		return
	}
	if p.chain++; p.chain > maxChain {
		p.fail(p.tok(), pgerr.StatementTooComplex, "stack depth limit exceeded").
			WithHint("A statement may chain %d operators.", maxChain)
	}
}

// list parses comma-separated elements until end, which it does not take. A
// trailing comma is allowed when end says so after it.
func (p *parser) list(elem func(), end func() bool) {
	for {
		elem()
		if !p.accept(",") {
			return
		}
		if end != nil && end() {
			return
		}
	}
}

// paren parses ( elements ) with an optional trailing comma.
func (p *parser) paren(elem func()) {
	p.expect("(")
	p.list(elem, p.atClose)
	p.expect(")")
}

func (p *parser) atClose() bool { return p.tok().is(")") }

// ident takes any name that is not reserved.
func (p *parser) ident() ast.Ident {
	t := p.tok()
	if t.kind == tokQuoted || t.kind == tokIdent && !ast.ReservedWord(t.text) {
		p.i++
		return ast.Ident{Place: t.at(), Name: t.text, Quoted: t.kind == tokQuoted}
	}
	p.unexpected()
	return ast.Ident{}
}

// label takes any word as a name: after a point and after AS nothing is reserved.
func (p *parser) label() ast.Ident {
	t := p.tok()
	if t.kind == tokQuoted || t.kind == tokIdent {
		p.i++
		return ast.Ident{Place: t.at(), Name: t.text, Quoted: t.kind == tokQuoted}
	}
	p.unexpected()
	return ast.Ident{}
}

// name takes a dotted name.
func (p *parser) name() []ast.Ident {
	parts := []ast.Ident{p.ident()}
	for p.tok().is(".") && (p.ahead(1).kind == tokIdent || p.ahead(1).kind == tokQuoted) {
		p.i++
		parts = append(parts, p.label())
	}
	return parts
}

// identList takes ( name, … ).
func (p *parser) identList() []ast.Ident {
	var ids []ast.Ident
	p.paren(func() { ids = append(ids, p.ident()) })
	return ids
}

// integer takes a literal whole number up to 2^31-1.
func (p *parser) integer() int {
	t := p.tok()
	if t.kind != tokNumber {
		p.unexpected()
		return 0
	}
	n, err := strconv.ParseInt(t.text, 10, 64)
	if err != nil {
		p.unexpected()
		return 0
	}
	if n > math.MaxInt32 {
		p.fail(t, pgerr.NumericOutOfRange, "value \"%s\" is out of range for type integer", t.text)
		return 0
	}
	p.i++
	return int(n)
}

// positive takes a whole number that is at least one.
func (p *parser) positive(clause string) int {
	t := p.tok()
	n := p.integer()
	if n == 0 && p.err == nil {
		p.fail(t, pgerr.BadOperatorClause, "%s must be at least 1", clause)
	}
	return n
}

func (p *parser) stringLit() string {
	t := p.tok()
	if t.kind != tokString {
		p.unexpected()
		return ""
	}
	p.i++
	return t.text
}

// words makes a set of keywords.
func words(list ...string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, w := range list {
		m[w] = true
	}
	return m
}

// typeFunc are the reserved words that may still be called like a function.
var typeFunc = words("authorization", "binary", "collation", "concurrently", "cross", "freeze", "full",
	"ilike", "inner", "join", "left", "natural", "outer", "overlaps", "right", "similar", "verbose")

// notLabel are the words that cannot be a column alias without AS.
var notLabel = words("array", "as", "char", "character", "create", "day", "except", "fetch", "filter",
	"for", "from", "grant", "group", "having", "hour", "intersect", "into", "isnull", "limit", "minute",
	"month", "notnull", "offset", "on", "order", "over", "overlaps", "precision", "returning", "second",
	"to", "union", "varying", "where", "window", "with", "within", "without", "year",
	// Words that continue an expression.
	"and", "or", "not", "is", "in", "like", "ilike", "similar", "between", "collate")
