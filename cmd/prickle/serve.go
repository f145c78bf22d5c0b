package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/bench/gen"
	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/server"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/outside"
	"github.com/prickledb/prickle/storage/vfs"
)

// flushTimeout is how long a stop waits for what is not in segments yet; what is not
// written by then is replayed from the log at the next start. Before that the server has its
// own time to let what runs come to its end. logTimeout is for the last lines of the log.
const (
	flushTimeout = 5 * time.Second
	logTimeout   = time.Second
)

func serveCommand(c *console) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: noArgs,
		Long: "Run the server: HTTP and PostgreSQL on one port, data in one directory. Ctrl-C stops it.",
		Example: "  prickle serve --demo\n" +
			"  prickle serve --listen :7750 --data ./other",
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := loadConfig(cmd, c.env)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, conf, o)
		},
	}
	cmd.Flags().BoolVar(&o.demo, "demo", false, "fill an empty server with sample data")
	cmd.Flags().BoolVar(&o.open, "open", false, "open the page in a browser")
	cmd.Flags().Uint64Var(&o.demoEvents, "demo-events", gen.DemoEvents, "how many events the sample data has")
	addFlags(cmd.Flags(), except("data")...)
	return cmd
}

type serveOptions struct {
	demo, open bool
	demoEvents uint64
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, c *console, conf *config, o serveOptions) error {
	dir := conf.get("data")
	address := conf.get("listen")
	// The port comes before the data: a second start is told what it met first.
	listeners, err := listenAll(conf)
	if err != nil {
		return err
	}
	defer func() {
		for _, l := range listeners {
			l.Close() //nolint:errcheck // closed already, or of no more use
		}
	}()
	_, err = os.Stat(filepath.Join(dir, "data"))
	fresh := errors.Is(err, fs.ErrNotExist)
	threads, _ := parseCPUs(conf.get("cpus")) // these were checked
	timeout, _ := parseDuration(conf.get("query_timeout"))
	spillLimit, _ := parseSize(conf.get("spill_limit"))
	maxRows, _ := parseCount(conf.get("query_max_rows"))
	maxBytes, _ := parseSize(conf.get("query_max_bytes"))
	ballast, _ := parseBallast(conf.get("ballast"))
	budget := newBudget(conf)
	lines := server.NewLogWriter(c.err)
	flushLog := func() {
		last, cancel := context.WithTimeout(context.Background(), logTimeout)
		defer cancel()
		_ = lines.Close(last) // whoever reads it is stuck
	}
	defer flushLog()
	logger := newLogger(lines, c, conf)

	var archive blob.Store
	if target := conf.get("backup_url"); target != "" {
		if archive, err = openBlob(conf, target); err != nil {
			return err
		}
	}
	files, err := outside.Open(conf.values["copy_directory"], s3Options(conf))
	if err != nil {
		return usage("copy_directory: %v", err)
	}
	defer files.Close() //nolint:errcheck // directories that were only looked up in
	secure, err := tlsConfig(conf, logger)
	if err != nil {
		return err
	}
	// The port answers while the directory is opened: that it is starting.
	replay := &cluster.Replay{}
	admission := engine.NewAdmission(budget)
	processors := spareProcessor()
	s := server.New(server.Config{Version: version, Logger: logger, Processors: processors, Threads: threads, QueryTimeout: timeout,
		TLS: secure, RequireTLS: conf.get("ssl") == "require",
		QueryMemory: budget.Pool(memory.Queries).Size(), Memory: budget, Admission: admission,
		MaxRows: maxRows, MaxBytes: maxBytes, Files: files, Replay: replay, LogDropped: lines.Dropped,
		OpenBlob: blobOpener(conf)}, nil)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() {
		err := s.Serve(serving, listeners...)
		stop()
		served <- err
	}()
	cfg := nodeConfig(logger, budget)
	cfg.OpenBlob = blobOpener(conf)
	cfg.Replay, cfg.WatchDisk, cfg.Ballast = replay, true, ballast
	cfg.Archive = archive
	cfg.BackupEvery, _ = parseDuration(conf.get("backup_every")) // it was checked
	cfg.Exit = func(reason error) {
		logger.Error("stopped, because going on could lose data", "error", reason)
		flushLog()
		os.Exit(exitFailStop)
	}
	node, err := openNode(serving, dir, cfg)
	if errors.Is(err, cluster.ErrDamaged) {
		node, err = openReadOnly(serving, dir, cfg, err)
	}
	var spill *engine.SpillDir
	if err == nil {
		if spill, err = engine.OpenSpillDir(vfs.OS(), filepath.Join(dir, "tmp"), spillLimit); err != nil {
			node.Close(serving) //nolint:errcheck // err says what matters
			err = dirProblem(dir, err)
		}
	}
	if err != nil {
		stop()
		if serveErr := <-served; serveErr != nil {
			return serveErr
		}
		return err
	}
	s.Attach(node, spill)
	closeNode := func() error {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		return node.Close(closing)
	}

	// A killed server's file is in the way of nobody.
	main := listeners[0].Addr()
	info := serverInfo{PID: os.Getpid(), Address: dialable(main), Listen: main.String(), Version: version, Started: time.Now().UTC(), Data: absolute(dir)}
	if err := writeInfo(dir, info); err != nil {
		stop()
		<-served    // likewise
		closeNode() //nolint:errcheck // err says what matters
		return dirProblem(dir, err)
	}
	defer os.Remove(filepath.Join(dir, infoFile)) //nolint:errcheck // it would be noticed as stale

	go watchMemory(serving, budget, node.Store(), admission) // ends with serving
	err = greet(serving, c, node, o, screen{dir: dir, fresh: fresh, address: address, main: main, pg: listeners[1:]})
	if err == nil {
		<-serving.Done()
	}
	stop()
	if serveErr := <-served; serveErr != nil {
		err = errors.Join(err, serveErr)
	}
	if closeErr := closeNode(); closeErr != nil && !errors.Is(closeErr, context.DeadlineExceeded) {
		err = errors.Join(err, closeErr)
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it was asked to stop
	}
	return err
}

// spareProcessor gives how many processors there are, and has Go use one more. The server
// keeps as many goroutines of queries running as there are processors. Go looks for what has
// come over the network when a processor of its own has nothing to do, or else every 10 ms, and
// lets goroutines wait for others for as long: with one to spare, whatever is not a query
// begins at once, and the operating system shares out the time. A short query beside four long
// ones is answered in a millisecond rather than in fifty, and a write does not wait for any.
var spareProcessor = sync.OnceValue(func() int {
	n := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(n + 1)
	return n
})

// nodeConfig is what every node of this process is told.
func nodeConfig(logger *slog.Logger, budget *memory.Budget) cluster.Config {
	return cluster.Config{Logger: logger, InFlightBytes: inFlightBytes(budget), Store: storage.Options{Memory: budget}}
}

// openNode opens a data directory, and words what is wrong with it.
func openNode(ctx context.Context, dir string, cfg cluster.Config) (*cluster.Node, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, dirProblem(dir, err)
	}
	if err := probe(dir); err != nil {
		return nil, dirProblem(dir, err)
	}
	cfg.FS, cfg.Dir, cfg.Version = vfs.OS(), dir, version
	node, err := cluster.Open(ctx, cfg)
	if err != nil {
		return nil, dirProblem(dir, err)
	}
	return node, nil
}

// openReadOnly opens a damaged data directory for reading; refused is why it cannot be written
// to, and what is wrong if it cannot be read either.
func openReadOnly(ctx context.Context, dir string, cfg cluster.Config, refused error) (*cluster.Node, error) {
	cfg.FS, cfg.Dir, cfg.Version = vfs.OS(), dir, version
	node, err := cluster.OpenReadOnly(ctx, cfg)
	if err != nil {
		cfg.Logger.Error("what is left of the data directory cannot be read", "error", err)
		return nil, refused
	}
	return node, nil
}

// probe finds out whether files can be made in a directory.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, ".probe")
	if err != nil {
		return err
	}
	f.Close() //nolint:errcheck // nothing was written
	return os.Remove(f.Name())
}

// codeLocked is the code of a data directory that another process has open.
const codeLocked = "data_locked"

// dirProblem words what is wrong with a data directory.
func dirProblem(dir string, err error) error {
	var newer *cluster.NewerError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &newer):
		return &problem{Code: "data_newer", What: newer.Error(), Exit: exitFailed, Err: err,
			Try: []string{fmt.Sprintf("%-25s (prickle %s or newer; nothing was changed)", "replace this program", newer.Written), "prickle serve --data ./other"}}
	case errors.Is(err, cluster.ErrHalfRestored):
		return &problem{Code: "half_restored", What: fmt.Sprintf("the data directory %s is not whole: a restore into it did not end", dir), Exit: exitFailed, Err: err,
			Try: []string{"run the same prickle restore again: it goes on where it was", "rm -r " + dir}}
	case errors.Is(err, cluster.ErrNotAllHere):
		return &problem{Code: "not_all_here", What: err.Error(), Exit: exitFailed, Err: err, Try: []string{"prickle serve --data " + dir}}
	case errors.Is(err, cluster.ErrDamaged):
		return &problem{Code: "data_damaged", What: err.Error(), Exit: exitDamaged, Err: err,
			Try: lossTries(dir)}
	case strings.Contains(err.Error(), "held by "):
		_, holder, _ := strings.Cut(err.Error(), "held by ")
		p := &problem{Code: codeLocked, What: fmt.Sprintf("the data directory %s is in use by %s", dir, holder), Exit: exitFailed, Err: err,
			Try: []string{fmt.Sprintf("%-25s (look at the one that runs)", "prickle status"), "prickle serve --data ./other"}}
		if dir != "./prickle-data" {
			p.Try[0] = fmt.Sprintf("%-25s (look at the one that runs)", "prickle status --data "+dir)
		}
		return p
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &problem{Code: "data_not_writable", What: fmt.Sprintf("the data directory %s cannot be written to", dir), Where: []string{innermost(err) + "."}, Exit: exitFailed, Err: err,
			Try: []string{"prickle serve --data ./other", fmt.Sprintf("chown -R %d %s", os.Getuid(), dir)}}
	case errors.Is(err, syscall.ENOTDIR):
		return &problem{Code: "data_not_a_directory", What: fmt.Sprintf("the data directory %s is not a directory", dir), Exit: exitFailed, Err: err,
			Try: []string{"prickle serve --data ./other"}}
	case errors.Is(err, syscall.ENOSPC):
		return &problem{Code: "disk_full", What: fmt.Sprintf("the disk with %s is full", dir), Exit: exitFailed, Err: err,
			Try: []string{"df -h " + dir}}
	}
	return err
}

// innermost is the reason at the bottom of an error.
func innermost(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

func listenAll(conf *config) ([]net.Listener, error) {
	var out []net.Listener
	for _, address := range append([]string{conf.get("listen")}, conf.values["pg_listen"]...) {
		l, err := server.Listen(address)
		if err != nil {
			for _, l := range out {
				l.Close() //nolint:errcheck // nobody used it
			}
			var taken *server.PortError
			if errors.As(err, &taken) {
				return nil, err
			}
			return nil, &problem{Code: "cannot_listen", What: fmt.Sprintf("cannot listen on %s: %s", address, innermost(err)), Exit: exitFailed, Err: err,
				Try: []string{"prickle serve --listen 127.0.0.1:7742"}}
		}
		out = append(out, l)
	}
	return out, nil
}

// dialable is where this machine reaches a listener.
func dialable(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix:" + absolute(a.String())
	}
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return a.String()
}

// newLogger is what follows the screen: text on a terminal, JSON otherwise.
func newLogger(to io.Writer, c *console, conf *config) *slog.Logger {
	var level slog.Level
	if level.UnmarshalText([]byte(conf.get("log_level"))) != nil {
		level = slog.LevelInfo
	}
	if c.quiet {
		level = max(level, slog.LevelError)
	}
	options := &slog.HandlerOptions{Level: level}
	if format := conf.get("log_format"); format == "text" || format == "auto" && c.errTTY {
		options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.String(slog.TimeKey, a.Value.Time().Format(time.TimeOnly))
			}
			return a
		}
		return slog.New(slog.NewTextHandler(to, options))
	}
	return slog.New(slog.NewJSONHandler(to, options))
}

// screen is what the first screen is made from.
type screen struct {
	dir     string
	fresh   bool
	address string   // as it was asked for
	main    net.Addr // as it became
	pg      []net.Listener
}

// greet prints the screen, and fills an empty server with sample data if that is wanted.
func greet(ctx context.Context, c *console, node *cluster.Node, o serveOptions, s screen) error {
	r := newRemote(dialable(s.main))
	projects := node.Store().Projects()
	if len(projects) == 0 {
		return errors.New("there is no project in the data directory")
	}
	project := projects[0]
	out := c.out
	if c.quiet || c.json {
		out = discard{}
	}
	if c.json {
		if err := printJSON(c.out, map[string]any{"version": version, "data": s.dir, "url": "http://" + r.host,
			"key": project.Token, "postgres": "postgres://" + r.host + "/" + project.Database, "pid": os.Getpid()}); err != nil {
			return err
		}
	}

	stats := node.Store().Stats()
	state := "new"
	if !s.fresh || stats.Events > 0 {
		state = fmt.Sprintf("%s, %s", plural(stats.Events, "event", "events"), size(float64(dirSize(filepath.Join(s.dir, "data")))))
	}
	fmt.Fprintf(out, "prickle %s  data %s (%s)\n\n", version, s.dir, state)
	if loss := node.Loss(); loss != nil {
		fmt.Fprintf(out, "READ-ONLY, because acknowledged data is damaged.  Lost: %v\n", loss)
		for _, try := range lossTries(s.dir) {
			fmt.Fprintf(out, "Try:   %s\n", try)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "  Page        http://%s\n", r.host)
	fmt.Fprintf(out, "  Events to   http://%s/capture   key  %s\n", r.host, project.Token)
	pg := r.host
	if len(s.pg) > 0 {
		pg = newRemote(dialable(s.pg[0].Addr())).host
	}
	if r.network == "unix" {
		pg = r.address
	}
	fmt.Fprintf(out, "  PostgreSQL  postgres://%s/%s\n", pg, project.Database)
	if o.demo && node.Loss() == nil {
		if err := loadDemo(ctx, c, node, project, s.dir, o.demoEvents, out); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)
	port := ":7742"
	if _, p, err := net.SplitHostPort(s.main.String()); err == nil {
		port = ":" + p
	}
	if tcp, ok := s.main.(*net.TCPAddr); !ok {
		fmt.Fprintf(out, "Listening on %s only, no login.\n", s.address)
	} else if tcp.IP.IsLoopback() {
		fmt.Fprintf(out, "Listening on %s only, no login. For others to reach it: prickle serve --listen %s\n", tcp.IP, port)
	} else {
		fmt.Fprintf(out, "Listening on %s. Events are taken from everywhere, questions from this machine only.\n", s.address)
	}
	fmt.Fprintln(out, "Ctrl-C stops.  Next: open the page, or run  prickle sql")
	if o.open {
		openBrowser("http://" + r.host)
	}
	return nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// dirSize is how many bytes the files of a directory take.
func dirSize(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // what cannot be read does not count
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			n += allocated(info)
		}
		return nil
	})
	return n
}

// allocated is what a file takes on disk: log files are longer than they are full.
func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return min(st.Blocks*512, info.Size())
	}
	return info.Size()
}

// openBrowser tries what the system has; a server without a screen goes on.
func openBrowser(link string) {
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	}
	cmd := exec.Command(name, link)
	if cmd.Start() == nil {
		go cmd.Wait() //nolint:errcheck // how the browser ends does not matter
	}
}

// projectOf finds a project of a store by its database name.
func projectOf(store *storage.Store, database string) (storage.Project, error) {
	for _, p := range store.Projects() {
		if p.Database == database {
			return p, nil
		}
	}
	return storage.Project{}, &problem{Code: "unknown_project", What: fmt.Sprintf("there is no project %q", database), Exit: exitFailed}
}
