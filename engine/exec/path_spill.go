package exec

import (
	"context"
	"sync"
	"unsafe"

	"github.com/prickledb/prickle/storage/vec"
)

// pathFiles divides counts of edges by what the edges are, whatever their breakdown values, and has them
// in files: those of an edge are in one. Several goroutines may add to it.
type pathFiles struct {
	*paths
	level int

	mu    sync.Mutex
	files [fanOut]*spillFile
	rooms *wordFile // rooms of short edges; nil: there are none
}

// pathChunk is how many counts are divided at a time.
const pathChunk = 1 << 14

// used says whether there are any.
func (f *pathFiles) used() bool { return len(f.list(nil)) > 0 }

// list adds the files to a list.
func (f *pathFiles) list(to []partition) []partition {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.files {
		if file != nil {
			to = append(to, partition{file, f.level})
		}
	}
	return to
}

// write adds counts.
func (f *pathFiles) write(ctx context.Context, list []pathCount) error {
	for ; len(list) > pathChunk; list = list[pathChunk:] {
		if err := f.write(ctx, list[:pathChunk]); err != nil {
			return err
		}
	}
	if err := yield(ctx); err != nil {
		return err
	}
	parts := make([]uint8, len(list))
	for i := range list {
		parts[i] = uint8(list[i].place()>>(60-4*f.level)) % fanOut // tables look at other bits
	}
	order, ends := inOrderOfParts(parts)
	step := f.env.blockRows(int64(len(list))*int64(unsafe.Sizeof(pathCount{})), len(list))
	lock(ctx, &f.mu)
	defer f.mu.Unlock()
	lo := 0
	for i, end := range ends {
		for ; lo < end; lo = min(lo+step, end) {
			if f.files[i] == nil {
				var err error
				if f.files[i], err = f.spills.create(); err != nil {
					return err
				}
			}
			if err := f.files[i].write(countsBatch(list, order[lo:min(lo+step, end)])); err != nil {
				return err
			}
		}
	}
	return nil
}

// countsBatch is some of the counts as a batch.
func countsBatch(list []pathCount, rows []uint32) *vec.Batch {
	b := &vec.Batch{Rows: len(rows)}
	for range 7 {
		b.Cols = append(b.Cols, &vec.Vector{Type: vec.T(vec.Int8), I64: make([]int64, len(rows))})
	}
	for i, r := range rows {
		c := &list[r]
		for at, x := range [...]int64{int64(c.value), int64(c.step), int64(c.source), int64(c.target), c.count, int64(c.hi), int64(c.time)} {
			b.Cols[at].I64[i] = x
		}
	}
	return b
}

// countsOf is the counts of a batch.
func countsOf(b *vec.Batch) []pathCount {
	out := make([]pathCount, b.Rows)
	of := func(at, i int) int64 { return b.Cols[at].I64[i] }
	for i := range out {
		key := pathKey{uint32(of(0, i)), uint32(of(1, i)), uint32(of(2, i)), uint32(of(3, i))}
		out[i] = pathCount{key, of(4, i), uint64(of(5, i)), uint64(of(6, i))}
	}
	return out
}

// relieve makes room if the walker holds too much: short edges go to a file, in rooms that are full, others
// that wait are counted, and counts go to files if they are half of what it has held.
func (k *pathWalker) relieve(ctx context.Context) error {
	most := k.held
	if k.p.short {
		most -= int64(parts) * k.p.form.roomBytes() // these are being filled
	}
	if !k.p.env.crowded(most) {
		return nil
	}
	counted := int64(0)
	for at := range k.counts {
		part := &k.counts[at]
		if err := k.fileRooms(part); err != nil {
			return err
		}
		k.grown += part.settle()
		if counted += int64(len(part.counts.list)) * pathCountBytes; counted > most/2 {
			if err := k.spill(ctx); err != nil {
				return err
			}
			counted = 0
		}
	}
	return k.hold(ctx)
}

// fileRooms writes the full rooms of a part to a file.
func (k *pathWalker) fileRooms(part *pathPart) error {
	if len(part.full) == 0 {
		return nil
	}
	file, err := k.p.files.roomFile()
	if err != nil {
		return err
	}
	for _, room := range part.full {
		at, err := file.write(&k.frame, room.lists()...)
		if err != nil {
			return err
		}
		part.filed = append(part.filed, at)
	}
	k.rooms -= len(part.full)
	k.grown -= int64(len(part.full)) * k.p.form.roomBytes()
	part.drop()
	return nil
}

// roomFile is the file of rooms.
func (f *pathFiles) roomFile() (*wordFile, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	if f.rooms == nil {
		f.rooms, err = f.spills.words()
	}
	return f.rooms, err
}

// lists is the words of a room.
func (r *edgeRoom) lists() [][]uint32 {
	if r.times == nil {
		return [][]uint32{r.keys[:]}
	}
	return [][]uint32{r.keys[:], r.times[:]}
}

// roomReader reads filed rooms, in memory that it uses again.
type roomReader struct {
	rooms []edgeRoom
	frame []byte
}

// mostFiled is how many filed rooms of a part are in memory at a time.
const mostFiled = 1024

// room reads the i-th room that is in memory.
func (r *roomReader) room(ctx context.Context, p *paths, i int, at int64) (*edgeRoom, error) {
	if i == len(r.rooms) {
		room := edgeRoom{keys: new(edgeNumbers)}
		if p.form.timed {
			room.times = new(edgeNumbers)
		}
		r.rooms = append(r.rooms, room)
		if err := p.hold(ctx, p.form.roomBytes()); err != nil {
			return nil, err
		}
	}
	return &r.rooms[i], p.files.rooms.read(&r.frame, at, r.rooms[i].lists()...)
}

// shortEdges is the short edges that walkers have in a part. Those of files are counted some at a time with
// the function, but for the last of them.
func (p *paths) shortEdges(ctx context.Context, walkers []pathWalker, at uint32, r *roomReader, count func([]shortEdges)) ([]shortEdges, error) {
	var list []shortEdges
	n := 0
	for i := range walkers {
		list = walkers[i].shortEdges(at, list)
		for _, place := range walkers[i].counts[at].filed {
			if n == mostFiled {
				count(list)
				list, n = list[:0], 0
			}
			room, err := r.room(ctx, p, n, place)
			if err != nil {
				return nil, err
			}
			list = append(list, room.edges(0))
			n++
		}
	}
	return list, nil
}

// spill writes the counts of the walker to files.
func (k *pathWalker) spill(ctx context.Context) error {
	if k.p == nil {
		return nil
	}
	chunk := make([]pathCount, 0, pathChunk)
	for at := range k.counts {
		part := &k.counts[at]
		for i := range part.counts.list {
			if chunk = append(chunk, part.counts.list[i]); len(chunk) == pathChunk {
				if err := k.p.files.write(ctx, chunk); err != nil {
					return err
				}
				chunk = chunk[:0]
			}
		}
		k.grown -= int64(len(part.counts.list)) * pathCountBytes
		part.counts = pathCounts{}
	}
	if err := k.p.files.write(ctx, chunk); err != nil {
		return err
	}
	return k.hold(ctx)
}

// countPart counts all edges that a walker has in a part, and has counts go to files where they are too many.
func (p *paths) countPart(ctx context.Context, walker []pathWalker, at uint32, r *roomReader) error {
	k := &walker[0]
	if k.p == nil {
		return nil // it has walked nobody
	}
	if err := yield(ctx); err != nil {
		return err
	}
	part := &k.counts[at]
	k.grown += part.settle()
	before := len(part.counts.list)
	count := func(list []shortEdges) {
		for _, c := range k.tally.count(&p.form, at, list, 1) {
			part.counts.add(&c)
		}
	}
	list, err := p.shortEdges(ctx, walker, at, r, count)
	if err != nil {
		return err
	}
	count(list)
	k.grown += int64(len(part.counts.list)-before) * pathCountBytes
	part.filed = nil
	k.dropRooms(at)
	if err := k.hold(ctx); err != nil {
		return err
	}
	if p.env.crowded(k.held) {
		return k.spill(ctx)
	}
	return nil
}

// mergeFiles counts what is in files and what walkers still have, and keeps what is wanted of it.
func (p *paths) mergeFiles(ctx context.Context, walkers []pathWalker, kept []edgeKeeper) error {
	err := parallel(ctx, len(walkers), func(ctx context.Context, w int) error {
		var r roomReader
		for at := range parts {
			if err := p.countPart(ctx, walkers[w:w+1], at, &r); err != nil {
				return err
			}
		}
		return walkers[w].spill(ctx)
	})
	if err != nil {
		return err
	}
	m := pathMerge{p, partitionQueue{work: p.files.list(nil)}}
	return parallel(ctx, len(kept), func(ctx context.Context, w int) error {
		for part := m.take(ctx); part != nil; part = m.take(ctx) {
			if err := m.merge(ctx, part, &kept[w]); err != nil {
				return err
			}
		}
		return nil
	})
}

// pathMerge merges files, in several goroutines.
type pathMerge struct {
	*paths
	partitionQueue
}

// merge takes in one file. What does not fit into memory is divided again.
func (m *pathMerge) merge(ctx context.Context, part *partition, kept *edgeKeeper) error {
	smaller := &pathFiles{paths: m.paths, level: part.level + 1}
	var sum pathCounts
	held := int64(0)
	leave := func() error {
		err := smaller.write(ctx, sum.list)
		sum = pathCounts{}
		if back := m.hold(ctx, -held); err == nil {
			err = back
		}
		held = 0
		return err
	}
	for {
		if err := yield(ctx); err != nil {
			return err
		}
		b, _, err := part.file.read()
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		m.addChosen(&sum, countsOf(b))
		grown := int64(len(sum.list))*pathCountBytes - held
		held += grown
		if err := m.hold(ctx, grown); err != nil {
			return err
		}
		if part.level < maxLevel && m.env.crowded(held) {
			if err := leave(); err != nil {
				return err
			}
		}
	}
	if err := part.file.done(); err != nil {
		return err
	}
	if smaller.used() {
		if err := leave(); err != nil {
			return err
		}
		lock(ctx, &m.mu)
		defer m.mu.Unlock()
		m.work = smaller.list(m.work)
		return nil
	}
	if err := m.hold(ctx, -held); err != nil {
		return err
	}
	return kept.add(ctx, sum.list)
}
