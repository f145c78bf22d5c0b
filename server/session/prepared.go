package session

import (
	"slices"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/pgcatalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/bind"
	"github.com/prickledb/prickle/storage/vec"
)

// Prepared is a statement under a name. It keeps no plan: one whose meaning is the same each time
// is in [Plans], and another holds constants, such as the instant that now() is.
type Prepared struct {
	Name   string
	Text   string   // the whole text that Stmt was parsed from: positions count in it
	Stmt   ast.Stmt // nil for an empty text
	Params []vec.Type
	Schema vec.Schema // nil when the statement gives no rows
	// Sources are the columns of tables that those of Schema show; nil for none.
	Sources []bind.Source

	kind   string // of its query, as the list of what runs has it
	reads  bool   // a table, so it needs a place; of a query
	made   time.Time
	sql    bool   // PREPARE has made it
	source string // as it was sent, or as PREPARE says it
	runs   int64  // how often it was executed
}

// Prepare makes a prepared statement of a text with exactly one statement, or none.
func (s *Session) Prepare(name, text string, types []vec.Type) (*Prepared, error) {
	if err := s.mayPrepare(name); err != nil {
		return nil, err
	}
	stmts, err := s.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(stmts) > 1 {
		return nil, pgerr.New(pgerr.SyntaxError, "cannot insert multiple commands into a prepared statement")
	}
	p := &Prepared{Name: name, Text: text, Params: types}
	if len(stmts) == 1 {
		if p, err = s.describe(stmts[0].Stmt, text, types); err != nil {
			return nil, err
		}
		p.Name = name
	}
	p.made, p.source = s.now, text
	s.statements[name] = p
	return p, nil
}

// mayPrepare says whether there may be another statement of this name.
func (s *Session) mayPrepare(name string) error {
	if name != "" && s.statements[name] != nil {
		return pgerr.New(pgerr.DuplicateStatement, "prepared statement %q already exists", name)
	}
	if len(s.statements) >= maxStatements {
		return pgerr.New(pgerr.ConfigurationLimit, "more than %d prepared statements", maxStatements).
			WithHint("Close the ones that are no longer needed, for example with DEALLOCATE ALL.")
	}
	return nil
}

// compileContext is what the meaning of a statement depends on.
// A nil view is the tables there are now.
func (s *Session) compileContext(ctx *expr.Context, types []vec.Type, v *view) sql.CompileContext {
	var pin Pin
	if v != nil {
		pin = v.shown
	}
	tables := s.config.Engine.Catalog(s.config.Project, s.config.Database, pin)
	tables.Files = func(pattern string, o format.Options, headerGiven bool) (format.Options, []format.Column, error) {
		return engine.FileColumns(s.ctx, s.config.Engine.Files(), pattern, o, headerGiven, ctx)
	}
	tables.Role, tables.Path = s.role(), s.Settings.SearchPath()
	tables.Reads = func(v *catalog.Table) []*catalog.Table { return bind.Reads(bind.Env{Catalog: tables, Expr: ctx}, v) }
	tables.ViewText = func(v *catalog.Table) string { return bind.ViewText(bind.Env{Catalog: tables, Expr: ctx}, v) }
	tables.FullText = bind.FullText
	if all := s.config.Cohorts; all != nil {
		tables.Cohort = func(name string, id int64) (definition string, ok bool, err error) {
			ctx.Moment() // conditions count days from now
			err = s.at(pin, func(pin Pin) error {
				definition, ok, err = all.Definition(s.ctx, pin, ctx, name, id)
				return err
			})
			return definition, ok, err
		}
		tables.Cohorts = func() (rows *vec.Batch, err error) {
			err = s.at(pin, func(pin Pin) error {
				rows, err = all.List(s.ctx, pin, ctx)
				return err
			})
			return rows, err
		}
	}
	seen := pgcatalog.Session{User: s.config.User, PID: s.pid, Role: s.role(), Settings: s.listSettings,
		Cursors: s.listCursors, Statements: s.listStatements, Backends: s.listBackends, Queries: s.listQueries}
	if all := s.config.Databases; all != nil {
		seen.Databases = all.List
	}
	s.objects = pgcatalog.NewReader(tables, seen)
	ctx.Objects = s.objects
	return sql.CompileContext{Catalog: tables, Expr: ctx, Settings: s.Settings, ParamTypes: types}
}

// at reads from a pin, or without one from the state that there is now.
func (s *Session) at(pin Pin, read func(Pin) error) error {
	if pin == nil {
		now, err := s.config.Engine.Pin(s.config.Project)
		if err != nil {
			return err
		}
		defer now.Release()
		pin = now
	}
	return read(pin)
}

// listSettings is the rows of pg_settings.
func (s *Session) listSettings() []pgcatalog.Setting {
	var out []pgcatalog.Setting
	for _, v := range s.Settings.All() {
		out = append(out, pgcatalog.Setting(v))
	}
	return out
}

// listStatements is the rows of pg_prepared_statements.
func (s *Session) listStatements() []pgcatalog.PreparedStatement {
	var out []pgcatalog.PreparedStatement
	for name, p := range s.statements {
		if name == "" {
			continue
		}
		one := pgcatalog.PreparedStatement{Name: name, Statement: p.source, Prepared: p.made.UnixMicro(), SQL: p.sql, Runs: p.runs}
		for _, t := range p.Params {
			one.Params = append(one.Params, t.OID())
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b pgcatalog.PreparedStatement) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// describe finds the parameter types and the columns of a statement.
func (s *Session) describe(stmt ast.Stmt, text string, types []vec.Type) (*Prepared, error) {
	if err := s.admit(stmt); err != nil {
		return nil, err
	}
	var v *view
	if s.writes != nil || s.temp != nil { // it may name a table that the transaction or the session has made
		var err error
		if v, err = s.view(s.ctx); err != nil {
			return nil, err
		}
		defer v.release()
	}
	within := s.compileContext(s.context(), types, v)
	if seesRows(stmt) {
		if err := s.checkRole(within.Catalog); err != nil {
			return nil, err
		}
	}
	p := &Prepared{Text: text, Stmt: stmt, Params: types}
	st, err := s.compile(within, p)
	if err != nil {
		return nil, err
	}
	p.Schema, p.Sources = st.Schema, st.Sources
	p.kind, p.reads = kindOf(st.Plan)
	if e, ok := stmt.(*ast.Execute); ok {
		other, err := s.Statement(e.Name.Name)
		if err != nil {
			return nil, err
		}
		p.Schema, p.Sources = other.Schema, other.Sources
	}
	if f, ok := stmt.(*ast.FetchCursor); ok && !f.Move {
		c, err := s.cursor(f.Name.Name)
		if err != nil {
			return nil, err
		}
		p.Schema, p.Sources = c.portal.Schema, c.portal.Sources
	}
	p.Params = make([]vec.Type, max(len(st.Params), len(types)))
	if len(p.Params) > maxParams {
		return nil, pgerr.New(pgerr.ProgramLimitExceeded, "more than %d parameters", maxParams)
	}
	copy(p.Params, types)
	copy(p.Params, st.Params)
	for i, t := range p.Params {
		if t.Kind == vec.Unknown { // nothing in the statement says more, and text reads all
			p.Params[i] = vec.T(vec.Text)
		}
	}
	return p, nil
}

// Statement finds a prepared statement.
func (s *Session) Statement(name string) (*Prepared, error) {
	if p := s.statements[name]; p != nil {
		return p, nil
	}
	if name == "" {
		return nil, pgerr.New(pgerr.UndefinedStatement, "unnamed prepared statement does not exist")
	}
	return nil, pgerr.New(pgerr.UndefinedStatement, "prepared statement %q does not exist", name)
}

// CloseStatement forgets a prepared statement; an unknown name is fine.
func (s *Session) CloseStatement(name string) { delete(s.statements, name) }

// same says whether two schemas look the same to a client.
func same(a, b vec.Schema) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Type.OID() != b[i].Type.OID() || !strings.EqualFold(a[i].Name, b[i].Name) {
			return false
		}
	}
	return true
}
