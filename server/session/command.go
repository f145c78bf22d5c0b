package session

import (
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// isCommand says whether a statement is about the session itself. All others are
// compiled.
func isCommand(stmt ast.Stmt) bool {
	switch stmt.(type) {
	case *ast.Set, *ast.SetTransaction, *ast.Show, *ast.Reset, *ast.Discard, *ast.Begin, *ast.Commit, *ast.Rollback,
		*ast.Savepoint, *ast.Release, *ast.RollbackTo, *ast.Prepare, *ast.Execute, *ast.Deallocate, *ast.NoEffect:
		return true
	}
	return false
}

// commandSchema is the columns that a command gives, nil for most.
func (s *Session) commandSchema(stmt ast.Stmt) (vec.Schema, error) {
	switch stmt := stmt.(type) {
	case *ast.Show:
		return s.showSchema(stmt), nil
	case *ast.Execute:
		p, err := s.Statement(stmt.Name.Name)
		if err != nil {
			return nil, err
		}
		return p.Schema, nil
	}
	return nil, nil
}

func (s *Session) showSchema(stmt *ast.Show) vec.Schema {
	text := vec.T(vec.Text)
	if stmt.All {
		return vec.Schema{{Name: "name", Type: text}, {Name: "setting", Type: text}, {Name: "description", Type: text}}
	}
	name := stmt.Name
	if v, err := s.Settings.Show(name); err == nil {
		name = v.Name
	}
	return vec.Schema{{Name: name, Type: text}}
}

// command runs a statement about the session. It gives the tag and, for SHOW, rows.
func (s *Session) command(stmt ast.Stmt, text string) (*vec.Batch, vec.Schema, string, error) {
	switch stmt := stmt.(type) {
	case *ast.Show:
		b, err := s.show(stmt)
		return b, s.showSchema(stmt), "SHOW", err
	case *ast.Set:
		return nil, nil, "SET", s.set(stmt)
	case *ast.SetTransaction:
		return nil, nil, "SET", s.setTransaction(stmt)
	case *ast.Reset:
		if stmt.All {
			s.Settings.ResetAll()
			return nil, nil, "RESET", nil
		}
		return nil, nil, "RESET", s.Settings.Reset(stmt.Name)
	case *ast.Discard:
		return nil, nil, "DISCARD " + strings.ToUpper(stmt.What), s.discard(stmt)
	case *ast.Begin:
		tag := "BEGIN"
		if stmt.Start {
			tag = "START TRANSACTION"
		}
		s.beginBlock(stmt.Modes)
		return nil, nil, tag, nil
	case *ast.Commit:
		tag := s.endBlock(true, stmt.Chain)
		return nil, nil, tag, nil
	case *ast.Rollback:
		tag := s.endBlock(false, stmt.Chain)
		return nil, nil, tag, nil
	case *ast.Savepoint:
		if err := s.needBlock("SAVEPOINT"); err != nil {
			return nil, nil, "", err
		}
		s.Settings.Savepoint(stmt.Name.Name)
		return nil, nil, "SAVEPOINT", nil
	case *ast.Release:
		if err := s.needBlock("RELEASE SAVEPOINT"); err != nil {
			return nil, nil, "", err
		}
		return nil, nil, "RELEASE", s.Settings.Release(stmt.Name.Name)
	case *ast.RollbackTo:
		if err := s.needBlock("ROLLBACK TO SAVEPOINT"); err != nil {
			return nil, nil, "", err
		}
		err := s.Settings.RollbackTo(stmt.Name.Name)
		if err == nil {
			s.failed = false
		}
		return nil, nil, "ROLLBACK", err
	case *ast.Prepare:
		return nil, nil, "PREPARE", s.prepare(stmt, text)
	case *ast.Deallocate:
		if stmt.All {
			clear(s.statements)
			return nil, nil, "DEALLOCATE ALL", nil
		}
		if _, err := s.Statement(stmt.Name.Name); err != nil {
			return nil, nil, "", err
		}
		s.CloseStatement(stmt.Name.Name)
		return nil, nil, "DEALLOCATE", nil
	case *ast.NoEffect:
		if stmt.Warn {
			s.warn(pgerr.Warning, "%s has no effect here", stmt.Tag)
		}
		return nil, nil, stmt.Tag, nil
	}
	return nil, nil, "", pgerr.Unsupported("this statement")
}

func (s *Session) warn(code, format string, args ...any) {
	w := pgerr.New(code, format, args...)
	w.Severity = "WARNING"
	s.notice(w)
}

func (s *Session) show(stmt *ast.Show) (*vec.Batch, error) {
	column := func(values ...string) *vec.Vector {
		return &vec.Vector{Type: vec.T(vec.Text), Str: vec.StringsOf(values...)}
	}
	if !stmt.All {
		v, err := s.Settings.Show(stmt.Name)
		if err != nil {
			return nil, err
		}
		return &vec.Batch{Rows: 1, Cols: []*vec.Vector{column(v.Value)}}, nil
	}
	var names, values, descriptions []string
	for _, v := range s.Settings.All() {
		names, values, descriptions = append(names, v.Name), append(values, v.Value), append(descriptions, v.Description)
	}
	return &vec.Batch{Rows: len(names), Cols: []*vec.Vector{
		column(names...), column(values...), column(descriptions...)}}, nil
}

func (s *Session) set(stmt *ast.Set) error {
	local := stmt.Scope == ast.ScopeLocal
	if local && !s.block {
		s.warn(pgerr.NoActiveTransaction, "SET LOCAL can only be used in transaction blocks")
		return nil
	}
	if stmt.Default {
		return s.Settings.Reset(stmt.Name)
	}
	words := make([]string, len(stmt.Values))
	for i, v := range stmt.Values {
		w, err := settingWord(v)
		if err != nil {
			return err
		}
		words[i] = w
	}
	if stmt.Name == "search_path" {
		for i, w := range words {
			if w == "" || strings.ContainsAny(w, `$" ,`) || w != strings.ToLower(w) {
				words[i] = `"` + strings.ReplaceAll(w, `"`, `""`) + `"`
			}
		}
	}
	warning, err := s.Settings.Set(stmt.Name, strings.Join(words, ", "), local)
	if warning != nil {
		s.notice(warning)
	}
	return err
}

// settingWord is a value of SET as text.
func settingWord(x ast.Expr) (string, error) {
	switch x := x.(type) {
	case *ast.String:
		return x.Value, nil
	case *ast.Number:
		return x.Text, nil
	case *ast.Bool:
		if x.Value {
			return "on", nil
		}
		return "off", nil
	case *ast.Name:
		parts := make([]string, len(x.Parts))
		for i, p := range x.Parts {
			parts[i] = p.Name
		}
		return strings.Join(parts, "."), nil
	case *ast.Typed: // INTERVAL '+02:00' HOUR TO MINUTE
		return strings.TrimSuffix(x.Value, ":00"), nil
	case *ast.Unary:
		w, err := settingWord(x.X)
		return x.Op + w, err
	}
	return "", pgerr.New(pgerr.SyntaxError, "SET takes a name, a number or a string")
}

func (s *Session) setTransaction(stmt *ast.SetTransaction) error {
	if stmt.Session {
		s.Settings.SetModes(stmt.Modes, true)
		return nil
	}
	if !s.block {
		s.warn(pgerr.NoActiveTransaction, "SET TRANSACTION can only be used in transaction blocks")
		return nil
	}
	if stmt.Modes.Isolation != "" && s.queried {
		return pgerr.New(pgerr.ActiveTransaction, "SET TRANSACTION ISOLATION LEVEL must be called before any query")
	}
	s.Settings.SetModes(stmt.Modes, false)
	return nil
}

func (s *Session) beginBlock(m ast.TransactionModes) {
	if s.block {
		s.warn(pgerr.ActiveTransaction, "there is already a transaction in progress")
		return
	}
	s.block = true
	if m.Isolation == "" {
		m.Isolation = s.value("default_transaction_isolation")
	}
	if m.ReadOnly == nil {
		readOnly := s.Settings.On("default_transaction_read_only")
		m.ReadOnly = &readOnly
	}
	s.Settings.SetModes(m, false)
}

// endBlock is COMMIT and ROLLBACK. Committing a failed transaction rolls it back.
func (s *Session) endBlock(commit, chain bool) (tag string) {
	if !s.block {
		s.warn(pgerr.NoActiveTransaction, "there is no transaction in progress")
	}
	commit = commit && !s.failed
	chain = chain && s.block
	readOnly := s.Settings.On("transaction_read_only")
	modes := ast.TransactionModes{Isolation: s.value("transaction_isolation"), ReadOnly: &readOnly}
	s.endTransaction(commit)
	if chain {
		s.begin()
		s.beginBlock(modes)
	}
	if commit {
		return "COMMIT"
	}
	return "ROLLBACK"
}

func (s *Session) needBlock(what string) error {
	if s.block {
		return nil
	}
	return pgerr.New(pgerr.NoActiveTransaction, "%s can only be used in transaction blocks", what)
}

func (s *Session) discard(stmt *ast.Discard) error {
	if stmt.What != "all" {
		return nil // no plans are kept, and there are no temporary tables or sequences
	}
	if s.block {
		return pgerr.New(pgerr.ActiveTransaction, "DISCARD ALL cannot run inside a transaction block")
	}
	s.Settings.ResetAll()
	clear(s.statements)
	s.closePortals()
	return nil
}

// prepare is PREPARE name AS statement.
func (s *Session) prepare(stmt *ast.Prepare, text string) error {
	types, err := s.types(stmt.Types, text)
	if err != nil {
		return err
	}
	if s.statements[stmt.Name.Name] != nil {
		return pgerr.New("42P05", "prepared statement %q already exists", stmt.Name.Name)
	}
	if len(s.statements) >= maxStatements {
		return pgerr.New(pgerr.ConfigurationLimit, "more than %d prepared statements", maxStatements)
	}
	p, err := s.describe(stmt.Stmt, text, types)
	if err != nil {
		return err
	}
	p.Name = stmt.Name.Name
	s.statements[p.Name] = p
	return nil
}

// types finds what type names mean, by way of the columns of SELECT NULL::name.
func (s *Session) types(names []ast.TypeName, text string) ([]vec.Type, error) {
	if len(names) == 0 {
		return nil, nil
	}
	query := &ast.Select{}
	for _, n := range names {
		query.Items = append(query.Items, ast.SelectItem{Expr: &ast.Cast{X: &ast.Null{}, Type: n}})
	}
	c, err := s.config.Engine.Compile(s.scope(nil), query, text, nil)
	if err != nil {
		return nil, err
	}
	types := make([]vec.Type, len(names))
	for i := range types {
		types[i] = c.Schema[i].Type
	}
	return types, nil
}

// startExecute is EXECUTE name (args): the arguments are a query of one row.
func (p *Portal) startExecute(e *ast.Execute) error {
	s := p.session
	prepared, err := s.Statement(e.Name.Name)
	if err != nil {
		return err
	}
	if prepared.Stmt == nil || isCommand(prepared.Stmt) {
		if prepared.Stmt == nil {
			p.done, p.tag = true, "EXECUTE"
			return nil
		}
		if _, ok := prepared.Stmt.(*ast.Execute); ok {
			return pgerr.Unsupported("EXECUTE of EXECUTE")
		}
		batch, schema, tag, err := s.command(prepared.Stmt, prepared.Text)
		p.batch, p.tag, p.Schema, p.done = batch, tag, schema, batch == nil
		return err
	}
	if len(e.Args) != len(prepared.Params) {
		return pgerr.New(pgerr.SyntaxError, "wrong number of parameters for prepared statement %q", prepared.Name).
			WithDetail("Expected %d parameters but got %d.", len(prepared.Params), len(e.Args))
	}
	params, err := p.arguments(e, prepared.Params)
	if err != nil {
		return err
	}
	return p.query(prepared.Stmt, prepared.Text, prepared, params)
}

// arguments computes the arguments of EXECUTE by way of SELECT args, and casts them.
func (p *Portal) arguments(e *ast.Execute, types []vec.Type) ([]*vec.Vector, error) {
	if len(e.Args) == 0 {
		return nil, nil
	}
	s := p.session
	query := &ast.Select{}
	for _, a := range e.Args {
		query.Items = append(query.Items, ast.SelectItem{Expr: a})
	}
	scope := s.scope(nil)
	c, err := s.config.Engine.Compile(scope, query, p.text, nil)
	if err != nil {
		return nil, err
	}
	pin, own, err := s.snapshot()
	if err != nil {
		return nil, err
	}
	if own {
		defer pin.Release()
	}
	rows, err := s.config.Engine.Run(p.ctx, scope, c, pin)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // a single row of constants
	b, err := rows.Next(p.ctx)
	if err != nil {
		return nil, err
	}
	if b == nil || b.Live() != 1 {
		return nil, pgerr.New(pgerr.SyntaxError, "arguments of EXECUTE must be plain values")
	}
	b = b.Compact()
	params := make([]*vec.Vector, len(types))
	for i, t := range types {
		if params[i], err = cast(scope.Expr, b.Cols[i].Flatten(1), t); err != nil {
			return nil, err
		}
	}
	return params, nil
}

// cast converts a constant of one row.
func cast(ctx *expr.Context, v *vec.Vector, to vec.Type) (*vec.Vector, error) {
	x, err := expr.NewCast(&expr.Const{Value: constant(v)}, to, true, false)
	if err != nil {
		return nil, err
	}
	out, err := x.Eval(ctx, &vec.Batch{Rows: 1})
	if err != nil {
		return nil, err
	}
	return constant(out.Flatten(1)), nil
}

// constant is a flat vector of one row as a constant.
func constant(v *vec.Vector) *vec.Vector {
	c := *v
	c.Form = vec.Const
	return &c
}

// ParseValue reads the text form of a value, as a parameter or a literal gives it.
func ParseValue(ctx *expr.Context, t vec.Type, text []byte) (*vec.Vector, error) {
	v := &vec.Vector{Type: vec.T(vec.Unknown), Form: vec.Const}
	v.Str.Append(text)
	if t.Kind == vec.Unknown || t.IsText() && t.Mod == 0 {
		v.Type = t
		return v, nil
	}
	x, err := expr.NewCast(&expr.Const{Value: v}, t, true, false)
	if err != nil {
		return nil, err
	}
	out, err := x.Eval(ctx, &vec.Batch{Rows: 1})
	if err != nil {
		return nil, err
	}
	return constant(out.Flatten(1)), nil
}
