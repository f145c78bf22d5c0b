package segment

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

const benchRows = 200_000

// benchInputs is a day of visits: 12 events in a session, a dozen properties.
func benchInputs(rng *rand.Rand, day int) []Input {
	var out []Input
	b := event.NewBuilder()
	var ordinals []uint32
	var uuid vec.UUIDValue
	for i := 0; i < benchRows; {
		person := rng.Uint32N(benchRows / 20)
		session := fmt.Sprintf("%08x-0000-4000-8000-%012x", rng.Uint32(), person)
		start := int64(day)*dayMicros + int64(i)*(dayMicros/benchRows)
		for j := range int64(12) {
			for k := range uuid {
				uuid[k] = byte(rng.Uint32())
			}
			b.Begin(uuid, min(start+j*1_234_000, int64(day+1)*dayMicros-1000)/1000*1000)
			b.SetName([]byte("event " + strconv.Itoa(min(rng.IntN(40), rng.IntN(40)))))
			b.SetDistinctID([]byte("user-" + strconv.Itoa(int(person))))
			page := rng.IntN(3000)
			b.Property([]byte("$session_id"), event.Text, []byte(session))
			b.Property([]byte("$browser"), event.Text, []byte("browser "+strconv.Itoa(int(person%7))))
			b.Property([]byte("$os"), event.Text, []byte("system "+strconv.Itoa(int(person%5))))
			b.Property([]byte("$country"), event.Text, []byte("country "+strconv.Itoa(int(person%90))))
			b.Property([]byte("$pathname"), event.Text, []byte("/page/"+strconv.Itoa(page)))
			b.Property([]byte("$current_url"), event.Text, []byte("https://app.example.com/page/"+strconv.Itoa(page)+"?tab="+strconv.Itoa(rng.IntN(9))))
			b.Property([]byte("price"), event.Float, strconv.AppendFloat(nil, float64(rng.IntN(5000))/100+0.001, 'f', -1, 64))
			b.Property([]byte("quantity"), event.Int, strconv.AppendInt(nil, int64(rng.IntN(9)), 10))
			b.Property([]byte("known"), event.Bool, strconv.AppendBool(nil, person%3 == 0))
			b.End()
			ordinals = append(ordinals, person)
			i++
		}
		if b.Rows() >= 5000 || i >= benchRows {
			batch := b.Finish()
			batch.CreatedAt = start
			out = append(out, Input{Batch: batch, Ordinals: ordinals})
			ordinals = nil
		}
	}
	return out
}

func perRow(b *testing.B, rows int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
}

func BenchmarkBuild(b *testing.B) {
	in := benchInputs(rand.New(rand.NewPCG(1, 1)), testDay)
	for name, opt := range map[string]Options{"file": {}, "image": {Image: true}} {
		b.Run(name, func(b *testing.B) {
			var raw []byte
			for b.Loop() {
				raw = mustBuild(b, in, opt)
			}
			perRow(b, mustOpen(b, raw).Rows())
			b.ReportMetric(float64(len(raw))/benchRows, "bytes/row")
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	var days []*Reader
	rows := 0
	for day := range 3 {
		r := mustOpen(b, mustBuild(b, benchInputs(rand.New(rand.NewPCG(1, uint64(day))), testDay+day), Options{}))
		days = append(days, r)
		rows += r.Rows()
	}
	for b.Loop() {
		if _, err := Merge(partsOf(days...), nil, testDay, 31); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b, rows)
}

func BenchmarkRead(b *testing.B) {
	r := mustOpen(b, mustBuild(b, benchInputs(rand.New(rand.NewPCG(1, 1)), testDay), Options{}))
	g := r.Ranges()[0]
	n := min(g.Hi-g.Lo, vec.BatchRows)
	codes, times := make([]uint32, n), make([]int64, n)
	reads := []struct {
		name string
		read func() error
	}{
		{"time codes", func() error { return r.TimeCodes(codes, g.Lo, g.Lo+n) }},
		{"times", func() error { return r.Times(times, g.Lo, g.Lo+n) }},
		{"ordinals", func() error { return r.Ordinals(codes, g.Lo, g.Lo+n) }},
		{"distinct ids", func() error { _, err := r.DistinctIDs(g.Lo, g.Lo+n); return err }},
		{"text", func() error { _, err := g.Read("$pathname", event.ReadDigits, nil, g.Lo, g.Lo+n); return err }},
		{"session", func() error { _, err := g.Read("$session_id", event.ReadDigits, nil, g.Lo, g.Lo+n); return err }},
		{"properties", func() error { _, err := g.Properties(g.Lo, g.Lo+n); return err }},
	}
	for _, r := range reads {
		b.Run(r.name, func(b *testing.B) {
			for b.Loop() {
				if err := r.read(); err != nil {
					b.Fatal(err)
				}
			}
			perRow(b, n)
		})
	}
}
