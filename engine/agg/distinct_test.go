package agg

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// distinctRows is random rows of few groups: texts, or uuids with the zero one among them, in any form.
func distinctRows(r *rand.Rand, t vec.Type, groups int) ([]uint32, *vec.Vector, []string) {
	n := 1 + r.IntN(200)
	of, names := make([]uint32, n), make([]string, n)
	values := &vec.Vector{Type: t}
	add := func(x int) {
		if t.Kind == vec.UUID {
			var u vec.UUIDValue
			binary.BigEndian.PutUint64(u[:], uint64(x))
			values.UUIDs = append(values.UUIDs, u)
		} else {
			values.Str.AppendString(fmt.Sprint("text ", x))
		}
	}
	for i := range of {
		of[i] = uint32(r.IntN(groups))
	}
	switch r.IntN(3) {
	case 0:
		for i := range of {
			x := r.IntN(500)
			names[i] = fmt.Sprint(x)
			add(x)
		}
		return of, values, names
	case 1: // a dictionary that is large enough for marks
		entries := vec.BatchRows + 1
		for x := range entries {
			add(x)
		}
		v := &vec.Vector{Type: t, Form: vec.Dict, Dict: values, Codes: make([]uint32, n)}
		for i := range of {
			v.Codes[i] = uint32(r.IntN(entries))
			names[i] = fmt.Sprint(v.Codes[i])
		}
		return of, v, names
	}
	x := r.IntN(500)
	add(x)
	values.Form = vec.Const
	for i := range names {
		names[i] = fmt.Sprint(x)
	}
	return of, values, names
}

// Whatever way values come to counts of different ones, and leave them, each counts once.
func TestDistinctCountOfParts(t *testing.T) {
	for _, kind := range []vec.Kind{vec.Text, vec.UUID} {
		for seed := range uint64(60) {
			r := rand.New(rand.NewPCG(seed, 3))
			groups := 1 + r.IntN(2)*r.IntN(4)
			seen := make([]map[string]bool, groups)
			for g := range seen {
				seen[g] = map[string]bool{}
			}
			states := make([]*distinctCount, 3)
			for i := range states {
				states[i] = newDistinctCount(vec.T(kind)).(*distinctCount)
				states[i].Grow(groups)
			}
			every := first(groups)
			for range 12 {
				i := r.IntN(len(states))
				st, other := states[i], states[(i+1)%len(states)]
				var err error
				switch r.IntN(4) {
				case 0, 1:
					of, v, names := distinctRows(r, vec.T(kind), groups)
					for j, g := range of {
						seen[g][names[j]] = true
					}
					err = st.Update(nil, of, []*vec.Vector{v}, first(len(of)))
				case 2:
					err = st.Leave(func(of []uint32, cols []*vec.Vector) error {
						return other.Absorb(nil, of, []*vec.Vector{cols[0].Flatten(len(of))})
					})
				case 3:
					if err = other.Merge(st, every); err == nil {
						states[i] = newDistinctCount(vec.T(kind)).(*distinctCount)
						states[i].Grow(groups)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, st := range states[1:] {
				if err := states[0].Merge(st, every); err != nil {
					t.Fatal(err)
				}
			}
			got, err := states[0].Finish()
			if err != nil {
				t.Fatal(err)
			}
			want := make([]int64, groups)
			for g := range want {
				want[g] = int64(len(seen[g]))
			}
			if !slices.Equal(got.I64, want) {
				t.Fatalf("%v, seed %d: %v, want %v", kind, seed, got.I64, want)
			}
		}
	}
}

// A part that is settled counts beside the values of the next, in memory that is used again.
func TestDistinctCountSettles(t *testing.T) {
	st := newDistinctCount(vec.T(vec.Text)).(*distinctCount)
	st.Grow(2)
	for part := range 3 {
		var of []uint32
		values := &vec.Vector{Type: printType}
		for x := range 1000 {
			of = append(of, uint32(x%2))
			values.UUIDs = append(values.UUIDs, vec.UUIDValue{byte(part), byte(x % 100), 1})
		}
		if err := st.Absorb(nil, of, []*vec.Vector{values}); err != nil {
			t.Fatal(err)
		}
		if err := st.Settle(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := st.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if want := []int64{150, 150}; !slices.Equal(got.I64, want) {
		t.Errorf("parts of 50 values: %v, want %v", got.I64, want)
	}
}
