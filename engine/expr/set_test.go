package expr

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestSet compares sets of every kind, and sets put together, with maps of texts.
func TestSet(t *testing.T) {
	const persons = 200
	uuids := &vec.Vector{Type: vec.T(vec.UUID)}
	for range persons {
		var u vec.UUIDValue
		for i := range u {
			u[i] = byte(rand.Uint32())
		}
		uuids.UUIDs = append(uuids.UUIDs, u)
	}
	foreign := vec.UUIDValue{1}
	// The persons with odd ordinals were merged into the ones before.
	root := func(o uint32) uint32 { return o &^ 1 }
	random := rand.New(rand.NewPCG(1, rand.Uint64()))
	for _, kind := range []vec.Kind{vec.UUID, vec.Int4, vec.Text, vec.Numeric, vec.Float8} {
		t.Run(vec.T(kind).String(), func(t *testing.T) {
			hold := func(int64) error { return nil }
			// column is random values as text and as a vector in a random form.
			column := func(n int) ([]string, *vec.Vector) {
				values := vec.NewBuilder(vec.T(kind))
				for range n {
					x := random.IntN(40)
					switch {
					case random.IntN(8) == 0:
						values.AppendNull()
					case kind == vec.UUID && x == 0:
						values.V.UUIDs = append(values.V.UUIDs, foreign)
					case kind == vec.UUID:
						values.V.UUIDs = append(values.V.UUIDs, uuids.UUIDs[x&^1])
					case kind == vec.Int4:
						values.V.I64 = append(values.V.I64, int64(x))
					case kind == vec.Float8:
						values.V.F64 = append(values.V.F64, float64(x)/4)
					case kind == vec.Numeric:
						d, err := vec.ParseDecimal(fmt.Appendf(nil, "%d.%0*d", x, random.IntN(3), 0))
						if err != nil {
							t.Fatal(err)
						}
						values.V.Dec = append(values.V.Dec, d)
					default:
						values.V.Str.AppendString(fmt.Sprint(x))
					}
				}
				v := values.V
				switch random.IntN(3) {
				case 0:
					v.Form = vec.Const
				case 1:
					codes := make([]uint32, n)
					for i := range codes {
						codes[i] = uint32(random.IntN(n))
					}
					v = &vec.Vector{Type: v.Type, Form: vec.Dict, Dict: v, Codes: codes}
					if kind == vec.UUID && random.IntN(2) == 0 {
						v.Dict = uuids
						for i := range codes {
							codes[i] = uint32(random.IntN(20)) &^ 1
						}
						v.Nulls = vec.NewBitmap(n)
						v.Nulls.Set(0)
						v.Codes[0] = 0
					}
				}
				texts := make([]string, n)
				for i := range texts {
					if v.IsNull(i) {
						continue
					}
					if texts[i] = string(AppendText(nil, v, i, &Context{})); kind == vec.Numeric {
						src, j := v.At(i)
						texts[i] = string(src.Dec[j].Trim().Append(nil))
					}
				}
				return texts, v
			}
			batch := func(n int) *vec.Batch {
				b := &vec.Batch{Rows: n}
				if random.IntN(2) == 0 {
					b.Sel = []uint32{}
					for i := range n {
						if random.IntN(2) == 0 {
							b.Sel = append(b.Sel, uint32(i))
						}
					}
				}
				return b
			}
			fill := func() (*Set, map[string]bool) {
				s, model := NewSet(vec.T(kind), uuids), map[string]bool{}
				other := NewSet(vec.T(kind), uuids)
				for range 3 {
					n := 1 + random.IntN(12)
					texts, v := column(n)
					b := batch(n)
					if random.IntN(2) == 0 {
						s.Add(v, b)
					} else {
						other.Add(v, b)
					}
					eachLive(b, func(r uint32) {
						if texts[r] != "" {
							model[texts[r]] = true
						}
					})
				}
				s.Unite(other)
				s.Settle(root, hold)
				return s, model
			}
			for range 200 {
				s, model := fill()
				for range random.IntN(3) {
					o, other := fill()
					op := SetOp(random.IntN(3))
					s = op.Combine(s, o, hold)
					all := map[string]bool{}
					for k := range model {
						all[k] = true
					}
					for k := range other {
						all[k] = true
					}
					for k := range all {
						a, b := model[k], other[k]
						all[k] = op == Union || op == Intersect && a && b || op == Except && a && !b
						if !all[k] {
							delete(all, k)
						}
					}
					model = all
				}
				if s.Len() != len(model) {
					t.Fatalf("set has %d members, want %d", s.Len(), len(model))
				}
				n := 1 + random.IntN(30)
				texts, v := column(n)
				b := batch(n)
				b.Cols = []*vec.Vector{v}
				not := random.IntN(2) == 0
				got, err := (&InSet{E: &Column{T: vec.T(kind)}, Not: not}).Eval(&Context{Slots: []SlotValue{{Set: s}}}, b)
				if err != nil {
					t.Fatal(err)
				}
				eachLive(b, func(r uint32) {
					if null := texts[r] == ""; null != got.IsNull(int(r)) {
						t.Fatalf("null is %v for %q", !null, texts[r])
					} else if null {
						return
					}
					if w, i := got.At(int(r)); w.Bools[i] != (model[texts[r]] != not) {
						t.Fatalf("%q: got %v, want %v", texts[r], w.Bools[i], model[texts[r]] != not)
					}
				})
			}
		})
	}
}

// TestSetOfMerged adds the uuid of a person who was merged into another one.
func TestSetOfMerged(t *testing.T) {
	uuids := &vec.Vector{Type: vec.T(vec.UUID), UUIDs: []vec.UUIDValue{{1}, {2}}}
	s := NewSet(uuids.Type, uuids)
	s.Add(&vec.Vector{Type: uuids.Type, UUIDs: []vec.UUIDValue{{2}}}, &vec.Batch{Rows: 1})
	s.Settle(func(uint32) uint32 { return 0 }, func(int64) error { return nil })
	if got := s.UUIDs(); len(got) != 1 || len(got[0].Codes) != 1 || got[0].Codes[0] != 0 {
		t.Errorf("members %v, want the person with ordinal 0", got)
	}
}

// TestSetHolds fails a look-up that would take memory which there is not.
func TestSetHolds(t *testing.T) {
	uuids := &vec.Vector{Type: vec.T(vec.UUID), UUIDs: []vec.UUIDValue{{1}, {2}}}
	s := NewSet(uuids.Type, uuids)
	s.AddPerson(1)
	full := fmt.Errorf("full")
	s.Settle(func(o uint32) uint32 { return o }, func(int64) error { return full })
	flat := &vec.Batch{Rows: 1, Cols: []*vec.Vector{{Type: uuids.Type, UUIDs: []vec.UUIDValue{{2}}}}}
	e := &InSet{E: &Column{T: uuids.Type}}
	if _, err := e.Eval(&Context{Slots: []SlotValue{{Set: s}}}, flat); err != full {
		t.Errorf("error %v, want %v", err, full)
	}
}
