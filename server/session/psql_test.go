package session_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/pgwire"
	"github.com/prickledb/prickle/server/session"
)

// TestPsql runs commands of psql against a server over a store, and checks what psql prints.
func TestPsql(t *testing.T) {
	if testing.Short() {
		t.Skip("what psql prints is looked at in long runs")
	}
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed")
	}
	if out, err := exec.CommandContext(t.Context(), psql, "--version").Output(); err != nil || !strings.Contains(string(out), ") 15.") {
		t.Skipf("the cases hold what psql 15 prints, not %s", out)
	}
	host, port, _ := net.SplitHostPort(serveStore(t))
	datadriven.RunTest(t, "testdata/psql/commands", func(t *testing.T, d *datadriven.TestData) string {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		args := []string{"-X", "-h", host, "-p", port, "-U", "app", "-d", "prickle", "-v", "VERBOSITY=terse"}
		for line := range strings.Lines(d.Input) {
			args = append(args, "-c", strings.TrimSpace(line))
		}
		out, err := exec.CommandContext(ctx, psql, args...).CombinedOutput()
		if err != nil {
			out = append(out, err.Error()...)
		}
		var lines []string
		for line := range strings.Lines(string(out)) {
			lines = append(lines, strings.TrimRight(line, " \n"))
		}
		return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
	})
}

// serveStore serves a store in memory, and gives the address.
func serveStore(t *testing.T) string { return serveStoreWith(t, nil) }

// serveStoreWith is serveStore, with more set up before the first client.
func serveStoreWith(t *testing.T, setup func(*pgwire.Server)) string {
	return serveLimited(t, session.Limits{Threads: 2}, setup)
}

func serveLimited(t *testing.T, limits session.Limits, setup func(*pgwire.Server)) string {
	t.Helper()
	store := openStore(t)
	engine := session.NewEngine(store, &applier{store: store, index: 1}, limits)
	s := &pgwire.Server{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if setup != nil {
		setup(s)
	}
	sessions := &session.Sessions{}
	s.Open = func(ctx context.Context, l pgwire.Login) (*session.Session, error) {
		if l.Database == "nowhere" {
			return nil, &pgerr.Error{Severity: "FATAL", Code: pgerr.UndefinedDatabase, Message: `database "nowhere" does not exist`}
		}
		l.Settings["session_authorization"] = l.User
		return session.New(ctx, session.Config{Engine: engine, Project: 1, Database: l.Database, User: l.User, Start: l.Settings, Logger: s.Logger,
			Sessions: sessions, Remote: l.Remote, TLS: l.TLS})
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { s.Serve(ctx, nc) })
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		wait.Wait()
	})
	return ln.Addr().String()
}
