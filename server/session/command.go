package session

import (
	"context"
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// command carries out a statement about the session. It gives the tag and, for SHOW, rows.
func (s *Session) command(ctx context.Context, st *sql.Statement, text string) (rows *vec.Batch, tag string, err error) {
	c := st.Command
	tag = st.Tag
	switch c.Kind {
	case sql.NoOp:
	case sql.SetCommand:
		err = s.set(c)
	case sql.ResetCommand:
		err = s.Settings.Reset(c.Name)
	case sql.ResetAllCommand:
		s.Settings.ResetAll()
	case sql.ShowCommand:
		rows, err = c.Rows(s.Settings)
	case sql.DiscardCommand:
		err = s.discard(c.Name)
	case sql.BeginCommand:
		s.beginBlock(c.Modes)
	case sql.CommitCommand:
		tag, err = s.endBlock(ctx, true, c.Chain)
	case sql.RollbackCommand:
		tag, err = s.endBlock(ctx, false, c.Chain)
	case sql.SavepointCommand:
		if err = s.needBlock("SAVEPOINT"); err == nil {
			s.Settings.Savepoint(c.Name)
			s.savepoint(c.Name)
		}
	case sql.ReleaseCommand:
		if err = s.needBlock("RELEASE SAVEPOINT"); err == nil {
			err = s.Settings.Release(c.Name)
		}
		if err == nil {
			s.releaseTo(c.Name)
		}
	case sql.RollbackToCommand:
		if err = s.needBlock("ROLLBACK TO SAVEPOINT"); err == nil {
			err = s.Settings.RollbackTo(c.Name)
		}
		if err == nil {
			s.failed = false
			s.rollbackTo(c.Name)
		}
	case sql.SetModesCommand:
		err = s.setModes(c)
	case sql.PrepareCommand:
		err = s.prepare(c, text)
	case sql.CloseCommand:
		err = s.closeCursor(c)
	case sql.DeallocateCommand:
		if c.All {
			clear(s.statements)
			break
		}
		if _, err = s.Statement(c.Name); err == nil {
			s.CloseStatement(c.Name)
		}
	default: // EXECUTE is the portal's
		err = pgerr.Unsupported("this statement")
	}
	return rows, tag, err
}

func (s *Session) warn(code, format string, args ...any) {
	w := pgerr.New(code, format, args...)
	w.Severity = "WARNING"
	s.notice(w)
}

func (s *Session) set(c *sql.CommandSpec) error {
	if c.Local && !s.block {
		s.warn(pgerr.NoActiveTransaction, "SET LOCAL can only be used in transaction blocks")
		return nil
	}
	if c.Default {
		return s.Settings.Reset(c.Name)
	}
	if strings.EqualFold(c.Name, "role") {
		if err := s.setRole(c.Value); err != nil {
			return err
		}
	}
	if strings.EqualFold(c.Name, "session_authorization") {
		if err := s.mayBecome(c.Value); err != nil {
			return err
		}
	}
	warning, err := s.Settings.Set(c.Name, c.Value, c.Local)
	if warning != nil {
		s.notice(warning)
	}
	return err
}

// configured is a setting that set_config is to change.
type configured struct {
	name, value string
	local       bool
}

// setConfig is set_config while a statement runs: others may be reading the settings, so they
// change when it is at its end.
func (s *Session) setConfig(name string, to *string, local bool) (string, error) {
	var value string
	var err error
	if to != nil {
		value = *to
	} else if value, err = s.Settings.Initial(name); err != nil {
		return "", err
	}
	if value, err = sql.CheckSetting(name, value); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configured = append(s.configured, configured{name, value, local})
	return value, nil
}

// setting is current_setting: what set_config has changed in the same statement counts.
func (s *Session) setting(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range slices.Backward(s.configured) {
		if strings.EqualFold(c.name, name) {
			return c.value, true
		}
	}
	return s.Settings.Get(name)
}

// configure makes the changes of set_config.
func (s *Session) configure() error {
	s.mu.Lock()
	list := s.configured
	s.configured = nil
	s.mu.Unlock()
	for _, c := range list {
		if err := s.set(&sql.CommandSpec{Name: c.name, Value: c.value, Local: c.local}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) setModes(c *sql.CommandSpec) error {
	if !c.Session {
		if !s.block {
			s.warn(pgerr.NoActiveTransaction, "SET TRANSACTION can only be used in transaction blocks")
			return nil
		}
		if c.Modes.Isolation != "" && s.queried {
			return pgerr.New(pgerr.ActiveTransaction, "SET TRANSACTION ISOLATION LEVEL must be called before any query")
		}
	}
	s.Settings.SetModes(c.Modes, c.Session)
	return nil
}

func (s *Session) beginBlock(m ast.TransactionModes) {
	if s.block {
		s.warn(pgerr.ActiveTransaction, "there is already a transaction in progress")
		return
	}
	s.block = true
	s.Settings.SetModes(m, false)
}

// endBlock is COMMIT and ROLLBACK. Committing a failed transaction rolls it back, and so
// does a commit that fails.
func (s *Session) endBlock(ctx context.Context, commit, chain bool) (tag string, err error) {
	tag = "ROLLBACK"
	if commit && !s.failed {
		tag = "COMMIT"
	}
	switch {
	case s.block:
	case chain:
		return "", s.needBlock(tag + " AND CHAIN")
	default:
		s.warn(pgerr.NoActiveTransaction, "there is no transaction in progress")
	}
	readOnly := s.Settings.On("transaction_read_only")
	modes := ast.TransactionModes{Isolation: s.value("transaction_isolation"), ReadOnly: &readOnly}
	if tag == "COMMIT" {
		if err := s.holdCursors(ctx); err != nil {
			s.endTransaction(false)
			return "", err
		}
	}
	if tag == "COMMIT" && s.writes != nil {
		if err := s.send(ctx, s.writes); err != nil {
			s.endTransaction(false)
			return "", conflict(err)
		}
	}
	// Outside a block, even ROLLBACK keeps nothing but what the implicit transaction did.
	together, pipeline := s.together, s.pipeline
	s.endTransaction(tag == "COMMIT")
	s.together, s.pipeline = together, pipeline
	if chain {
		s.begin()
		s.beginBlock(modes)
	}
	return tag, nil
}

func (s *Session) needBlock(what string) error {
	if s.block {
		return nil
	}
	return pgerr.New(pgerr.NoActiveTransaction, "%s can only be used in transaction blocks", what)
}

func (s *Session) discard(what string) error {
	all := what == "all"
	if all && s.block {
		return pgerr.New(pgerr.ActiveTransaction, "DISCARD ALL cannot run inside a transaction block")
	}
	if all || what == "temp" {
		s.temp = nil
		s.settleMemory()
	}
	if all || what == "sequences" {
		s.mu.Lock()
		clear(s.left)
		clear(s.last)
		s.mu.Unlock()
	}
	if !all {
		return nil // no plans are kept
	}
	s.Settings.ResetAll()
	clear(s.statements)
	for name := range s.portals {
		s.ClosePortal(name)
	}
	return nil
}

// prepare is PREPARE name AS statement.
func (s *Session) prepare(c *sql.CommandSpec, text string) error {
	if err := s.mayPrepare(c.Name); err != nil {
		return err
	}
	p, err := s.describe(c.Stmt, text, c.Types)
	if err != nil {
		return err
	}
	p.Name, p.made, p.sql = c.Name, s.now, true
	p.source = text
	s.statements[p.Name] = p
	return nil
}

// execute is EXECUTE name (args).
func (p *Portal) execute(c *sql.CommandSpec) error {
	prepared, params, err := p.executed(c)
	if err != nil {
		return err
	}
	if prepared.Stmt == nil {
		p.done, p.tag = true, "EXECUTE"
		return nil
	}
	prepared.runs++
	return p.run(prepared, params)
}

// explainExecute is EXPLAIN EXECUTE name (args).
func (p *Portal) explainExecute(x *ast.Explain, c *sql.CommandSpec) error {
	prepared, params, err := p.executed(c)
	if err != nil {
		return err
	}
	if prepared.Stmt == nil {
		return pgerr.Unsupported("EXPLAIN of an empty statement")
	}
	inner := *x
	inner.Stmt = prepared.Stmt
	return p.run(&Prepared{Text: prepared.Text, Stmt: &inner, Params: prepared.Params}, params)
}

// executed is the statement that EXECUTE names, and its arguments.
func (p *Portal) executed(c *sql.CommandSpec) (*Prepared, []*vec.Vector, error) {
	s := p.session
	prepared, err := s.Statement(c.Name)
	if err != nil {
		return nil, nil, err
	}
	if _, ok := prepared.Stmt.(*ast.Execute); ok {
		return nil, nil, pgerr.Unsupported("EXECUTE of EXECUTE")
	}
	if len(c.Args) != len(prepared.Params) {
		return nil, nil, pgerr.New(pgerr.SyntaxError, "wrong number of parameters for prepared statement %q", prepared.Name).
			WithDetail("Expected %d parameters but got %d.", len(prepared.Params), len(c.Args))
	}
	params := make([]*vec.Vector, len(c.Args))
	for i, a := range c.Args {
		if params[i], err = sql.Argument(s.compileContext(s.context(), nil, nil), a, prepared.Params[i], p.text); err != nil {
			return nil, nil, err
		}
	}
	return prepared, params, nil
}
