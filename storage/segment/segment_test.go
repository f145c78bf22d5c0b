package segment

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

var (
	golden = flag.Bool("golden", false, "write testdata anew")
	seed   = flag.Uint64("seed", 0, "repeat one random test")
)

const testDay = 20454 // 2026-01-01

type value struct {
	kind event.Kind
	text string
}

// row is the model: an event as a person would write it down.
type row struct {
	uuid    vec.UUIDValue
	time    int64
	name    string
	id      string
	ordinal uint32
	created int64
	props   map[string]value
}

func compareRows(a, b *row) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.ordinal, b.ordinal),
		cmp.Compare(a.time, b.time), bytes.Compare(a.uuid[:], b.uuid[:]))
}

// input makes a batch of rows that share a creation time.
func input(rows []row) Input {
	b := event.NewBuilder()
	ordinals := make([]uint32, len(rows))
	for i := range rows {
		r := &rows[i]
		b.Begin(r.uuid, r.time)
		b.SetName([]byte(r.name))
		b.SetDistinctID([]byte(r.id))
		keys := make([]string, 0, len(r.props))
		for key := range r.props {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for _, key := range keys {
			b.Property([]byte(key), r.props[key].kind, []byte(r.props[key].text))
		}
		b.End()
		ordinals[i] = r.ordinal
	}
	batch := b.Finish()
	if len(rows) > 0 {
		batch.CreatedAt = rows[0].created
	}
	return Input{Batch: batch, Ordinals: ordinals}
}

// inputs cuts rows into batches: rows of different creation times never share one.
func inputs(rng *rand.Rand, rows []row) []Input {
	byCreated := map[int64][]row{}
	var times []int64
	for _, r := range rows {
		if byCreated[r.created] == nil {
			times = append(times, r.created)
		}
		byCreated[r.created] = append(byCreated[r.created], r)
	}
	rng.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
	var out []Input
	for _, t := range times {
		part := byCreated[t]
		rng.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		for len(part) > 0 {
			n := 1 + rng.IntN(len(part))
			out = append(out, input(part[:n]))
			part = part[n:]
		}
	}
	return out
}

// randomRows makes rows with everything that a segment has a form for.
func randomRows(rng *rand.Rand, n int, unit int64) []row {
	names := []string{"open", "$pageview", "paid", "", "größe", "seen " + strings.Repeat("x", 80)}
	texts := []string{"", "a", "b", "ab", "true", "false", "5", " 7.25 ", "1e400", "0x10", "ünï\"\\\n\x01code", "2026-01-02",
		"2026-01-02T03:04:05.678Z", "2026-01-02 03:04+02:30", "2026-13-01", "01234567-89ab-cdef-0123-456789abcdef"}
	rows := make([]row, n)
	persons := max(1, n/6)
	for i := range rows {
		r := &rows[i]
		for j := range r.uuid {
			r.uuid[j] = byte(rng.Uint32())
		}
		r.ordinal = uint32(rng.IntN(persons)) * 3
		r.time = testDay*dayMicros + rng.Int64N(5*dayMicros/unit)*unit
		if i > 0 && rng.IntN(10) == 0 {
			r.time = rows[i-1].time
			r.ordinal = rows[i-1].ordinal
		}
		r.name = names[min(rng.IntN(len(names)), rng.IntN(len(names)))]
		r.id = fmt.Sprintf("user-%d-%d", r.ordinal, rng.IntN(3))
		if rng.IntN(50) == 0 {
			r.id = "shared"
		}
		r.created = (testDay+int64(rng.IntN(6)))*dayMicros + 17
		r.props = map[string]value{}
		some := func(key string, one int, kind event.Kind, text string) {
			if rng.IntN(one) == 0 {
				r.props[key] = value{kind, text}
			}
		}
		some("text", 1, event.Text, texts[rng.IntN(len(texts))])
		some("gaps", 5, event.Text, texts[rng.IntN(len(texts))])
		some("uuid", 2, event.Text, fmt.Sprintf("%08x-0000-4000-8000-00000000000%d", r.ordinal*7, r.time%10))
		some("$session_id", 2, event.Text, fmt.Sprintf("%08x-0000-7000-8000-00000000000%d", r.ordinal*7, rng.IntN(3)))
		some("int", 1, event.Int, strconv.Itoa(rng.IntN(20)-10))
		some("many ints", 2, event.Int, strconv.FormatInt(rng.Int64()-1<<61, 10))
		some("cents", 2, event.Float, strconv.FormatFloat(float64(rng.IntN(100000))/100+0.005, 'f', -1, 64))
		some("float", 2, event.Float, strconv.FormatFloat(rng.Float64(), 'f', -1, 64))
		some("number", 3, event.Number, "1.50")
		some("null", 4, event.Null, "")
		some("bool", 2, event.Bool, strconv.FormatBool(rng.IntN(2) == 0))
		some("json", 3, event.JSON, `{"a": [1, 2, `+strconv.Itoa(rng.IntN(3))+`]}`)
		some("once", n, event.Text, "x")
		mixed := []value{{event.Null, ""}, {event.Bool, "true"}, {event.Int, "5"}, {event.Text, "5"}, {event.Float, "5.25"},
			{event.Number, "5.250"}, {event.Text, "5.250"}, {event.JSON, "[]"}, {event.Text, "[]"}, {event.Int, "-9223372036854775808"}, {event.Float, "-0.5"}}
		m := mixed[rng.IntN(len(mixed))]
		some("mixed", 2, m.kind, m.text)
	}
	return rows
}

func mustBuild(t testing.TB, in []Input, opt Options) []byte {
	t.Helper()
	out, err := Build(in, testDay, 31, opt)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustOpen(t testing.TB, image []byte) *Reader {
	t.Helper()
	r, err := OpenBytes(image)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// expected is what a property must read as.
func expected(v value, ok bool, as event.Reading) (string, bool) {
	if !ok {
		return "", false
	}
	switch as {
	case event.ReadText:
		if f, err := strconv.ParseFloat(v.text, 64); err == nil && v.kind != event.Int && v.kind != event.Text {
			return string(event.AppendPlain(nil, f)), true
		}
		return v.text, v.kind != event.Null
	case event.ReadDigits:
		return v.text, v.kind != event.Null
	case event.ReadJSON:
		switch v.kind {
		case event.Null:
			return "null", true
		case event.Text:
			return string(event.AppendJSONString(nil, []byte(v.text))), true
		}
		return v.text, true
	case event.ReadFloat, event.ReadCast:
		if v.kind == event.Int || v.kind == event.Float || v.kind == event.Number || v.kind == event.Text && !strings.Contains(v.text, "x") {
			f, err := strconv.ParseFloat(strings.TrimSpace(v.text), 64)
			return fmt.Sprint(f), err == nil
		}
	case event.ReadBool:
		return v.text, (v.kind == event.Bool || v.kind == event.Text) && (v.text == "true" || v.text == "false")
	case event.ReadTime:
		want := map[string]int64{"2026-01-02": 1767312000000000, "2026-01-02T03:04:05.678Z": 1767323045678000, "2026-01-02 03:04+02:30": 1767314040000000}
		if t, ok := want[v.text]; ok && v.kind == event.Text {
			return fmt.Sprint(t), true
		}
	}
	return "", false
}

func got(v *vec.Vector, i int) (string, bool) {
	if v.IsNull(i) {
		return "", false
	}
	v, i = v.At(i)
	switch v.Type.Kind {
	case vec.Float8:
		return fmt.Sprint(v.F64[i]), true
	case vec.Bool:
		return fmt.Sprint(v.Bools[i]), true
	case vec.TimestampTZ:
		return fmt.Sprint(v.I64[i]), true
	}
	return v.Str.Str(i), true
}

// check compares all that a reader says with the model.
func check(t testing.TB, r *Reader, rows []row) {
	t.Helper()
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b row) int { return compareRows(&a, &b) })
	n := len(rows)
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if r.Rows() != n {
		t.Fatalf("Rows() = %d, want %d", r.Rows(), n)
	}
	times, created, codes, ordinals, uuids := make([]int64, n), make([]int64, n), make([]uint32, n), make([]uint32, n), make([]vec.UUIDValue, n)
	fatal(r.Times(times, 0, n))
	for row := n / 3; row < n; {
		kept, err := r.KeptTimes(row)
		fatal(err)
		if !slices.Equal(kept, times[row:row+len(kept)]) {
			t.Fatalf("KeptTimes(%d) = %d, want %d", row, kept, times[row:row+len(kept)])
		}
		row += len(kept)
	}
	fatal(r.CreatedAt(created, 0, n))
	fatal(r.TimeCodes(codes, 0, n))
	fatal(r.Ordinals(ordinals, 0, n))
	fatal(r.UUIDs(uuids, 0, n))
	ids, err := r.DistinctIDs(0, n)
	fatal(err)
	persons, all := map[uint32]uint32{}, []uint32{}
	for i := range rows {
		w := &rows[i]
		id, _ := got(ids, i)
		if times[i] != w.time || created[i] != w.created || int64(codes[i]) != (w.time-testDay*dayMicros)/quarterMicros || ordinals[i] != w.ordinal || uuids[i] != w.uuid || id != w.id {
			t.Fatalf("row %d: time %d, created %d, code %d, ordinal %d, uuid %x, id %q; want %+v", i, times[i], created[i], codes[i], ordinals[i], uuids[i], id, w)
		}
		if _, seen := persons[w.ordinal]; !seen {
			all = append(all, w.ordinal)
		}
		persons[w.ordinal] |= 1 << ((w.time - testDay*dayMicros) / dayMicros)
	}
	slices.Sort(all)
	runs, err := r.Persons()
	fatal(err)
	masks, err := r.AllDayMasks()
	fatal(err)
	set, err := r.PersonBitmap()
	fatal(err)
	if !slices.Equal(runs.Ordinals, all) || !slices.Equal(set.ToArray(), all) {
		t.Fatalf("persons differ: %v, want %v", runs.Ordinals, all)
	}
	for i, o := range all {
		if masks[i] != persons[o] {
			t.Fatalf("day mask of %d = %b, want %b", o, masks[i], persons[o])
		}
	}
	checkSessions(t, r, rows)
	checkOrder(t, r, rows)
	row := 0
	for _, g := range r.Ranges() {
		if g.Lo != row || r.Range(g.Event) != g {
			t.Fatalf("range %q starts at %d, want %d", g.Event, g.Lo, row)
		}
		for row < n && rows[row].name == g.Event {
			row++
		}
		if g.Hi != row {
			t.Fatalf("range %q ends at %d, want %d", g.Event, g.Hi, row)
		}
		checkRange(t, g, rows)
	}
	checkJoined(t, r, rows)
	if row != n || r.Range("no such event") != nil {
		t.Fatalf("ranges end at %d, want %d", row, n)
	}
}

// checkOrder takes rows in the order of the segment.
func checkOrder(t testing.TB, r *Reader, rows []row) {
	t.Helper()
	order, err := r.Order(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	n := len(rows)
	want := make([]int, n)
	for i := range want {
		want[i] = i
	}
	slices.SortFunc(want, func(a, b int) int {
		x, y := &rows[a], &rows[b]
		return cmp.Or(cmp.Compare(x.ordinal, y.ordinal), cmp.Compare(x.time, y.time), bytes.Compare(x.uuid[:], y.uuid[:]))
	})
	events := make([]uint32, n)
	if err := order.Events(events, 0); err != nil {
		t.Fatal(err)
	}
	var next []int
	for _, g := range r.Ranges() {
		next = append(next, g.Lo)
	}
	person := 0
	for p, e := range events {
		if next[e] != want[p] {
			t.Fatalf("position %d is row %d, want %d", p, next[e], want[p])
		}
		next[e]++
		if p == 0 || rows[want[p]].ordinal != rows[want[p-1]].ordinal {
			if order.Starts[person] != uint32(p) {
				t.Fatalf("person %d starts at position %d, want %d", person, order.Starts[person], p)
			}
			person++
		}
	}
	if len(order.Starts) != person+1 || int(order.Starts[person]) != n {
		t.Fatalf("positions %v of %d persons with %d rows", order.Starts, person, n)
	}
}

func checkSessions(t testing.TB, r *Reader, rows []row) {
	t.Helper()
	s, err := r.Sessions()
	if err != nil {
		t.Fatal(err)
	}
	if !r.HasSessions() {
		return
	}
	type session struct {
		ordinal    uint32
		start, end int64
		count      uint32
	}
	want := map[string]session{}
	for i := range rows {
		v, ok := rows[i].props[sessionKey]
		if !ok {
			continue
		}
		w, seen := want[v.text]
		if !seen {
			w = session{rows[i].ordinal, rows[i].time, rows[i].time, 0}
		}
		want[v.text] = session{min(w.ordinal, rows[i].ordinal), min(w.start, rows[i].time), max(w.end, rows[i].time), w.count + 1}
	}
	if len(want) != s.IDs.Len() {
		t.Fatalf("%d sessions, want %d", s.IDs.Len(), len(want))
	}
	for i := range s.Count {
		if g := (session{s.Ordinals[i], s.Start[i], s.End[i], s.Count[i]}); g != want[s.IDs.Str.Str(i)] {
			t.Fatalf("session %s = %v, want %v", s.IDs.Str.Str(i), g, want[s.IDs.Str.Str(i)])
		}
	}
}

func checkRange(t testing.TB, g *Range, rows []row) {
	t.Helper()
	runs, err := g.Runs()
	if err != nil {
		t.Fatal(err)
	}
	masks, err := g.DayMasks()
	if err != nil {
		t.Fatal(err)
	}
	byDay := map[int][]uint32{}
	run := -1
	mask := uint32(0)
	for i := g.Lo; i < g.Hi; i++ {
		if i == g.Lo || rows[i].ordinal != rows[i-1].ordinal {
			if run >= 0 && masks[run] != mask {
				t.Fatalf("%q: mask of run %d = %b, want %b", g.Event, run, masks[run], mask)
			}
			run++
			mask = 0
			if runs.Ordinals[run] != rows[i].ordinal || runs.Starts[run] != uint32(i) {
				t.Fatalf("%q: run %d is %d from %d, want %d from %d", g.Event, run, runs.Ordinals[run], runs.Starts[run], rows[i].ordinal, i)
			}
		}
		day := int(rows[i].time/dayMicros) - testDay
		mask |= 1 << day
		if l := byDay[day]; len(l) == 0 || l[len(l)-1] != rows[i].ordinal {
			byDay[day] = append(l, rows[i].ordinal)
		}
	}
	if run+1 != len(runs.Ordinals) || runs.Starts[run+1] != uint32(g.Hi) {
		t.Fatalf("%q: %d runs to %d, want %d to %d", g.Event, len(runs.Ordinals), runs.Starts[len(runs.Ordinals)], run+1, g.Hi)
	}
	for day := range g.r.Days() {
		set, err := g.DayBitmap(day)
		if err != nil {
			t.Fatal(err)
		}
		if set == nil && len(byDay[day]) == 0 {
			continue
		}
		if set == nil || !slices.Equal(set.ToArray(), byDay[day]) {
			t.Fatalf("%q: bitmap of day %d differs", g.Event, day)
		}
	}
	carried := map[string]bool{"never carried": true}
	for i := g.Lo; i < g.Hi; i++ {
		for key := range rows[i].props {
			carried[key] = true
		}
	}
	keys := g.Keys()
	if !slices.IsSorted(keys) {
		t.Fatalf("%q: keys %q are not sorted", g.Event, keys)
	}
	for key := range carried {
		if key != "never carried" && !slices.Contains(keys, key) {
			t.Fatalf("%q: keys %q lack %q", g.Event, keys, key)
		}
	}
	checkProperties(t, g.Event, &g.Stretch, rows, carried)
}

// checkJoined compares what ranges that share their columns say together.
func checkJoined(t testing.TB, r *Reader, rows []row) {
	t.Helper()
	ranges := r.Ranges()
	for from := 0; from < len(ranges); {
		to, keys := from+1, map[string]bool{"never carried": true}
		for to < len(ranges) && ranges[to].SharesColumns(ranges[from]) {
			to++
		}
		s := Join(ranges[from:to])
		if s.Lo != ranges[from].Lo || s.Hi != ranges[to-1].Hi {
			t.Fatalf("%d ranges from %q on are rows %d to %d, want %d to %d", to-from, ranges[from].Event, s.Lo, s.Hi, ranges[from].Lo, ranges[to-1].Hi)
		}
		for i := s.Lo; i < s.Hi; i++ {
			for key := range rows[i].props {
				keys[key] = true
			}
		}
		checkProperties(t, fmt.Sprintf("%d ranges from %s on", to-from, ranges[from].Event), s, rows, keys)
		from = to
	}
}

// checkProperties compares properties of a stretch, by their keys.
func checkProperties(t testing.TB, name string, g *Stretch, rows []row, keys map[string]bool) {
	t.Helper()
	for key := range keys {
		for as := range event.Readings {
			// A cut in the middle, so that parts of blocks are read.
			mid := (g.Lo + g.Hi) / 2
			var dict *vec.Vector
			for _, part := range [][2]int{{g.Lo, mid}, {mid, g.Hi}} {
				v, err := g.Read(key, as, nil, part[0], part[1])
				if err != nil {
					t.Fatal(err)
				}
				if dict != nil && v.Dict != dict && g.r.cache == nil {
					t.Fatalf("%q %q: two dictionaries", name, key)
				}
				dict = v.Dict
				checkRuns(t, name, g, key, as, part[0], part[1])
				for i := part[0]; i < part[1]; i++ {
					p, ok := rows[i].props[key]
					want, wantOK := expected(p, ok, as)
					if s, ok := got(v, i-part[0]); ok != wantOK || ok && s != want {
						t.Fatalf("%q %q as %v, row %d: %q %v, want %q %v", name, key, as, i, s, ok, want, wantOK)
					}
				}
			}
			if as.Type().Kind == vec.Text && dict != nil && key != sessionKey {
				for i := 1; i < dict.Len(); i++ {
					if !dict.IsNull(i) && dict.Str.Str(i-1) >= dict.Str.Str(i) {
						t.Fatalf("%q %q: dictionary is not sorted", name, key)
					}
				}
			}
		}
	}
	whole, err := g.Properties(g.Lo, g.Hi)
	if err != nil {
		t.Fatal(err)
	}
	for i := g.Lo; i < g.Hi; i++ {
		var keys []string
		for key := range rows[i].props {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, compareJSONKeys)
		for j, key := range keys {
			v, _ := expected(rows[i].props[key], true, event.ReadJSON)
			keys[j] = strconv.Quote(key) + ": " + v
		}
		if s, _ := got(whole, i-g.Lo); s != "{"+strings.Join(keys, ", ")+"}" {
			t.Fatalf("%q: properties of row %d = %s, want {%s}", name, i, s, strings.Join(keys, ", "))
		}
	}
}

// checkRuns compares rows read as runs with rows, and says whether they are kept so.
func checkRuns(t testing.TB, name string, g *Stretch, key string, as event.Reading, lo, hi int) bool {
	if lo == hi {
		return false
	}
	v, ends, ok, err := g.ReadRuns(&RunRoom{}, key, as, nil, lo, hi)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return false
	}
	rows, err := g.Read(key, as, nil, lo, hi)
	if err != nil {
		t.Fatal(err)
	}
	run := 0
	for i := range hi - lo {
		if uint32(i) == ends[run] {
			run++
		}
		s, ok := got(v, run)
		if want, wantOK := got(rows, i); ok != wantOK || ok && s != want {
			t.Fatalf("%q %q as %v, run %d of row %d: %q %v, want %q %v", name, key, as, run, i, s, ok, want, wantOK)
		}
	}
	if len(ends) != run+1 || int(ends[run]) != hi-lo {
		t.Fatalf("%q %q as %v: %d runs that end at %v, want %d rows", name, key, as, len(ends), ends, hi-lo)
	}
	return true
}

// TestReadRuns reads properties that hardly change from row to row, and one that follows another.
func TestReadRuns(t *testing.T) {
	rng := newRand(t, 21)
	rows := randomRows(rng, 20000, 1000)
	for i := range rows {
		city := int(rows[i].ordinal) % 60
		rows[i].props["city"] = value{event.Text, fmt.Sprint("City ", city)}
		rows[i].props["country"] = value{event.Text, fmt.Sprint("Country ", city%23)}
		if delete(rows[i].props, "code"); city%3 > 0 {
			rows[i].props["code"] = value{event.Int, fmt.Sprint(city % 13)}
		}
	}
	r := mustOpen(t, mustBuild(t, inputs(rng, rows), Options{}))
	kept := map[string]int{}
	for _, g := range r.Ranges() {
		for _, key := range []string{"city", "country", "code", sessionKey, "never carried"} {
			for _, as := range []event.Reading{event.ReadText, event.ReadDigits, event.ReadFloat, event.ReadCast} {
				lo := g.Lo + rng.IntN(g.Hi-g.Lo)
				if checkRuns(t, g.Event, &g.Stretch, key, as, lo, g.Hi) && g.Hi-lo > 100 {
					kept[key]++
				}
			}
		}
	}
	for _, key := range []string{"city", "country", "code", "never carried"} {
		if kept[key] == 0 {
			t.Errorf("%q is never kept as runs: %v", key, kept)
		}
	}
	if _, _, _, err := r.Ranges()[0].ReadRuns(&RunRoom{}, "city", event.ReadText, nil, 0, r.Rows()+1); err == nil {
		t.Error("rows beyond the range are read")
	}
}

func newRand(t testing.TB, n int) *rand.Rand {
	s := *seed
	if s == 0 {
		s = uint64(n) + 1
	}
	t.Logf("-seed %d", s)
	return rand.New(rand.NewPCG(s, 77))
}

func TestReadsBackWhatWasBuilt(t *testing.T) {
	most := 20_000
	if testing.Short() {
		most = 8000
	}
	for i, n := range []int{0, 1, 2, 30, 700, most} {
		rng := newRand(t, i)
		unit := []int64{1, 1000, 1_000_000}[i%3]
		rows := randomRows(rng, n, unit)
		if n == 700 { // a session id that is a number: no sessions table
			rows[5].props[sessionKey] = value{event.Int, "5"}
		}
		for _, opt := range []Options{{}, {Image: true}} {
			r := mustOpen(t, mustBuild(t, inputs(rng, rows), opt))
			if r.HasSessions() == (n == 700) && n > 2 {
				t.Fatalf("%d rows: HasSessions() = %v", n, r.HasSessions())
			}
			check(t, r, rows)
			if err := r.Verify(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Rows decide the bytes: not the batches, not their order, not whether other segments
// were in between.
func TestBytesAreAFunctionOfTheRows(t *testing.T) {
	for i, n := range []int{1, 40, 900, 12000} {
		rng := newRand(t, i)
		rows := randomRows(rng, n, 1000)
		want := mustBuild(t, inputs(rng, rows), Options{})
		for range 3 {
			if !bytes.Equal(mustBuild(t, inputs(rng, rows), Options{}), want) {
				t.Fatalf("%d rows: another order gives other bytes", n)
			}
		}
		var parts []*Reader
		for day := range int32(5) {
			raw, err := Build(inputs(rng, rows), testDay+day, 1, Options{Image: day%2 == 1})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, mustOpen(t, raw))
		}
		rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		merged, err := Merge(partsOf(parts...), nil, testDay, 31)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(merged, want) {
			t.Fatalf("%d rows: a merge gives other bytes than a build", n)
		}
	}
}

func partsOf(readers ...*Reader) []Part {
	parts := make([]Part, len(readers))
	for i, r := range readers {
		parts[i].Reader = r
	}
	return parts
}

// Dead rows leave nothing behind: the bytes are those of a build without them. Moved ones
// are those of who they moved to.
func TestMergeDropsDeadRows(t *testing.T) {
	for i, n := range []int{1, 60, 900, 12000} {
		rng := newRand(t, i)
		rows := randomRows(rng, n, 1000)
		r := mustOpen(t, mustBuild(t, inputs(rng, rows), Options{}))
		at := map[vec.UUIDValue]uint32{}
		uuids := make([]vec.UUIDValue, n)
		if err := r.UUIDs(uuids, 0, n); err != nil {
			t.Fatal(err)
		}
		for row, u := range uuids {
			at[u] = uint32(row)
		}
		for _, share := range []int{1, 3, 100} { // dead: none of, a third of, nearly all
			part := Part{Reader: r, Dead: roaring.New(), Moved: map[uint32]uint32{}}
			var left []row
			for _, w := range rows {
				switch {
				case rng.IntN(share) > 0:
					part.Dead.Add(at[w.uuid])
					continue
				case rng.IntN(4) == 0:
					w.ordinal += 1000
					part.Moved[at[w.uuid]] = w.ordinal
				}
				left = append(left, w)
			}
			merged, err := Merge([]Part{part}, nil, testDay, 31)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(merged, mustBuild(t, inputs(rng, left), Options{})) {
				t.Fatalf("%d rows of which %d are left: a merge gives other bytes than a build without the dead", n, len(left))
			}
		}
	}
}

func TestMergeFollowsRoots(t *testing.T) {
	rng := newRand(t, 1)
	rows := randomRows(rng, 3000, 1000)
	root := func(o uint32) uint32 { return o / 9 * 3 }
	half := mustOpen(t, mustBuild(t, inputs(rng, rows[:1500]), Options{}))
	rest := mustOpen(t, mustBuild(t, inputs(rng, rows[1500:]), Options{Image: true}))
	merged, err := Merge(partsOf(half, rest), root, testDay, 31)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		rows[i].ordinal = root(rows[i].ordinal)
	}
	if !bytes.Equal(merged, mustBuild(t, inputs(rng, rows), Options{})) {
		t.Fatal("a merge with roots gives other bytes than a build with them")
	}
	check(t, mustOpen(t, merged), rows)
}

func TestOnlyKeptRows(t *testing.T) {
	rng := newRand(t, 1)
	rows := randomRows(rng, 300, 1)
	for i := range rows {
		rows[i].created = 5
	}
	in := input(rows)
	var kept []row
	for i := range rows {
		if day := rows[i].time/dayMicros - testDay; i%3 != 0 {
			in.Rows = append(in.Rows, uint32(i))
			if day >= 1 && day < 3 {
				kept = append(kept, rows[i])
			}
		}
	}
	raw, err := Build([]Input{in}, testDay+1, 2, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Build([]Input{input(kept)}, testDay+1, 2, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, want) {
		t.Fatal("rows that are left out leave traces")
	}
}

// wideRows are rows of four events. Of "wide" and "wider" each has five of 600 properties, of "own" a few that
// nearly all have, and one of numbers that no other event has.
func wideRows(rng *rand.Rand, n int) []row {
	rows := randomRows(rng, n, 1000)
	for i := range rows {
		r := &rows[i]
		r.created = 5
		r.props = map[string]value{}
		switch r.name = []string{"wide", "wider", "own", "rare"}[min(rng.IntN(20)/6, 3)]; r.name {
		case "own":
			r.props["a"] = value{event.Text, strconv.Itoa(rng.IntN(9))}
			if rng.IntN(3) > 0 {
				r.props["b"] = value{event.Int, strconv.Itoa(rng.IntN(1 << 20))}
			}
			if rng.IntN(9) == 0 {
				r.props["property 7"] = value{event.Int, strconv.Itoa(rng.IntN(1 << 20))}
			}
		default:
			for range 5 {
				k := rng.IntN(600)
				r.props[fmt.Sprint("property ", k)] = []value{{event.Text, strconv.Itoa(rng.IntN(4))}, {event.Null, ""}, {event.Float, "0.25"}}[k%3]
			}
		}
	}
	return rows
}

// Events with few values in many properties share their columns, whatever the rows come from.
func TestManyProperties(t *testing.T) {
	many := 24000
	if testing.Short() {
		many = 16000
	}
	for i, n := range []int{600, many} {
		rng := newRand(t, i)
		rows := wideRows(rng, n)
		want := mustBuild(t, []Input{input(rows)}, Options{})
		r := mustOpen(t, want)
		groups := map[string]*group{}
		for _, g := range r.Ranges() {
			groups[g.Event] = g.group
		}
		if own := groups["own"] != groups["rare"]; groups["wide"] != groups["wider"] || groups["wide"] != groups["rare"] || own != (n > 5000) {
			t.Fatalf("%d rows: the events have columns %v", n, groups)
		}
		if n < 1000 {
			check(t, r, rows)
		}
		at := map[vec.UUIDValue]*row{}
		for i := range rows {
			at[rows[i].uuid] = &rows[i]
		}
		uuids := make([]vec.UUIDValue, n)
		if err := r.UUIDs(uuids, 0, n); err != nil {
			t.Fatal(err)
		}
		for _, g := range r.Ranges() {
			all, err := g.Properties(g.Lo, g.Hi)
			if err != nil {
				t.Fatal(err)
			}
			for k, uuid := range uuids[g.Lo:g.Hi] {
				w := at[uuid]
				keys := slices.SortedFunc(maps.Keys(w.props), compareJSONKeys)
				for i, key := range keys {
					text, _ := expected(w.props[key], true, event.ReadJSON)
					keys[i] = strconv.Quote(key) + ": " + text
				}
				if text := "{" + strings.Join(keys, ", ") + "}"; all.Str.Str(k) != text {
					t.Fatalf("row %d of %s is %s, want %s", k, g.Event, all.Str.Str(k), text)
				}
			}
		}
		for range 2 {
			var readers []*Reader
			for _, part := range [][]row{rows[:n/3], rows[n/3:]} {
				readers = append(readers, mustOpen(t, mustBuild(t, inputs(rng, part), Options{})))
			}
			merged, err := Merge(partsOf(readers...), nil, testDay, 31)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(merged, want) || !bytes.Equal(mustBuild(t, inputs(rng, rows), Options{}), want) {
				t.Fatalf("%d rows: other batches or a merge give other bytes", n)
			}
		}
		dead := Part{Reader: r, Dead: roaring.New()}
		var left []row
		for row, uuid := range uuids {
			if w := at[uuid]; w.name == "own" || row%7 == 0 {
				left = append(left, *w)
			} else {
				dead.Dead.Add(uint32(row))
			}
		}
		merged, err := Merge([]Part{dead}, nil, testDay, 31)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(merged, mustBuild(t, inputs(rng, left), Options{})) {
			t.Fatalf("%d rows: a merge of those that are left gives other bytes than a build", n)
		}
	}
}

// Of a batch that has rows of several days, each has those properties that its rows have.
func TestFewRowsOfABatch(t *testing.T) {
	rng := newRand(t, 1)
	rows := wideRows(rng, 900)
	in := input(rows)
	for day := range int32(5) {
		var here []row
		in.Rows = nil
		for i := range rows {
			if i%5 > 0 {
				in.Rows = append(in.Rows, uint32(i))
				if int32(rows[i].time/dayMicros)-testDay == day {
					here = append(here, rows[i])
				}
			}
		}
		raw, err := Build([]Input{in}, testDay+day, 1, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := Build([]Input{input(here)}, testDay+day, 1, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw, want) {
			t.Fatalf("day %d: rows of other days leave traces", day)
		}
	}
}

// Sorting is stable, whatever there is to sort.
func TestSortEntries(t *testing.T) {
	rng := newRand(t, 1)
	for _, n := range []int{0, 1, 2, radixLeast - 1, radixLeast, 500, radixMany - 1, radixMany, 5000} {
		for _, bits := range []int{0, 3, 8, 11, 20, 64} {
			e := make([]entry, n)
			for i := range e {
				e[i] = entry{rng.Uint64() >> (64 - bits) << rng.IntN(2), uint32(i)}
			}
			want := slices.Clone(e)
			slices.SortStableFunc(want, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
			if sortEntries(e, nil); !slices.Equal(e, want) {
				t.Errorf("%d keys of %d bits are not sorted, or not as they came", n, bits)
			}
		}
	}
}

// A segment so fine and so wide that its keys do not fit 64 bits.
func TestWideKeys(t *testing.T) {
	rng := newRand(t, 1)
	rows := randomRows(rng, 4000, 1)
	for i := range rows {
		rows[i].ordinal *= 1<<32/2100 - 1
		rows[i].time = testDay*dayMicros + rng.Int64N(31*dayMicros)
		rows[i].created = 1
	}
	check(t, mustOpen(t, mustBuild(t, inputs(rng, rows), Options{})), rows)
}

// readAll reads everything and returns the first error.
func readAll(r *Reader) error {
	n := r.Rows()
	if _, err := r.KeptTimes(n - 1); err != nil {
		return err
	}
	if err := r.Times(make([]int64, n), 0, n); err != nil {
		return err
	}
	if err := r.CreatedAt(make([]int64, n), 0, n); err != nil {
		return err
	}
	if err := r.Ordinals(make([]uint32, n), 0, n); err != nil {
		return err
	}
	if err := r.UUIDs(make([]vec.UUIDValue, n), 0, n); err != nil {
		return err
	}
	if _, err := r.DistinctIDs(0, n); err != nil {
		return err
	}
	order, err := r.Order(context.Background())
	if err != nil {
		return err
	}
	if err := order.Events(make([]uint32, n), 0); err != nil {
		return err
	}
	for _, g := range r.Ranges() {
		if _, err := g.DayBitmap(0); err != nil {
			return err
		}
		for _, key := range g.Keys() {
			if _, err := g.Read(key, event.ReadDigits, nil, g.Lo, g.Hi); err != nil {
				return err
			}
		}
		if _, err := g.Properties(g.Lo, g.Hi); err != nil {
			return err
		}
	}
	return nil
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	rng := newRand(t, 1)
	flipEvery(t, rng, mustBuild(t, inputs(rng, randomRows(rng, 60, 1000)), Options{}))
	rows := randomRows(rng, 30, 1000)
	giveForms(rng, rows, 7)
	flipEvery(t, rng, mustBuild(t, inputs(rng, rows), Options{}))
}

func flipEvery(t *testing.T, rng *rand.Rand, raw []byte) {
	t.Helper()
	whole := bytes.Clone(raw)
	step := 1
	if testing.Short() {
		step = 4
	}
	for at := rng.IntN(step); at < len(raw); at += step {
		raw[at] ^= 1 << rng.IntN(8)
		r, err := OpenBytes(raw)
		if err == nil {
			_ = readAll(r) // must not panic; Verify decides
			err = r.Verify()
		}
		var damage *CorruptError
		if !errors.As(err, &damage) {
			t.Fatalf("flip at byte %d of %d: %v", at, len(raw), err)
		}
		raw[at] = whole[at]
	}
}

func TestEveryLength(t *testing.T) {
	rng := newRand(t, 1)
	raw := mustBuild(t, inputs(rng, randomRows(rng, 60, 1000)), Options{})
	for n := range raw {
		if _, err := OpenBytes(raw[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes open", n, len(raw))
		}
	}
}

func TestOpenFile(t *testing.T) {
	fs := vfs.NewMem()
	rng := newRand(t, 1)
	rows := randomRows(rng, 100, 1)
	if err := vfs.WriteFile(fs, "a.seg", mustBuild(t, inputs(rng, rows), Options{})); err != nil {
		t.Fatal(err)
	}
	r, err := Open(fs, "a.seg")
	if err != nil {
		t.Fatal(err)
	}
	check(t, r, rows)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(fs, "b.seg", []byte("nothing of ours, and long enough")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fs, "b.seg"); err == nil || !strings.Contains(err.Error(), "b.seg") {
		t.Fatalf("Open of a foreign file: %v", err)
	}
	if _, err := Open(fs, "none.seg"); err == nil {
		t.Fatal("a file that is not there opens")
	}
}

// A file of each version is kept and must open for good. What it says must not change, and
// once merged it is a file of the last version.
func TestGoldenFile(t *testing.T) {
	rng := rand.New(rand.NewPCG(42, 42))
	rows := randomRows(rng, 40, 1000)
	plain := mustBuild(t, inputs(rng, rows), Options{})
	short := slices.Clone(rows) // those that version 3 has shorter forms for
	for i := range short {
		short[i].props = maps.Clone(short[i].props)
	}
	giveForms(rng, short, 7)
	for _, c := range []struct {
		name    string
		version int
		rows    []row
		now     []byte
	}{{"v1", 1, rows, plain}, {"v2", 2, rows, plain}, {"v3", 3, rows, plain}, {"v3-short", 3, short, mustBuild(t, inputs(rng, short), Options{})}} {
		rows, now := c.rows, c.now
		file, dump := "testdata/"+c.name+".seg", "testdata/"+c.name+".txt"
		if *golden && c.version == version {
			if err := os.WriteFile(file, now, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := mustOpen(t, raw)
		if err := r.Verify(); err != nil {
			t.Fatal(err)
		}
		check(t, r, rows)
		merged, err := Merge(partsOf(r), nil, testDay, 31)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(merged, now) {
			t.Fatalf("%s, merged, is not what would be written today", file)
		}
		var out bytes.Buffer
		if err := Dump(&out, r); err != nil {
			t.Fatal(err)
		}
		if *golden {
			if err := os.WriteFile(dump, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(dump)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Fatalf("dump differs from %s:\n%s", dump, out.Bytes())
		}
	}
}

// A reader serves many goroutines; all see the same dictionaries.
func TestReadersTogether(t *testing.T) {
	rng := newRand(t, 1)
	rows := randomRows(rng, 500, 1000)
	r := mustOpen(t, mustBuild(t, inputs(rng, rows), Options{}))
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() { errs <- readAll(r) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	check(t, r, rows)
	if r.CachedBytes() <= 0 {
		t.Fatalf("CachedBytes() = %d", r.CachedBytes())
	}
}

// With a cache that holds next to nothing, everything is decoded again and again, and
// reads as before.
func TestReadersShareACache(t *testing.T) {
	rng := newRand(t, 1)
	rows := randomRows(rng, 500, 1000)
	image := mustBuild(t, inputs(rng, rows), Options{})
	for _, size := range []int64{4 << 10, 400 << 10} { // a quarter is for what is decoded
		pool := memory.NewBudget(size).Pool(memory.Decoded)
		cache := memory.NewCache(pool)
		readers := []*Reader{mustOpen(t, image), mustOpen(t, image)}
		errs := make(chan error, 8)
		for i := range cap(errs) {
			r := readers[i%2]
			if i < 2 {
				r.Share(cache)
			}
			go func() { errs <- readAll(r) }()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range readers {
			check(t, r, rows)
		}
		if used := pool.Used(); used > pool.Size() {
			t.Errorf("%d bytes are cached, the pool has %d", used, pool.Size())
		}
		if used, sum := pool.Used(), readers[0].CachedBytes()+readers[1].CachedBytes(); used != sum {
			t.Errorf("%d bytes are cached, the readers say %d", used, sum)
		}
		for _, r := range readers {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if used := pool.Used(); used != 0 {
			t.Errorf("%d bytes of closed readers are cached", used)
		}
	}
}

// More rows than are sorted at a time, some persons with more than that, and so few times
// that many are the same.
func TestOrderOfManyRows(t *testing.T) {
	rng := newRand(t, 1)
	rows := make([]row, 5*orderRows)
	for i := range rows {
		r := &rows[i]
		for j := range r.uuid {
			r.uuid[j] = byte(rng.Uint32())
		}
		r.ordinal = min(rng.Uint32N(500), rng.Uint32N(500))
		if i%3 == 0 {
			r.ordinal = 77
		}
		r.time = testDay*dayMicros + rng.Int64N(20_000)*1_000_000
		r.name = strconv.Itoa(min(rng.IntN(70), rng.IntN(70)))
	}
	in := input(rows)
	slices.SortFunc(rows, func(a, b row) int { return compareRows(&a, &b) })
	for _, opt := range []Options{{}, {Image: true}} {
		r := mustOpen(t, mustBuild(t, []Input{in}, opt))
		if stored := r.dir.fixed[secOrder].size > 0; stored == opt.Image {
			t.Fatalf("the order of %+v is stored: %v", opt, stored)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Order(gone); opt.Image != errors.Is(err, context.Canceled) {
			t.Fatalf("the order of %+v, when nobody wants it any more: %v", opt, err)
		}
		checkOrder(t, r, rows)
		if err := r.Verify(); err != nil {
			t.Fatal(err)
		}
	}
}

// A file whose checksums are right, but whose order is that of other rows.
func TestVerifyComparesTheOrder(t *testing.T) {
	rng := newRand(t, 1)
	raw := mustBuild(t, inputs(rng, randomRows(rng, 300, 1000)), Options{})
	d := mustOpen(t, raw).dir
	for _, sec := range []int{secOrderFirst, secOrder} {
		forged := bytes.Clone(raw)
		s := d.fixed[sec]
		forged[s.off+s.size-3] ^= 1
		resign(forged)
		var damage *CorruptError
		if err := mustOpen(t, forged).Verify(); !errors.As(err, &damage) || !strings.HasPrefix(damage.Section, fixedNames[sec]) {
			t.Fatalf("%s: %v", fixedNames[sec], err)
		}
	}
}
