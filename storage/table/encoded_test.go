package table

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
)

// part is rows [lo, hi) of a batch, with dictionaries for its texts if coded says so.
func part(b *vec.Batch, lo, hi int, coded bool) *vec.Batch {
	out := &vec.Batch{Rows: hi - lo}
	for _, c := range b.Cols {
		v := vec.NewBuilder(c.Type)
		v.AppendRows(c, lo, hi)
		if coded && c.Type.Payload() == vec.PayloadStr {
			dict := vec.NewBuilder(c.Type) // which holds each value twice, nulls as a value aside
			codes := make([]uint32, hi-lo)
			for i := range codes {
				codes[i] = uint32(i)
				dict.V.Str.Append(v.V.Str.At(i))
			}
			for i := range codes {
				dict.V.Str.Append(v.V.Str.At(i))
				if i%2 == 0 {
					codes[i] += uint32(len(codes))
				}
			}
			v.V = &vec.Vector{Type: c.Type, Form: vec.Dict, Codes: codes, Dict: dict.V, Nulls: v.V.Nulls}
		}
		out.Cols = append(out.Cols, v.V)
	}
	return out
}

// A dictionary gives the bytes that the values give without one.
func TestEncodeDictionary(t *testing.T) {
	_, b := everyType(5000)
	flat, coded := Encode(part(b, 0, b.Rows, false)), Encode(part(b, 0, b.Rows, true))
	for i := range flat.columns {
		if !bytes.Equal(flat.columns[i].block, coded.columns[i].block) || !bytes.Equal(flat.columns[i].zone, coded.columns[i].zone) {
			t.Errorf("column %d of %v: other bytes", i, b.Cols[i].Type)
		}
	}
}

// Rows that come encoded are what they were: in the write set, in memory, in the segment of a
// flush, which copies them unless some are dead, and in that of a merge.
func TestEncoded(t *testing.T) {
	const rows = 24_000
	every := 1 // row is looked at
	if testing.Short() {
		every = 13
	}
	s, b := everyType(rows)
	rng := rand.New(rand.NewPCG(1, 2))
	tables, _, err := (&Tables{}).Apply(&WriteSet{Ops: []Op{{Kind: OpCreate, Table: Fresh, Schema: s}}}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{vec.BatchRows, copyLeast, 3, vec.BatchRows - 1, 700, copyLeast - 1}
	dead := roaring.New()
	for at, k := 0, 0; at < rows; k++ {
		n := min(rows-at, sizes[k%len(sizes)])
		o := Op{Kind: OpInsert, Table: 1, Version: 1, Columns: allColumns(s)}
		if piece := part(b, at, at+n, k%2 == 1); n < EncodeLeast {
			o.Batch = piece
		} else {
			o.Kind, o.Encoded = OpLoad, Encode(piece)
		}
		ws, err := DecodeWriteSet(AppendWriteSet(nil, &WriteSet{Ops: []Op{o}}))
		if err != nil {
			t.Fatal(err)
		}
		var change Change
		if tables, change, err = tables.Apply(ws, 1, 0); err != nil || change.Inserted != n {
			t.Fatalf("%d rows inserted: %v, want %d", change.Inserted, err, n)
		}
		if k%4 == 1 {
			dead.Add(uint32(at + rng.IntN(n)))
		}
		at += n
	}
	v := *tables.Table(1)
	check := func(name string, v *Version, blocks []int) {
		t.Helper()
		var got []int
		next := 0
		for _, p := range v.Pieces() {
			ids, err := p.IDs()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, len(ids))
			for i := range s.Columns {
				c, err := p.Column(&s.Columns[i])
				if err != nil {
					t.Fatal(err)
				}
				at := next
				for k, id := range ids {
					for v.Segments != nil && dead.Contains(uint32(at)) {
						at++
					}
					if int(id) != at || k%every == 0 && !vec.Equal(c, k, b.Cols[i], at) {
						t.Fatalf("%s: column %d: row %d is not what was written", name, i, id)
					}
					at++
				}
				if p.encoded() && c.Type.Payload() == vec.PayloadI64 {
					flat := c.Flatten(len(ids))
					low, high, ok := p.Bounds(&s.Columns[i])
					for k, x := range flat.I64 {
						if !flat.Nulls.Get(k) && (!ok || x < low || x > high) {
							t.Fatalf("%s: column %d: %d is not from %d to %d", name, i, x, low, high)
						}
					}
				}
			}
			next = int(ids[len(ids)-1]) + 1
		}
		if fmt.Sprint(got) != fmt.Sprint(blocks) {
			t.Errorf("%s: blocks of %v rows, want %v", name, got, blocks)
		}
	}
	build := func(segments []*Reader, batches []*Rows, dead *roaring.Bitmap) *Reader {
		t.Helper()
		raw, err := Build(s, segments, batches, dead)
		if err != nil {
			t.Fatal(err)
		}
		r, err := OpenBytes(raw)
		if err == nil {
			err = r.Verify()
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	pool := memory.NewBudget(1 << 30).Pool(memory.Decoded)
	cache := memory.NewCache(pool)
	for _, r := range v.Batches {
		if r.Encoded != nil {
			r.Encoded.Share(cache, &v)
		}
	}
	whole := []int{8192, 4096, 3, 8191, 700, 2818}
	check("memory", &v, whole)
	used := pool.Used()
	check("memory, kept", &v, whole)
	if pool.Used() != used || used == 0 {
		t.Errorf("%d bytes are kept, %d when read again", used, pool.Used())
	}
	if cache.Forget(&v); pool.Used() != 0 {
		t.Errorf("%d bytes are kept when all is forgotten", pool.Used())
	}
	flushed := build(nil, v.Batches, roaring.New())
	v.Batches, v.Segments = nil, []*Reader{flushed}
	none := dead
	dead = roaring.New()
	check("flush", &v, []int{8192, 4096, 3, 8191, 3518})
	// One with dead rows is encoded again, together with what lies beside it.
	dead = none
	merged := build(v.Segments, nil, dead)
	v.Segments = []*Reader{merged}
	got := merged.blocks
	if merged.Rows() != rows-int(dead.GetCardinality()) || slices.Max(got) > vec.BatchRows {
		t.Errorf("merge: %d rows in blocks of %v", merged.Rows(), got)
	}
	check("merge", &v, got)
	// A column that came later has its value in what is copied, too.
	wider := s.Clone()
	wider.Add(Column{Name: "later", Type: vec.T(vec.Int8), Missing: AppendValue(nil, &vec.Vector{Type: vec.T(vec.Int8), I64: []int64{77}})})
	raw, err := Build(wider, v.Segments, nil, roaring.New())
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.column(0, &wider.Columns[len(wider.Columns)-1])
	if err != nil || c.I64[0] != 77 || len(c.I64) != r.blockRows(0) {
		t.Errorf("a column that came later: %v, %v", c, err)
	}
}

// Texts say whether they are ASCII, all of them, in either form, and dictionaries that they ascend.
func TestBlockOfASCII(t *testing.T) {
	for _, last := range []string{"a", "é"} {
		for _, distinct := range []int{3, 100} {
			b := vec.NewBuilder(vec.T(vec.Text))
			for i := range 99 {
				b.V.Str.AppendString(fmt.Sprint("text", i%distinct))
			}
			b.V.Str.AppendString(last)
			v, err := decodeBlock(appendBlock(nil, b.V), b.V.Type, 100)
			if err != nil {
				t.Fatal(err)
			}
			if v.Form == vec.Dict {
				if v = v.Dict; !v.Str.Ascending {
					t.Errorf("the dictionary of %d texts does not ascend", v.Len())
				}
			}
			if v.Str.ASCII != (last == "a") {
				t.Errorf("texts up to %q of %d: ASCII is %v", last, distinct, v.Str.ASCII)
			}
		}
	}
}
