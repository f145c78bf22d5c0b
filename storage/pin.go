package storage

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vfs"
)

// Pin is the files of the store at one manifest: segments, state files and dedup runs. None
// of them changes or goes before Release, whatever is flushed and merged meanwhile.
type Pin struct {
	// Manifest is what the files are of. It may be ahead of what was applied when Pin was
	// called, and covers at least what was durable then.
	Manifest *manifest.Manifest
	Files    []PinnedFile

	pins  *pins
	names []string // with the directory
	once  sync.Once
}

// PinnedFile is one of them.
type PinnedFile struct {
	Name string // slash-separated, from the store's directory
	Size int64  // bytes
	Hash string // xxh3-128 of what was written, hex
}

// Pin takes hold of the files that the newest manifest names. Then it reads state files and
// dedup runs, which the manifest has no hash of.
func (s *Store) Pin() (*Pin, error) {
	s.mu.Lock()
	err := s.usable()
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	p := &Pin{pins: s.pins}
	// A file goes only after an edit that takes its name away: not while logMu is held.
	s.logMu.Lock()
	p.Manifest = s.log.Manifest()
	for _, id := range slices.Sorted(maps.Keys(p.Manifest.Segments)) {
		f := p.Manifest.Segments[id]
		p.Files = append(p.Files, PinnedFile{path.Join(segmentDir, segmentName(id)), f.Size, f.Hash})
	}
	for _, state := range p.Manifest.States {
		p.Files = append(p.Files, PinnedFile{Name: path.Join(stateDir, state)})
	}
	for _, number := range slices.Sorted(maps.Keys(p.Manifest.Runs)) {
		p.Files = append(p.Files, PinnedFile{Name: path.Join(dedup.Dir, dedup.Name(number)), Size: p.Manifest.Runs[number].Size})
	}
	for _, f := range p.Files {
		p.names = append(p.names, path.Join(s.dir, f.Name))
	}
	s.pins.hold(p.names)
	s.logMu.Unlock()
	for i := range p.Files {
		if err := s.measure(&p.Files[i]); err != nil {
			p.Release()
			return nil, err
		}
	}
	return p, nil
}

// measure adds size and hash to a file that the manifest has no hash of.
func (s *Store) measure(f *PinnedFile) (err error) {
	if f.Hash != "" {
		return nil
	}
	name := path.Join(s.dir, f.Name)
	if path.Dir(f.Name) == dedup.Dir {
		f.Hash, err = fileHash(s.fs, name, f.Size)
	} else {
		var raw []byte
		if raw, err = vfs.ReadFile(s.fs, name, maxStateBytes); err == nil {
			_, err = stateBody(raw)
			f.Size, f.Hash = int64(len(raw)), hashOf(raw)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// fileHash is the hash of a file's first bytes, of which there are size.
func fileHash(fs vfs.FS, name string, size int64) (string, error) {
	f, err := fs.Open(name)
	if err != nil {
		return "", err
	}
	h := xxh3.New()
	n, err := io.Copy(h, io.NewSectionReader(f, 0, size))
	if err == nil && n < size {
		err = fmt.Errorf("%d bytes, want %d", n, size)
	}
	return fmt.Sprintf("%x", h.Sum128().Bytes()), errors.Join(err, f.Close())
}

// Release lets go of the files.
func (p *Pin) Release() { p.once.Do(func() { p.pins.release(p.names) }) }

// pins is the file system of a store. A file that somebody holds is removed when the last
// one lets go of it, so that whoever removes files need not know of pins.
type pins struct {
	vfs.FS
	logger *slog.Logger

	mu   sync.Mutex
	held map[string]pinnedFile
}

type pinnedFile struct {
	holds int
	gone  bool // to be removed
}

func (p *pins) hold(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		f := p.held[name]
		f.holds++
		p.held[name] = f
	}
}

func (p *pins) release(names []string) {
	var gone []string
	p.mu.Lock()
	for _, name := range names {
		f := p.held[name]
		if f.holds--; f.holds > 0 {
			p.held[name] = f
			continue
		}
		delete(p.held, name)
		if f.gone {
			gone = append(gone, name)
		}
	}
	p.mu.Unlock()
	for _, name := range gone {
		if err := p.FS.Remove(name); err != nil {
			p.logger.Warn("a file that was pinned stays", "file", name, "error", err)
		}
	}
}

// Remove removes a file, now or when nobody holds it.
func (p *pins) Remove(name string) error {
	p.mu.Lock()
	f, held := p.held[name]
	if held {
		f.gone = true
		p.held[name] = f
	}
	p.mu.Unlock()
	if held {
		return nil
	}
	return p.FS.Remove(name)
}
