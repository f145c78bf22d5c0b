package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/prickledb/prickle/storage/vfs"
)

// ErrReadOnly is wrapped by the error of a write to a node that OpenReadOnly opened.
var ErrReadOnly = errors.New("the server is read-only")

// scratchDir is where a node that is read-only keeps what it would write, in its data
// directory.
const scratchDir = "readonly"

// OpenReadOnly opens a directory that Open refuses with ErrDamaged, for reading what Recover
// would keep: the segments, and the log up to where it is whole. Nothing in the directory is
// changed. Loss says what is missing; every write is refused with ErrReadOnly. What the node
// writes for itself lies in a folder of its own, which goes with it.
func OpenReadOnly(ctx context.Context, cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	cfg.Archive, cfg.WatchDisk, cfg.NoMerger = nil, false, true
	damage, err := see(ctx, &cfg)
	if err != nil {
		return nil, dirError(cfg.Dir, err)
	}
	n, err := open(ctx, cfg, damage)
	if err != nil {
		return nil, err
	}
	if len(n.store.Projects()) == 0 {
		n.Close(ctx) // there is nothing to show
		return nil, dirError(cfg.Dir, damaged(errors.New("no project can be read")))
	}
	for _, p := range damage.loss.Problems {
		cfg.Logger.Error("the data directory is damaged", "file", p.File, "problem", p.What)
	}
	cfg.Logger.Error("the server is read-only", "lost", damage.loss.String(),
		"first_entry", damage.loss.First, "last_entry", damage.loss.Last, "events", damage.loss.Estimate,
		"next", "prickle restore; or stop it and run: prickle recover --accept-loss --data "+cfg.Dir)
	return n, nil
}

// damagedDir is why a node is read-only.
type damagedDir struct {
	loss Loss
	dir  string
	held io.Closer // lock and scratch directory, for the node to close
}

// see locks a directory, puts an overlay over it, which the configuration has from here on,
// and repairs what is seen through it.
func see(ctx context.Context, cfg *Config) (_ *damagedDir, err error) {
	lock, err := cfg.FS.Lock(path.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	held := &scratch{lock, cfg.FS, path.Join(cfg.Dir, scratchDir)}
	defer func() {
		if err != nil {
			held.Close() // err says what matters
		}
	}()
	if err := errors.Join(removeTree(cfg.FS, held.dir), cfg.FS.MkdirAll(held.dir)); err != nil {
		return nil, err
	}
	cfg.FS = vfs.NewOverlay(cfg.FS, held.dir)
	r, err := examine(ctx, cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	r.logFileBytes = cfg.LogFileBytes
	now := cfg.Clock()
	if err := errors.Join(r.repair(ctx, r.asideDir(now), cfg.Version, now), r.close()); err != nil {
		return nil, err
	}
	return &damagedDir{loss: r.loss, dir: cfg.Dir, held: held}, nil
}

// scratch is a directory whose files go when it is closed, before its lock.
type scratch struct {
	lock io.Closer
	fs   vfs.FS
	dir  string
}

func (s *scratch) Close() error { return errors.Join(removeTree(s.fs, s.dir), s.lock.Close()) }

// Loss is what the directory of a node that is read-only has lost, and nil for any other
// node.
func (n *Node) Loss() *Loss {
	if n.damage == nil {
		return nil
	}
	return &n.damage.loss
}

// refuses says why an entry of a kind is refused: what is not of the node itself is, if
// there is damage.
func (h *damagedDir) refuses(k kind) error {
	if h == nil || k == kindSeal || k == kindMerged || k == kindTick {
		return nil
	}
	return h.refusal()
}

func (h *damagedDir) refusal() error {
	if h == nil {
		return nil
	}
	return fmt.Errorf("%w, because acknowledged data is damaged; lost: %v; to go on without it, stop the server and run: prickle recover --accept-loss --data %s", ErrReadOnly, &h.loss, h.dir)
}
