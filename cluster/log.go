package cluster

import (
	"fmt"
	"log/slog"
	"path"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/prickledb/prickle/cluster/raftlog"
	"github.com/prickledb/prickle/storage/memory"
)

// mostLogCache is how many bytes of the newest entries the log keeps in memory: with one
// voter only a start reads entries again, and archives.
const mostLogCache = 16 << 20

// openLog opens the log in dir, which exists. A failed write of it ends the process: the
// library alone would step down, win the next election and go on.
func openLog(cfg *Config, dir string, hasSnapshot bool) (*raftlog.Log, error) {
	names, err := cfg.FS.List(dir)
	if err != nil {
		return nil, err
	}
	files := 0
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, ".wal") || name == "wal-meta.db":
			return nil, fmt.Errorf("%s: a log in the form of a development version: export the events with that version and import them into a new directory", path.Join(dir, name))
		case strings.HasSuffix(name, ".rl"):
			files++
		}
	}
	if files == 0 && hasSnapshot {
		return nil, damaged(fmt.Errorf("%s: the log files are missing, and there is a raft snapshot: restore the directory as a whole from a backup", dir))
	}
	// What is on its way into the log has the other half of the pool.
	cache := cfg.Store.Memory.Pool(memory.Traffic).Size() / 2
	return raftlog.Open(raftlog.Options{FS: cfg.FS, Dir: dir, FileBytes: cfg.LogFileBytes, CacheBytes: min(cache, mostLogCache), Logger: cfg.Logger, Fatal: cfg.Exit})
}

// raftLogger passes the library's errors on; what it warns of is ordinary with one voter.
func raftLogger(logger *slog.Logger) hclog.Logger {
	if logger == nil {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{
		Name: "raft", Level: hclog.Error, DisableTime: true,
		Output: logWriter{logger},
	})
}

// logWriter makes a line of the library's log a line of ours.
type logWriter struct{ logger *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	text := string(line)
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	w.logger.Error(text)
	return len(line), nil
}
