package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role/scram"
	"github.com/prickledb/prickle/server/pgwire"
	"github.com/prickledb/prickle/storage"
)

// passwords is roles in one project.
type passwords map[string]string

func (p passwords) Any(project storage.Project) bool { return project.Database == "prickle" }

func (p passwords) Verifier(_ storage.Project, user string) (string, bool) {
	v, ok := p[user]
	return v, ok
}

func (p passwords) MayLogIn(storage.Project, string) bool { return true }

// signed writes a self-signed certificate, and gives its configuration and its pool.
func signed(t *testing.T) (*tls.Config, *x509.CertPool, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pair.pem")
	return resign(t, file), pool(t, file), file
}

func resign(t *testing.T, file string) *tls.Config {
	t.Helper()
	cert, key, err := SelfSigned("prickle.test", "10.1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := TLS(file, file, "", slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(raw) {
		t.Fatalf("no certificate in %s", raw)
	}
	return p
}

// Both protocols come to one port, in the clear or not.
func TestTLSOnOnePort(t *testing.T) {
	config, known, file := signed(t)
	s := startWith(t, Config{TLS: config})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: known}}, Timeout: 5 * time.Second}
	for _, url := range []string{"https://" + s.addr, "http://" + s.addr} {
		r, err := client.Get(url + "/healthz")
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		r.Body.Close()
		if r.StatusCode != 200 {
			t.Errorf("%s: %s", url, r.Status)
		}
	}
	for _, options := range []string{"sslmode=verify-full&sslrootcert=" + file, "sslmode=verify-full&sslnegotiation=direct&sslrootcert=" + file, "sslmode=disable"} {
		c, err := pgx.Connect(t.Context(), "postgres://app@"+s.addr+"/prickle?"+options)
		if err != nil {
			t.Fatalf("%s: %v", options, err)
		}
		var n int
		if err := c.QueryRow(t.Context(), "select n from one").Scan(&n); err != nil || n != 1 {
			t.Errorf("%s: %v", options, err)
		}
		c.Close(t.Context())
	}
	// Without ALPN, TLS that comes first is HTTP: a browser cannot be made to speak to us.
	tc, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: known, ServerName: "prickle.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer tc.Close()
	tc.SetDeadline(time.Now().Add(5 * time.Second))
	tc.Write([]byte{0, 0, 0, 8, 0, 3, 0, 0, '\r', '\n', '\r', '\n'})
	line, _ := bufio.NewReader(tc).ReadString('\n')
	if !strings.HasPrefix(line, "HTTP/1.1 400") {
		t.Errorf("PostgreSQL without ALPN: %q", line)
	}
}

// A certificate that is replaced is shown to the next client; a broken one is not.
func TestCertificateIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pair.pem")
	config := resign(t, file)
	c := &certificate{cert: file, key: file, logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	first, err := config.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		c.checked = time.Time{}
		got, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(got.Certificate[0])
	}
	if shown() != string(first.Certificate[0]) {
		t.Error("another certificate from the same file")
	}
	if err := os.WriteFile(file, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if shown() != string(first.Certificate[0]) {
		t.Error("a broken file replaced the certificate")
	}
	resign(t, file)
	if shown() == string(first.Certificate[0]) {
		t.Error("the new certificate is not shown")
	}
	if _, err := TLS(file+"x", file, "", nil); err == nil {
		t.Error("no error for a file that is not there")
	}
}

// remote is a client of another machine.
type remote struct{ net.Addr }

func (remote) String() string { return "192.0.2.7:5000" }

func TestAuth(t *testing.T) {
	v, err := scram.New("secret")
	if err != nil {
		t.Fatal(err)
	}
	here, there := net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}), net.Addr(remote{&net.TCPAddr{}})
	s := startWith(t, Config{}).Server
	for _, c := range []struct {
		name        string
		roles       Roles
		requireTLS  bool
		from        net.Addr
		user, db    string
		tls         bool
		certified   string
		trusted, ok bool // ok: with the verifier of app
		refused     string
	}{
		{name: "local mode", from: here, user: "any", db: "prickle", trusted: true},
		{name: "local mode, no database", from: here, user: "any", db: "nowhere", trusted: true}, // login refuses it
		{name: "another machine", from: there, user: "any", db: "prickle", refused: "28000"},
		{name: "password", roles: passwords{"app": v.String()}, from: here, user: "app", db: "prickle", ok: true},
		{name: "password from afar", roles: passwords{"app": v.String()}, from: there, user: "app", db: "prickle", ok: true},
		{name: "unknown user", roles: passwords{"app": v.String()}, from: here, user: "who", db: "prickle"},
		{name: "unknown database", roles: passwords{"app": v.String()}, from: there, user: "app", db: "nowhere"},
		{name: "broken verifier", roles: passwords{"app": "md5"}, from: here, user: "app", db: "prickle"},
		{name: "certificate", roles: passwords{"app": v.String()}, from: there, user: "app", db: "prickle", tls: true, certified: "app", trusted: true},
		{name: "certificate of another", roles: passwords{"app": v.String()}, from: there, user: "app", db: "prickle", tls: true, certified: "bob", ok: true},
		{name: "certificate of an unknown user", roles: passwords{}, from: there, user: "bob", db: "prickle", tls: true, certified: "bob"},
		{name: "TLS is wanted", roles: passwords{"app": v.String()}, requireTLS: true, from: there, user: "app", db: "prickle", refused: "28000"},
		{name: "TLS is there", roles: passwords{"app": v.String()}, requireTLS: true, from: there, user: "app", db: "prickle", tls: true, ok: true},
		{name: "TLS is not wanted here", roles: passwords{"app": v.String()}, requireTLS: true, from: here, user: "app", db: "prickle", ok: true},
	} {
		s.config.Roles, s.config.RequireTLS = c.roles, c.requireTLS
		if c.roles == nil {
			s.config.Roles = projectRoles{s}
		}
		p, err := s.auth(t.Context(), pgwire.Login{User: c.user, Database: c.db, Certified: c.certified, Remote: c.from, TLS: c.tls})
		state := ""
		if err != nil {
			state = pgerr.Code(err)
		}
		if state != c.refused || p.Trusted != c.trusted || (p.Verifier != nil) != c.ok {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
	}
}

// What CREATE ROLE says is what clients log in with, from then on.
func TestRolesLogIn(t *testing.T) {
	n := startNode(t)
	admin := n.connect(t, "ann")
	state := func(user, password string) string {
		c, err := pgx.Connect(t.Context(), "postgres://"+user+":"+password+"@"+n.addr+"/prickle?sslmode=disable")
		if err == nil {
			defer c.Close(t.Context())
			var who string
			if err = c.QueryRow(t.Context(), "SELECT current_user").Scan(&who); err == nil && who != user {
				t.Errorf("%s is %s", user, who)
			}
		}
		var e *pgconn.PgError
		switch {
		case errors.As(err, &e):
			return e.Code
		case err != nil:
			return err.Error()
		}
		return ""
	}
	check := func(user, password, want string) {
		t.Helper()
		if got := state(user, password); got != want {
			t.Errorf("%s with %q: %q, want %q", user, password, got, want)
		}
	}
	exec := func(text string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	exec("CREATE ROLE group1")
	check("group1", "any", "28000") // nobody has to prove anything, but this is no user
	check("bob", "any", "")
	exec("CREATE ROLE app LOGIN PASSWORD 'x'")
	exec("CREATE ROLE idle NOLOGIN PASSWORD 'y'")
	check("app", "x", "")
	check("app", "z", "28P01")
	check("idle", "y", "28000")
	check("idle", "z", "28P01")
	check("group1", "any", "28P01")
	check("bob", "any", "28P01")
	if status, body := n.do(t, "POST", queryPath, question("select current_user")); status != 200 || !strings.Contains(body, `"prickle"`) {
		t.Errorf("HTTP from this machine: %d %s", status, body)
	}

	// It does not see what others do, and cannot end it.
	c, err := pgx.Connect(t.Context(), "postgres://app:x@"+n.addr+"/prickle?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	if got := rows(t, c, "SELECT usename, state, query = '<insufficient privilege>' FROM pg_stat_activity ORDER BY 1"); got != "ann <nil> true\napp active false" {
		t.Errorf("app sees %s", got)
	}
	rows(t, admin, "SELECT count(*) FROM events")
	if got := rows(t, c, "SELECT count(*) FROM system.queries WHERE username <> 'app'"); got != "0" {
		t.Errorf("app sees %s questions of others", got)
	}
	for _, f := range []string{"pg_cancel_backend", "pg_terminate_backend"} {
		var e *pgconn.PgError
		if _, err := c.Exec(t.Context(), fmt.Sprintf("SELECT %s(%d)", f, admin.PgConn().PID())); !errors.As(err, &e) || e.Code != "42501" {
			t.Errorf("%s: %v", f, err)
		}
	}

	// The one that is open is all it may have.
	exec("ALTER ROLE app CONNECTION LIMIT 1")
	check("app", "x", "53300")
	exec("ALTER ROLE app SUPERUSER")
	check("app", "x", "")
	exec("ALTER ROLE app NOSUPERUSER CONNECTION LIMIT -1")

	exec("ALTER ROLE app PASSWORD 'new'")
	check("app", "x", "28P01")
	check("app", "new", "")
	exec("ALTER ROLE app VALID UNTIL '2001-01-01'")
	check("app", "new", "28P01")
	exec("DROP ROLE app")
	check("bob", "any", "")
}

// TestPassword goes the whole way.
func TestPassword(t *testing.T) {
	v, err := scram.New("secret")
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, Config{Roles: passwords{"app": v.String()}})
	for password, want := range map[string]string{"secret": "", "wrong": "28P01", "": "28P01"} {
		c, err := pgx.Connect(t.Context(), "postgres://app:"+password+"@"+s.addr+"/prickle?sslmode=prefer")
		if err == nil {
			c.Close(t.Context())
		}
		var e *pgconn.PgError
		got := ""
		if errors.As(err, &e) {
			got = e.Code
		} else if err != nil && password != "" {
			t.Error(err)
		}
		if password != "" && got != want {
			t.Errorf("password %q: %v, want %q", password, err, want)
		}
	}
}
