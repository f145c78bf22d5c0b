package storage

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/table"
)

// memtable is applied batches that no segment holds yet. Its lists are changed under
// Store.mu, until it is sealed.
type memtable struct {
	batches map[uint32][]*memBatch // by project, in order of arrival
	views   map[uint32]*viewList
	rows    int64
	bytes   int64         // about, in memory
	pool    *memory.Pool  // counts bytes, and the images
	cache   *memory.Cache // bounds what is derived of images
	last    uint64        // highest index applied while the table was active; 0: none
	// firstTime is of the first entry, in µs since 1970 UTC.
	firstTime int64
	epoch     uint64 // one more than that of the memtable before; the rows of user tables carry it
	// What the flush writes beside segments; set when the table is sealed.
	state     []byte
	rules     map[uint32]rules // by project, as the table was sealed
	fullState bool
	dropped   []uint32
	exchanged exchange
	hash      uint64                   // of the state after the entry last
	tables    map[uint32]*table.Tables // of projects whose tables changed
	replaced  []uint64                 // segments of tables that its flush replaces
	keys      *dedup.Sealed            // of its events
	flushed   bool                     // it is in segments, and what those replace is gone; under Store.mu
}

// memBatch is a batch in a memtable. It is immutable.
type memBatch struct {
	batch    *event.Batch
	ordinals []uint32
	rows     []uint32 // rows that are stored; nil means all
}

func newMemtable(pool *memory.Pool, cache *memory.Cache) *memtable {
	return &memtable{batches: map[uint32][]*memBatch{}, views: map[uint32]*viewList{}, pool: pool, cache: cache}
}

// free ends the counting of a table that is not the store's any more; queries may still
// read it.
func (m *memtable) free() {
	m.pool.Release(m.bytes)
	m.cache.Forget(m) // what is decoded of its encoded rows
	for _, v := range m.views {
		v.free()
	}
}

func (m *memtable) note(index uint64, at int64) {
	if m.last == 0 {
		m.firstTime = at
	}
	m.last = index
}

// hold counts memory that the table takes.
func (m *memtable) hold(bytes int64) {
	m.bytes += bytes
	m.pool.Add(bytes)
}

func (m *memtable) add(project uint32, b *memBatch) {
	m.batches[project] = append(m.batches[project], b)
	m.rows += int64(b.len())
	m.hold(b.bytes())
	if m.views[project] == nil {
		m.views[project] = &viewList{pool: m.pool, cache: m.cache}
	}
}

func (b *memBatch) len() int {
	if b.rows != nil {
		return len(b.rows)
	}
	return b.batch.Rows
}

// fewBytes is what a property of a batch takes beside its codes and values: of one that few rows have,
// about as much as these. (Of others it is not counted, as when there were no such properties.)
const fewBytes = 256

// bytes is about the memory that a batch takes. Seals depend on it, so it must not depend
// on whether the batch was decoded from the log or never left this process.
func (b *memBatch) bytes() int64 {
	e := b.batch
	n := int64(e.Rows) * (16 + 8 + 4 + 4 + 4 + dedup.RowBytes)
	n += int64(len(e.Name.Values.Bytes) + len(e.DistinctID.Values.Bytes))
	for i := range e.Props {
		p := &e.Props[i]
		n += int64(p.Codes.Kept()*event.CodeBytes(uint32(p.Values.Len()))) + int64(len(p.Values.Bytes)) + int64(p.Values.Len())*5
		if rows, few := p.Codes.Some(); few {
			n += int64(4*len(rows)) + fewBytes
		}
	}
	return n
}

func (b *memBatch) input() segment.Input {
	return segment.Input{Batch: b.batch, Ordinals: b.ordinals, Rows: b.rows}
}

// viewList is the images of one project's batches, which queries read. Images are made
// when a query wants them: one for the batches that came since the last. Images that have
// become small beside the new one are made again together with it, so that a batch is
// sorted a logarithmic number of times, and a query meets a logarithmic number of images.
// One of viewRows stays as it is: a query during a bulk load waits for what came since the
// last, and not for all of the memtable.
type viewList struct {
	pool  *memory.Pool // counts the images
	cache *memory.Cache

	mu    sync.Mutex
	views []view
	bytes int64
	freed bool // the images are not counted any more
}

// count notes that images of so many bytes came or went. The caller holds mu.
func (v *viewList) count(bytes int64) {
	if !v.freed {
		v.bytes += bytes
		v.pool.Add(bytes)
	}
}

func (v *viewList) free() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.views {
		v.forget(&v.views[i])
	}
	v.count(-v.bytes)
	v.freed = true
}

// viewRows is how many rows a view gets at most, one batch aside: a memtable that is full is
// two views. A query each 50,000 rows of a load of two million waited 3.6 to 6.4 s at the longest
// without the bound, and 2.0 to 2.5 s with it, on two busy cores. Tests lower it.
var viewRows = 512 << 10

// view is the images of batches [from, to), one for each month that they touch.
type view struct {
	from, to int
	rows     int
	images   []*image
}

// forget ends the counting of what is derived of images that go.
func (v *viewList) forget(gone *view) {
	for _, im := range gone.images {
		v.cache.Forget(im.Reader.Owner())
	}
}

// image is rows of the memtable as a segment in memory.
type image struct {
	*segment.Reader
	alive   atomic.Pointer[liveness]
	derived derived
}

func (v *view) bytes() int64 {
	n := int64(0)
	for _, r := range v.images {
		n += r.Size()
	}
	return n
}

// images gives images of exactly the batches there are.
func (v *viewList) images(batches []*memBatch) ([]*image, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	covered := 0
	if n := len(v.views); n > 0 {
		covered = v.views[n-1].to
	}
	if covered > len(batches) {
		// Another query saw more batches: this one's stretch is made for it alone.
		return v.upTo(batches)
	}
	if covered < len(batches) {
		from, rows := covered, 0
		for _, b := range batches[covered:] {
			rows += b.len()
		}
		keep := len(v.views)
		for keep > 0 && v.views[keep-1].rows < viewRows && v.views[keep-1].rows <= 2*rows {
			keep--
			from = v.views[keep].from
			rows += v.views[keep].rows
		}
		fresh, err := makeViews(batches, from)
		if err != nil {
			return nil, err
		}
		for i := range fresh {
			v.count(fresh[i].bytes())
		}
		for _, old := range v.views[keep:] {
			v.forget(&old)
			v.count(-old.bytes())
		}
		v.views = append(v.views[:keep:keep], fresh...)
	}
	return v.all(len(v.views)), nil
}

// upTo gives images of fewer batches than the newest view covers.
func (v *viewList) upTo(batches []*memBatch) ([]*image, error) {
	n := 0
	from := 0
	for n < len(v.views) && v.views[n].to <= len(batches) {
		from = v.views[n].to
		n++
	}
	out := v.all(n)
	rest, err := makeViews(batches, from)
	for i := range rest {
		out = append(out, rest[i].images...)
	}
	return out, err
}

func (v *viewList) all(n int) []*image {
	var out []*image
	for _, view := range v.views[:n] {
		out = append(out, view.images...)
	}
	return out
}

// makeViews makes views of the batches from one on, on all cores.
func makeViews(batches []*memBatch, from int) ([]view, error) {
	var views []view
	for from < len(batches) {
		v := view{from: from}
		for from < len(batches) && v.rows < viewRows {
			v.rows += batches[from].len()
			from++
		}
		v.to = from
		views = append(views, v)
	}
	type job struct {
		part *part
		into **image
	}
	var jobs []job
	for i := range views {
		v := &views[i]
		parts := partition(batches[v.from:v.to], monthOf)
		v.images = make([]*image, len(parts))
		for k := range parts {
			jobs = append(jobs, job{parts[k], &v.images[k]})
		}
	}
	errs := make([]error, len(jobs))
	onAllCores(len(jobs), func(i int) { *jobs[i].into, errs[i] = buildImage(jobs[i].part) })
	return views, errors.Join(errs...)
}

func buildImage(part *part) (*image, error) {
	raw, err := segment.Build(part.inputs, part.firstDay, part.days, segment.Options{Image: true})
	if err != nil {
		return nil, err
	}
	r, err := segment.OpenBytes(raw)
	if err != nil {
		return nil, err
	}
	return &image{Reader: r}, nil
}
