package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// null is the text of NULL in rows.
const null = "NULL"

// A database is a running one: a process of its own.
type database interface {
	// ask runs a statement and gives all of its rows as texts. The time is that of the database,
	// rows included.
	ask(ctx context.Context, sql string) ([][]string, time.Duration, error)
	pid() int
	close() error
}

// A place is where the data of a suite lie, in a directory for each database, and with what
// limits they are asked.
type place struct {
	dir     string
	threads int
	memory  int64
	prickle string // the binary
	// under is what counts the instructions of prickle, into the file counts; it is empty where
	// time is measured.
	under   counter
	modules string // the directory node_modules with the peers
}

func (p place) of(name string) string { return filepath.Join(p.dir, name) }

// open starts a database on its data, which are in the directory of that name.
func (p place) open(ctx context.Context, name string) (database, error) {
	if engineOf(name) == prickle {
		return p.openServer(ctx)
	}
	return p.openNode(ctx, name)
}

// instance is a prickle server on a port that the system chose, and a connection to it.
type instance struct {
	process *os.Process // not always the one that was started: that may be one that counts
	conn    *pgconn.PgConn
	address string
	ended   chan error
}

func (p place) openServer(ctx context.Context) (database, error) {
	dir := p.of(prickle)
	cmd := p.command(context.WithoutCancel(ctx), "serve", "--data", dir, "--listen", "127.0.0.1:0", "--cpus", strconv.Itoa(p.threads),
		"--copy-directory", p.dir, "--query-timeout", "1h", "--ballast", "off", "--log-level", "error")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	os.Remove(filepath.Join(dir, "server.json")) //nolint:errcheck // of an earlier one, if it is there
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &instance{ended: make(chan error, 1)}
	go func() { s.ended <- cmd.Wait() }()
	for {
		var info struct {
			Address string
			PID     int
		}
		if raw, err := os.ReadFile(filepath.Join(dir, "server.json")); err == nil && json.Unmarshal(raw, &info) == nil {
			s.address = info.Address
			s.process, err = os.FindProcess(info.PID)
			if err != nil {
				return nil, err
			}
			break
		}
		select {
		case err := <-s.ended:
			return nil, fmt.Errorf("prickle serve: %w: %s", err, said.String())
		case <-ctx.Done():
			cmd.Process.Kill() //nolint:errcheck // it has ended
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	var err error
	if s.conn, err = pgconn.Connect(ctx, "postgres://prickle@"+s.address+"/prickle?sslmode=disable"); err != nil {
		s.process.Kill() //nolint:errcheck // err says what matters
		return nil, fmt.Errorf("prickle: %w", err)
	}
	return s, nil
}

func (s *instance) ask(ctx context.Context, sql string) ([][]string, time.Duration, error) {
	start := time.Now()
	answer := s.conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	took := time.Since(start)
	if answer.Err != nil {
		return nil, 0, answer.Err
	}
	rows := make([][]string, len(answer.Rows))
	for i, r := range answer.Rows {
		rows[i] = make([]string, len(r))
		for k, v := range r {
			rows[i][k] = string(v)
			if v == nil {
				rows[i][k] = null
			}
		}
	}
	return rows, took, nil
}

func (s *instance) pid() int { return s.process.Pid }

func (s *instance) close() error {
	s.conn.Close(context.Background()) //nolint:errcheck // the server ends
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-s.ended
}

// command runs the binary, with as many processors as there are threads, and counted if that is asked for. Garbage
// is not collected then: that happens when it happens.
func (p place) command(ctx context.Context, args ...string) *exec.Cmd {
	all := append(append(p.under.before(p.of("counts")), p.prickle), args...)
	cmd := exec.CommandContext(ctx, all[0], all[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(p.threads), "PRICKLE_MEMORY="+strconv.FormatInt(p.memory>>20, 10)+"MiB")
	if p.under.unit != "" {
		cmd.Env = append(cmd.Env, "GOGC=off")
	}
	return cmd
}

//go:embed runner.js
var runner []byte

// embedded is a process of Node that holds one of the peers.
type embedded struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (p place) openNode(ctx context.Context, name string) (database, error) {
	if err := os.MkdirAll(p.of(name), 0o755); err != nil {
		return nil, err
	}
	script := filepath.Join(p.dir, "runner.js")
	if err := os.WriteFile(script, runner, 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("node", script, engineOf(name), p.of(name), strconv.Itoa(p.threads), strconv.FormatInt(p.memory, 10))
	cmd.Env = append(os.Environ(), "NODE_PATH="+p.modules)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	n := &embedded{cmd, in, bufio.NewReaderSize(out, 1<<20)}
	if _, _, err := n.receive(); err != nil {
		n.close() //nolint:errcheck // err says what matters
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return n, ctx.Err()
}

func (n *embedded) ask(_ context.Context, sql string) ([][]string, time.Duration, error) {
	raw, err := json.Marshal(map[string]string{"sql": sql})
	if err != nil {
		return nil, 0, err
	}
	if _, err := n.in.Write(append(raw, '\n')); err != nil {
		return nil, 0, err
	}
	return n.receive()
}

func (n *embedded) receive() ([][]string, time.Duration, error) {
	line, err := n.out.ReadBytes('\n')
	if err != nil {
		return nil, 0, fmt.Errorf("the process ended: %w", err)
	}
	var answer struct {
		Ms    float64
		Rows  [][]*string
		Error string
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, 0, fmt.Errorf("%w: %.200s", err, line)
	}
	if answer.Error != "" {
		return nil, 0, errors.New(answer.Error)
	}
	rows := make([][]string, len(answer.Rows))
	for i, r := range answer.Rows {
		rows[i] = make([]string, len(r))
		for k, v := range r {
			rows[i][k] = null
			if v != nil {
				rows[i][k] = *v
			}
		}
	}
	return rows, time.Duration(answer.Ms * float64(time.Millisecond)), nil
}

func (n *embedded) pid() int { return n.cmd.Process.Pid }

func (n *embedded) close() error {
	n.in.Close() //nolint:errcheck // that is how it is told
	return n.cmd.Wait()
}
