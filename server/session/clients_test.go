package session_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/role/scram"
	"github.com/prickledb/prickle/server"
	"github.com/prickledb/prickle/server/pgwire"
)

// clientTest is one client of PostgreSQL that runs a script of ours.
type clientTest struct {
	name string
	// slow ones run with PRICKLE_CLIENTS alone, see `make clients`.
	slow bool
	// ready says what is missing on this machine, in words that say how to get it; empty for
	// nothing.
	ready func(t *testing.T) string
	run   func(t *testing.T, env []string) *exec.Cmd
}

// programs says which programs are missing.
func programs(names ...string) func(*testing.T) string {
	return func(*testing.T) string {
		for _, n := range names {
			if _, err := exec.LookPath(n); err != nil {
				return n + " is not installed"
			}
		}
		return ""
	}
}

// pythons are the interpreters that may have the modules of the system's packages.
var pythons = []string{"/usr/bin/python3", "python3"}

func python(t *testing.T, modules string) string {
	for _, p := range pythons {
		if exec.CommandContext(t.Context(), p, "-c", "import "+modules).Run() == nil {
			return p
		}
	}
	return ""
}

// script is a Python script that needs modules.
func script(file, modules, packages string) (func(*testing.T) string, func(*testing.T, []string) *exec.Cmd) {
	return func(t *testing.T) string {
			if python(t, modules) == "" {
				return "no python3 has the modules " + modules + " (Debian: " + packages + ")"
			}
			return ""
		}, func(t *testing.T, _ []string) *exec.Cmd {
			return exec.CommandContext(t.Context(), python(t, modules), "testdata/clients/python/"+file)
		}
}

// nodeModules is where npm keeps what it installs for all.
func nodeModules(t *testing.T) string {
	out, err := exec.CommandContext(t.Context(), "npm", "root", "-g").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// jdbcJar is where Debian puts the driver.
const jdbcJar = "/usr/share/java/postgresql.jar"

// clients are the clients.
func clients() []clientTest {
	list := []clientTest{
		{name: "node", ready: func(t *testing.T) string {
			if missing := programs("node", "npm")(t); missing != "" {
				return missing
			}
			for _, m := range []string{"pg", "pg-cursor", "postgres"} {
				if _, err := os.Stat(filepath.Join(nodeModules(t), m)); err != nil {
					return "the node module " + m + " is not installed (npm install -g pg pg-cursor postgres)"
				}
			}
			return ""
		}, slow: true, run: func(t *testing.T, _ []string) *exec.Cmd {
			cmd := exec.CommandContext(t.Context(), "node", "testdata/clients/node/pg_check.js")
			cmd.Env = []string{"NODE_PATH=" + nodeModules(t)}
			return cmd
		}},
		{name: "lib-pq", slow: true, ready: programs("go"), run: func(t *testing.T, _ []string) *exec.Cmd {
			// A module of its own: this one does not depend on it.
			bin := filepath.Join(t.TempDir(), "libpq")
			build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".")
			build.Dir = "testdata/clients/lib-pq"
			if out, err := build.CombinedOutput(); err != nil {
				t.Skipf("lib/pq cannot be built here: %v: %s", err, out)
			}
			return exec.CommandContext(t.Context(), bin)
		}},
		{name: "JDBC", slow: true, ready: func(t *testing.T) string {
			if missing := programs("java", "javac")(t); missing != "" {
				return missing + " (Debian: default-jdk-headless)"
			}
			if _, err := os.Stat(jdbcJar); err != nil {
				return jdbcJar + " is not there (Debian: libpostgresql-jdbc-java)"
			}
			return ""
		}, run: func(t *testing.T, env []string) *exec.Cmd {
			dir := t.TempDir()
			if out, err := exec.CommandContext(t.Context(), "javac", "-cp", jdbcJar, "-d", dir, "testdata/clients/java/Check.java").CombinedOutput(); err != nil {
				t.Fatalf("javac: %v: %s", err, out)
			}
			url := fmt.Sprintf("jdbc:postgresql://%s:%s/%s?user=%s&password=%s&sslmode=verify-ca&sslrootcert=%s", value(env, "PGHOST"), value(env, "PGPORT"),
				value(env, "PGDATABASE"), value(env, "PGUSER"), value(env, "PGPASSWORD"), value(env, "PGSSLROOTCERT"))
			return exec.CommandContext(t.Context(), "java", "-cp", jdbcJar+":"+dir, "Check", url)
		}},
		{name: "pgbench", ready: programs("pgbench", "psql"), run: func(t *testing.T, _ []string) *exec.Cmd {
			return exec.CommandContext(t.Context(), "sh", "-ec", `psql -Xqc "CREATE TABLE bench (id int, client int)"
for mode in simple extended prepared; do
	pgbench -n -f testdata/clients/pgbench/script.sql -c 4 -t 10 -M $mode
done
test "$(psql -XAtc "SELECT count(*) FROM bench")" = 120`)
		}},
		// A schema cannot be dumped: there are objects that pg_dump does not know. It must say so.
		{name: "pg_dump", ready: programs("pg_dump"), run: func(t *testing.T, _ []string) *exec.Cmd {
			return exec.CommandContext(t.Context(), "sh", "-c", `out=$(pg_dump --schema-only 2>&1); code=$?
echo "$out" | tail -20
case $code in
0) echo "$out" | grep -q "CREATE TABLE public.events" ;;
1) echo "$out" | grep -q "pg_dump: error: query failed: ERROR:" ;;
*) exit $code ;;
esac`)
		}},
	}
	for _, c := range []struct {
		name, file, modules, packages string
		slow                          bool
	}{
		{"psycopg2", "psycopg2_check.py", "psycopg2", "python3-psycopg2", false},
		{"psycopg", "psycopg_check.py", "psycopg", "python3-psycopg", false},
		{"SQLAlchemy", "sqlalchemy_check.py", "sqlalchemy, psycopg2", "python3-sqlalchemy python3-psycopg2", true},
		{"pgcli", "pgcli_check.py", "pgcli", "pgcli", true},
		{"psql on a terminal", "psql_completion.py", "pty", "python3", false},
	} {
		one := clientTest{name: c.name, slow: c.slow}
		one.ready, one.run = script(c.file, c.modules, c.packages)
		list = append(list, one)
	}
	return list
}

// value is a variable of an environment.
func value(env []string, name string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// TestClients runs programs that were made for PostgreSQL: with a password, and over TLS where they
// want it. PRICKLE_CLIENTS is all for the slow ones as well.
func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("most of the time is the clients'; the plain run has them")
	}
	all := os.Getenv("PRICKLE_CLIENTS") == "all"
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			if c.slow && !all {
				t.Skip("slow: make clients runs it")
			}
			if missing := c.ready(t); missing != "" {
				t.Skip(missing)
			}
			env := guardedStore(t)
			cmd := c.run(t, env)
			cmd.Env = append(append(os.Environ(), cmd.Env...), env...)
			cmd.WaitDelay = time.Second
			timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
			defer timer.Stop()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// guardedStore serves a store to the user app with the password secret, over TLS or not, and
// gives the environment by which clients find it.
func guardedStore(t *testing.T) []string {
	t.Helper()
	cert, key, err := server.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := scram.New("secret")
	if err != nil {
		t.Fatal(err)
	}
	addr := serveStoreWith(t, func(s *pgwire.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		s.Auth = func(_ context.Context, l pgwire.Login) (pgwire.Proof, error) {
			if l.User != "app" {
				return pgwire.Proof{}, nil
			}
			return pgwire.Proof{Verifier: &v}, nil
		}
	})
	host, port, _ := net.SplitHostPort(addr)
	return []string{"PGHOST=" + host, "PGPORT=" + port, "PGUSER=app", "PGPASSWORD=secret", "PGDATABASE=prickle", "PGSSLROOTCERT=" + root}
}
