package exec

import (
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// keyRows is random rows of key columns, in any form.
func keyRows(rnd *rand.Rand, kinds []vec.Kind) (cols []*vec.Vector, rows []uint32) {
	n := 1 + rnd.IntN(300)
	for _, kind := range kinds {
		v := sortColumn(rnd, kind, n)
		for i, x := range v.I64 {
			switch kind {
			case vec.Int2:
				v.I64[i] = int64(int16(x))
			case vec.Int4:
				v.I64[i] = int64(int32(x))
			}
		}
		switch rnd.IntN(6) {
		case 0:
			one := *v.Take([]uint32{uint32(rnd.IntN(n))})
			one.Form = vec.Const
			v = &one
		case 1:
			if kind == vec.UUID {
				break // a dictionary has each of them once
			}
			codes := make([]uint32, n)
			for i := range codes {
				codes[i] = uint32(rnd.IntN(n))
			}
			v = &vec.Vector{Type: v.Type, Form: vec.Dict, Dict: v, Codes: codes}
		case 2, 3:
			if kind == vec.UUID {
				break
			}
			v = &vec.Vector{Type: v.Type, Form: vec.Dict, Dict: v.Slice(0, min(n, 1+rnd.IntN(3))), Codes: make([]uint32, n)}
			for i := range v.Codes {
				if v.Codes[i] = uint32(rnd.IntN(v.Dict.Len())); rnd.IntN(8) == 0 {
					v.Nulls = v.Nulls.Grow(n)
					v.Nulls.Set(i)
				}
			}
		}
		cols = append(cols, v)
	}
	for i := range n {
		if rnd.IntN(5) > 0 {
			rows = append(rows, uint32(i))
		}
	}
	return cols, rows
}

// Rows are in one group exactly if their keys are equal, NULL being equal to NULL, and the group
// has their values, is found again, and has a hash that another grouper gives it, too.
func TestGrouper(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 4))
	all := []vec.Kind{vec.Bool, vec.Int2, vec.Int4, vec.Int8, vec.Float8, vec.UUID, vec.Text, vec.Bpchar, vec.Interval}
	for round := range 200 {
		n := 1 + rnd.IntN(4)
		if round%50 == 0 {
			n = 70 // more than a word of bits says which are NULL
		}
		kinds, types, nullSafe := make([]vec.Kind, n), make([]vec.Type, n), make([]bool, n)
		for i := range kinds {
			kinds[i] = all[rnd.IntN(len(all))]
			types[i], nullSafe[i] = vec.T(kinds[i]), true
		}
		g, other := newGrouper(types), newGrouper(types)
		if rnd.IntN(2) == 0 {
			cols, rows := keyRows(rnd, kinds)
			g.assign(make([]uint32, len(rows)), cols, rows)
			g.empty()
		}
		model := map[string]uint32{}
		key := func(cols []*vec.Vector, row uint32) string {
			var k []byte
			for _, c := range cols {
				k = vec.AppendKey(k, c, int(row))
			}
			return string(k)
		}
		for range 1 + rnd.IntN(4) {
			cols, rows := keyRows(rnd, kinds)
			if len(rows) == 0 {
				continue
			}
			found, groups, others := make([]uint32, len(rows)), make([]uint32, len(rows)), make([]uint32, len(rows))
			g.find(found, &finder{}, cols, rows, nullSafe)
			some := rows[:rnd.IntN(len(rows)+1)]
			g.assign(groups[:len(some)], cols, some)
			g.assign(groups, cols, rows)
			for i, r := range rows {
				want, known := model[key(cols, r)]
				if !known {
					want = noGroup
				}
				if found[i] != want {
					t.Fatalf("seed %d: %v: row %d is found in group %d, want %d", seed, kinds, r, found[i], want)
				}
			}
			for i, r := range rows {
				k := key(cols, r)
				if want, known := model[k]; known && groups[i] != want {
					t.Fatalf("seed %d: %v: row %d is of group %d, want %d", seed, kinds, r, groups[i], want)
				}
				model[k] = groups[i]
			}
			if g.groups != len(model) {
				t.Fatalf("seed %d: %v: %d groups, want %d", seed, kinds, g.groups, len(model))
			}
			values := g.values()
			for i, r := range rows {
				for c, v := range values {
					if !vec.Equal(v, int(groups[i]), cols[c], int(r)) {
						t.Fatalf("seed %d: %v: group %d has another value in column %d", seed, kinds, groups[i], c)
					}
				}
			}
			other.empty()
			other.assign(others, cols, rows)
			hashes, same := g.hashes(), other.hashes()
			for i := range rows {
				if hashes[groups[i]] != same[others[i]] {
					t.Fatalf("seed %d: %v: row %d has another hash in another grouper", seed, kinds, rows[i])
				}
			}
		}
	}
}

// BenchmarkGroupCodes is two keys in dictionaries, of 40 and 3 values.
func BenchmarkGroupCodes(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var cols []*vec.Vector
	var types []vec.Type
	for _, size := range []int{40, 3} {
		v := &vec.Vector{Type: vec.T(vec.Text), Form: vec.Dict, Dict: &vec.Vector{Type: vec.T(vec.Text)}}
		for i := range size {
			v.Dict.Str.AppendString(string(rune('A' + i)))
		}
		for range vec.BatchRows {
			v.Codes = append(v.Codes, uint32(rnd.IntN(size)))
		}
		cols, types = append(cols, v), append(types, v.Type)
	}
	g := newGrouper(types)
	var scratch []uint32
	rows, ids := firstRows(&scratch, vec.BatchRows), make([]uint32, vec.BatchRows)
	for b.Loop() {
		g.assign(ids, cols, rows)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/vec.BatchRows, "ns/row")
}
