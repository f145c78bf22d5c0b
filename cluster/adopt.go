package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/vfs"
)

// IntoOptions say which project of a backup comes into a running node.
type IntoOptions struct {
	// Cluster, Index and Time are as in RestoreOptions.
	RestoreOptions
	// Project is the database name there; empty if the backup has one project only.
	Project string
	Name    string // here; empty: as there, and that it was restored
}

// Adopted is a project that came from a backup.
type Adopted struct {
	Restored
	Project storage.Project `json:"project"`
	Events  int64           `json:"events"`
}

// incomingDir is where a backup is restored of which a project is adopted, in a data directory.
const incomingDir = "incoming"

// RestoreInto makes a new project of one in a backup. The backup is restored beside the node's own
// data, merged, so that no row is left that was deleted, and the files of the project are copied.
// One entry of the log makes it a project of the node: all of it is there then, or nothing.
func (n *Node) RestoreInto(ctx context.Context, store blob.Store, o IntoOptions) (_ *Adopted, err error) {
	if err := n.damage.refusal(); err != nil {
		return nil, err
	}
	if err := n.disk.admit(refusedFrom[kindAdopt]); err != nil {
		return nil, err
	}
	select {
	case n.adopting <- struct{}{}:
		defer func() { <-n.adopting }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	dir := path.Join(n.cfg.Dir, incomingDir)
	if err := removeTree(n.cfg.FS, dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, removeTree(n.cfg.FS, dir)) }()
	o.FS, o.Dir, o.Version, o.LogFileBytes, o.Lazy = n.cfg.FS, dir, n.cfg.Version, n.cfg.LogFileBytes, false
	made, err := Restore(ctx, store, o.RestoreOptions)
	if err != nil {
		return nil, err
	}
	from, err := Open(ctx, Config{FS: n.cfg.FS, Dir: dir, Version: n.cfg.Version, Logger: n.cfg.Logger, NoMerger: true,
		Store: storage.Options{Memory: n.cfg.Store.Memory, SealRows: n.cfg.Store.SealRows, SealBytes: n.cfg.Store.SealBytes}, LogFileBytes: n.cfg.LogFileBytes})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close(context.WithoutCancel(ctx))) }()
	if err := from.MergeAll(ctx); err != nil {
		return nil, err
	}
	project, err := chooseProject(from.store, o.Project)
	if err != nil {
		return nil, err
	}
	spec := storage.ProjectSpec{Name: o.Name, Token: newToken()}
	if spec.Name == "" {
		spec.Name = project.Name + " restored"
	}
	here, events, err := n.adopt(ctx, from.store, project.ID, spec)
	if err != nil {
		return nil, err
	}
	if n.cfg.Archive != nil {
		// The log that is archived names the files and does not have them.
		if _, err := n.Backup(ctx, n.cfg.Archive, nil); err != nil {
			n.cfg.Logger.Error("backup after a project was restored; until there is one, no later state can be restored from the archive", "error", err)
		}
	}
	return &Adopted{Restored: *made, Project: here, Events: events}, nil
}

// adopt makes a project of one of another store, and says how many events it has.
func (n *Node) adopt(ctx context.Context, from *storage.Store, id uint32, spec storage.ProjectSpec) (p storage.Project, events int64, err error) {
	// A backup must not have the entry and lack the files, as with merges.
	select {
	case n.merging <- struct{}{}:
		defer func() { <-n.merging }()
	case <-ctx.Done():
		return p, 0, ctx.Err()
	}
	var nonce [8]byte
	rand.Read(nonce[:]) // never fails
	a, err := n.store.Stage(ctx, from, id, spec, binary.LittleEndian.Uint64(nonce[:]))
	if err != nil {
		return p, 0, err
	}
	text, err := json.Marshal(a)
	var entry *proposal
	if err == nil {
		entry, err = newProposal(kindAdopt, header{}, text)
	}
	if err == nil {
		err = n.disk.admit(refusedFrom[kindAdopt])
	}
	if err == nil {
		err = n.begin(ctx, entry)
	}
	if err != nil {
		return p, 0, errors.Join(err, n.store.Unstage(a))
	}
	// From here on the entry may be in the log, and a replay needs the files, also if it is
	// refused: a start removes those that nothing names once the manifest covers it.
	result, err := entry.wait(ctx)
	if err != nil {
		return p, 0, err
	}
	// Once the manifest has the project, nothing needs the state file.
	if err := n.Flush(ctx); err != nil {
		return p, 0, err
	}
	for _, s := range a.Segments {
		if s.Table == 0 {
			events += s.Rows
		}
	}
	return result.project, events, n.store.Unstage(a)
}

// chooseProject finds the project of a name, or the only one.
func chooseProject(s *storage.Store, name string) (storage.Project, error) {
	all := s.Projects()
	var names []string
	for _, p := range all {
		if names = append(names, p.Database); p.Database == name {
			return p, nil
		}
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	slices.Sort(names)
	if name != "" {
		return storage.Project{}, fmt.Errorf("%w: the backup has no project %q; it has %q", ErrWhichProject, name, names)
	}
	return storage.Project{}, fmt.Errorf("%w: the backup has several: %q", ErrWhichProject, names)
}

// ErrWhichProject is wrapped by the error of RestoreInto if it does not know which project of the
// backup is wanted.
var ErrWhichProject = errors.New("which project is to be restored")

// removeTree removes a directory and what is in it, if it is there.
func removeTree(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return nil //nolint:nilerr // it is not there, or no directory: whoever makes it says so
	}
	for _, name := range names {
		full := path.Join(dir, name)
		if fsys.Remove(full) == nil {
			continue
		}
		if err := removeTree(fsys, full); err != nil { // a directory with something in it
			return err
		}
	}
	return fsys.Remove(dir)
}
