package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/zeebo/xxh3"
)

// format is the version of what this package writes. A manifest of a newer one is refused.
const format = 1

const (
	maxManifestBytes = 256 << 20 // two million files
	maxTailBytes     = 1 << 30   // as much log as a node keeps beside a Raft snapshot, several times
)

// File is a file of a data directory, and the object with its content.
type File struct {
	Name string `json:"name"` // slash-separated, from the data directory
	Size int64  `json:"size"` // bytes
	Hash string `json:"hash"` // xxh3-128 of the content, hex; the object's name
}

// Manifest is one backup: the files from which a node begins at an entry of the log.
type Manifest struct {
	Format  int    `json:"format"`
	Version string `json:"version"` // of the program that wrote it
	Cluster string `json:"cluster"`
	Epoch   uint64 `json:"epoch"` // of the cluster
	Group   int    `json:"group"`
	Index   uint64 `json:"index"` // of the last entry whose effects are in it
	Term    uint64 `json:"term"`  // of that entry
	// Time is of the last entry, Created when the backup was begun; no entry of this log
	// that is missing in the backup is older than Created.
	Time     time.Time `json:"time"`
	Created  time.Time `json:"created"`
	Events   int64     `json:"events"`
	Segments int       `json:"segments"`
	Files    []File    `json:"files"`
	// Tail is the piece of the log that a node needs beside the files. It ends at Index.
	Tail File `json:"tail"`
}

// Bytes is the size of all files.
func (m *Manifest) Bytes() int64 {
	n := m.Tail.Size
	for i := range m.Files {
		n += m.Files[i].Size
	}
	return n
}

// sealed is a manifest as it is stored: its bytes and their hash.
type sealed struct {
	Manifest json.RawMessage `json:"manifest"`
	Hash     string          `json:"xxh3_128"`
}

// encode gives the bytes of a manifest's object.
func (m *Manifest) encode() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{body, HashOf(body)})
}

// decodeManifest checks the bytes of a manifest's object.
func decodeManifest(raw []byte) (*Manifest, error) {
	var s sealed
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("not a manifest: %w", err)
	}
	if got := HashOf(s.Manifest); got != s.Hash {
		return nil, fmt.Errorf("hash %s, want %s", got, s.Hash)
	}
	if same, err := json.Marshal(s); err != nil || !bytes.Equal(same, raw) {
		return nil, errors.New("damaged beside its content")
	}
	var head struct {
		Format  int
		Version string
	}
	if err := json.Unmarshal(s.Manifest, &head); err != nil {
		return nil, err
	}
	if head.Format != format {
		return nil, fmt.Errorf("written by prickle %s in format %d, this release reads format %d: restore with prickle %s or newer", head.Version, head.Format, format, head.Version)
	}
	m := new(Manifest)
	if err := json.Unmarshal(s.Manifest, m); err != nil {
		return nil, err
	}
	for _, f := range append(m.Files[:len(m.Files):len(m.Files)], m.Tail) {
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// check refuses names that would lead out of a data directory.
func (f *File) check() error {
	if f.Name == "" || path.Clean(f.Name) != f.Name || path.IsAbs(f.Name) || f.Name == ".." || strings.HasPrefix(f.Name, "../") || strings.Contains(f.Name, "\\") {
		return fmt.Errorf("file %q: not a name within a data directory", f.Name)
	}
	if len(f.Hash) != 32 || strings.Trim(f.Hash, "0123456789abcdef") != "" || f.Size < 0 {
		return fmt.Errorf("file %q: %d bytes with hash %q", f.Name, f.Size, f.Hash)
	}
	return nil
}

// HashOf is the hash of a content as it is written in manifests.
func HashOf(raw []byte) string { return fmt.Sprintf("%x", xxh3.Hash128(raw).Bytes()) }
