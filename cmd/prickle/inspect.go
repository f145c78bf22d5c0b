package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"
	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/cluster/raftlog"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/segment"
	usertable "github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
)

func inspectCommand(c *console) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use: "inspect <file…>", Short: "Any file of the data directory as text", Args: someArgs(1, -1, "at least one file of a data directory"),
		Long: "Print a segment, the manifest, a state file, a Raft snapshot or the Raft log (its directory) as text.\n" +
			"What a file is, is found out from its content. Damage is named with its place; then the exit code is 6.",
		Example: "  prickle inspect prickle-data/data/manifest\n" +
			"  prickle inspect prickle-data/raft/log --entries 20",
		RunE: func(_ *cobra.Command, args []string) error {
			for i, name := range args {
				if len(args) > 1 {
					if i > 0 {
						fmt.Fprintln(c.out)
					}
					fmt.Fprintf(c.out, "%s:\n", name)
				}
				if err := inspect(c.out, name, o); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&o.entries, "entries", 100, "how many `entries` of a log to print, the last ones")
	return cmd
}

type inspectOptions struct{ entries int }

// maxWhole is the largest file other than a segment that is read for printing.
const maxWhole = 1 << 30

// inspect prints one file.
func inspect(w io.Writer, name string, o inspectOptions) error {
	info, err := os.Stat(name)
	if err != nil {
		return &problem{Code: "file_unreadable", What: fmt.Sprintf("%s: %s", name, innermost(err)), Exit: exitFailed, Err: err}
	}
	if info.IsDir() {
		return inspectDir(w, name, o)
	}
	f, err := os.Open(name)
	if err != nil {
		return &problem{Code: "file_unreadable", What: fmt.Sprintf("%s: %s", name, innermost(err)), Exit: exitFailed, Err: err}
	}
	head := make([]byte, 16)
	n, _ := io.ReadFull(f, head) // a short file is one of no form
	f.Close()                    //nolint:errcheck // only read
	head = head[:n]
	base := filepath.Base(name)
	switch {
	case strings.HasSuffix(base, ".rl"):
		return dump(w, name, raftlog.DumpFile)
	case strings.HasSuffix(base, ".json"):
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, raw, "", "  "); err != nil {
			return damaged(name, err)
		}
		_, err = pretty.WriteTo(w)
		return err
	case strings.HasPrefix(strings.ToLower(base), "manifest"):
		return dump(w, name, manifest.Dump)
	case bytes.HasPrefix(head, []byte("prkrsnp")):
		return dump(w, name, cluster.DumpSnapshot)
	case bytes.HasPrefix(head, []byte("prkstat")), strings.HasPrefix(base, "state"):
		return dump(w, name, storage.DumpState)
	case bytes.HasPrefix(head, []byte("prkdedu")):
		return dump(w, name, dedup.Dump)
	case base == "lock", base == "CURRENT":
		raw, err := vfs.ReadFile(vfs.OS(), name, 4096)
		if err != nil {
			return err
		}
		what := map[string]string{"lock": "lock, last held by process", "CURRENT": "the newest manifest is"}[base]
		_, err = fmt.Fprintf(w, "%s %s\n", what, strings.TrimSpace(string(raw)))
		return err
	}
	if usertable.IsSegment(head) {
		return inspectTable(w, name)
	}
	r, err := segment.Open(vfs.OS(), name)
	if err != nil {
		return damaged(name, err)
	}
	defer r.Close() //nolint:errcheck // only read
	// Damage is told before a dump, which need not come by it.
	if err := r.Verify(); err != nil {
		return damaged(name, err)
	}
	if err := segment.Dump(w, r); err != nil {
		return damaged(name, err)
	}
	return nil
}

// inspectTable prints a segment of a user table, after it was checked.
func inspectTable(w io.Writer, name string) error {
	r, err := usertable.Open(vfs.OS(), name)
	if err != nil {
		return damaged(name, err)
	}
	defer r.Close() //nolint:errcheck // only read
	if err := r.Verify(); err != nil {
		return damaged(name, err)
	}
	return r.Dump(w)
}

// dump prints a file that is read whole.
func dump(w io.Writer, name string, print func(io.Writer, []byte) error) error {
	raw, err := vfs.ReadFile(vfs.OS(), name, maxWhole)
	if err != nil {
		return err
	}
	if err := print(w, raw); err != nil {
		return damaged(name, err)
	}
	return nil
}

// damaged words what is wrong with a file of ours.
func damaged(name string, err error) error {
	var corrupt *segment.CorruptError
	if errors.As(err, &corrupt) {
		return corrupt
	}
	return &problem{Code: "data_damaged", What: fmt.Sprintf("%s: %v", name, err), Exit: exitDamaged, Err: err}
}

func inspectDir(w io.Writer, name string, o inspectOptions) error {
	if logs, _ := filepath.Glob(filepath.Join(name, "*.rl")); len(logs) > 0 {
		return inspectLog(w, name, o)
	}
	if info, ok := readInfo(name); ok {
		fmt.Fprintf(w, "data directory of the server at %s, process %d\n", info.Address, info.PID)
	}
	var files []string
	err := filepath.WalkDir(name, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			continue // it was merged away meanwhile
		}
		fmt.Fprintf(w, "%12d  %s\n", info.Size(), f)
	}
	return nil
}

// inspectLog prints the last entries of a Raft log whose server is stopped, of a damaged
// one those before the damage.
func inspectLog(w io.Writer, dir string, o inspectOptions) error {
	data := filepath.Dir(filepath.Dir(filepath.Clean(dir)))
	lock, err := vfs.OS().Lock(filepath.Join(data, "lock"))
	if err != nil {
		return &problem{Code: "data_locked", What: "the log of a running server cannot be read: " + innermost(err), Exit: exitFailed, Err: err,
			Try: []string{"stop the server, or look at a copy of " + data}}
	}
	defer lock.Close() //nolint:errcheck // nothing was written
	type line struct {
		index uint64
		text  string
	}
	var first uint64
	var lines []line // the last ones
	err = raftlog.Scan(vfs.OS(), dir, func(i raftlog.Item) error {
		switch i.Type {
		case raftlog.TypeCompact:
			first = max(first, i.Index+1)
			return nil
		case raftlog.TypeTruncate:
			for len(lines) > 0 && lines[len(lines)-1].index >= i.Index {
				lines = lines[:len(lines)-1]
			}
			return nil
		case raftlog.TypeEntry:
		default:
			return nil
		}
		text := i.Kind.String()
		if i.Kind == raft.LogCommand {
			text = cluster.Describe(i.Data)
		}
		if first == 0 {
			first = i.Index
		}
		if len(lines) > max(1, 2*o.entries) {
			lines = append(lines[:0], lines[len(lines)-max(1, o.entries):]...)
		}
		lines = append(lines, line{i.Index, fmt.Sprintf("term %d  %s", i.Term, text)})
		return nil
	})
	for len(lines) > 0 && lines[0].index < first {
		lines = lines[1:]
	}
	last := uint64(0)
	if len(lines) > 0 {
		last = lines[len(lines)-1].index
	}
	fmt.Fprintf(w, "Raft log: entries %d to %d\n", first, last)
	for _, l := range lines[max(0, len(lines)-o.entries):] {
		fmt.Fprintf(w, "  %8d  %s\n", l.index, l.text)
	}
	if err != nil {
		return damaged(dir, err)
	}
	return nil
}
