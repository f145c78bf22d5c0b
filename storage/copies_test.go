package storage

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/storage/dedup"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/vec"
)

// TestCopies applies random batches, and does the same with a second state of persons in the
// slowest way: a row at a time, what it copies written out as objects.
func TestCopies(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	keys := []string{"$browser", "$os", "$os_name", "browser", "plan", "$u\"rl", "$current_url"}
	p := &project{persons: person.NewState(1, nil), warnings: map[person.Warning]int64{}}
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
		p.apply(wire, known)
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
			if !found || b.Props[at].Codes[row] == 0 {
				continue
			}
			code := int(b.Props[at].Codes[row] - 1)
			value := string(event.AppendJSON(nil, b.Props[at].Kinds[code], b.Props[at].Values.At(code)))
			set[p.To] = value
			if value != "null" {
				once[event.Initial(p.To)] = value
			}
		}
		// One property at a time: where two have one name for the first value, the first counts.
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
