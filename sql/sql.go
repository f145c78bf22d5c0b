package sql

import (
	"slices"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/bind"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Kind is what to do with a statement.
type Kind uint8

// The kinds.
const (
	Query          Kind = iota // run Plan, or explain it if Explain is set
	Command                    // carry out Command
	Modify                     // carry out DDL, or what Write says with the rows of Plan
	Change                     // run Plan, and do Change to the events or persons that it finds
	ChangeCohort               // run Plan, if there is one, and do what Cohort says with the persons that it finds
	ChangeRole                 // do what Role says
	ChangeDatabase             // do what Database says
)

// CompileContext is what a statement's meaning depends on. When a statement is only
// described, Expr has no parameters; it is compiled again with them before it runs, since
// a parameter in WITHIN or EVERY becomes part of the plan.
type CompileContext struct {
	Catalog    *catalog.Catalog
	Expr       *expr.Context // evaluates literals: zone and time of the session
	Settings   *Settings
	ParamTypes []vec.Type // of $1, $2, …; Unknown where the client did not say
}

// Statement is a compiled statement. It is immutable.
type Statement struct {
	Kind    Kind
	Plan    plan.Node     // of a query, also of an explained one; nil otherwise
	Schema  vec.Schema    // of the rows that the client gets; nil if it gets none
	Sources []bind.Source // where the columns of Schema come from; nil: nowhere
	Shapes  []vec.Schema  // see bind.Result
	Params  []vec.Type
	Tag     string       // command tag; SELECT gets a row count behind it
	Command *CommandSpec // of a command
	DDL     *bind.Change // of CREATE TABLE and its like; nil for others
	Write   *bind.Write  // of INSERT, UPDATE, DELETE, CREATE TABLE AS and COPY FROM; nil for others
	Parts   []bind.Part  // what the plan writes besides: INSERT, UPDATE and DELETE in WITH
	Copy    *bind.Copy   // of COPY; nil for others
	Change  ChangeKind   // of DELETE and UPDATE of events or persons
	Cohort  *CohortSpec  // of CREATE COHORT and its like; nil for others
	Role    *RoleSpec    // of CREATE ROLE, GRANT and their like; nil for others
	// Database is of CREATE and DROP DATABASE; nil for others.
	Database *DatabaseSpec
	Explain  *Explain // of EXPLAIN; nil otherwise
	// Disabled is the rules of the optimiser that the session switches off, of plan.Rules.
	Disabled []string
	// Warning is to be sent as a notice when the statement runs; nil for none.
	Warning *pgerr.Error
}

// Explain is how to show a plan.
type Explain struct {
	Analyze, Verbose bool
	Costs, Timing    bool
	Summary, Buffers bool
	Format           string // text, json, xml or yaml
	// Expansion is the statement that a shorthand stands for, as SQL; empty for others.
	Expansion string
}

// maxShownLevels is how deep a plan may be that EXPLAIN shows: each level is indented more, so that the
// text grows with the square.
const maxShownLevels = 1000

// Lines are the rows of EXPLAIN for a plan, in the format asked for. What was measured
// comes in through o. Without statistics no costs are shown.
func (x *Explain) Lines(n plan.Node, s plan.Statistics, o plan.TextOptions) ([]string, error) {
	if plan.Deeper(n, maxShownLevels) {
		return nil, pgerr.New(pgerr.StatementTooComplex, "the plan nests deeper than the %d levels that EXPLAIN shows", maxShownLevels)
	}
	described := plan.Describe(n, s)
	o.NoCosts, o.NoTiming = !x.Costs, !x.Timing
	if !x.Summary {
		o.Elapsed = 0
	}
	switch x.Format {
	case "text":
		lines := plan.ExplainText(described, o)
		if x.Expansion != "" {
			lines = append(lines, "Expansion: "+x.Expansion)
		}
		return lines, nil
	case "json":
		text, err := plan.ExplainJSON(described, o)
		return []string{string(text)}, err
	case "xml":
		return []string{plan.ExplainXML(described, o)}, nil
	}
	return []string{plan.ExplainYAML(described, o)}, nil
}

// CommandKind is what a command does.
type CommandKind uint8

// The commands. The session carries them out.
const (
	NoOp              CommandKind = iota
	SetCommand                    // Settings.Set(Name, Value, Local), or Reset(Name) if Default
	ResetCommand                  // Settings.Reset(Name)
	ResetAllCommand               // Settings.ResetAll
	ShowCommand                   // rows: see Rows
	DiscardCommand                // Name is all, plans, temp or sequences
	BeginCommand                  // Modes
	CommitCommand                 // Chain
	RollbackCommand               // Chain
	SavepointCommand              // Name
	ReleaseCommand                // Name
	RollbackToCommand             // Name
	SetModesCommand               // Settings.SetModes(Modes, Session)
	PrepareCommand                // Name, Types, Stmt
	ExecuteCommand                // Name, Args
	DeallocateCommand             // Name, or all if All
	DeclareCommand                // Name, Cursor
	FetchCommand                  // Fetch; Schema is the cursor's
	CloseCommand                  // Name, or all if All
)

// CommandSpec is a command and its arguments; which ones are set depends on Kind.
type CommandSpec struct {
	Kind    CommandKind
	Name    string
	Value   string
	Default bool
	Local   bool
	All     bool
	Chain   bool
	Session bool
	Modes   ast.TransactionModes
	Types   []vec.Type // PREPARE: Unknown where not given
	Stmt    ast.Stmt
	Args    []ast.Expr // EXECUTE: evaluate with Argument
	Cursor  *ast.DeclareCursor
	Fetch   *ast.FetchCursor
}

// IsTransaction says whether the command belongs to the control of transactions, which
// works in a failed one, too.
func (c *CommandSpec) IsTransaction() bool {
	return c.Kind == CommitCommand || c.Kind == RollbackCommand || c.Kind == RollbackToCommand
}

// Rows is what SHOW answers.
func (c *CommandSpec) Rows(s *Settings) (*vec.Batch, error) {
	if c.All {
		all := s.All()
		var names, values, words vec.Strings
		for _, v := range all {
			names.AppendString(v.Name)
			values.AppendString(v.Value)
			words.AppendString(v.Description)
		}
		t := vec.T(vec.Text)
		return &vec.Batch{Rows: len(all), Cols: []*vec.Vector{{Type: t, Str: names}, {Type: t, Str: values}, {Type: t, Str: words}}}, nil
	}
	v, err := s.Show(c.Name)
	if err != nil {
		return nil, err
	}
	return &vec.Batch{Rows: 1, Cols: []*vec.Vector{{Type: vec.T(vec.Text), Str: vec.StringsOf(v.Value)}}}, nil
}

// Argument evaluates an argument of EXECUTE as a type. Text is the EXECUTE statement.
func Argument(c CompileContext, e ast.Expr, to vec.Type, text string) (*vec.Vector, error) {
	return bind.Constant(c.env(text), e, to)
}

func (c *CompileContext) env(text string) bind.Env {
	return bind.Env{Catalog: c.Catalog, Expr: c.Expr, Params: c.ParamTypes, Text: text}
}

// Compile gives a statement its meaning. Text is what the statement was parsed from, for
// the positions in errors, which are *pgerr.Error.
func Compile(c CompileContext, stmt ast.Stmt, text string) (*Statement, error) {
	at := func(e *pgerr.Error, n ast.Node) error { return e.At(ast.CharPosition(text, n.Pos())) }
	command := func(tag string, spec CommandSpec) (*Statement, error) {
		return &Statement{Kind: Command, Tag: tag, Command: &spec}, nil
	}
	switch s := stmt.(type) {
	case ast.Query:
		if sel, ok := s.(*ast.Select); ok && sel.Into != nil {
			q := *sel
			q.Into = nil
			return c.createAs(&ast.CreateTableAs{Place: sel.Place, Temp: sel.Into.Temp, Name: sel.Into.Name, Query: &q}, text)
		}
		return c.query(s, text)
	case *ast.Shorthand:
		return c.query(ast.Expand(s), text)
	case *ast.Explain:
		return c.explain(s, text)
	case *ast.Set:
		return c.set(s, text)
	case *ast.SetTransaction:
		return command("SET", CommandSpec{Kind: SetModesCommand, Modes: s.Modes, Session: s.Session})
	case *ast.Show:
		return c.show(s, text)
	case *ast.Reset:
		if s.All {
			return command("RESET", CommandSpec{Kind: ResetAllCommand})
		}
		if _, err := lookUp(s.Name); err != nil {
			return nil, err
		}
		return command("RESET", CommandSpec{Kind: ResetCommand, Name: s.Name})
	case *ast.Discard:
		return command("DISCARD "+strings.ToUpper(s.What), CommandSpec{Kind: DiscardCommand, Name: s.What})
	case *ast.Begin:
		tag := "BEGIN"
		if s.Start {
			tag = "START TRANSACTION"
		}
		return command(tag, CommandSpec{Kind: BeginCommand, Modes: s.Modes})
	case *ast.Commit:
		return command("COMMIT", CommandSpec{Kind: CommitCommand, Chain: s.Chain})
	case *ast.Rollback:
		return command("ROLLBACK", CommandSpec{Kind: RollbackCommand, Chain: s.Chain})
	case *ast.Savepoint:
		return command("SAVEPOINT", CommandSpec{Kind: SavepointCommand, Name: s.Name.Name})
	case *ast.Release:
		return command("RELEASE", CommandSpec{Kind: ReleaseCommand, Name: s.Name.Name})
	case *ast.RollbackTo:
		return command("ROLLBACK", CommandSpec{Kind: RollbackToCommand, Name: s.Name.Name})
	case *ast.Prepare:
		spec := CommandSpec{Kind: PrepareCommand, Name: s.Name.Name, Stmt: s.Stmt}
		for i := range s.Types {
			t, err := bind.Type(c.env(text), &s.Types[i])
			if err != nil {
				return nil, err
			}
			spec.Types = append(spec.Types, t)
		}
		return command("PREPARE", spec)
	case *ast.Execute:
		return command("EXECUTE", CommandSpec{Kind: ExecuteCommand, Name: s.Name.Name, Args: s.Args})
	case *ast.Deallocate:
		if s.All {
			return command("DEALLOCATE ALL", CommandSpec{Kind: DeallocateCommand, All: true})
		}
		return command("DEALLOCATE", CommandSpec{Kind: DeallocateCommand, Name: s.Name.Name})
	case *ast.DeclareCursor:
		inner, err := Compile(c, s.Query, text)
		if err != nil {
			return nil, err
		}
		if len(inner.Parts) > 0 {
			return nil, pgerr.New(pgerr.FeatureNotSupported, "DECLARE CURSOR must not contain data-modifying statements in WITH")
		}
		st, err := command("DECLARE CURSOR", CommandSpec{Kind: DeclareCommand, Name: s.Name.Name, Cursor: s})
		st.Params = inner.Params
		return st, err
	case *ast.FetchCursor:
		tag := "FETCH"
		if s.Move {
			tag = "MOVE"
		}
		return command(tag, CommandSpec{Kind: FetchCommand, Name: s.Name.Name, Fetch: s})
	case *ast.CloseCursor:
		if s.All {
			return command("CLOSE CURSOR ALL", CommandSpec{Kind: CloseCommand, All: true})
		}
		return command("CLOSE CURSOR", CommandSpec{Kind: CloseCommand, Name: s.Name.Name})
	case *ast.NoEffect:
		st, err := command(s.Tag, CommandSpec{Kind: NoOp})
		if s.Warn {
			st.Warning = pgerr.New(pgerr.Warning, "%s has no effect", s.Tag)
			st.Warning.Severity = "WARNING"
		}
		return st, err
	case *ast.CreateTable:
		return c.ddl(s, text, "CREATE TABLE")
	case *ast.CreateView:
		return c.ddl(s, text, "CREATE VIEW")
	case *ast.AlterTable:
		if s.View {
			return c.ddl(s, text, "ALTER VIEW")
		}
		return c.ddl(s, text, "ALTER TABLE")
	case *ast.DropTable:
		if s.View {
			return c.ddl(s, text, "DROP VIEW")
		}
		return c.ddl(s, text, "DROP TABLE")
	case *ast.CreateSchema:
		return c.ddl(s, text, "CREATE SCHEMA")
	case *ast.AlterSchema:
		return c.ddl(s, text, "ALTER SCHEMA")
	case *ast.CreateSequence:
		return c.ddl(s, text, "CREATE SEQUENCE")
	case *ast.AlterSequence:
		return c.ddl(s, text, "ALTER SEQUENCE")
	case *ast.DropSequence:
		return c.ddl(s, text, "DROP SEQUENCE")
	case *ast.ReassignOwned:
		return c.ddl(s, text, "REASSIGN OWNED")
	case *ast.DropSchema:
		return c.ddl(s, text, "DROP SCHEMA")
	case *ast.Comment:
		return c.ddl(s, text, "COMMENT")
	case *ast.Truncate:
		return c.ddl(s, text, "TRUNCATE TABLE")
	case *ast.CreateTableAs:
		return c.createAs(s, text)
	case *ast.Insert:
		w, err := bind.Insert(c.env(text), s)
		return c.modify(w, err, "INSERT 0")
	case *ast.Copy:
		return c.copy(s, text)
	case *ast.Update:
		if c.changed(s.Table) {
			if err := bind.MayChange(c.env(text), "UPDATE", s.Table); err != nil {
				return nil, err
			}
			return c.updates(s, text)
		}
		w, err := bind.Update(c.env(text), s)
		return c.modify(w, err, "UPDATE")
	case *ast.Delete:
		if c.changed(s.Table) {
			if err := bind.MayChange(c.env(text), "DELETE", s.Table); err != nil {
				return nil, err
			}
			return c.deletes(s, text)
		}
		w, err := bind.Delete(c.env(text), s)
		return c.modify(w, err, "DELETE")
	case *ast.Unsupported:
		return nil, at(pgerr.Unsupported(s.What), s)
	case *ast.RoleStmt, *ast.DropRole, *ast.Grant, *ast.GrantRole:
		return c.changeRole(s, text)
	case *ast.CreateDatabase:
		return c.createDatabase(s, text)
	case *ast.DropDatabase:
		return dropDatabase(s, text), nil
	case *ast.CreateCohort:
		return c.createCohort(s, text)
	case *ast.RefreshCohort:
		set := &ast.CohortName{Place: s.Name.Place, Name: s.Name.Name}
		return c.changeCohort("REFRESH COHORT", CohortSpec{Kind: RefreshCohort}, &s.Name, set, text)
	case *ast.RenameCohort:
		return c.changeCohort("ALTER COHORT", CohortSpec{Kind: RenameCohort, To: s.To.Name}, &s.Name, nil, text)
	case *ast.DropCohort:
		return c.changeCohort("DROP COHORT", CohortSpec{Kind: DropCohort, IfExists: s.IfExists}, &s.Name, nil, text)
	}
	return nil, at(pgerr.Unsupported("this statement"), stmt)
}

// planned gives a statement its plan, improved by the rules that the session does not
// switch off.
func (c *CompileContext) planned(st *Statement, n plan.Node) *Statement {
	if c.Settings != nil {
		st.Disabled = c.Settings.list(disabledRules)
	}
	st.Plan = plan.Rewrite(n, st.Disabled...)
	return st
}

func placed(err error, text string, n ast.Node) error {
	e := *pgerr.From(err)
	if e.Position == 0 {
		e.Position = ast.CharPosition(text, n.Pos())
	}
	return &e
}

func (c *CompileContext) query(q ast.Query, text string) (*Statement, error) {
	r, err := bind.Query(c.env(text), q)
	if err != nil {
		return nil, err
	}
	st := &Statement{Kind: Query, Schema: r.Schema, Sources: r.Sources, Params: r.Params, Tag: "SELECT", Parts: r.Parts, Shapes: r.Shapes}
	if len(r.Parts) > 0 {
		st.Kind = Modify
	}
	return c.planned(st, r.Plan), nil
}

// ddl compiles a statement about tables.
func (c *CompileContext) ddl(s ast.Stmt, text, tag string) (*Statement, error) {
	change, err := bind.DDL(c.env(text), s)
	if err != nil {
		return nil, err
	}
	return &Statement{Kind: Modify, Tag: tag, DDL: change}, nil
}

// modify is the statement of a bound write. The number of rows goes behind its tag.
func (c *CompileContext) modify(w *bind.Write, err error, tag string) (*Statement, error) {
	if err != nil {
		return nil, err
	}
	return c.planned(&Statement{Kind: Modify, Write: w, Schema: w.Schema, Sources: w.Sources, Params: w.Params, Tag: tag, Parts: w.Parts}, w.Plan), nil
}

// copy compiles COPY. What it gives goes to the client by another way than rows do, so it has
// no schema.
func (c *CompileContext) copy(s *ast.Copy, text string) (*Statement, error) {
	bound, err := bind.NewCopy(c.env(text), s)
	if err != nil {
		return nil, err
	}
	if bound.Write != nil {
		return c.planned(&Statement{Kind: Modify, Tag: "COPY", Copy: bound, Write: bound.Write}, bound.Write.Plan), nil
	}
	return c.planned(&Statement{Kind: Query, Tag: "COPY", Copy: bound}, bound.Plan), nil
}

func (c *CompileContext) createAs(s *ast.CreateTableAs, text string) (*Statement, error) {
	w, notices, err := bind.CreateAs(c.env(text), s)
	change := &bind.Change{Notices: notices}
	switch {
	case err != nil:
		return nil, err
	case w.Plan == nil:
		return &Statement{Kind: Modify, Tag: "CREATE TABLE AS", DDL: change}, nil
	case s.NoData:
		change.Ops = []table.Op{{Kind: table.OpCreate, Schema: w.Create}}
		return &Statement{Kind: Modify, Tag: "CREATE TABLE AS", Params: w.Params, DDL: change}, nil
	}
	st, err := c.modify(w, nil, "SELECT")
	if len(notices) > 0 {
		st.DDL = change
	}
	return st, err
}

func (c *CompileContext) explain(s *ast.Explain, text string) (*Statement, error) {
	stmt := s.Stmt
	if d, ok := stmt.(*ast.DeclareCursor); ok {
		stmt = d.Query
	}
	inner, err := Compile(*c, stmt, text)
	if err != nil {
		return nil, err
	}
	if _, ok := stmt.(*ast.Execute); ok { // the session knows what is executed
		inner.Schema = vec.Schema{{Name: "QUERY PLAN", Type: vec.T(vec.Text)}}
		return inner, nil
	}
	writes := (inner.Write != nil || len(inner.Parts) > 0) && inner.Explain == nil && inner.Copy == nil && inner.DDL == nil
	if inner.Kind != Query && !writes || inner.Explain != nil || inner.Copy != nil {
		return nil, pgerr.Unsupported("EXPLAIN of this statement").At(ast.CharPosition(text, s.Stmt.Pos()))
	}
	x := &Explain{Analyze: s.Analyze, Verbose: s.Verbose, Costs: true, Timing: true, Format: s.Format}
	summary := false // said; if not, it comes with ANALYZE
	if x.Format == "" {
		x.Format = "text"
	}
	if short, ok := s.Stmt.(*ast.Shorthand); ok {
		x.Expansion = ast.Format(ast.Expand(short))
	}
	for i := range s.Options {
		o := &s.Options[i]
		var into *bool
		switch strings.ToLower(o.Name) {
		case "analyze":
			into = &x.Analyze
		case "verbose":
			into = &x.Verbose
		case "costs":
			into = &x.Costs
		case "timing":
			into = &x.Timing
		case "summary":
			into, summary = &x.Summary, true
		case "buffers":
			into = &x.Buffers
		case "settings", "wal", "generic_plan":
			continue
		default:
			return nil, pgerr.New(pgerr.SyntaxError, `unrecognized EXPLAIN option "%s"`, o.Name).At(ast.CharPosition(text, o.Pos()))
		}
		switch strings.ToLower(o.Value) {
		case "", "true", "on", "1":
			*into = true
		case "false", "off", "0":
			*into = false
		default:
			return nil, pgerr.New(pgerr.SyntaxError, "%s requires a Boolean value", o.Name).At(ast.CharPosition(text, o.Pos()))
		}
	}
	if !summary {
		x.Summary = x.Analyze
	}
	t := vec.T(vec.Text)
	switch x.Format {
	case "json":
		t = vec.T(vec.JSON)
	case "xml":
		t = vec.T(vec.XML)
	}
	inner.Schema, inner.Sources = vec.Schema{{Name: "QUERY PLAN", Type: t}}, nil
	inner.Explain = x
	if writes && x.Analyze { // carried out, and then explained
		return inner, nil
	}
	if writes {
		inner.Kind, inner.Plan = Query, Explained(inner, inner.Plan)
		inner.Write, inner.Parts = nil, nil
	}
	inner.Tag = "EXPLAIN"
	return inner, nil
}

// Explained is the plan of a statement that writes, perhaps arranged for running, with what becomes
// of the rows.
func Explained(st *Statement, n plan.Node) plan.Node {
	modify := func(n plan.Node, w *bind.Write) plan.Node {
		word := "Insert"
		switch {
		case w.Deletes && w.Inserts:
			word = "Update"
		case w.Deletes:
			word = "Delete"
		}
		return &plan.Modify{Input: n, What: word, Table: w.Target.Name, Returns: w.Returning != nil}
	}
	if s, ok := n.(*plan.Setup); ok {
		c := &plan.Setup{Subs: slices.Clone(s.Subs), Input: s.Input}
		for _, p := range st.Parts {
			c.Subs[p.Slot].Node = modify(c.Subs[p.Slot].Node, p.Write)
		}
		n = c
	}
	if st.Write != nil {
		n = modify(n, st.Write)
	}
	return n
}

func (c *CompileContext) show(s *ast.Show, text string) (*Statement, error) {
	out := &Statement{Kind: Command, Tag: "SHOW", Command: &CommandSpec{Kind: ShowCommand, Name: s.Name, All: s.All}}
	t := vec.T(vec.Text)
	if s.All {
		out.Schema = vec.Schema{{Name: "name", Type: t}, {Name: "setting", Type: t}, {Name: "description", Type: t}}
		return out, nil
	}
	name := s.Name
	d, err := lookUp(name)
	if err != nil {
		return nil, err
	}
	if d != nil {
		name = d.name
	}
	out.Schema = vec.Schema{{Name: name, Type: t}}
	return out, nil
}

// set reads the values of SET as one text, as the setting wants it.
func (c *CompileContext) set(s *ast.Set, text string) (*Statement, error) {
	spec := &CommandSpec{Kind: SetCommand, Name: s.Name, Local: s.Scope == ast.ScopeLocal, Default: s.Default}
	out := &Statement{Kind: Command, Tag: "SET", Command: spec}
	d, err := lookUp(s.Name)
	if err != nil {
		return nil, err
	}
	if s.Default {
		return out, nil
	}
	words := make([]string, 0, len(s.Values))
	for _, v := range s.Values {
		w, err := settingWord(v, s.Name)
		if err != nil {
			return nil, placed(err, text, v)
		}
		words = append(words, w)
	}
	spec.Value = strings.Join(words, ", ")
	if d != nil { // a bad value is an error when it is sent, not when it is carried out
		if _, err := d.checked(spec.Value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func settingWord(v ast.Expr, name string) (string, error) {
	switch v := v.(type) {
	case *ast.String:
		if key(name) == "search_path" {
			return ast.QuoteIdent(v.Value), nil
		}
		return v.Value, nil
	case *ast.Number:
		return v.Text, nil
	case *ast.Bool:
		if v.Value {
			return "on", nil
		}
		return "off", nil
	case *ast.Unary:
		if n, ok := v.X.(*ast.Number); ok && (v.Op == "-" || v.Op == "+") {
			return strings.TrimPrefix(v.Op, "+") + n.Text, nil
		}
	case *ast.Name:
		parts := make([]string, len(v.Parts))
		for i, p := range v.Parts {
			parts[i] = p.Name
		}
		word := strings.Join(parts, ".")
		if key(name) == "search_path" {
			return ast.QuoteIdent(word), nil
		}
		return word, nil
	case *ast.Typed:
		return intervalZone(v)
	}
	return "", pgerr.New(pgerr.SyntaxError, "SET %s takes a literal", name)
}

// intervalZone is SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE: hours and minutes east of Greenwich.
func intervalZone(v *ast.Typed) (string, error) {
	mod, _ := expr.IntervalModifier(v.Type.Fields, -1)
	literal := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Unknown), Form: vec.Const, Str: vec.StringsOf(v.Value)}}
	x, err := expr.NewCast(literal, vec.Type{Kind: vec.Interval, Mod: mod + 1}, true, false)
	if err != nil {
		return "", err
	}
	by := x.(*expr.Const).Value.Ivl[0]
	bad := pgerr.New(pgerr.InvalidParameterValue, `invalid value for parameter "TimeZone": "%s"`, v.Value)
	switch {
	case by.Months != 0:
		return "", bad.WithDetail("Cannot specify months in time zone interval.")
	case by.Days != 0:
		return "", bad.WithDetail("Cannot specify days in time zone interval.")
	}
	minutes := by.Micros / time.Minute.Microseconds()
	if by.Micros%time.Minute.Microseconds() != 0 || max(minutes, -minutes) >= 24*60 {
		return "", bad
	}
	_, name, err := offsetZone(int(minutes) * 60)
	return name, err
}
