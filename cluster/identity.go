package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"time"

	"github.com/google/uuid"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vfs"
)

// The files of a data directory that are not of the store, the log or Raft snapshots.
const (
	identityFile = "cluster.json"
	// restoringFile is there while a restore is under way: a directory with it is not whole.
	restoringFile = "RESTORING"
	backupFile    = "backup.json" // when the last backup was, for status
)

// dirFormat is the version of a data directory as a whole. A release reads all older ones.
//
//   - 1: the first release.
//   - 2: segments have the order of their rows.
//   - 3: rows of tables that users make may lie in an order that the table says.
const dirFormat = 3

// Identity says which cluster a data directory belongs to, and who wrote it. It is made
// once, when the directory is; a restore makes a new one.
type Identity struct {
	ID           string    `json:"id"`
	Epoch        uint64    `json:"epoch"` // one more than that of the cluster it was restored from
	Created      time.Time `json:"created"`
	Format       int       `json:"format"`
	FeatureLevel uint32    `json:"feature_level"` // the highest that an entry of the log may have
	Version      string    `json:"version"`       // of the program that opened it last
	// RestoredFrom is the cluster that a restore came from, and the last entry of it.
	RestoredFrom  string `json:"restored_from,omitempty"`
	RestoredIndex uint64 `json:"restored_index,omitempty"`
}

func newIdentity(version string, now time.Time) Identity {
	return Identity{ID: uuid.NewString(), Epoch: 1, Created: now.UTC(), Format: dirFormat, FeatureLevel: featureLevel, Version: version}
}

// identityOf is what the directory says of itself.
type identityOf struct {
	Identity json.RawMessage `json:"identity"`
	CRC      string          `json:"crc32c"`
}

func (id *Identity) write(fsys vfs.FS, dir string) error {
	body, err := json.Marshal(id)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(identityOf{body, fmt.Sprintf("%08x", crc32.Checksum(body, encoding.Table))})
	if err != nil {
		return err
	}
	return vfs.WriteFile(fsys, path.Join(dir, identityFile), append(raw, '\n'))
}

// readIdentity reads the identity of a directory; fs.ErrNotExist says that it has none.
func readIdentity(fsys vfs.FS, dir string) (Identity, error) {
	raw, err := vfs.ReadFile(fsys, path.Join(dir, identityFile), 1<<16)
	if err != nil {
		return Identity{}, err
	}
	var sealed identityOf
	err = json.Unmarshal(raw, &sealed)
	if sum := fmt.Sprintf("%08x", crc32.Checksum(sealed.Identity, encoding.Table)); err == nil && sum != sealed.CRC {
		err = fmt.Errorf("checksum %s, want %s", sum, sealed.CRC)
	}
	var id Identity
	if err == nil {
		err = json.Unmarshal(sealed.Identity, &id)
	}
	if same, bad := json.Marshal(sealed); err == nil && (bad != nil || !bytes.Equal(append(same, '\n'), raw)) {
		err = errors.New("damaged beside its content")
	}
	if err != nil {
		return Identity{}, fmt.Errorf("%s: %w; remove it to give the directory a new identity, under which its backups begin anew", identityFile, err)
	}
	return id, nil
}

// NewerError is returned by Open for a data directory that a newer release has written.
type NewerError struct {
	Dir           string
	Written, This string // versions of the two programs
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the data directory %s was written by prickle %s, and this is prickle %s, which cannot read it", e.Dir, e.Written, e.This)
}

// identify gives the identity of a data directory that is about to be opened, and makes
// one if there is none.
func identify(fsys vfs.FS, dir, version string, now time.Time) (Identity, error) {
	if err := whole(fsys, dir); err != nil {
		return Identity{}, err
	}
	id, err := readIdentity(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		id = newIdentity(version, now)
		return id, id.write(fsys, dir)
	}
	if err != nil {
		return id, err
	}
	if id.Format > dirFormat || id.FeatureLevel > featureLevel {
		return id, &NewerError{Dir: dir, Written: id.Version, This: version}
	}
	if id.Version != version || id.Format != dirFormat || id.FeatureLevel != featureLevel {
		id.Version, id.Format, id.FeatureLevel = version, dirFormat, featureLevel
		return id, id.write(fsys, dir)
	}
	return id, nil
}

// ErrHalfRestored is wrapped by the error of opening a directory whose restore did not end.
var ErrHalfRestored = errors.New("a restore into it did not end")

// whole refuses a directory whose restore did not end.
func whole(fsys vfs.FS, dir string) error {
	f, err := fsys.Open(path.Join(dir, restoringFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Close() // only opened
	return fmt.Errorf("%w: run the same prickle restore again, which goes on, or remove the directory", ErrHalfRestored)
}
