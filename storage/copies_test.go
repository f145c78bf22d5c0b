package storage

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/properties"
	"github.com/prickledb/prickle/storage/vec"
)

// TestCopies applies random batches, and does the same with a second state of persons in the
// slowest way: a row at a time, what it copies written out as objects.
func TestCopies(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	keys := []string{"$browser", "$os", "$os_name", "browser", "plan", "$u\"rl", "$current_url"}
	p := &project{persons: person.NewState(1, nil), warnings: map[person.Warning]int64{}}
	var scratch copies
	model := person.NewState(1, nil)
	for round := range 80 {
		build := event.NewBuilder()
		b, seen := randomCopies(rng, build, keys)
		wire, err := event.Decode(event.Append(nil, b))
		if err != nil {
			t.Fatal(err)
		}
		known := &known{events: &dedup.Query{Seen: seen}, persons: make([]uint32, b.DistinctID.Values.Len())}
		p.persons.Known(known.persons, &b.DistinctID.Values)
		p.apply(wire, known, &scratch)
		for i := range b.Rows {
			if !seen[i] {
				plainCopies(model, b, i)
			}
		}
		_, got := p.persons.Publish()
		_, want := model.Publish()
		if got.Len() != want.Len() {
			t.Fatalf("seed %d round %d: %d persons, want %d", seed, round, got.Len(), want.Len())
		}
		for o := range uint32(got.Len()) {
			if string(got.Properties(o)) != string(want.Properties(o)) {
				t.Fatalf("seed %d round %d: person %d has %s, want %s", seed, round, o, got.Properties(o), want.Properties(o))
			}
		}
	}
}

// randomCopies is a batch, and which rows are stored already.
func randomCopies(rng *rand.Rand, build *event.Builder, keys []string) (*event.Batch, []bool) {
	n := 1 + rng.IntN(40)
	seen := make([]bool, n)
	rows := []vec.Bitmap{vec.NewBitmap(n), vec.NewBitmap(n)}
	for i := range n {
		seen[i] = rng.IntN(8) == 0
		build.Begin(vec.UUIDValue{}, int64(i))
		build.SetName([]byte("e"))
		build.SetDistinctID(fmt.Append(nil, "u", rng.IntN(6)))
		for _, k := range keys {
			switch rng.IntN(5) {
			case 0:
				build.Property([]byte(k), event.Null, nil)
			case 1, 2:
				build.Property([]byte(k), event.Text, fmt.Append(nil, "a \"", rng.IntN(3)))
			case 3:
				build.Property([]byte(k), event.Int, fmt.Append(nil, rng.IntN(3)))
			}
		}
		if rng.IntN(4) > 0 {
			rows[rng.IntN(2)].Set(i)
		}
		switch rng.IntN(10) {
		case 0:
			build.Op(event.PersonOp{Set: []byte(`{"$browser": "given", "own": 1}`), SetOnce: []byte(`{"$initial_os": "first", "$os": 5}`), Unset: []string{"plan"}})
		case 1:
			build.Op(event.PersonOp{Kind: event.OpMergeDangerously, Other: fmt.Sprint("u", rng.IntN(9)), Set: []byte(`{"merged": true}`)})
		case 2:
			// All of an operation is done, or nothing, where nothing is copied: half of this one would fit.
			build.Op(event.PersonOp{Set: []byte(`{"whole": 1}`), SetOnce: fmt.Appendf(nil, `{"half": "%0*d"}`, properties.MaxBytes-9<<10+rng.IntN(10<<10), i)})
		}
		build.End()
	}
	b := build.Finish()
	b.Copies = []event.Copy{
		{Rows: rows[0], Props: []event.CopiedProp{{From: "$os_name", To: "$os"}, {From: "$os", To: "$os"}, {From: "$browser", To: "$browser"},
			{From: "browser", To: "browser"}, {From: "$u\"rl", To: "$u\"rl"}, {From: "not there", To: "x"}}},
		{Rows: rows[1], Props: []event.CopiedProp{{From: "$current_url", To: "$current_url"}}},
	}
	return b, seen
}

// plainCopies does what a row says to its person.
func plainCopies(s *person.State, b *event.Batch, row int) {
	id := b.DistinctID.Values.Str(int(b.DistinctID.Codes[row]))
	var ops []event.PersonOp
	for _, op := range b.Ops {
		if int(op.Row) == row {
			ops = append(ops, op)
			if op.Kind != event.OpSet {
				s.Merge(op.Kind, op.Other, id, b.Time[row])
			}
		}
	}
	o := s.Ordinal([]byte(id))
	s.Touch(o, b.Time[row])
	if !slices.ContainsFunc(b.Copies, func(c event.Copy) bool { return c.Rows.Get(row) }) {
		for _, op := range ops {
			s.Set(o, &op)
		}
		return
	}
	for _, op := range ops {
		s.Set(o, &event.PersonOp{SetOnce: op.SetOnce})
	}
	for _, c := range b.Copies {
		if !c.Rows.Get(row) {
			continue
		}
		set := map[string]string{}
		once := map[string]string{}
		for _, p := range c.Props {
			at, found := b.Find(p.From)
			if !found || b.Props[at].Codes.At(row) == 0 {
				continue
			}
			code := int(b.Props[at].Codes.At(row) - 1)
			value := string(event.AppendJSON(nil, b.Props[at].Kinds[code], b.Props[at].Values.At(code)))
			set[p.To] = value
			if value != "null" {
				once[event.Initial(p.To)] = value
			}
		}
		// One property at a time: where two have one name for the first value, the last counts.
		for _, p := range c.Props {
			key := event.Initial(p.To)
			if v, found := once[key]; found {
				s.Set(o, &event.PersonOp{SetOnce: fmt.Appendf(nil, `{%s: %s}`, event.AppendJSONString(nil, []byte(key)), v)})
			}
			if v, found := set[p.To]; found {
				s.Set(o, &event.PersonOp{Set: fmt.Appendf(nil, `{%s: %s}`, event.AppendJSONString(nil, []byte(p.To)), v)})
			}
		}
	}
	for _, op := range ops {
		s.Set(o, &event.PersonOp{Set: op.Set, Unset: op.Unset})
	}
}

// TestCopiesFirst has properties with one name for their first values: the earliest row
// counts, in whichever of them, and of one row the last in the list.
func TestCopiesFirst(t *testing.T) {
	for _, c := range []struct {
		rows [][2]string // of "$a" and "a", empty for none
		want string
	}{
		{[][2]string{{"x", ""}, {"", "y"}}, `{"a": "y", "$a": "x", "$initial_a": "x"}`},
		{[][2]string{{"", "y"}, {"x", ""}}, `{"a": "y", "$a": "x", "$initial_a": "y"}`},
		{[][2]string{{"x", "y"}}, `{"a": "y", "$a": "x", "$initial_a": "y"}`},
		{[][2]string{{"x", "y"}, {"z", "z"}}, `{"a": "z", "$a": "z", "$initial_a": "y"}`},
	} {
		for _, batches := range []int{1, len(c.rows)} {
			p := &project{persons: person.NewState(1, nil), warnings: map[person.Warning]int64{}}
			var scratch copies
			for part := range slices.Chunk(c.rows, len(c.rows)/batches) {
				build := event.NewBuilder()
				rows := vec.NewBitmap(len(part))
				for i, r := range part {
					build.Begin(vec.UUIDValue{}, int64(i))
					build.SetName([]byte("e"))
					build.SetDistinctID([]byte("u"))
					for k, key := range []string{"$a", "a"} {
						if r[k] != "" {
							build.Property([]byte(key), event.Text, []byte(r[k]))
						}
					}
					rows.Set(i)
					build.End()
				}
				b := build.Finish()
				b.Copies = []event.Copy{{Rows: rows, Props: []event.CopiedProp{{From: "$a", To: "$a"}, {From: "a", To: "a"}}}}
				p.apply(b, &known{events: &dedup.Query{Seen: make([]bool, b.Rows)}, persons: make([]uint32, 1)}, &scratch)
			}
			if _, table := p.persons.Publish(); string(table.Properties(0)) != c.want {
				t.Errorf("%q in %d batches: %s, want %s", c.rows, batches, table.Properties(0), c.want)
			}
		}
	}
}
