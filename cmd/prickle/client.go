package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/server"
)

// infoFile lies in the data directory of a running server, so that other commands find it.
const infoFile = "server.json"

// serverInfo is what it holds.
type serverInfo struct {
	PID     int       `json:"pid"`
	Address string    `json:"address"` // host:port or unix:/path that this machine can dial
	Listen  string    `json:"listen"`  // where it listens
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Data    string    `json:"data"` // absolute path
}

func writeInfo(dir string, info serverInfo) error {
	raw, err := json.Marshal(info)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, infoFile+".tmp")
	if err := os.WriteFile(tmp, append(raw, '\n'), 0o640); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, infoFile))
}

// readInfo finds the server on a data directory. A file that a killed server left behind
// does not count.
func readInfo(dir string) (serverInfo, bool) {
	raw, err := os.ReadFile(filepath.Join(dir, infoFile))
	if err != nil {
		return serverInfo{}, false
	}
	var info serverInfo
	if json.Unmarshal(raw, &info) != nil || info.Address == "" || info.PID <= 0 {
		return serverInfo{}, false
	}
	if err := syscall.Kill(info.PID, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return serverInfo{}, false
	}
	return info, true
}

// remote is a running server.
type remote struct {
	network, address string // to dial
	host             string // for links: localhost:7742
	info             serverInfo
	http             *http.Client
}

func newRemote(address string) *remote {
	r := &remote{network: "tcp", address: address, host: address}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		r.network, r.address, r.host = "unix", path, "localhost"
	} else if host, port, err := net.SplitHostPort(address); err == nil && (host == "" || net.ParseIP(host) != nil && (net.ParseIP(host).IsLoopback() || net.ParseIP(host).IsUnspecified())) {
		r.host = net.JoinHostPort("localhost", port)
		if host == "" || net.ParseIP(host).IsUnspecified() {
			r.address = net.JoinHostPort("127.0.0.1", port)
		}
	}
	r.http = &http.Client{Transport: &http.Transport{DialContext: r.dial, MaxIdleConnsPerHost: 16, DisableCompression: true}}
	return r
}

// dial connects to the server, whatever address a request has.
func (r *remote) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, r.network, r.address)
}

// findServer finds the running server: --url, the data directory, and where there is none,
// the default address. It returns nil if none runs.
func findServer(ctx context.Context, cmd *cobra.Command, c *console) (*remote, error) {
	if text, _ := cmd.Flags().GetString("url"); text != "" {
		return remoteAt(text)
	}
	if text := c.env("PRICKLE_URL"); text != "" {
		return remoteAt(text)
	}
	conf, err := loadConfig(cmd, c.env)
	if err != nil {
		return nil, err
	}
	dir := conf.get("data")
	if info, ok := readInfo(dir); ok {
		r := newRemote(info.Address)
		r.info = info
		if r.alive(ctx) {
			return r, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(dir); err == nil || conf.from["data"] != "default" {
		return nil, nil
	}
	// Without a data directory here, the server may have been started elsewhere.
	if r := newRemote(server.DefaultListen); r.alive(ctx) {
		return r, nil
	}
	return nil, nil
}

// lockedWait is how long a command waits for a data directory whose server is starting,
// and cannot be found yet, or stopping.
const lockedWait = 30 * time.Second

// serverOrNode finds the running server, or opens the data directory if none runs: one of
// the two is returned.
func serverOrNode(ctx context.Context, cmd *cobra.Command, c *console, open func() (*cluster.Node, error)) (*remote, *cluster.Node, error) {
	for begin := time.Now(); ; {
		r, err := findServer(ctx, cmd, c)
		if r != nil || err != nil {
			return r, nil, err
		}
		node, err := open()
		var p *problem
		if !errors.As(err, &p) || p.Code != codeLocked || time.Since(begin) > lockedWait {
			return nil, node, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func remoteAt(text string) (*remote, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, usage("--url: %q is not an address; write http://host:port", text)
	}
	if u.Port() == "" {
		u.Host += ":7742"
	}
	return newRemote(u.Host), nil
}

// needServer is findServer for commands that cannot do without.
func needServer(ctx context.Context, cmd *cobra.Command, c *console) (*remote, error) {
	r, err := findServer(ctx, cmd, c)
	if err == nil && r == nil {
		conf, _ := loadConfig(cmd, c.env) // it could be loaded a moment ago
		return nil, noServer("for the data directory " + conf.get("data"))
	}
	if err == nil && !r.alive(ctx) {
		return nil, noServer("at " + r.address)
	}
	return r, err
}

func noServer(where string) *problem {
	return &problem{Code: "unreachable", What: "no server runs " + where, Exit: exitUnreachable,
		Try: []string{"prickle serve", "or name another one with --url or --data"}}
}

func (r *remote) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := r.get(ctx, "/healthz")
	return err == nil
}

// readiness is an answer of /readyz: nothing if the server is ready.
type readiness struct {
	Reasons []string
	Detail  string
	Lost    string // of a data directory that is damaged
}

// ready asks whether the server is ready, and why not.
func (r *remote) ready(ctx context.Context) (*readiness, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.host+"/readyz", nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // it was read
	answer := &readiness{}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return nil, fmt.Errorf("the server's answer to /readyz: %w", err)
	}
	return answer, nil
}

// maxAnswer bounds what is read of an answer of the server.
const maxAnswer = 64 << 20

func (r *remote) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.host+path, nil)
	if err != nil {
		return nil, err
	}
	return r.do(req)
}

// do sends a request; an error answer becomes a problem.
func (r *remote) do(req *http.Request) ([]byte, error) {
	resp, err := r.http.Do(req)
	if err != nil {
		if req.Context().Err() != nil {
			return nil, req.Context().Err()
		}
		return nil, &problem{Code: "unreachable", What: fmt.Sprintf("the server at %s cannot be reached: %v", r.address, errors.Unwrap(err)), Exit: exitUnreachable,
			Try: []string{"prickle status"}, Err: err}
	}
	defer resp.Body.Close() // it was read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return body, nil
	}
	return nil, answerProblem(resp, body)
}

// answerProblem words an answer of the server that is an error.
func answerProblem(resp *http.Response, body []byte) *problem {
	var e struct {
		Code, Detail, Hint string
	}
	if json.Unmarshal(body, &e) != nil || e.Detail == "" {
		e.Code, e.Detail = "failed", fmt.Sprintf("the server answered %s", resp.Status)
	}
	p := &problem{Code: e.Code, What: e.Detail, Hint: e.Hint, Exit: exitFailed}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		p.Exit = exitForbidden
	}
	return p
}

// connect opens a PostgreSQL connection to a project.
func (r *remote) connect(ctx context.Context, database string) (*pgconn.PgConn, error) {
	return r.connectWith(ctx, database, nil, nil)
}

// connectWith is connect with settings of the session, and a listener to its notices.
func (r *remote) connectWith(ctx context.Context, database string, settings map[string]string, notice func(*pgconn.Notice)) (*pgconn.PgConn, error) {
	cfg, err := pgconn.ParseConfig("postgres://prickle@localhost/?sslmode=disable")
	if err != nil {
		return nil, err
	}
	cfg.Database, cfg.Fallbacks = database, nil
	cfg.Host, cfg.Port = "localhost", 7742
	cfg.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, r.network, r.address)
	}
	cfg.RuntimeParams = map[string]string{"application_name": "prickle sql"}
	for k, v := range settings {
		cfg.RuntimeParams[k] = v
	}
	if notice != nil {
		cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notice(n) }
	}
	return pgconn.ConnectConfig(ctx, cfg)
}

// value asks for one value.
func (r *remote) value(ctx context.Context, database, text string) (string, error) {
	conn, err := r.connect(ctx, database)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is left to say
	answer := conn.ExecParams(ctx, text, nil, nil, nil, nil).Read()
	if answer.Err != nil {
		return "", answer.Err
	}
	if len(answer.Rows) != 1 || len(answer.Rows[0]) != 1 {
		return "", fmt.Errorf("%d rows, 1 was expected", len(answer.Rows))
	}
	return string(answer.Rows[0][0]), nil
}

// count asks for one number.
func (r *remote) count(ctx context.Context, database, text string) (int64, error) {
	v, err := r.value(ctx, database, text)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(v, 10, 64)
}

// published are the numbers of a server: by name and labels as they are written, and those
// with labels also by name alone, added up.
type published map[string]float64

// metrics are the numbers that the server publishes.
func (r *remote) metrics(ctx context.Context) (published, error) {
	raw, err := r.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	out := published{}
	for _, line := range strings.Split(string(raw), "\n") {
		space := strings.LastIndexByte(line, ' ')
		if space < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		f, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			continue
		}
		out[line[:space]] += f
		if name, _, labels := strings.Cut(line[:space], "{"); labels {
			out[name] += f
		}
	}
	return out, nil
}

var bucketBound = regexp.MustCompile(`\ble="([^"]+)"`)

// quantile estimates in how many seconds a share q of what a histogram counted was done: the
// upper bound of their bucket. It is 0 where nothing was counted.
func (p published) quantile(name string, q float64) float64 {
	counts := map[float64]float64{}
	for line, n := range p {
		if m := bucketBound.FindStringSubmatch(line); m != nil && strings.HasPrefix(line, name+"_bucket{") {
			if bound, err := strconv.ParseFloat(m[1], 64); err == nil {
				counts[bound] += n
			}
		}
	}
	bounds := slices.Sorted(maps.Keys(counts))
	for i, bound := range bounds {
		if total := p[name+"_count"]; total > 0 && counts[bound] >= q*total {
			if math.IsInf(bound, 1) && i > 0 {
				return bounds[i-1]
			}
			return bound
		}
	}
	return 0
}

// metric is one of them, or 0.
func (r *remote) metric(ctx context.Context, name string) float64 {
	m, _ := r.metrics(ctx) // 0 says as much
	return m[name]
}

// projectInfo is a project as the API tells of it.
type projectInfo struct {
	ID       uint32 `json:"id"`
	Name     string `json:"name"`
	Database string `json:"database"`
	Token    string `json:"api_token"`
}

func (r *remote) projects(ctx context.Context) ([]projectInfo, error) {
	raw, err := r.get(ctx, "/api/projects/")
	if err != nil {
		return nil, err
	}
	var list struct {
		Results []projectInfo `json:"results"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("list of projects: %w", err)
	}
	return list.Results, nil
}

// project finds a project by its database name.
func (r *remote) project(ctx context.Context, database string) (projectInfo, error) {
	projects, err := r.projects(ctx)
	if err != nil {
		return projectInfo{}, err
	}
	var names []string
	for _, p := range projects {
		if p.Database == database {
			return p, nil
		}
		names = append(names, p.Database)
	}
	p := &problem{Code: "unknown_project", What: fmt.Sprintf("there is no project %q", database), Exit: exitFailed}
	if near := nearest(database, names); near != "" {
		p.Try = []string{"--project " + near}
	}
	return projectInfo{}, p
}
