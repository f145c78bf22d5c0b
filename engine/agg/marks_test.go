package agg

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

// TestMarks counts texts of large dictionaries, which share texts and hold some twice, and holds the
// counts against those of maps: by several states, with other vectors between, with more groups later.
func TestMarks(t *testing.T) {
	spec, err := Resolve("count", []vec.Type{vec.T(vec.Text)})
	if err != nil {
		t.Fatal(err)
	}
	ctx := &expr.Context{}
	alone, beside := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		different := 1 + r.IntN(20_000)
		word := func() string { return fmt.Sprint("word ", r.IntN(different)) }
		var dicts []*vec.Vector
		for range 1 + r.IntN(4) {
			d := &vec.Vector{Type: vec.T(vec.Text)}
			for range vec.BatchRows + 1 + r.IntN(5000) {
				d.Str.Append([]byte(word()))
			}
			dicts = append(dicts, d)
		}
		groups := 1
		groupsOf := func(s State) int { return len(s.(*distinctCount).pairs.counts) }
		seen := []map[string]bool{{}}
		onlyLarge := r.IntN(2) == 0
		var states []State
		for range 1 + r.IntN(3) {
			s := spec.New(true, nil)
			s.Grow(groups)
			for range r.IntN(6) {
				if r.IntN(30) == 0 {
					groups++
					s.Grow(groups)
					seen = append(seen, map[string]bool{})
				}
				v := &vec.Vector{Type: vec.T(vec.Text)}
				n := 1 + r.IntN(vec.BatchRows)
				if onlyLarge || r.IntN(3) > 0 {
					v.Form, v.Dict = vec.Dict, dicts[r.IntN(len(dicts))]
					for range n {
						v.Codes = append(v.Codes, uint32(r.IntN(v.Dict.Len())))
					}
				} else {
					for range n {
						v.Str.Append([]byte(word()))
					}
				}
				var of, rows []uint32
				for i := range n {
					if r.IntN(2) == 0 {
						continue
					}
					of, rows = append(of, uint32(r.IntN(groupsOf(s)))), append(rows, uint32(i))
					text := v.Str
					at := i
					if v.Dict != nil {
						text, at = v.Dict.Str, int(v.Codes[i])
					}
					seen[of[len(of)-1]][string(text.At(at))] = true
				}
				if err := s.Update(ctx, of, []*vec.Vector{v}, rows); err != nil {
					t.Fatal(err)
				}
			}
			states = append(states, s)
		}
		final := spec.New(true, nil).(*distinctCount)
		final.Grow(groups)
		for _, s := range states {
			if r.IntN(4) == 0 {
				travel(t, final, s, first(groups))
			} else if err := final.Merge(s, first(groups)); err != nil {
				t.Fatal(err)
			}
		}
		if final.Bytes() < final.marks.size {
			t.Fatalf("%d bytes are held, without marks of %d", final.Bytes(), final.marks.size)
		}
		if marked := len(final.marks.dicts) > 0; marked && final.intern == nil {
			alone++
		} else if marked {
			beside++
		}
		got, err := final.Finish()
		if err != nil {
			t.Fatal(err)
		}
		for g := range groups {
			if got.I64[g] != int64(len(seen[g])) {
				t.Fatalf("seed %d: group %d has %d texts, want %d", seed, g, got.I64[g], len(seen[g]))
			}
		}
	}
	if alone == 0 || beside == 0 {
		t.Fatalf("there were only marks %d times, and numbers beside them %d times", alone, beside)
	}
}
