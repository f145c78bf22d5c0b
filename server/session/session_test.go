package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/server/session/sessiontest"
	"github.com/prickledb/prickle/storage/vec"
)

type fixture struct {
	*session.Session
	engine *sessiontest.Engine
	t      *testing.T
}

func open(t *testing.T, start map[string]string) *fixture {
	t.Helper()
	f := &fixture{engine: &sessiontest.Engine{}, t: t}
	s, err := session.New(t.Context(), session.Config{Engine: f.engine, Project: 1, Database: "prickle", User: "app", Start: start})
	if err != nil {
		t.Fatal(err)
	}
	f.Session = s
	t.Cleanup(func() {
		s.Close()
		if n, m := f.engine.Pins.Load(), f.engine.Running.Load(); n != 0 || m != 0 {
			t.Errorf("%d snapshots and %d answers left open", n, m)
		}
	})
	return f
}

// run runs statements as a Query message does, and gives the last tag.
func (f *fixture) run(text string) (tag string, err error) {
	stmts, err := f.Parse(text)
	for i := 0; err == nil && i < len(stmts); i++ {
		p := f.Open(stmts[i].Stmt, text)
		rows := 0
		err = p.Run(func() error {
			for {
				b, lo, hi, err := p.Take(0)
				if b == nil || err != nil {
					return err
				}
				rows += hi - lo
			}
		})
		p.Close()
		tag = p.Tag(rows)
	}
	if err != nil {
		f.Fail(err)
		return "", err
	}
	f.Sync()
	return tag, nil
}

// One snapshot serves a whole REPEATABLE READ transaction; a READ COMMITTED one takes
// one for each statement.
func TestSnapshots(t *testing.T) {
	for isolation, want := range map[string]int64{"repeatable read": 1, "serializable": 1, "read committed": 0, "read uncommitted": 0} {
		f := open(t, nil)
		for _, sql := range []string{"begin isolation level " + isolation, "select n from one", "select n from one"} {
			if _, err := f.run(sql); err != nil {
				t.Fatal(sql, err)
			}
		}
		if n := f.engine.Pins.Load(); n != want {
			t.Errorf("%s keeps %d snapshots, want %d", isolation, n, want)
		}
		if _, err := f.run("select n from nowhere"); err == nil {
			t.Error("an unknown table is found")
		}
		if f.State() != session.Failed {
			t.Errorf("state = %c", f.State())
		}
		if tag, err := f.run("commit"); tag != "ROLLBACK" || err != nil {
			t.Errorf("commit of a failed block = %s, %v", tag, err)
		}
		if n := f.engine.Pins.Load(); n != 0 {
			t.Errorf("%s: %d snapshots after the end", isolation, n)
		}
	}
}

func TestDefaultModes(t *testing.T) {
	f := open(t, nil)
	show := func(name string) string {
		v, _ := f.Settings.Get(name)
		return v
	}
	for _, sql := range []string{"set session characteristics as transaction isolation level repeatable read", "begin", "select n from one"} {
		if _, err := f.run(sql); err != nil {
			t.Fatal(sql, err)
		}
	}
	if v := show("transaction_isolation"); v != "repeatable read" {
		t.Errorf("transaction_isolation = %s", v)
	}
	if _, err := f.run("set transaction isolation level read committed"); pgerr.Code(err) != "25001" {
		t.Errorf("SET TRANSACTION after a query = %v", err)
	}
	if tag, err := f.run("rollback and chain"); tag != "ROLLBACK" || err != nil || f.State() != session.InBlock {
		t.Errorf("rollback and chain = %s, %v in %c", tag, err, f.State())
	}
	if v := show("transaction_isolation"); v != "repeatable read" {
		t.Errorf("after AND CHAIN: transaction_isolation = %s", v)
	}
}

// The clock stands still in a transaction.
func TestNow(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	f := &fixture{engine: &sessiontest.Engine{}, t: t}
	s, err := session.New(t.Context(), session.Config{Engine: f.engine, Now: func() time.Time { at = at.Add(time.Second); return at }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f.Session = s
	if _, err := f.run("begin"); err != nil {
		t.Fatal(err)
	}
	a, b := s.Context(), s.Context()
	if a.Now != b.Now || a.Statement == b.Statement {
		t.Errorf("now = %d, %d; statement = %d, %d", a.Now, b.Now, a.Statement, b.Statement)
	}
	if _, err := f.run("commit; begin"); err != nil {
		t.Fatal(err)
	}
	if c := s.Context(); c.Now == a.Now {
		t.Error("the next transaction has the same time")
	}
}

func TestPreparedNames(t *testing.T) {
	f := open(t, nil)
	p, err := f.Prepare("a", "select $1::int4, $2::text from echo", []vec.Type{{}, vec.T(vec.Varchar)})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Params) != 2 || p.Params[0] != vec.T(vec.Int4) || p.Params[1].Kind != vec.Varchar {
		t.Errorf("parameters = %v", p.Params)
	}
	// SQL and the protocol share the names.
	if _, err := f.run("prepare a as select 1"); pgerr.Code(err) != "42P05" {
		t.Errorf("PREPARE of a name in use = %v", err)
	}
	if tag, err := f.run("execute a (1, 'x')"); tag != "SELECT 1" || err != nil {
		t.Errorf("EXECUTE = %s, %v", tag, err)
	}
	if _, err := f.run("execute a (1)"); err == nil {
		t.Error("EXECUTE with too few parameters works")
	}
	if _, err := f.run("execute a ('one', 'x')"); pgerr.Code(err) != "22P02" {
		t.Errorf("EXECUTE with a wrong parameter = %v", err)
	}
	if _, err := f.run("deallocate a"); err != nil {
		t.Error(err)
	}
	if _, err := f.Statement("a"); pgerr.Code(err) != "26000" {
		t.Errorf("after DEALLOCATE: %v", err)
	}
}

// A cancel hits what runs and nothing else; what it hit is gone.
func TestCancel(t *testing.T) {
	f := open(t, nil)
	f.Cancel(session.ErrCancel)
	if _, err := f.run("select n from one"); err != nil {
		t.Errorf("a cancel before the statement: %v", err)
	}
	go func() {
		for f.engine.Running.Load() == 0 { // without Attend, a cancel needs a statement
			time.Sleep(time.Millisecond)
		}
		f.Cancel(session.ErrCancel)
	}()
	if _, err := f.run("select n from slow"); pgerr.Code(err) != "57014" {
		t.Errorf("cancelled = %v", err)
	}
	// A cancel that comes while a message is read ends its statement, and only that one.
	for _, text := range []string{"select n from slow", "select n from one", "set work_mem = '1MB'", "select n from one; select n from slow"} {
		f.Attend()
		f.Cancel(session.ErrCancel)
		if _, err := f.run(text); pgerr.Code(err) != "57014" {
			t.Errorf("%s, cancelled early = %v", text, err)
		}
		if _, err := f.run("select n from one"); err != nil {
			t.Errorf("the statement after a cancelled one: %v", err)
		}
		f.Cancel(session.ErrCancel)
		f.Rest()
		if _, err := f.run("select n from one"); err != nil {
			t.Errorf("a cancel for the message before: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := session.New(ctx, session.Config{Engine: f.engine})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := (&fixture{Session: s, engine: f.engine}).run("select n from slow"); err == nil {
		t.Error("a statement outlives its connection")
	}
}
