package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/spf13/cobra"

	"github.com/prickledb/prickle/cluster"
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

const (
	maxManifest = 1 << 30
	maxDumped   = 1 << 20 // bytes of a file without a form that are shown
)

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
	case strings.HasSuffix(base, ".wal"):
		return &problem{Code: "inspect_log", What: "a file of the Raft log is read together with its neighbours", Exit: exitUsage,
			Try: []string{"prickle inspect " + filepath.Dir(name)}}
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
		return inspectManifest(w, name)
	case bytes.HasPrefix(head, []byte("prkrsnp")):
		return inspectSnapshot(w, name)
	case bytes.HasPrefix(head, []byte("prkstat")), strings.HasPrefix(base, "state"):
		return inspectState(w, name, info.Size())
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

// damaged words what is wrong with a file of ours.
func damaged(name string, err error) error {
	var corrupt *segment.CorruptError
	if errors.As(err, &corrupt) {
		return corrupt
	}
	return &problem{Code: "data_damaged", What: fmt.Sprintf("%s: %v", name, err), Exit: exitDamaged, Err: err}
}

func inspectDir(w io.Writer, name string, o inspectOptions) error {
	if logs, _ := filepath.Glob(filepath.Join(name, "*.wal")); len(logs) > 0 {
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

func inspectManifest(w io.Writer, name string) error {
	raw, err := vfs.ReadFile(vfs.OS(), name, maxManifest)
	if err != nil {
		return err
	}
	edits := 0
	m, err := manifest.Decode(raw, func(e manifest.Edit) {
		edits++
		line, _ := json.Marshal(e) // our own type
		fmt.Fprintf(w, "edit %d  %s\n", edits, line)
	})
	if err != nil {
		return damaged(name, err)
	}
	fmt.Fprintf(w, "manifest: %s, covers entry %d of the log\n", plural(edits, "edit", "edits"), m.Applied)
	ids := make([]uint64, 0, len(m.Segments))
	for id := range m.Segments {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	day := func(t int64) string { return time.UnixMicro(t).UTC().Format(time.DateOnly) }
	for _, id := range ids {
		s := m.Segments[id]
		fmt.Fprintf(w, "  segment %06d  project %d  %s … %s  %s rows  %s  xxh3 %s\n", id, s.Project, day(s.MinTime), day(s.MaxTime),
			grouped(s.Rows), size(float64(s.Size)), s.Hash)
	}
	for _, s := range m.States {
		fmt.Fprintf(w, "  state %s\n", s)
	}
	return nil
}

// inspectSnapshot prints the head of a Raft snapshot; what follows it is small.
func inspectSnapshot(w io.Writer, name string) error {
	raw, err := vfs.ReadFile(vfs.OS(), name, 64<<20)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Raft snapshot, %d bytes\n", len(raw))
	from, to := bytes.IndexByte(raw, '{'), 0
	if from >= 0 {
		var head json.RawMessage
		d := json.NewDecoder(bytes.NewReader(raw[from:]))
		if d.Decode(&head) == nil {
			to = from + len(head)
			fmt.Fprintf(w, "  %s\n", head)
		}
	}
	rest := raw[min(to, len(raw)):]
	fmt.Fprint(w, hex.Dump(rest[:min(len(rest), 4096)]))
	return nil
}

// inspectState prints the readable part of a state file.
func inspectState(w io.Writer, name string, bytes int64) error {
	raw, err := vfs.ReadFile(vfs.OS(), name, maxManifest)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "state file, %d bytes: changes of projects and persons\n", bytes)
	fmt.Fprint(w, hex.Dump(raw[:min(len(raw), maxDumped)]))
	return nil
}

// inspectLog prints the last entries of a Raft log whose server is stopped.
func inspectLog(w io.Writer, dir string, o inspectOptions) error {
	data := filepath.Dir(filepath.Dir(filepath.Clean(dir)))
	lock, err := vfs.OS().Lock(filepath.Join(data, "lock"))
	if err != nil {
		return &problem{Code: "data_locked", What: "the log of a running server cannot be read: " + innermost(err), Exit: exitFailed, Err: err,
			Try: []string{"stop the server, or look at a copy of " + data}}
	}
	defer lock.Close() //nolint:errcheck // nothing was written
	log, err := wal.Open(dir, wal.WithSegmentSize(64<<20))
	if err != nil {
		return damaged(dir, err)
	}
	defer log.Close() //nolint:errcheck // nothing was written
	first, err := log.FirstIndex()
	if err != nil {
		return damaged(dir, err)
	}
	last, err := log.LastIndex()
	if err != nil {
		return damaged(dir, err)
	}
	fmt.Fprintf(w, "Raft log: entries %d to %d\n", first, last)
	if last == 0 {
		return nil
	}
	from := first
	if n := uint64(max(0, o.entries)); last-first+1 > n {
		from = last - n + 1
	}
	for i := from; i <= last; i++ {
		var l raft.Log
		if err := log.GetLog(i, &l); err != nil {
			return damaged(dir, fmt.Errorf("entry %d: %w", i, err))
		}
		text := l.Type.String()
		if l.Type == raft.LogCommand {
			text = cluster.Describe(l.Data)
		}
		fmt.Fprintf(w, "  %8d  term %d  %s\n", i, l.Term, text)
	}
	return nil
}
