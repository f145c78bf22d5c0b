package exec

import (
	"context"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// distinct drops repeated rows. When the keys seen do not fit into memory, they and all
// rows to come go to partitions on disk, and are looked at there, one partition after the
// other.
type distinct struct {
	input  Operator
	on     int
	types  []vec.Type
	groups *grouper
	env    *Env
	held   int64
	ids    []uint32
	rows   []uint32
	// sorted says that rows with equal keys follow each other: the last key is all that
	// has to be known.
	sorted bool

	spills spills
	parts  *rowPartitions // rows go there; nil: none do
	work   []partition    // yet to be looked at
	now    *spillFile     // the one that is being read; nil: the input is
	level  int            // of now
}

func newDistinct(n *plan.Distinct, env *Env) (Operator, error) {
	input, err := Build(n.Input, env)
	if err != nil {
		return nil, err
	}
	schema := n.Schema()
	on := n.On
	if on == 0 {
		on = len(schema)
	}
	types := make([]vec.Type, on)
	for i := range types {
		types[i] = schema[i].Type
	}
	d := &distinct{input: input, on: on, types: types, groups: newGrouper(types), env: env, spills: spills{env: env, node: n}}
	// DISTINCT ON with ORDER BY: the binder has put the sort right below the columns' order.
	if p, ok := n.Input.(*plan.Project); ok && n.On > 0 {
		_, d.sorted = p.Input.(*plan.Sort)
	}
	return d, nil
}

func (d *distinct) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		b, seen, err := d.pull(ctx)
		if b == nil || err != nil {
			return nil, err
		}
		if d.parts != nil {
			if err := d.parts.add(b, seen); err != nil {
				return nil, err
			}
			continue
		}
		kept := d.fresh(b)
		if err := d.hold(ctx); err != nil {
			return nil, err
		}
		if d.env.crowded(d.held) {
			if err := d.relieve(ctx, b); err != nil {
				return nil, err
			}
		}
		if len(kept) > 0 && !seen {
			return &vec.Batch{Rows: b.Rows, Sel: kept, Cols: b.Cols}, nil
		}
	}
}

// fresh is the rows whose keys were not there before, which are now.
func (d *distinct) fresh(b *vec.Batch) []uint32 {
	rows := b.Sel
	if rows == nil {
		rows = firstRows(&d.rows, b.Rows)
	}
	seen := uint32(d.groups.groups)
	if cap(d.ids) < len(rows) {
		d.ids = make([]uint32, len(rows))
	}
	ids := d.ids[:len(rows)]
	d.groups.assign(ids, b.Cols[:d.on], rows)
	var kept []uint32
	for i, id := range ids {
		if id >= seen {
			kept = append(kept, rows[i])
			seen = id + 1
		}
	}
	return kept
}

func (d *distinct) hold(ctx context.Context) error {
	held := d.groups.bytes()
	grown := held - d.held
	d.held = held
	return d.env.hold(ctx, grown)
}

// relieve makes room after batch b.
func (d *distinct) relieve(ctx context.Context, b *vec.Batch) error {
	if d.sorted {
		d.groups = newGrouper(d.types)
		if n := b.Live(); n > 0 {
			d.fresh(stretch(b, n-1, n))
		}
		return d.hold(ctx)
	}
	if d.level > maxLevel || d.groups.groups < 2 {
		return nil
	}
	keys := d.groups.values()
	d.parts = d.spills.rows(d.level, d.on)
	if err := d.parts.add(&vec.Batch{Rows: d.groups.groups, Cols: keys}, true); err != nil {
		return err
	}
	d.groups = newGrouper(d.types)
	return d.hold(ctx)
}

// pull is the next batch to look at: of the input, or of partitions once that has ended.
// Seen says that it is keys whose rows were handed out already.
func (d *distinct) pull(ctx context.Context) (b *vec.Batch, seen bool, err error) {
	for {
		if d.input != nil {
			if b, err = d.input.Next(ctx); b != nil || err != nil {
				return b, false, err
			}
			err = d.input.Close()
			d.input = nil
		} else if d.now != nil {
			if err := yield(ctx); err != nil {
				return nil, false, err
			}
			if b, _, err = d.now.read(); b != nil || err != nil {
				return unmarked(b, err)
			}
			err = d.now.done()
			d.now = nil
		}
		if err != nil {
			return nil, false, err
		}
		if d.parts != nil {
			d.work = d.parts.list(d.work)
			d.parts = nil
		}
		if len(d.work) == 0 {
			return nil, false, nil
		}
		last := len(d.work) - 1
		d.now, d.level = d.work[last].file, d.work[last].level+1
		d.work = d.work[:last]
		d.groups = newGrouper(d.types)
		if err := d.hold(ctx); err != nil {
			return nil, false, err
		}
	}
}

// unmarked takes the mark off a batch.
func unmarked(b *vec.Batch, err error) (*vec.Batch, bool, error) {
	if err != nil {
		return nil, false, err
	}
	return &vec.Batch{Rows: b.Rows, Cols: b.Cols[1:]}, b.Cols[0].I64[0] == keysBatch, nil
}

func (d *distinct) Close() error {
	d.env.release(d.held)
	err := d.spills.close()
	if d.input != nil {
		if closing := d.input.Close(); err == nil {
			err = closing
		}
	}
	return err
}

// divider divides rows by the hash of their keys. It belongs to one goroutine.
type divider struct {
	dict   *vec.Vector // the dictionary of the only key; nil: there is none
	hashes []uint64    // of its values; 0 if not computed; or of the rows of a batch

	scratch []uint8
	rows    []uint32
}

// divide orders rows by the partition that their keys belong to, and says where each
// partition ends.
func (d *divider) divide(keys []*vec.Vector, n, level int) (order []uint32, ends [fanOut]int) {
	d.scratch = d.parts(d.scratch[:0], keys, firstRows(&d.rows, n), level)
	return inOrderOfParts(d.scratch)
}

// parts appends the partition that the keys of each of the rows belong to.
func (d *divider) parts(to []uint8, keys []*vec.Vector, rows []uint32, level int) []uint8 {
	if len(keys) == 1 && keys[0].Form == vec.Flat {
		d.hashes, d.dict = grow(d.hashes, len(rows)), nil
		vec.HashRows(d.hashes, keys, rows)
		for _, h := range d.hashes {
			to = append(to, uint8(vec.Mix(h)>>(4*level)%fanOut))
		}
		return to
	}
	hash := d.hash(keys)
	for _, r := range rows {
		to = append(to, uint8(hash(int(r))>>(4*level)%fanOut))
	}
	return to
}

// inOrderOfParts orders rows by their partition, and says where each partition ends.
func inOrderOfParts(parts []uint8) (order []uint32, ends [fanOut]int) {
	var counts [fanOut + 1]int
	for _, p := range parts {
		counts[p+1]++
	}
	for i := range fanOut {
		counts[i+1] += counts[i]
		ends[i] = counts[i+1]
	}
	order = make([]uint32, len(parts))
	for i, at := range parts {
		order[counts[at]] = uint32(i)
		counts[at]++
	}
	return order, ends
}

// hash is the hash of the keys of a row. That of a value in a dictionary is computed once.
func (d *divider) hash(keys []*vec.Vector) func(row int) uint64 {
	if v := keys[0]; len(keys) == 1 && v.Form == vec.Dict {
		if d.dict != v.Dict || len(d.hashes) != v.Dict.Len() {
			d.dict, d.hashes = v.Dict, grow(d.hashes, v.Dict.Len())
			clear(d.hashes)
		}
		return func(row int) uint64 {
			if v.Nulls.Get(row) {
				return vec.Mix(vec.HashRow(v, row))
			}
			h := &d.hashes[v.Codes[row]]
			if *h == 0 {
				*h = vec.Mix(vec.HashRow(v, row))
			}
			return *h
		}
	}
	return func(row int) uint64 {
		h := uint64(0)
		for _, k := range keys {
			h = vec.Mix(h + vec.HashRow(k, row))
		}
		return h
	}
}

// rowPartitions divides rows by the hash of their first columns. Each batch has a first
// column more: whether it is keys alone, whose rows were handed out.
type rowPartitions struct {
	env    *Env
	spills *spills
	level  int
	on     int
	files  [fanOut]*spillFile

	divider divider
}

// rows is partitions for rows by the hash of their first columns.
func (s *spills) rows(level, on int) *rowPartitions {
	return &rowPartitions{env: s.env, spills: s, level: level, on: on}
}

func (p *rowPartitions) add(b *vec.Batch, seen bool) error {
	b = b.Compact()
	if b.Rows == 0 {
		return nil
	}
	mark := tag(0)
	if seen {
		mark = tag(keysBatch)
	}
	order, ends := p.divider.divide(b.Cols[:p.on], b.Rows, p.level)
	step := p.env.blockRows(bytesOf(b.Cols), b.Rows)
	lo := 0
	for i, end := range ends {
		for ; lo < end; lo += step {
			if p.files[i] == nil {
				var err error
				if p.files[i], err = p.spills.create(); err != nil {
					return err
				}
			}
			part := take(b.Cols, order[lo:min(lo+step, end)])
			part.Cols = append([]*vec.Vector{mark}, part.Cols...)
			if err := p.files[i].write(part); err != nil {
				return err
			}
		}
		lo = end
	}
	return nil
}

func (p *rowPartitions) list(to []partition) []partition {
	for _, f := range p.files {
		if f != nil {
			to = append(to, partition{f, p.level})
		}
	}
	return to
}
