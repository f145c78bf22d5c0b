package cluster

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prickledb/prickle/cluster/metric"
	"github.com/prickledb/prickle/cluster/raftlog"
)

// numbers are what a node measures of itself.
type numbers struct {
	ack, flush, merge *metric.Histogram
	mergeBytes        *metric.Histogram
	failovers         atomic.Int64 // times that this node became leader, after the first

	// For Lag: the longest that a write took since the last call, and since when the one has
	// waited that is to be answered next, in ns since 1970; 0 for none.
	slowest, awaited atomic.Int64
	syncs            raftlog.Stats // at the last call
}

// answered notes how long a write took.
func (m *numbers) answered(began time.Time) {
	took := int64(time.Since(began))
	m.ack.Observe(time.Duration(took).Seconds(), "")
	for most := m.slowest.Load(); took > most && !m.slowest.CompareAndSwap(most, took); most = m.slowest.Load() {
	}
}

// Lag is how long a write has waited for processors rather than for the disk: the slowest that
// was answered since the last call, or the one that waits now. It is for one caller.
func (n *Node) Lag() time.Duration {
	m := n.numbers
	lag := time.Duration(m.slowest.Swap(0))
	if began := m.awaited.Load(); began != 0 {
		lag = max(lag, time.Since(time.Unix(0, began)))
	}
	now, last := n.wal.Stats(), m.syncs
	m.syncs = now
	disk := now.Stalled
	if syncs := now.Syncs - last.Syncs; syncs > 0 {
		// An entry waits for the sync that is under way, and then for its own.
		disk = max(disk, 2*(now.Took-last.Took)/time.Duration(syncs))
	}
	return max(0, lag-disk)
}

func newNumbers() *numbers {
	return &numbers{
		ack:        metric.NewHistogram("prickle_ack_seconds", "from the proposal of a write to its answer", "", metric.Seconds),
		flush:      metric.NewHistogram("prickle_flush_seconds", "writing a memtable to segments", "", metric.Seconds),
		merge:      metric.NewHistogram("prickle_merge_seconds", "merging segments into one", "", metric.Seconds),
		mergeBytes: metric.NewHistogram("prickle_merge_bytes", "size of the outputs of merges", "", metric.Bytes),
	}
}

// group is the label of the one Raft group there is.
var group = metric.Label("group", "0")

// Metrics lists what the node publishes of log, Raft and disk.
func (n *Node) Metrics(r *metric.Registry) {
	m := n.numbers
	raftGauge := func(name, help string, value func() float64) *metric.Func {
		return metric.NewFunc(name, "gauge", help, func(yield func(string, float64)) { yield(group, value()) })
	}
	r.Add(m.ack, m.flush, m.merge, m.mergeBytes,
		raftGauge("prickle_raft_term", "current term", func() float64 { return float64(n.raft.CurrentTerm()) }),
		raftGauge("prickle_raft_commit_index", "index up to which the log is committed", func() float64 { return float64(n.raft.CommitIndex()) }),
		raftGauge("prickle_raft_applied_index", "index up to which reads see the log", func() float64 { return float64(n.fsm.applied.load()) }),
		raftGauge("prickle_raft_leader", "1 if this node leads", func() float64 {
			if n.Leads() {
				return 1
			}
			return 0
		}),
		metric.NewFunc("prickle_raft_failover_total", "counter", "times that this node became leader again", func(yield func(string, float64)) {
			yield(group, float64(m.failovers.Load()))
		}),
		metric.NewValue("prickle_write_bytes_in_flight", "gauge", "bytes proposed and not yet applied", func() float64 { return float64(n.InFlight()) }),
	)
	n.logMetrics(r)
	if n.rest != nil {
		r.Add(
			metric.NewValue("prickle_restore_missing_segments", "gauge", "segments that are still in the backup of the restore", func() float64 { s, _ := n.Missing(); return float64(s) }),
			metric.NewValue("prickle_restore_missing_bytes", "gauge", "their bytes", func() float64 { _, b := n.Missing(); return float64(b) }),
		)
	}
	if n.disk == nil {
		return
	}
	r.Add(
		metric.NewValue("prickle_disk_free_bytes", "gauge", "bytes that can still be written", func() float64 { return float64(n.disk.state().Free) }),
		metric.NewFunc("prickle_disk_used_bytes", "gauge", "bytes of the disk that are taken, by whomever", func(yield func(string, float64)) {
			if s := n.disk.state(); s.Total > 0 {
				yield("", float64(s.Total-min(s.Free, s.Total)))
			}
		}),
		metric.NewValue("prickle_disk_state", "gauge", "0 ok, 1 low, 2 events are refused, 3 read-only", func() float64 { return float64(n.disk.state().State) }),
		metric.NewValue("prickle_disk_stalls_total", "counter", "writes and syncs that took longer than 5 s", func() float64 { return float64(n.calls.count()) }),
	)
}

// logMetrics lists what the log measures of itself.
func (n *Node) logMetrics(r *metric.Registry) {
	bounds := make([]float64, len(raftlog.SyncBounds))
	for i, b := range raftlog.SyncBounds {
		bounds[i] = b.Seconds()
	}
	gauge := func(name, help string, value func(raftlog.Stats) float64) *metric.Func {
		return metric.NewValue(name, "gauge", help, func() float64 { return value(n.wal.Stats()) })
	}
	r.Add(
		metric.NewCounts("prickle_log_sync_seconds", "write and sync of entries in the log", bounds, func() ([]uint64, float64) {
			s := n.wal.Stats()
			return s.Buckets[:], s.Took.Seconds()
		}),
		metric.NewValue("prickle_log_written_bytes_total", "counter", "bytes written to the log", func() float64 { return float64(n.wal.Stats().Bytes) }),
		gauge("prickle_log_bytes", "size of the files of the log, those kept ready included", func(s raftlog.Stats) float64 {
			return float64(int64(s.Files+s.Spares) * s.FileBytes)
		}),
		gauge("prickle_log_files", "files of the log that hold entries", func(s raftlog.Stats) float64 { return float64(s.Files) }),
		gauge("prickle_log_stalled_seconds", "how long the write or sync of the log that is under way has been running", func(s raftlog.Stats) float64 { return s.Stalled.Seconds() }),
	)
}

// followLeader counts and logs changes of leadership until ctx ends. The first election is
// over when it begins.
func (n *Node) followLeader(ctx context.Context) {
	select {
	case <-n.raft.LeaderCh():
	default:
	}
	for {
		select {
		case <-ctx.Done():
			return
		case leads := <-n.raft.LeaderCh():
			n.cfg.Logger.Warn("leadership changed", "group", 0, "leads", leads, "term", n.raft.CurrentTerm())
			if leads {
				n.numbers.failovers.Add(1)
			}
		}
	}
}
