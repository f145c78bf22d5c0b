package manifest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"
	"sync/atomic"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vfs"
)

// A manifest file is a list of records:
//
//	+---------------+-----------+------------------+
//	| magic(8)      |           |                  |
//	| length(u32le) | crc32c(4) | an Edit, as JSON | …
//	+---------------+-----------+------------------+
//
// CURRENT holds the name of the file that counts, and a checksum. When a file has many
// edits, a new one is begun with the manifest as it is, and CURRENT is switched to it.
const (
	magic         = "prkmanf1"
	current       = "CURRENT"
	prefix        = "MANIFEST-"
	maxEdits      = 1000
	maxEditBytes  = 256 << 20
	maxFileBytes  = 1 << 30
	recordHeader  = 8
	maxCurrentLen = 256
)

// Log is the newest manifest and its file. It is used by one goroutine at a time, except
// that any may ask for the Manifest.
type Log struct {
	fs       vfs.FS
	dir      string
	file     vfs.File
	number   uint64
	end      int64
	edits    int
	manifest atomic.Pointer[Manifest]
	failed   error
	found    bool // Open found the file: what it holds may not be durable
}

// Open reads the manifest of a directory, or begins one if there is none. It changes nothing
// that is there; Renew comes before the first Commit.
func Open(fs vfs.FS, dir string) (*Log, error) {
	l := &Log{fs: fs, dir: dir}
	l.manifest.Store(&Manifest{})
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	any, known := false, false
	for _, n := range names {
		any = any || strings.HasPrefix(n, prefix) && !strings.HasSuffix(n, ".tmp")
		known = known || n == current
	}
	if !known && any && unused(fs, dir, names) {
		any = false
	}
	if !known {
		if any {
			return nil, fmt.Errorf("%s: %s is missing beside its manifests: restore the directory from a backup", dir, current)
		}
		return l, l.rewrite()
	}
	name, err := readCurrent(fs, path.Join(dir, current))
	if err != nil {
		return nil, err
	}
	if err := l.read(name); err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(dir, name), err)
	}
	return l, nil
}

// unused says that all there is of manifests is a first one without edits: the process
// ended between making it and naming it in CURRENT.
func unused(fs vfs.FS, dir string, names []string) bool {
	for _, n := range names {
		if !strings.HasPrefix(n, prefix) || strings.HasSuffix(n, ".tmp") {
			continue
		}
		raw, err := vfs.ReadFile(fs, path.Join(dir, n), maxFileBytes)
		if err != nil {
			return false
		}
		if m, _, _, err := decode(raw); err != nil || m.Applied > 0 {
			return false
		}
	}
	return true
}

// readCurrent gives the name that CURRENT holds.
func readCurrent(fs vfs.FS, name string) (string, error) {
	raw, err := vfs.ReadFile(fs, name, maxCurrentLen)
	if err != nil {
		return "", err
	}
	file, sum, ok := strings.Cut(strings.TrimSpace(string(raw)), " ")
	if !ok || sum != fmt.Sprintf("%08x", crc32.Checksum([]byte(file), encoding.Table)) || !strings.HasPrefix(file, prefix) {
		return "", fmt.Errorf("%s: damaged: %q does not name a manifest with its checksum; restore the directory from a backup", name, raw)
	}
	return file, nil
}

func (l *Log) read(name string) error {
	if _, err := fmt.Sscanf(strings.TrimPrefix(name, prefix), "%d", &l.number); err != nil {
		return fmt.Errorf("its name has no number")
	}
	raw, err := vfs.ReadFile(l.fs, path.Join(l.dir, name), maxFileBytes)
	if err != nil {
		return err
	}
	m, end, edits, err := decode(raw)
	if err != nil {
		return err
	}
	l.manifest.Store(m)
	l.end, l.edits = end, edits
	l.found = true
	// The file is opened for writing by giving it its own name anew.
	l.file, err = l.fs.ReuseForWrite(path.Join(l.dir, name), path.Join(l.dir, name))
	return err
}

// Decode reads a manifest file; it is for looking at one.
func Decode(raw []byte, each func(Edit)) (*Manifest, error) {
	m, _, _, err := decodeEach(raw, each)
	return m, err
}

// Read reads the manifest of a directory and changes nothing. It gives the name of the
// file that counts, too.
func Read(fs vfs.FS, dir string) (*Manifest, string, error) {
	name, err := readCurrent(fs, path.Join(dir, current))
	if err != nil {
		return nil, current, err
	}
	raw, err := vfs.ReadFile(fs, path.Join(dir, name), maxFileBytes)
	if err != nil {
		return nil, name, err
	}
	m, _, _, err := decode(raw)
	return m, name, err
}

// Salvage reads as much of a directory's manifest as can be read, and changes nothing: it
// skips records that are damaged, and what does not fit because of them. The problems say
// what was skipped; the last record may be one that was torn when it was written.
func Salvage(fs vfs.FS, dir string) (m *Manifest, problems []error, err error) {
	m = &Manifest{}
	name, err := readCurrent(fs, path.Join(dir, current))
	if err != nil {
		problems = append(problems, err)
		names, err := fs.List(dir)
		if err != nil {
			return nil, nil, err
		}
		for _, n := range names { // ascending: the last is the newest
			if strings.HasPrefix(n, prefix) && !strings.HasSuffix(n, ".tmp") {
				name = n
			}
		}
		if name == "" {
			return m, problems, nil
		}
	}
	raw, err := vfs.ReadFile(fs, path.Join(dir, name), maxFileBytes)
	if err != nil {
		return m, append(problems, err), nil
	}
	if len(raw) < len(magic) {
		return m, append(problems, fmt.Errorf("%s: %d bytes are no manifest", name, len(raw))), nil
	}
	for at := len(magic); at < len(raw); {
		e, n, err := record(raw[at:])
		if err == nil {
			m = m.salvage(&e)
			at += n
			continue
		}
		problems = append(problems, fmt.Errorf("%s: record at byte %d: %w", name, at, err))
		next := goodAfter(raw[at:])
		if next == 0 {
			break
		}
		at += next
	}
	return m, problems, nil
}

// salvage is apply that leaves out what does not fit.
func (m *Manifest) salvage(e *Edit) *Manifest {
	fit := *e
	fit.Remove, fit.Add, fit.RemoveRuns, fit.AddRuns = nil, nil, nil, nil
	gone := map[uint64]bool{}
	for _, id := range e.Remove {
		if _, ok := m.Segments[id]; ok && !gone[id] {
			gone[id] = true
			fit.Remove = append(fit.Remove, id)
		}
	}
	for _, s := range e.Add {
		if _, ok := m.Segments[s.ID]; !ok || gone[s.ID] {
			fit.Add = append(fit.Add, s)
		}
	}
	goneRuns := map[uint64]bool{}
	for _, n := range e.RemoveRuns {
		if _, ok := m.Runs[n]; ok && !goneRuns[n] {
			goneRuns[n] = true
			fit.RemoveRuns = append(fit.RemoveRuns, n)
		}
	}
	for _, r := range e.AddRuns {
		if _, ok := m.Runs[r.Number]; !ok || goneRuns[r.Number] {
			fit.AddRuns = append(fit.AddRuns, r)
		}
	}
	out, err := m.apply(&fit)
	if err != nil { // an edit that adds a segment twice
		return m
	}
	return out
}

func decode(raw []byte) (*Manifest, int64, int, error) { return decodeEach(raw, func(Edit) {}) }

// decodeEach reads records up to the end, or up to one that was torn: the last, cut short
// or with bytes that were never written. A bad record with a good one behind it is damage.
func decodeEach(raw []byte, each func(Edit)) (*Manifest, int64, int, error) {
	if len(raw) < len(magic) || string(raw[:len(magic)]) != magic {
		return nil, 0, 0, errors.New("not a manifest, or one of a newer version")
	}
	m, at, edits := &Manifest{}, int64(len(magic)), 0
	for at < int64(len(raw)) {
		e, n, err := record(raw[at:])
		if err != nil {
			if next := goodAfter(raw[at:]); next > 0 {
				return nil, 0, 0, fmt.Errorf("record at byte %d: %w, but a whole one follows at byte %d: restore the directory from a backup", at, err, at+int64(next))
			}
			break
		}
		if err := m.edit(&e); err != nil {
			return nil, 0, 0, fmt.Errorf("record at byte %d: %w", at, err)
		}
		each(e)
		at += int64(n)
		edits++
	}
	return m, at, edits, nil
}

// record reads one record, and says how long it is.
func record(raw []byte) (Edit, int, error) {
	var e Edit
	if len(raw) < recordHeader {
		return e, 0, errors.New("cut short")
	}
	n := binary.LittleEndian.Uint32(raw)
	if n == 0 || n > maxEditBytes || int(n) > len(raw)-recordHeader {
		return e, 0, fmt.Errorf("length %d does not fit", n)
	}
	body := raw[recordHeader : recordHeader+n]
	if got, want := crc32.Checksum(body, encoding.Table), binary.LittleEndian.Uint32(raw[4:]); got != want {
		return e, 0, fmt.Errorf("checksum %08x, want %08x", got, want)
	}
	return e, recordHeader + int(n), json.Unmarshal(body, &e)
}

// goodAfter is the position of a whole record behind a bad one, or 0. Records are JSON
// objects, so their beginnings are easy to find.
func goodAfter(raw []byte) int {
	for i := 1; i+recordHeader < len(raw); i++ {
		if raw[i+recordHeader] == '{' {
			if _, _, err := record(raw[i:]); err == nil {
				return i
			}
		}
	}
	return 0
}

// Manifest is the newest one.
func (l *Log) Manifest() *Manifest { return l.manifest.Load() }

// Name is the name of the file that counts, without the directory.
func (l *Log) Name() string { return fileName(l.number) }

func fileName(number uint64) string { return fmt.Sprintf("%s%06d", prefix, number) }

// Commit makes an edit durable. After an error the log takes no more edits: what is on
// disk is not known.
func (l *Log) Commit(e Edit) error {
	if l.failed != nil {
		return l.failed
	}
	next, err := l.Manifest().apply(&e)
	if err != nil {
		return err
	}
	if err := l.append(&e); err != nil {
		l.failed = fmt.Errorf("manifest: %w", err)
		return l.failed
	}
	l.manifest.Store(next)
	if l.edits >= maxEdits {
		if err := l.rewrite(); err != nil {
			l.failed = fmt.Errorf("manifest: %w", err)
			return l.failed
		}
	}
	return nil
}

func (l *Log) append(e *Edit) error {
	raw, err := appendRecord(nil, e)
	if err != nil {
		return err
	}
	if _, err := l.file.WriteAt(raw, l.end); err != nil {
		return err
	}
	if err := l.file.SyncData(); err != nil {
		return err
	}
	l.end += int64(len(raw))
	l.edits++
	return nil
}

func appendRecord(dst []byte, e *Edit) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(body, encoding.Table))
	return append(dst, body...), nil
}

// Renew makes durable what Open found. A process that was killed between a write and its
// sync, or whose sync failed, leaves records that can be read and that a power loss takes
// away; and another sync of that file need not help. So they are written anew. Until then
// no file may be removed because the manifest does not name it.
func (l *Log) Renew() error {
	if !l.found {
		return nil
	}
	l.found = false
	return l.rewrite()
}

// rewrite begins a new file with the manifest as it is, and switches to it.
func (l *Log) rewrite() error {
	number := l.number + 1
	name := fileName(number)
	raw, err := l.Manifest().encode()
	if err != nil {
		return err
	}
	full := path.Join(l.dir, name)
	if err := vfs.WriteFile(l.fs, full, raw); err != nil {
		return err
	}
	file, err := l.fs.ReuseForWrite(full, full)
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(l.fs, path.Join(l.dir, current), pointer(name)); err != nil {
		file.Close() // the first error is the one that matters
		return err
	}
	old, oldNumber := l.file, l.number
	l.file, l.number, l.end, l.edits = file, number, int64(len(raw)), 1
	if old == nil {
		return nil
	}
	if err := old.Close(); err != nil {
		return err
	}
	return l.fs.Remove(path.Join(l.dir, fileName(oldNumber)))
}

// encode is a file with the manifest and nothing of how it came to be: one record.
func (m *Manifest) encode() ([]byte, error) {
	whole := m.whole()
	return appendRecord([]byte(magic), &whole)
}

// pointer is the content of CURRENT.
func pointer(name string) []byte {
	return fmt.Appendf(nil, "%s %08x\n", name, crc32.Checksum([]byte(name), encoding.Table))
}

// Files gives the content of the files that make a directory hold m, by their names.
func (m *Manifest) Files() (map[string][]byte, error) {
	raw, err := m.encode()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{fileName(1): raw, current: pointer(fileName(1))}, nil
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }

var _ io.Closer = (*Log)(nil)
