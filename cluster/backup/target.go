package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/blob"
)

const (
	objectDir = "objects"
	latest    = "LATEST"
	// streams is how many objects travel at once: enough to hide what a request to a
	// distant service costs.
	streams = 4
)

// Target is the backups of one group of a cluster in a store. It may be used by many
// goroutines at once; one process at a time writes to it.
type Target struct {
	store   blob.Store
	cluster string
	group   int
}

// NewTarget names the backups of a cluster.
func NewTarget(store blob.Store, cluster string) *Target {
	return &Target{store: blob.Within(store, cluster), cluster: cluster}
}

// Clusters lists the clusters that have something in a store.
func Clusters(ctx context.Context, store blob.Store) ([]string, error) {
	names, err := store.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		below, err := store.List(ctx, name)
		if errors.Is(err, syscall.ENOTDIR) {
			continue // a file beside the folders of clusters
		}
		if err != nil {
			return nil, err
		}
		if slices.Contains(below, "manifests") || slices.Contains(below, "log") {
			out = append(out, name)
		}
	}
	return out, nil
}

// Cluster is the id of the cluster.
func (t *Target) Cluster() string { return t.cluster }

func (t *Target) dir(what string) string { return path.Join(what, strconv.Itoa(t.group)) }

func (t *Target) manifestName(index uint64) string {
	return path.Join(t.dir("manifests"), fmt.Sprintf("%020d.json", index))
}

// named adds an object's whole name to an error.
func (t *Target) named(name string, err error) error {
	return fmt.Errorf("%s/%s: %w", t.store, name, err)
}

// put stores bytes and reads them back.
func (t *Target) put(ctx context.Context, name string, raw []byte) error {
	if err := t.store.Put(ctx, name, bytes.NewReader(raw), int64(len(raw)), false); err != nil {
		return err
	}
	back, err := blob.ReadAll(ctx, t.store, name, int64(len(raw)))
	if err != nil {
		return t.named(name, fmt.Errorf("reading back: %w", err))
	}
	if !bytes.Equal(raw, back) {
		return t.named(name, errors.New("what is read back is not what was written"))
	}
	return nil
}

// Progress is how far an upload or a download is.
type Progress struct {
	Bytes, TotalBytes int64
}

// TargetError is returned by Upload when the store cannot be read at all.
type TargetError struct {
	Store string
	Err   error
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("the backup target %s cannot be reached: %v", e.Store, e.Err)
}

func (e *TargetError) Unwrap() error { return e.Err }

// Upload stores a backup: first the objects that are not there yet, each read back, then
// the manifest. open gives a file's content. It says how many bytes were new.
func (t *Target) Upload(ctx context.Context, m *Manifest, open func(File) (io.ReadCloser, error), report func(Progress)) (fresh int64, err error) {
	m.Format, m.Cluster, m.Group = format, t.cluster, t.group
	names, err := t.store.List(ctx, objectDir)
	if err != nil && ctx.Err() == nil {
		err = &TargetError{t.store.String(), err}
	}
	if err != nil {
		return 0, err
	}
	there := make(map[string]bool, len(names))
	for _, n := range names {
		there[n] = true
	}
	var sent atomic.Int64
	err = t.each(ctx, append(slices.Clone(m.Files), m.Tail), report, func(ctx context.Context, f File, moved func(int)) error {
		known := there[f.Hash]
		if known {
			size, err := t.store.Stat(ctx, path.Join(objectDir, f.Hash))
			if err != nil {
				return err
			}
			known = size == f.Size // an upload that ended early; what is whole is what its name says
		}
		if known {
			moved(int(f.Size))
			return nil
		}
		sent.Add(f.Size)
		return t.upload(ctx, f, open, moved)
	})
	if err != nil {
		return sent.Load(), err
	}
	raw, err := m.encode()
	if err != nil {
		return sent.Load(), err
	}
	name := t.manifestName(m.Index)
	_, before := t.store.Stat(ctx, name)
	if err := t.put(ctx, name, raw); err != nil {
		if errors.Is(before, blob.ErrNotFound) { // one that could not be read back is not to be listed
			t.store.Delete(context.WithoutCancel(ctx), name) // err says what matters
		}
		return sent.Load(), err
	}
	return sent.Load(), t.put(ctx, latest, fmt.Appendf(nil, "%s %s\n", name, HashOf([]byte(name))))
}

// upload stores one file as an object.
func (t *Target) upload(ctx context.Context, f File, open func(File) (io.ReadCloser, error), moved func(int)) error {
	r, err := open(f)
	if err != nil {
		return err
	}
	size, hash, err := sum(ctx, r, func(int) {})
	if closing := r.Close(); err == nil {
		err = closing
	}
	if err == nil && (size != f.Size || hash != f.Hash) {
		err = fmt.Errorf("%d bytes with hash %s, want %d with %s: the file is damaged; prickle verify says where", size, hash, f.Size, f.Hash)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	if r, err = open(f); err != nil {
		return err
	}
	defer r.Close() // only read
	name := path.Join(objectDir, f.Hash)
	if err := t.store.Put(ctx, name, r, f.Size, false); err != nil {
		return err
	}
	return t.checkObject(ctx, f, io.Discard, moved)
}

// checkObject copies an object to w and compares it with what it should be.
func (t *Target) checkObject(ctx context.Context, f File, w io.Writer, moved func(int)) error {
	name := path.Join(objectDir, f.Hash)
	r, err := t.store.Get(ctx, name, 0, -1)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	defer r.Close() // only read
	size, hash, err := sum(ctx, io.TeeReader(r, w), moved)
	if err != nil {
		return t.named(name, fmt.Errorf("%s: %w", f.Name, err))
	}
	if size != f.Size || hash != f.Hash {
		return t.named(name, fmt.Errorf("%s: %d bytes with hash %s, want %d bytes", f.Name, size, hash, f.Size))
	}
	return nil
}

// Fetch copies the content of a file to w, and says at the end whether it was what it should be.
func (t *Target) Fetch(ctx context.Context, f File, w io.Writer) error {
	return t.checkObject(ctx, f, w, func(int) {})
}

// Part gives some bytes of a file, unchecked.
func (t *Target) Part(ctx context.Context, f File, off, size int64) ([]byte, error) {
	name := path.Join(objectDir, f.Hash)
	r, err := t.store.Get(ctx, name, off, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	defer r.Close() // only read
	raw := make([]byte, size)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, t.named(name, fmt.Errorf("%s: %d bytes at %d: %w", f.Name, size, off, err))
	}
	return raw, nil
}

// Each does something with every file, several at once. It ends with the first error.
func (t *Target) Each(ctx context.Context, files []File, do func(context.Context, File) error) error {
	return t.each(ctx, files, nil, func(ctx context.Context, f File, _ func(int)) error { return do(ctx, f) })
}

// sum reads to the end, and gives size and hash.
func sum(ctx context.Context, r io.Reader, moved func(int)) (int64, string, error) {
	h := xxh3.New()
	buf := make([]byte, 256<<10)
	size := int64(0)
	for {
		n, err := r.Read(buf)
		h.Write(buf[:n]) // it cannot fail
		size += int64(n)
		moved(n)
		if err == io.EOF {
			hash := h.Sum128().Bytes()
			return size, fmt.Sprintf("%x", hash), nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return size, "", err
		}
	}
}

// each does something with every file, several at once, and reports how far it is. It ends
// with the first error.
func (t *Target) each(ctx context.Context, files []File, report func(Progress), do func(context.Context, File, func(int)) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	total, done := int64(0), atomic.Int64{}
	for i := range files {
		total += files[i].Size
	}
	moved := func(n int) {
		at := done.Add(int64(n))
		if report != nil {
			report(Progress{at, total})
		}
	}
	work := make(chan File)
	var running sync.WaitGroup
	for range streams {
		running.Go(func() {
			for f := range work {
				if err := do(ctx, f, moved); err != nil {
					cancel(err)
				}
			}
		})
	}
feed:
	for _, f := range files {
		select {
		case work <- f:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	running.Wait()
	return context.Cause(ctx)
}

// Download gives the content of files, checked. create gives the place for one, which is
// closed when all of it is there and is what it should be.
func (t *Target) Download(ctx context.Context, files []File, create func(File) (io.WriteCloser, error), report func(Progress)) error {
	return t.each(ctx, files, report, func(ctx context.Context, f File, moved func(int)) error {
		w, err := create(f)
		if err != nil || w == nil { // it is there already
			if err == nil {
				moved(int(f.Size))
			}
			return err
		}
		if err := t.checkObject(ctx, f, w, moved); err != nil {
			w.Close() // err says what matters
			return err
		}
		return w.Close()
	})
}

// Manifests lists the indexes of all backups, ascending.
func (t *Target) Manifests(ctx context.Context) ([]uint64, error) {
	names, err := t.store.List(ctx, t.dir("manifests"))
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, n := range names {
		digits, ok := strings.CutSuffix(n, ".json")
		index, err := strconv.ParseUint(digits, 10, 64)
		if !ok || err != nil || n != path.Base(t.manifestName(index)) {
			return nil, t.named(path.Join(t.dir("manifests"), n), errors.New("not the name of a manifest"))
		}
		out = append(out, index)
	}
	return out, nil
}

// Manifest reads the backup at an index.
func (t *Target) Manifest(ctx context.Context, index uint64) (*Manifest, error) {
	name := t.manifestName(index)
	raw, err := blob.ReadAll(ctx, t.store, name, maxManifestBytes)
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(raw)
	if err != nil {
		return nil, t.named(name, err)
	}
	if m.Index != index || m.Cluster != t.cluster || m.Group != t.group {
		return nil, t.named(name, fmt.Errorf("it is of entry %d of group %d of cluster %s", m.Index, m.Group, m.Cluster))
	}
	return m, nil
}

// Tail reads the piece of log that belongs to a manifest.
func (t *Target) Tail(ctx context.Context, m *Manifest) (*Piece, error) {
	if m.Tail.Size > maxTailBytes {
		return nil, fmt.Errorf("%s: tail of %d bytes", t.manifestName(m.Index), m.Tail.Size)
	}
	var raw bytes.Buffer
	if err := t.checkObject(ctx, m.Tail, &raw, func(int) {}); err != nil {
		return nil, err
	}
	p, err := DecodePiece(raw.Bytes())
	if err != nil {
		return nil, t.named(path.Join(objectDir, m.Tail.Hash), err)
	}
	return p, nil
}

// Span is the entries of a piece: First to Last.
type Span struct{ First, Last uint64 }

func (t *Target) pieceName(s Span) string {
	return path.Join(t.dir("log"), fmt.Sprintf("%020d-%020d.zst", s.First, s.Last))
}

// Pieces lists the archived pieces of the log, ascending.
func (t *Target) Pieces(ctx context.Context) ([]Span, error) {
	names, err := t.store.List(ctx, t.dir("log"))
	if err != nil {
		return nil, err
	}
	var out []Span
	for _, n := range names {
		var s Span
		if _, err := fmt.Sscanf(n, "%d-%d.zst", &s.First, &s.Last); err != nil || n != path.Base(t.pieceName(s)) || s.Last < s.First {
			return nil, t.named(path.Join(t.dir("log"), n), errors.New("not the name of a piece of the log"))
		}
		out = append(out, s)
	}
	return out, nil
}

// Piece reads a piece of the log.
func (t *Target) Piece(ctx context.Context, s Span) (*Piece, error) {
	name := t.pieceName(s)
	raw, err := blob.ReadAll(ctx, t.store, name, maxTailBytes)
	if err != nil {
		return nil, err
	}
	p, err := DecodePiece(raw)
	if err != nil {
		return nil, t.named(name, err)
	}
	if p.Head.First != s.First || p.Head.Last != s.Last || p.Head.Cluster != t.cluster || p.Head.Group != t.group {
		return nil, t.named(name, fmt.Errorf("it is of entries %d to %d of group %d of cluster %s", p.Head.First, p.Head.Last, p.Head.Group, p.Head.Cluster))
	}
	return p, nil
}

// PutPiece archives entries of the log, and reads them back.
func (t *Target) PutPiece(ctx context.Context, p *Piece) error {
	p.Head.Cluster, p.Head.Group = t.cluster, t.group
	raw, err := EncodePiece(p)
	if err != nil {
		return err
	}
	name := t.pieceName(Span{p.Entries[0].Index, p.Entries[len(p.Entries)-1].Index})
	if err := t.put(ctx, name, raw); err != nil {
		t.store.Delete(context.WithoutCancel(ctx), name) // what could not be read back; err says what matters
		return err
	}
	return nil
}

// Problem is one thing that is wrong in a backup.
type Problem struct {
	Object string
	Err    error
}

// Verify reads everything that there is of a cluster and gives what is wrong.
func (t *Target) Verify(ctx context.Context, report func(Progress)) (problems []Problem, objects int, err error) {
	var mu sync.Mutex
	add := func(object string, err error) {
		mu.Lock()
		defer mu.Unlock()
		problems = append(problems, Problem{object, err})
	}
	indexes, err := t.Manifests(ctx)
	if err != nil {
		return nil, 0, err
	}
	files := map[string]File{}
	for _, index := range indexes {
		m, err := t.Manifest(ctx, index)
		if err != nil {
			add(t.manifestName(index), err)
			continue
		}
		for _, f := range append(m.Files, m.Tail) {
			files[f.Hash] = f
		}
		if _, err := t.Tail(ctx, m); err != nil {
			add(path.Join(objectDir, m.Tail.Hash), err)
			delete(files, m.Tail.Hash)
		}
	}
	// Objects that no manifest names are checked too: the next backup counts on them.
	names, err := t.store.List(ctx, objectDir)
	if err != nil {
		return nil, 0, err
	}
	for _, n := range names {
		if _, named := files[n]; named || len(n) != 32 {
			continue
		}
		size, err := t.store.Stat(ctx, path.Join(objectDir, n))
		if err != nil {
			return nil, 0, err
		}
		files[n] = File{Name: "no manifest names it", Size: size, Hash: n}
	}
	list := make([]File, 0, len(files))
	for _, f := range files {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Hash, b.Hash) })
	err = t.each(ctx, list, report, func(ctx context.Context, f File, moved func(int)) error {
		if err := t.checkObject(ctx, f, io.Discard, moved); err != nil && ctx.Err() == nil {
			add(path.Join(objectDir, f.Hash), err)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, 0, err
	}
	spans, err := t.Pieces(ctx)
	if err != nil {
		return nil, 0, err
	}
	end := uint64(0)
	for i, s := range spans {
		if i > 0 && s.First > end+1 && !bridged(indexes, s) {
			add(t.pieceName(s), fmt.Errorf("entries %d to %d are not in the archive", end+1, s.First-1))
		}
		end = max(end, s.Last)
		if _, err := t.Piece(ctx, s); err != nil {
			add(t.pieceName(s), err)
		}
	}
	if len(indexes) > 0 {
		if err := t.checkLatest(ctx, indexes); err != nil {
			add(latest, err)
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Object, b.Object) })
	return problems, len(list) + len(indexes) + len(spans), nil
}

// bridged says whether a backup lies where pieces go on after a gap, so that they can be
// used from there.
func bridged(indexes []uint64, s Span) bool {
	return slices.ContainsFunc(indexes, func(index uint64) bool { return index+1 >= s.First && index <= s.Last })
}

// checkLatest compares LATEST with the manifests that there are.
func (t *Target) checkLatest(ctx context.Context, indexes []uint64) error {
	raw, err := blob.ReadAll(ctx, t.store, latest, 4096)
	if err != nil {
		return err
	}
	name, hash, _ := strings.Cut(strings.TrimSuffix(string(raw), "\n"), " ")
	if HashOf([]byte(name)) != hash {
		return t.named(latest, fmt.Errorf("%q does not name a manifest with its hash", raw))
	}
	for _, index := range indexes {
		if t.manifestName(index) == name {
			return nil
		}
	}
	return t.named(latest, fmt.Errorf("it names %s, which is not there", name))
}

func unixNano(ns int64) time.Time { return time.Unix(0, ns) }

// String names the target for people.
func (t *Target) String() string { return t.store.String() }
