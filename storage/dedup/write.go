package dedup

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path"
	"slices"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vfs"
)

// WriteTable writes the keys of a table as a run, durable when it returns. After an error
// there is no such file.
func WriteTable(fs vfs.FS, dir string, number uint64, t *Table) (*Run, error) {
	return write(fs, dir, manifest.Run{Number: number, MinTime: t.first, MaxTime: t.last}, func(w *writer) error {
		for _, id := range t.projects() {
			keys := t.sets[id].sorted()
			w.begin(id, len(keys))
			for i := range keys {
				w.add(keys[i])
			}
			w.end()
		}
		return nil
	})
}

// Merge writes the keys of several runs of one period as one. It holds a part of the
// output in memory, whatever the sizes of the inputs: at most about 25 MiB.
func Merge(ctx context.Context, fs vfs.FS, dir string, number uint64, level int, in []*Run) (*Run, error) {
	meta := manifest.Run{Number: number, Level: level, MinTime: in[0].MinTime, MaxTime: in[0].MaxTime}
	var projects []uint32
	for _, r := range in {
		meta.MinTime, meta.MaxTime = min(meta.MinTime, r.MinTime), max(meta.MaxTime, r.MaxTime)
		for i := range r.sections {
			projects = append(projects, r.sections[i].project)
		}
	}
	slices.Sort(projects)
	return write(fs, dir, meta, func(w *writer) error {
		return guard(in, func() error {
			for _, id := range slices.Compact(projects) {
				if err := mergeProject(ctx, w, id, in); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func mergeProject(ctx context.Context, w *writer, id uint32, in []*Run) error {
	var heads []*cursor
	total := 0
	for _, r := range in {
		s := r.section(id)
		if s == nil {
			continue
		}
		c := &cursor{run: r, section: s}
		ok, err := c.next()
		if err != nil {
			return err
		}
		if ok {
			heads = append(heads, c)
			total += s.keys
		}
	}
	w.begin(id, total)
	for n := 0; len(heads) > 0; n++ {
		if n%blockKeys == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		least := 0
		for i := 1; i < len(heads); i++ {
			if heads[i].compare(heads[least].hashed) < 0 {
				least = i
			}
		}
		c := heads[least]
		w.add(c.hashed)
		ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			heads = slices.Delete(heads, least, least+1)
		}
	}
	w.end()
	return w.err
}

// write makes a run of what fill adds, and opens it. The bytes depend on the keys and times
// alone.
func write(fs vfs.FS, dir string, meta manifest.Run, fill func(*writer) error) (*Run, error) {
	name := path.Join(dir, Dir, Name(meta.Number))
	tmp := name + ".tmp"
	f, err := fs.Create(tmp)
	if err != nil {
		return nil, err
	}
	w := &writer{file: f, meta: meta}
	w.put([]byte(runMagic))
	if err = fill(w); err == nil {
		w.footer()
		err = w.err
	}
	if err == nil {
		err = f.SyncData()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		if err = fs.Rename(tmp, name); err == nil {
			tmp = name
			err = fs.SyncDir(path.Dir(name))
		}
	}
	var r *Run
	if err == nil {
		r, err = Open(fs, dir, w.meta)
	}
	if err != nil {
		fs.Remove(tmp) // on a full disk it takes the room of others; err says what matters
		return nil, err
	}
	return r, nil
}

// writer writes a run. Parts follow each other; the Bloom filter of a section, whose size is
// known before, is filled in beside them. The first error is kept for the end.
type writer struct {
	file vfs.File
	meta manifest.Run
	err  error

	projects  int
	directory []byte // entries of the projects before

	// Of the project that was begun.
	section
	want    int    // keys
	entries []byte // of the parts before
	bloomAt int64  // where the words go that are not written yet
	words   []byte // these, the last of which is
	word    int    // this one

	// Of the part on its way.
	at     uint64 // its number
	count  int
	block  []byte   // keys that are not written yet
	sums   []byte   // of blocks before
	hashes []uint64 // of all keys, if they are not more than a filter takes
	fb     filterBuilder
}

func (w *writer) writeAt(raw []byte, at int64) {
	if w.err == nil && len(raw) > 0 {
		_, w.err = w.file.WriteAt(raw, at)
	}
}

func (w *writer) put(raw []byte) {
	w.writeAt(raw, w.meta.Size)
	w.meta.Size += int64(len(raw))
}

// begin begins the next project, with so many keys.
func (w *writer) begin(project uint32, keys int) {
	w.section = section{project: project, made: emptyRange}
	for keys>>w.log > partKeys {
		w.log++
	}
	w.want, w.entries, w.at = keys, w.entries[:0], 0
	w.bloomAt, w.words, w.word = w.meta.Size, append(w.words[:0], make([]byte, 8)...), 0
	w.meta.Size += int64(8 * bloomWords(keys))
}

// add adds the next key of the project.
func (w *writer) add(k hashed) {
	for k.hash>>(64-w.log) != w.at {
		w.endPart()
	}
	if len(w.block) == blockKeys*keySize {
		w.endBlock()
	}
	w.block = binary.BigEndian.AppendUint64(w.block, k.hi)
	w.block = binary.BigEndian.AppendUint64(w.block, k.lo)
	for at := bloomWord(k.hash, bloomWords(w.want)); w.word < at; w.word++ {
		w.words = append(w.words, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	word := w.words[len(w.words)-8:]
	binary.LittleEndian.PutUint64(word, binary.LittleEndian.Uint64(word)|bloomBits(k.hash))
	w.made.add(k.made())
	w.keys++
	if w.count++; w.count <= filterMost {
		w.hashes = append(w.hashes, k.hash)
	}
}

func (w *writer) endBlock() {
	if len(w.block) > 0 {
		w.sums = binary.LittleEndian.AppendUint32(w.sums, crc32.Checksum(w.block, encoding.Table))
		w.put(w.block)
	}
	w.block = w.block[:0]
}

// endWords writes all words of the Bloom filter but the last n bytes.
func (w *writer) endWords(n int) {
	done := w.words[:len(w.words)-n]
	w.sum = crc32.Update(w.sum, encoding.Table, done)
	w.writeAt(done, w.bloomAt)
	w.bloomAt += int64(len(done))
	w.words = append(w.words[:0], w.words[len(done):]...)
}

func (w *writer) endPart() {
	w.endBlock()
	w.endWords(8)
	w.entries = binary.AppendUvarint(w.entries, uint64(w.count))
	var data []byte
	try, ok := 0, false
	if w.count >= filterLeast && w.count <= filterMost {
		data, try, ok = w.fb.build(slices.Compact(w.hashes), shapeOf(w.count), w.log)
	}
	if ok {
		w.entries = binary.AppendUvarint(w.entries, uint64(try+1))
		w.entries = binary.LittleEndian.AppendUint32(w.entries, crc32.Checksum(data, encoding.Table))
		w.put(data)
	} else {
		w.entries = append(w.entries, 0)
	}
	w.entries = append(w.entries, w.sums...)
	w.sums, w.hashes, w.count = w.sums[:0], w.hashes[:0], 0
	w.at++
}

// end ends the project.
func (w *writer) end() {
	for w.at < 1<<w.log {
		w.endPart()
	}
	for ; w.word < bloomWords(w.want)-1; w.word++ {
		w.words = append(w.words, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	w.endWords(0)
	if w.err == nil && w.keys != w.want {
		w.err = fmt.Errorf("dedup run %d: %d keys of project %d, want %d", w.meta.Number, w.keys, w.project, w.want)
	}
	d := binary.AppendUvarint(w.directory, uint64(w.project))
	d = binary.AppendUvarint(d, uint64(w.keys))
	d = binary.AppendUvarint(d, uint64(w.log))
	d = append(d, byte(one(w.made.others)))
	least, span := uint64(0), uint64(0)
	if w.made.most >= 0 {
		least, span = uint64(w.made.least)+1, uint64(w.made.most-w.made.least)
	}
	d = binary.AppendUvarint(binary.AppendUvarint(d, least), span)
	d = binary.LittleEndian.AppendUint32(d, w.sum)
	w.directory = append(d, w.entries...)
	w.projects++
	w.meta.Keys += int64(w.keys)
}

func (w *writer) footer() {
	start := w.meta.Size
	d := binary.AppendVarint(nil, w.meta.MinTime)
	d = binary.AppendVarint(d, w.meta.MaxTime)
	d = binary.AppendUvarint(d, uint64(w.projects))
	d = append(d, w.directory...)
	d = binary.LittleEndian.AppendUint64(d, uint64(start))
	d = binary.LittleEndian.AppendUint32(d, crc32.Checksum(d, encoding.Table))
	w.put(append(d, runEnd...))
}
