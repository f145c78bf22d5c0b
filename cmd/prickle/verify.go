package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/cluster/backup"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/vfs"
)

func verifyCommand(c *console) *cobra.Command {
	var erased bool
	cmd := &cobra.Command{
		Use: "verify [directory|target]", Short: "Read everything and check it", Args: someArgs(0, 1, "at most one data directory or backup target"),
		Long: "Read every byte of a data directory or of a backup and compare it with its checksums. Nothing is changed.\n" +
			"The server may run. Damage is named with its file and place; then the exit code is 6.",
		Example: "  prickle verify --erased\n" +
			"  prickle verify s3://acme-backups/prickle",
		RunE: func(cmd *cobra.Command, args []string) error {
			return verify(cmd.Context(), cmd, c, args, erased)
		},
	}
	cmd.Flags().BoolVar(&erased, "erased", false, "also look for what is left of persons that were erased; the server must not run")
	addFlags(cmd.Flags(), s3Settings...)
	return cmd
}

// verified is what was read, of a directory or a target.
type verified struct {
	Segments int               `json:"segments"`
	Objects  int               `json:"objects,omitempty"` // of a target
	Bytes    int64             `json:"bytes"`
	Entries  int               `json:"log_entries,omitempty"`
	Problems []cluster.Problem `json:"problems"`
}

func verify(ctx context.Context, cmd *cobra.Command, c *console, args []string, erased bool) error {
	conf, err := loadConfig(cmd, c.env)
	if err != nil {
		return err
	}
	dir := conf.get("data")
	if len(args) > 0 {
		dir = args[0]
	}
	var m meter
	line := watch(c, "verify", "verify", m.state)
	var v *verified
	isData := false
	if _, stat := os.Stat(filepath.Join(dir, "data")); stat == nil {
		isData = true
		v, err = verifyData(ctx, dir, &m)
	} else if len(args) == 0 {
		err = noData(dir)
	} else {
		v, err = verifyTarget(ctx, conf, dir, &m)
	}
	var report *storage.ErasureReport
	if err == nil && erased {
		if !isData {
			line.finish()
			return &problem{Code: "usage", What: "--erased is for a data directory: a backup keeps what it was made of", Exit: exitUsage, Try: []string{"prickle verify --erased " + conf.get("data")}}
		}
		report, err = verifyErased(dir)
	}
	elapsed := line.finish()
	if err != nil {
		return err
	}
	left := report != nil && len(report.Remains) > 0
	switch {
	case c.json:
		err = printJSON(c.out, struct {
			*verified
			Erased  *storage.ErasureReport `json:"erased,omitempty"`
			OK      bool                   `json:"ok"`
			Elapsed float64                `json:"elapsed_ms"`
		}{v, report, len(v.Problems) == 0 && !left, milliseconds(elapsed)})
	case len(v.Problems) == 0 && !c.quiet:
		parts := []string{"ok"}
		if isData {
			parts = append(parts, plural(int64(v.Segments), "segment", "segments"))
		} else {
			parts = append(parts, plural(int64(v.Objects), "object", "objects"))
		}
		parts = append(parts, size(float64(v.Bytes)))
		if isData {
			parts = append(parts, plural(int64(v.Entries), "entry", "entries")+" of the log")
		}
		fmt.Fprintln(c.out, strings.Join(append(parts, "in "+took(elapsed)), "   "))
	}
	if err == nil && report != nil && !c.json && (left || !c.quiet) {
		err = report.WriteText(c.out, knownBackups(dir))
	}
	if err == nil && left && len(v.Problems) == 0 {
		return silent(exitFailed)
	}
	if err != nil || len(v.Problems) == 0 {
		return err
	}
	if !c.json {
		printDamage(c, dir, isData, v.Problems)
	}
	return silent(exitDamaged)
}

// verifyErased looks for what is left of erased persons in a data directory that nobody has
// open.
func verifyErased(dir string) (*storage.ErasureReport, error) {
	lock, err := vfs.OS().Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, dirProblem(dir, err)
	}
	defer lock.Close() //nolint:errcheck // nothing was written
	return storage.VerifyErased(vfs.OS(), filepath.Join(dir, "data"))
}

// knownBackups names the last backup of a directory, if it knows of one.
func knownBackups(dir string) []string {
	last, err := cluster.ReadLastBackup(vfs.OS(), dir)
	if err != nil || last == nil {
		return nil
	}
	return []string{last.URL + " of " + last.Created.UTC().Format(time.RFC3339)}
}

// printDamage prints a line for each problem, and what to do.
func printDamage(c *console, dir string, isData bool, problems []cluster.Problem) {
	for _, p := range problems {
		what := p.What
		if at := strings.Index(what, p.File+": "); at >= 0 { // it says the file itself
			what = what[at+len(p.File)+2:]
		}
		fmt.Fprintf(c.out, "%s   %s\n", p.File, what)
	}
	fmt.Fprintf(c.out, "%s\n", plural(int64(len(problems)), "problem", "problems"))
	if !isData {
		fmt.Fprintf(c.out, "Try:   %-45s (a new backup sends what is damaged or missing only if its object is removed first)\n", "prickle backup "+dir)
		return
	}
	fmt.Fprintf(c.out, "Try:   %s\n", "prickle restore <backup> --data ./restored")
	for _, p := range problems {
		if id, ok := strings.CutSuffix(filepath.Base(p.File), ".seg"); ok {
			fmt.Fprintf(c.out, "       %-45s (gives up the rows of this segment)\n", "prickle doctor --detach "+strings.TrimLeft(id, "0"))
			return
		}
	}
	fmt.Fprintf(c.out, "       %-45s (gives up what cannot be read)\n", "prickle recover --accept-loss")
}

// verifyData reads a data directory, through its server if one runs.
func verifyData(ctx context.Context, dir string, m *meter) (*verified, error) {
	var v *cluster.Verified
	var err error
	if info, ok := readInfo(dir); ok {
		r := newRemote(info.Address)
		if r.alive(ctx) {
			v = new(cluster.Verified)
			if err := r.longTask(ctx, "/api/instance/verify/", struct{}{}, m, v); err != nil {
				return nil, err
			}
		}
	}
	if v == nil {
		if v, err = cluster.VerifyDir(ctx, vfs.OS(), dir, m.report); err != nil {
			return nil, dirProblem(dir, err)
		}
	}
	return &verified{Segments: v.Segments, Bytes: v.Bytes, Entries: v.Entries, Problems: append([]cluster.Problem{}, v.Problems...)}, nil
}

// verifyTarget reads the backups of all clusters of a target.
func verifyTarget(ctx context.Context, conf *config, target string, m *meter) (*verified, error) {
	store, err := openBlob(conf, target)
	if err != nil {
		return nil, err
	}
	ids, err := backup.Clusters(ctx, store)
	if err != nil {
		return nil, backupProblem(&backup.TargetError{Store: store.String(), Err: err})
	}
	if len(ids) == 0 {
		return nil, &problem{Code: "no_backup", What: fmt.Sprintf("%s is neither a data directory nor a backup target with a backup in it", target), Exit: exitFailed,
			Try: []string{"prickle verify --data ./prickle-data", "prickle backup " + target}}
	}
	v := &verified{Problems: []cluster.Problem{}}
	for _, id := range ids {
		problems, objects, err := verifyCluster(ctx, store, id, m)
		if err != nil {
			return nil, err
		}
		v.Objects += objects
		for _, p := range problems {
			v.Problems = append(v.Problems, cluster.Problem{File: id + "/" + p.Object, What: p.Err.Error()})
		}
		v.Bytes += m.done.Load()
	}
	return v, nil
}

func verifyCluster(ctx context.Context, store blob.Store, id string, m *meter) ([]backup.Problem, int, error) {
	return backup.NewTarget(store, id).Verify(ctx, m.report)
}
