package dedup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"path"
	"sync/atomic"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vfs"
	"github.com/prickledb/prickle/storage/wire"
)

// A run is keys of one period: a section for each project, in which they are sorted by
// their hashes.
//
//	+-------------+-----------+-----------+-----+-----------+---------------+--------+---------+
//	| prkdedu1(8) | section 0 | section 1 | ... | directory | dir offset(8) | crc(4) | pdup(4) |
//	+-------------+-----------+-----------+-----+-----------+---------------+--------+---------+
//	                                            |<---------------- footer ------------------->|
//
//	section:   Bloom filter, a word of 8 bytes for 8 keys | part 0 | part 1 | ...
//	part:      keys, 16 bytes each | fuse filter, 2 bytes a place
//	directory: times of the first and the last key (zigzag, µs), projects; for each, ascending:
//	           id, keys, log2 of parts, others(1), least time, most − least, crc of the Bloom filter(4);
//	           for each part: keys, try, crc of the fuse filter(4) if there is one,
//	           crc of each block of 4,096 keys(4)
//
// Numbers of the directory are varints if nothing else is said. A part is the keys whose
// hashes share their first bits. A try is 0 for a part without a fuse filter, and otherwise
// one more than the number of its seed. Others says that there are uuids of another version
// than 7; the times are those inside version 7, in ms, and least is one more than that, or
// 0 if there are none.
const (
	runMagic   = "prkdedu1"
	runEnd     = "pdup"
	footerSize = 8 + 4 + len(runEnd)

	// blockKeys is how many keys have a checksum together: 64 KiB.
	blockKeys = 4096
	// partKeys is how many keys a part has at most on average: it bounds what building a
	// filter takes.
	partKeys = filterMost / 2
	// maxPartsLog is more parts than any run has.
	maxPartsLog = 20
)

// Dir is the directory of runs in a store's.
const Dir = "dedup"

// Name is the file of a run, without the directory.
func Name(number uint64) string { return fmt.Sprintf("%010d.dup", number) }

// CorruptError is returned when a run cannot be read, or its bytes are not what was
// written.
type CorruptError struct {
	File   string
	Offset int64 // of the damaged bytes
	Err    error // what is wrong
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("dedup run %s: byte %d: %v; without it events could be stored twice: restore it from a backup", e.File, e.Offset, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// Run is an open run. Its bytes are mapped; the heap has 4 bytes for each 4,096 keys of it.
// One goroutine at a time may look keys up, and others merge it beside that.
type Run struct {
	manifest.Run
	period   int64
	name     string
	file     vfs.File
	data     []byte
	sections []section // ascending by project
	holds    atomic.Int64
	dead     atomic.Bool // its file goes with the last hold
	fs       vfs.FS
}

// section is the keys of one project.
type section struct {
	project uint32
	log     uint // log2 of parts
	made    madeRange
	keys    int
	bloom   []byte
	sum     uint32 // of bloom
	checked bool   // bloom is what was written
	parts   []part
}

// part is the keys whose hashes begin with the same bits.
type part struct {
	offset int // in the file
	keys   int
	filter filter // of the zero shape: there is none; without data: not looked at yet
	// sum is the checksum of the filter, sums those of the blocks of keys.
	sum     uint32
	sums    []byte // in the file
	checked []bool // by block; nil until the first
}

// Open opens a run that the manifest has. It reads the footer only.
func Open(fs vfs.FS, dir string, meta manifest.Run) (*Run, error) {
	name := path.Join(dir, Dir, Name(meta.Number))
	f, err := fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: the manifest names it; restore it from a backup", err)
	}
	r := &Run{Run: meta, name: name, file: f, fs: fs}
	if r.data, err = f.Map(); err == nil {
		err = r.guard(r.readFooter)
	}
	if err == nil && (r.Run != meta || int64(len(r.data)) != meta.Size) {
		err = r.corrupt(0, fmt.Errorf("%d keys in %d bytes, the manifest says %d in %d", r.Keys, len(r.data), meta.Keys, meta.Size))
	}
	if err != nil {
		f.Close() // only read
		return nil, err
	}
	r.holds.Store(1)
	return r, nil
}

func (r *Run) corrupt(at int, err error) error {
	return &CorruptError{File: r.name, Offset: int64(at), Err: err}
}

// sumErr says that bytes are not what was written, if so.
func sumErr(what string, raw []byte, want uint32) error {
	if got := crc32.Checksum(raw, encoding.Table); got != want {
		return fmt.Errorf("%s: checksum %08x, want %08x", what, got, want)
	}
	return nil
}

// readFooter reads the directory: what it says fits the file exactly.
func (r *Run) readFooter() error {
	n := len(r.data)
	if n < len(runMagic)+footerSize || string(r.data[:len(runMagic)]) != runMagic || string(r.data[n-len(runEnd):]) != runEnd {
		return r.corrupt(0, errors.New("not a dedup run, or one of a newer version"))
	}
	start := binary.LittleEndian.Uint64(r.data[n-footerSize:])
	if start < uint64(len(runMagic)) || start > uint64(n-footerSize) {
		return r.corrupt(n-footerSize, fmt.Errorf("the directory is said to begin at byte %d", start))
	}
	covered := r.data[start : n-len(runEnd)-4]
	if err := sumErr("directory", covered, binary.LittleEndian.Uint32(r.data[n-len(runEnd)-4:])); err != nil {
		return r.corrupt(int(start), err)
	}
	d := decoder{Reader: wire.Reader{Src: r.data[start : n-footerSize]}}
	r.readDirectory(&d)
	if d.End() == nil && d.offset != int(start) {
		d.Fail("parts end at byte %d, the directory begins at %d", d.offset, start)
	}
	if d.Err != nil {
		return r.corrupt(int(start), fmt.Errorf("directory: %w", d.Err))
	}
	return nil
}

func (r *Run) readDirectory(d *decoder) {
	d.offset = len(runMagic)
	r.MinTime, r.MaxTime = d.Varint(), d.Varint()
	r.period, r.Keys = periodOf(r.MinTime), 0
	if r.MaxTime < r.MinTime || periodOf(r.MaxTime) != r.period {
		d.Fail("times %d to %d are not of one period", r.MinTime, r.MaxTime)
	}
	projects := d.count(1)
	r.sections = make([]section, 0, min(projects, 1024))
	for range projects {
		s := section{made: emptyRange}
		id := d.Uvarint()
		s.project = uint32(id)
		if last := len(r.sections) - 1; id > 1<<32-1 || last >= 0 && r.sections[last].project >= s.project {
			d.Fail("project %d is out of order", id)
		}
		s.keys, s.log = d.count(0), uint(min(d.Uvarint(), 64))
		if s.log > maxPartsLog || len(d.Src) < 2<<s.log {
			d.Fail("2^%d parts", s.log)
		}
		s.made.others = d.Byte() == 1
		least, span := d.Uvarint(), d.Uvarint()
		if least >= 1<<48+1 || span >= 1<<48 {
			d.Fail("times of uuids out of range")
		}
		if least > 0 {
			s.made.least, s.made.most = int64(least)-1, int64(least-1+span)
		}
		s.sum = d.Uint32()
		if size := 8 * bloomWords(s.keys); d.Err == nil && size <= len(r.data)-d.offset {
			s.bloom = r.data[d.offset:][:size]
			d.offset += size
		} else {
			d.Fail("%d keys in a file of %d bytes", s.keys, len(r.data))
		}
		if d.Err != nil {
			return
		}
		s.parts = make([]part, 1<<s.log)
		sum := 0
		for i := range s.parts {
			d.part(&s.parts[i], len(r.data))
			sum += s.parts[i].keys
		}
		if d.Err == nil && sum != s.keys {
			d.Fail("project %d has %d keys in its parts, want %d", s.project, sum, s.keys)
		}
		if d.Err != nil {
			return
		}
		r.Keys += int64(s.keys)
		r.sections = append(r.sections, s)
	}
}

// part reads the entry of a part in a file of so many bytes.
func (d *decoder) part(p *part, size int) {
	p.offset, p.keys = d.offset, int(min(d.Uvarint(), uint64(size)))
	d.offset += p.keys * keySize
	if try := d.Uvarint(); try > 0 {
		if p.keys < filterLeast || p.keys > filterMost || try > filterTries {
			d.Fail("a filter of %d keys by seed %d", p.keys, try)
			return
		}
		p.filter.shape, p.filter.seed = shapeOf(p.keys), seedOf(int(try-1))
		p.sum = d.Uint32()
		d.offset += p.filter.bytes()
	}
	p.sums = d.Take(4 * ((p.keys + blockKeys - 1) / blockKeys))
	if d.offset > size {
		d.Fail("parts end behind the file")
	}
}

// decoder takes a directory off its bytes.
type decoder struct {
	wire.Reader
	offset int // of the next part, in the file
}

// count is a number of things of which each takes so many bytes of what is left.
func (d *decoder) count(each int) int {
	v := d.Uvarint()
	if v > 1<<40 || each > 0 && v > uint64(len(d.Src)/each) {
		d.Fail("counts %d", v)
		return 0
	}
	return int(v)
}

// section finds the keys of a project, or nil.
func (r *Run) section(project uint32) *section {
	lo, hi := 0, len(r.sections)
	for lo < hi {
		if mid := (lo + hi) / 2; r.sections[mid].project < project {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(r.sections) && r.sections[lo].project == project {
		return &r.sections[lo]
	}
	return nil
}

// part finds where keys with a hash are.
func (s *section) part(h uint64) *part { return &s.parts[h>>(64-s.log)] }

// mark says of each row that is not decided yet whether it is in the run.
func (r *Run) mark(q *Query) error {
	s := r.section(q.project)
	if s == nil || s.keys == 0 || !s.made.mayMeet(&q.made) {
		return nil
	}
	return r.guard(func() error { return r.markSection(q, s) })
}

func (r *Run) markSection(q *Query, s *section) error {
	if !s.checked {
		if err := sumErr("Bloom filter", s.bloom, s.sum); err != nil {
			return r.corrupt(r.offset(s.bloom), err)
		}
		s.checked = true
	}
	// The second loop is short, so that the processor waits for many lines of memory at
	// once; the third does not branch on what it found.
	n := 0
	for i := range q.keys {
		q.rows[n] = uint32(i)
		n += one(!q.Seen[i] && s.made.mayHold(q.times[i]))
	}
	words, hits := q.words[:n], q.rows[:n]
	count := bloomWords(s.keys)
	for j, i := range hits {
		words[j] = binary.LittleEndian.Uint64(s.bloom[8*bloomWord(q.keys[i].hash, count):])
	}
	n = 0
	for j, i := range hits {
		want := bloomBits(q.keys[i].hash)
		hits[n] = i
		n += one(words[j]&want == want)
	}
	passed := hits[:n]
	n = 0
	for _, i := range passed {
		h := q.keys[i].hash
		p := s.part(h)
		if p.filter.data == nil {
			if err := r.openFilter(p); err != nil {
				return err
			}
		}
		hits[n] = i
		if p.filter.data == nil || p.filter.has(h<<s.log, h) {
			n++
		}
	}
	for _, i := range hits[:n] {
		found, err := r.find(s, q.keys[i])
		if err != nil {
			return err
		}
		q.Seen[i] = found
	}
	return nil
}

// offset is where in the file a piece of it lies.
func (r *Run) offset(piece []byte) int { return cap(r.data) - cap(piece) }

// openFilter checks the filter of a part, if it has one, and makes it usable.
func (r *Run) openFilter(p *part) error {
	if p.filter.segment == 0 {
		return nil
	}
	at := p.offset + p.keys*keySize
	data := r.data[at : at+p.filter.bytes()]
	if err := sumErr("fuse filter", data, p.sum); err != nil {
		return r.corrupt(at, err)
	}
	p.filter.data = data
	return nil
}

// find looks for a key by where its hash should lie, then in steps that double, then by
// halving.
func (r *Run) find(s *section, k hashed) (bool, error) {
	p := s.part(k.hash)
	if p.keys == 0 {
		return false, nil
	}
	hi, _ := bits.Mul64(k.hash<<s.log, uint64(p.keys))
	guess := int(hi)
	c, err := r.compareAt(p, guess, k)
	if c == 0 || err != nil {
		return c == 0, err
	}
	// lo is before the first key that is not less, end is at or behind it.
	lo, end := -1, p.keys
	for step := 16; ; step *= 2 {
		if c < 0 {
			lo = guess
			guess += step
		} else {
			end = guess
			guess -= step
		}
		if guess <= lo || guess >= end {
			break
		}
		next, err := r.compareAt(p, guess, k)
		if next == 0 || err != nil {
			return next == 0, err
		}
		if next != c {
			if next < 0 {
				lo = guess
			} else {
				end = guess
			}
			break
		}
	}
	for end-lo > 1 {
		mid := int(uint(lo+end) / 2)
		c, err := r.compareAt(p, mid, k)
		if c == 0 || err != nil {
			return c == 0, err
		}
		if c < 0 {
			lo = mid
		} else {
			end = mid
		}
	}
	return false, nil
}

// compareAt compares the i-th key of a part with another. The block it lies in is checked
// the first time. With an error it does not give 0.
func (r *Run) compareAt(p *part, i int, k hashed) (int, error) {
	if b := i / blockKeys; p.checked == nil || !p.checked[b] {
		if err := r.checkBlock(p, b); err != nil {
			return 1, err
		}
		if p.checked == nil {
			p.checked = make([]bool, len(p.sums)/4)
		}
		p.checked[b] = true
	}
	return hash(keyAt(r.data[p.offset+i*keySize:])).compare(k), nil
}

// checkBlock checks a block of keys.
func (r *Run) checkBlock(p *part, b int) error {
	lo, hi := p.offset+b*blockKeys*keySize, p.offset+min((b+1)*blockKeys, p.keys)*keySize
	if err := sumErr("keys", r.data[lo:hi], binary.LittleEndian.Uint32(p.sums[4*b:])); err != nil {
		return r.corrupt(lo, err)
	}
	return nil
}

// Verify reads the whole file of a run that a manifest names.
func Verify(fs vfs.FS, dir string, meta manifest.Run) error {
	r, err := Open(fs, dir, meta)
	if err != nil {
		return err
	}
	return errors.Join(r.Verify(), r.release())
}

// Verify reads the whole run: all checksums, the order of the keys, and that the filters
// know them.
func (r *Run) Verify() error {
	return r.guard(func() error {
		for i := range r.sections {
			if err := r.verify(&r.sections[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *Run) verify(s *section) error {
	if err := sumErr("Bloom filter", s.bloom, s.sum); err != nil {
		return r.corrupt(r.offset(s.bloom), err)
	}
	c := cursor{run: r, section: s}
	for {
		ok, err := c.next()
		if !ok || err != nil {
			return err
		}
		at := c.at() // others may be looking up, and note what they checked
		p := part{offset: at.offset, keys: at.keys, sum: at.sum, filter: filter{shape: at.filter.shape, seed: at.filter.seed}}
		if c.i == 1 {
			if err := r.openFilter(&p); err != nil {
				return err
			}
		} else if p.filter.segment > 0 {
			p.filter.data = r.data[p.offset+p.keys*keySize:]
		}
		word := binary.LittleEndian.Uint64(s.bloom[8*bloomWord(c.hash, bloomWords(s.keys)):])
		known := word&bloomBits(c.hash) == bloomBits(c.hash)
		if !known || p.filter.data != nil && !p.filter.has(c.hash<<s.log, c.hash) || !s.made.mayHold(c.made()) {
			return r.corrupt(p.offset, fmt.Errorf("keys: the filters of project %d do not know one", s.project))
		}
	}
}

// cursor walks the keys of a section in order, checking all of them.
type cursor struct {
	run     *Run
	section *section
	part, i int // of the key after the current
	hashed
}

func (c *cursor) at() *part { return &c.section.parts[c.part] }

// next goes to the next key, and says false at the end.
func (c *cursor) next() (bool, error) {
	for c.i == c.at().keys {
		if c.part == len(c.section.parts)-1 {
			return false, nil
		}
		c.part, c.i = c.part+1, 0
	}
	p := c.at()
	if c.i%blockKeys == 0 {
		if err := c.run.checkBlock(p, c.i/blockKeys); err != nil {
			return false, err
		}
	}
	at := p.offset + c.i*keySize
	k := hash(keyAt(c.run.data[at:]))
	if c.i > 0 && k.compare(c.hashed) <= 0 || c.section.part(k.hash) != p {
		return false, c.run.corrupt(at, errors.New("keys: out of order"))
	}
	c.hashed = k
	c.i++
	return true, nil
}

func (r *Run) hold() { r.holds.Add(1) }

// release lets go of a run. The last one to do so closes it, and removes the file if no
// manifest names it any more.
func (r *Run) release() error {
	if r.holds.Add(-1) > 0 {
		return nil
	}
	err := r.file.Close()
	if r.dead.Load() {
		err = errors.Join(err, r.fs.Remove(r.name))
	}
	return err
}
