package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/vfs"
)

// openBlob opens a backup target with the settings of S3.
func openBlob(conf *config, target string) (blob.Store, error) {
	store, err := blob.Open(target, vfs.OS(), s3Options(conf))
	if err != nil {
		return nil, &problem{Code: "backup_target", What: err.Error(), Exit: exitUsage, Err: err, Try: []string{"prickle backup /path/or/s3://bucket/prefix"}}
	}
	return store, nil
}

// blobOpener is openBlob for whoever finds a target later.
func blobOpener(conf *config) func(string) (blob.Store, error) {
	return func(target string) (blob.Store, error) { return openBlob(conf, target) }
}

// wholeTarget is a target as a process in another directory names it.
func wholeTarget(target string) string {
	if strings.Contains(target, "://") {
		return target
	}
	return absolute(target)
}

func s3Options(conf *config) blob.S3Options {
	return blob.S3Options{Endpoint: conf.get("s3_endpoint"), Region: conf.get("s3_region"),
		AccessKey: conf.get("s3_access_key"), SecretKey: conf.get("s3_secret_key")}
}

// s3Settings are the settings that commands with a backup target know.
var s3Settings = []string{"s3_endpoint", "s3_region", "s3_access_key", "s3_secret_key"}

func backupCommand(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup <target>", Short: "A copy of everything, elsewhere", Args: someArgs(1, 1, "one target: a path or s3://bucket/prefix"),
		Long: "Copy everything to a directory or an S3-compatible service, while the server runs or not. What is there\n" +
			"already is not sent again. Everything that is sent is read back before the backup counts.",
		Example: "  prickle backup /mnt/backups/prickle\n" +
			"  prickle backup s3://acme-backups/prickle --s3-endpoint minio.internal:9000",
		RunE: func(cmd *cobra.Command, args []string) error { return backUp(cmd.Context(), cmd, c, args[0]) },
	}
	addFlags(cmd.Flags(), s3Settings...)
	return cmd
}

// meter is how far a task is, for the progress line.
type meter struct{ done, total atomic.Int64 }

func (m *meter) report(p backup.Progress) {
	m.done.Store(p.Bytes)
	m.total.Store(p.TotalBytes)
}

func (m *meter) state() state { return state{bytes: m.done.Load(), totalBytes: m.total.Load()} }

func backUp(ctx context.Context, cmd *cobra.Command, c *console, target string) error {
	conf, err := loadConfig(cmd, c.env)
	if err != nil {
		return err
	}
	store, err := openBlob(conf, target)
	if err != nil {
		return err
	}
	r, node, err := serverOrNode(ctx, cmd, c, func() (*cluster.Node, error) { return openOffline(ctx, c, conf) })
	if err != nil {
		return err
	}
	var m meter
	var last cluster.LastBackup
	line := watch(c, "backup", "backup", m.state)
	if r != nil {
		err = r.longTask(ctx, "/api/instance/backup/", map[string]string{"url": wholeTarget(target)}, &m, &last)
	} else {
		last, err = backUpOffline(ctx, node, store, &m)
	}
	took1 := line.finish()
	if err != nil {
		return backupProblem(err)
	}
	if c.json {
		return printJSON(c.out, map[string]any{"url": target, "created": last.Created, "index": last.Index, "segments": last.Segments,
			"bytes": last.Bytes, "new_bytes": last.New, "elapsed_ms": milliseconds(took1), "verified": true})
	}
	if c.quiet {
		return nil
	}
	at := last.Created.UTC().Format(time.RFC3339)
	fmt.Fprintf(c.out, "backup %s   %s   %s   new %s   in %s   verified\n", at, plural(int64(last.Segments), "segment", "segments"),
		size(float64(last.Bytes)), size(float64(last.New)), took(took1))
	fmt.Fprintf(c.out, "Restore with:  prickle restore %s --at %s --data ./restored\n", target, at)
	return nil
}

// openOffline opens a data directory that must be there, for as long as a backup takes.
func openOffline(ctx context.Context, c *console, conf *config) (*cluster.Node, error) {
	dir := conf.get("data")
	if _, err := os.Stat(filepath.Join(dir, "data")); err != nil {
		return nil, noData(dir)
	}
	return openNode(ctx, dir, cluster.Config{Logger: quietLogger(c), NoMerger: true, OpenBlob: blobOpener(conf)})
}

// backUpOffline makes a backup of a node of this process, and closes it.
func backUpOffline(ctx context.Context, node *cluster.Node, store blob.Store, m *meter) (last cluster.LastBackup, err error) {
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		err = errors.Join(err, node.Close(closing))
	}()
	return node.Backup(ctx, store, m.report)
}

// noData says that a directory is none of ours.
func noData(dir string) *problem {
	return &problem{Code: "no_data", What: fmt.Sprintf("there is no data directory %s", dir), Exit: exitFailed, Try: []string{"name another one with --data"}}
}

// quietLogger is for commands that open a data directory for a moment.
func quietLogger(c *console) *slog.Logger {
	return slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))
}

// backupProblem words why there is no backup.
func backupProblem(err error) error {
	var p *problem
	var target *backup.TargetError
	switch {
	case errors.As(err, &p) && p.Code == "backup_target", errors.As(err, &target):
		what := ""
		if p != nil {
			what = p.What
		} else {
			what = target.Error()
		}
		return &problem{Code: "backup_target", What: strings.TrimPrefix(what, "backup: "), Exit: exitFailed, Err: err,
			Try: []string{fmt.Sprintf("%-30s (what is set: s3_endpoint, s3_access_key, …)", "prickle config show")}}
	case p != nil, errors.Is(err, context.Canceled):
		return err
	}
	return &problem{Code: "backup_failed", What: err.Error(), Exit: exitFailed, Err: err,
		Hint: "No backup was listed. What was sent already is not sent again by the next one."}
}

// longTask asks the server for something that takes a while, and reads its answer.
func (r *remote) longTask(ctx context.Context, path string, body any, m *meter, result any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.host+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &problem{Code: "unreachable", What: fmt.Sprintf("the server at %s cannot be reached: %s", r.address, innermost(err)), Exit: exitUnreachable, Err: err}
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // the status says enough
		return answerProblem(resp, raw)
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var line struct {
			Type   string
			Bytes  int64
			Total  int64 `json:"total_bytes"`
			Result json.RawMessage
			Error  *struct{ Code, Detail, Hint string }
		}
		if err := lines.Decode(&line); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &problem{Code: "unreachable", What: "the server went away before it was done", Exit: exitUnreachable, Err: err, Try: []string{"prickle status"}}
		}
		switch {
		case line.Error != nil:
			return &problem{Code: line.Error.Code, What: line.Error.Detail, Hint: line.Error.Hint, Exit: exitFailed}
		case line.Type == "done":
			return json.Unmarshal(line.Result, result)
		default:
			m.report(backup.Progress{Bytes: line.Bytes, TotalBytes: line.Total})
		}
	}
}

func restoreCommand(c *console) *cobra.Command {
	var at, id string
	lazy, into := false, false
	var project, name string
	cmd := &cobra.Command{
		Use: "restore <target>", Short: "A data directory from a backup", Args: someArgs(1, 1, "one target: a path or s3://bucket/prefix"),
		Long: "Make a data directory of the newest backup and the log after it, or of the state at a time or an entry.\n" +
			"The directory must be new or empty. A restore that was interrupted goes on when it is done again.\n" +
			"With --lazy, segments stay in the target: prickle serve is usable in seconds, and fetches what is\n" +
			"asked for, and all else beside it. With --into, a project of the backup becomes a new one of the\n" +
			"server that runs.",
		Example: "  prickle restore s3://acme-backups/prickle --data ./restored\n" +
			"  prickle restore /mnt/backups/prickle --at 2026-11-22T12:08:31Z --data ./restored\n" +
			"  prickle restore s3://acme-backups/prickle --lazy --data ./restored\n" +
			"  prickle restore /mnt/backups/prickle --into --name \"before the accident\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case lazy && into:
				return usage("--lazy and --into exclude each other: a running server takes all of a project at once")
			case into:
				return restoreInto(cmd.Context(), cmd, c, args[0], at, id, project, name)
			}
			return restore(cmd.Context(), cmd, c, args[0], at, id, lazy)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "`time` (2026-11-22T12:08:31Z) or entry of the log (912344)")
	cmd.Flags().BoolVar(&into, "into", false, "make a project of the backup a new one of the running server")
	cmd.Flags().StringVar(&project, "project", "", "with --into: `name` of the project's database in the backup, where it has several")
	cmd.Flags().StringVar(&name, "name", "", "with --into: `name` of the new project")
	cmd.Flags().BoolVar(&lazy, "lazy", false, "leave segments in the target, for the server to fetch")
	cmd.Flags().StringVar(&id, "cluster", "", "`id` of the cluster, where the target has several")
	addFlags(cmd.Flags(), s3Settings...)
	return cmd
}

// parseAt reads a time or an entry's index. A time without a zone is UTC.
func parseAt(text string) (index uint64, at time.Time, err error) {
	if text == "" {
		return 0, at, nil
	}
	if index, err = strconv.ParseUint(text, 10, 64); err == nil && index > 0 {
		return index, at, nil
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err = time.Parse(form, text); err == nil {
			return 0, at, nil
		}
	}
	return 0, at, usage("--at: %q is neither a time nor an entry; write 2026-11-22T12:08:31Z or 912344", text)
}

func restore(ctx context.Context, cmd *cobra.Command, c *console, target, at, id string, lazy bool) error {
	conf, err := loadConfig(cmd, c.env)
	if err != nil {
		return err
	}
	o := cluster.RestoreOptions{FS: vfs.OS(), Dir: conf.get("data"), Version: version, Cluster: id, Lazy: lazy, Source: wholeTarget(target)}
	if o.Index, o.Time, err = parseAt(at); err != nil {
		return err
	}
	store, err := openBlob(conf, target)
	if err != nil {
		return err
	}
	var m meter
	o.Report = m.report
	line := watch(c, "restore", "restore", m.state)
	made, err := cluster.Restore(ctx, store, o)
	elapsed := line.finish()
	if err != nil {
		return restoreProblem(err, target, o.Dir)
	}
	if c.json {
		return printJSON(c.out, map[string]any{"url": target, "data": o.Dir, "cluster": made.Cluster, "index": made.Index, "time": made.Time,
			"segments": made.Segments, "bytes": made.Bytes, "log_entries": made.Entries,
			"left_segments": made.LeftSegments, "left_bytes": made.Left, "elapsed_ms": milliseconds(elapsed), "verified": made.LeftSegments == 0})
	}
	if c.quiet {
		return nil
	}
	if made.LeftSegments > 0 {
		fmt.Fprintf(c.out, "restored %s   %s, %s of them with %s still in %s   %s of the log   in %s\n", made.Time.UTC().Format(time.RFC3339),
			plural(int64(made.Segments), "segment", "segments"), grouped(int64(made.LeftSegments)), size(float64(made.Left)), target, plural(int64(made.Entries), "entry", "entries"), took(elapsed))
		fmt.Fprintf(c.out, "Start with:  prickle serve --data %s   (it fetches them, those that are asked for first)\n", o.Dir)
		return nil
	}
	fmt.Fprintf(c.out, "restored %s   %s   %s   %s of the log   in %s   verified\n", made.Time.UTC().Format(time.RFC3339),
		plural(int64(made.Segments), "segment", "segments"), size(float64(made.Bytes)), plural(int64(made.Entries), "entry", "entries"), took(elapsed))
	fmt.Fprintf(c.out, "Start with:  prickle serve --data %s\n", o.Dir)
	return nil
}

// restoreInto has the running server make a project of one in a backup.
func restoreInto(ctx context.Context, cmd *cobra.Command, c *console, target, at, id, project, name string) error {
	index, when, err := parseAt(at)
	if err != nil {
		return err
	}
	r, err := needServer(ctx, cmd, c)
	if err != nil {
		return err
	}
	ask := map[string]any{"url": wholeTarget(target), "cluster": id, "project": project, "name": name, "index": index}
	if !when.IsZero() {
		ask["time"] = when
	}
	var m meter
	var made cluster.Adopted
	line := watch(c, "restore", "restore", m.state)
	err = r.longTask(ctx, "/api/instance/restore/", ask, &m, &made)
	elapsed := line.finish()
	if err != nil {
		return err
	}
	p := &made.Project
	if c.json {
		return printJSON(c.out, map[string]any{"url": target, "index": made.Index, "time": made.Time, "events": made.Events,
			"project": map[string]any{"id": p.ID, "name": p.Name, "database": p.Database, "token": p.Token}, "elapsed_ms": milliseconds(elapsed)})
	}
	if c.quiet {
		return nil
	}
	fmt.Fprintf(c.out, "restored %s   %s   as project %q, key %s   in %s\n", made.Time.UTC().Format(time.RFC3339), plural(made.Events, "event", "events"),
		p.Name, p.Token, took(elapsed))
	fmt.Fprintf(c.out, "See it:  psql postgres://%s/%s\n", r.host, p.Database)
	return nil
}

func restoreProblem(err error, target, dir string) error {
	var bounds *cluster.RangeError
	switch {
	case errors.As(err, &bounds):
		last := bounds.LastTime.Truncate(time.Second).UTC().Format(time.RFC3339)
		return &problem{Code: "restore_range", What: bounds.Wanted + " cannot be restored: " + bounds.Why, Exit: exitFailed, Err: err,
			Where: []string{fmt.Sprintf("There is %s to %s, entries %d to %d.", bounds.FirstTime.UTC().Format(time.RFC3339), last, bounds.FirstIndex, bounds.LastIndex)},
			Try: []string{fmt.Sprintf("prickle restore %s --at %s --data %s", target, last, dir),
				fmt.Sprintf("prickle restore %s --data %s   (the newest there is)", target, dir)}}
	case errors.Is(err, cluster.ErrNotEmpty):
		return &problem{Code: "not_empty", What: fmt.Sprintf("the directory %s is not empty", dir), Exit: exitFailed, Err: err,
			Try: []string{fmt.Sprintf("prickle restore %s --data ./restored", target)}}
	case errors.Is(err, context.Canceled):
		return &problem{Code: "interrupted", What: "Stopped. Run the same command again to continue.", Exit: exitInterrupted, Bare: true, Err: err}
	}
	return dirProblem(dir, err)
}
