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
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/segment"
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
		return inspectLogFile(w, name)
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
	case base == "lock", base == "CURRENT":
		raw, err := vfs.ReadFile(vfs.OS(), name, 4096)
		if err != nil {
			return err
		}
		what := map[string]string{"lock": "lock, last held by process", "CURRENT": "the newest manifest is"}[base]
		_, err = fmt.Fprintf(w, "%s %s\n", what, strings.TrimSpace(string(raw)))
		return err
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

// inspectLog prints the last records of a Raft log, also while a server writes it.
func inspectLog(w io.Writer, dir string, o inspectOptions) error {
	var lines []string
	count, at := 0, 0
	err := raftlog.Scan(vfs.OS(), dir, func(item raftlog.Item) error {
		line := item.String()
		if item.Type == raftlog.TypeEntry && item.Kind == raft.LogCommand {
			line += "  " + cluster.Describe(item.Data)
		}
		if count++; len(lines) < max(1, o.entries) {
			lines = append(lines, line)
		} else {
			lines[at] = line
			at = (at + 1) % len(lines)
		}
		return nil
	})
	fmt.Fprintf(w, "Raft log: %d records, the last %d of them\n", count, len(lines))
	for i := range lines {
		fmt.Fprintf(w, "  %s\n", lines[(at+i)%len(lines)])
	}
	if err != nil {
		return damaged(dir, err)
	}
	return nil
}

// inspectLogFile prints one file of a Raft log.
func inspectLogFile(w io.Writer, name string) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return &problem{Code: "file_unreadable", What: fmt.Sprintf("%s: %s", name, innermost(err)), Exit: exitFailed, Err: err}
	}
	if err := raftlog.DumpFile(w, raw); err != nil {
		return damaged(name, err)
	}
	return nil
}
