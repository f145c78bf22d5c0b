package segment

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vec"
)

// Of rows with the same uuid a merge keeps the one with the least creation time and time, in
// whichever segments and under whichever event they are, and leaves no trace of the others.
func TestMergeKeepsOneOfEachUUID(t *testing.T) {
	for seed := range 6 {
		rng := newRand(t, seed)
		rows := randomRows(rng, 2000, 1000)
		parts := [3][]row{rows[:700], rows[700:1400], rows[1400:]}
		var want []row
		best := map[[16]byte]int{} // position in want
		var dead [3]map[vec.UUIDValue]bool
		for i := range parts {
			dead[i] = map[vec.UUIDValue]bool{}
			for j := range parts[i] {
				r := &parts[i][j]
				r.created = int64(rng.IntN(6))
				if i > 0 && rng.IntN(4) == 0 {
					r.uuid = parts[i-1][j%len(parts[i-1])].uuid
				}
				if rng.IntN(8) == 0 {
					dead[i][r.uuid] = true
					continue
				}
				k, found := best[r.uuid]
				if !found {
					best[r.uuid] = len(want)
					want = append(want, *r)
				} else if w := &want[k]; r.created < w.created || r.created == w.created && r.time < w.time {
					*w = *r
				}
			}
		}
		if len(want) == len(rows) {
			t.Fatal("no uuid comes twice")
		}
		var in []Part
		for i := range parts {
			p := Part{Reader: mustOpen(t, mustBuild(t, inputs(rng, parts[i]), Options{})), Dead: roaring.New()}
			uuids := make([]vec.UUIDValue, p.Rows())
			if err := p.UUIDs(uuids, 0, p.Rows()); err != nil {
				t.Fatal(err)
			}
			for row, u := range uuids {
				if dead[i][u] {
					p.Dead.Add(uint32(row))
				}
			}
			in = append(in, p)
		}
		merged, err := Merge(in, nil, testDay, 31)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(merged, mustBuild(t, inputs(rng, want), Options{})) {
			t.Errorf("seed %d: a merge of rows with equal uuids gives other bytes than a build of those to be kept", seed)
		}
		check(t, mustOpen(t, merged), want)
	}
}

func BenchmarkDropRepeats(b *testing.B) {
	var days []Part
	var sources []source
	rows := 0
	for day := range 3 {
		r := mustOpen(b, mustBuild(b, benchInputs(rand.New(rand.NewPCG(1, uint64(day))), testDay+day), Options{}))
		p := Part{Reader: r}
		s, err := p.source(nil)
		if err != nil {
			b.Fatal(err)
		}
		days, sources, rows = append(days, p), append(sources, s), rows+r.Rows()
	}
	for b.Loop() {
		if err := dropRepeats(days, sources); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b, rows)
}
