package event

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// row is an event as the tests state it.
type row struct {
	uuid       vec.UUIDValue
	time       int64
	name, id   string
	props      map[string]value
	personless bool
	ops        []PersonOp
	groups     []GroupOp
	copies     []string // what is copied, and to where
}

type value struct {
	kind Kind
	text string
}

// rowsOf reads a batch back in the plainest way.
func rowsOf(t *testing.T, b *Batch) []row {
	t.Helper()
	if !slices.IsSortedFunc(b.Props, func(x, y Prop) int { return bytes.Compare([]byte(x.Key), []byte(y.Key)) }) {
		t.Errorf("properties are not sorted")
	}
	out := make([]row, b.Rows)
	for i := range out {
		out[i] = row{
			uuid: b.UUID[i], time: b.Time[i],
			name: string(b.Name.Values.At(int(b.Name.Codes[i]))),
			id:   string(b.DistinctID.Values.At(int(b.DistinctID.Codes[i]))),

			props: map[string]value{}, personless: b.Personless.Get(i),
		}
		for _, p := range b.Props {
			if c := p.Codes.At(i); c != 0 {
				out[i].props[p.Key] = value{p.Kinds[c-1], string(p.Values.At(int(c - 1)))}
			}
		}
	}
	for _, op := range b.Ops {
		out[op.Row].ops = append(out[op.Row].ops, op)
	}
	for _, op := range b.Groups {
		out[op.Row].groups = append(out[op.Row].groups, op)
	}
	for _, c := range b.Copies {
		for i := range out {
			for _, p := range c.Props {
				if c.Rows.Get(i) {
					out[i].copies = append(out[i].copies, p.From+" to "+p.To)
				}
			}
		}
	}
	return out
}

func randomRows(rng *rand.Rand, n int) []row {
	out := make([]row, n)
	spread := []int64{1, 1000, 1 << 40, 1 << 62}[rng.IntN(4)]
	for i := range out {
		r := row{
			time: 1_700_000_000_000_000 + rng.Int64N(spread),
			name: fmt.Sprint("event ", rng.IntN(5)), id: fmt.Sprint("user", rng.IntN(n+1)),
			props: map[string]value{}, personless: rng.IntN(9) == 0,
		}
		for j := range r.uuid {
			r.uuid[j] = byte(rng.Uint32())
		}
		for range rng.IntN(20) {
			v := value{Kind(rng.IntN(int(JSON) + 1)), fmt.Sprint(rng.IntN(40))}
			switch v.kind {
			case Null:
				v.text = ""
			case Bool:
				v.text = []string{"true", "false"}[rng.IntN(2)]
			}
			r.props[fmt.Sprint("key", rng.IntN(30))] = v
		}
		for rng.IntN(2) == 0 {
			r.props[fmt.Sprint("rare", rng.IntN(30))] = value{Text, fmt.Sprint(rng.IntN(4))}
		}
		if rng.IntN(5) == 0 {
			r.ops = []PersonOp{{Row: uint32(i), Kind: OpKind(rng.IntN(4)), Other: "anon", Set: []byte(`{"a": 1}`), Unset: []string{"x", ""}}}
		}
		for range rng.IntN(6) / 4 {
			r.groups = append(r.groups, GroupOp{Row: uint32(i), Type: "company", Key: fmt.Sprint("g", rng.IntN(4)), SetOnce: []byte(`{"b": 2}`), Unset: []string{"y"}})
		}
		out[i] = r
	}
	return out
}

func fill(b *Builder, rows []row, rng *rand.Rand) {
	put := func(r row) {
		b.Begin(r.uuid, r.time)
		b.SetName([]byte(r.name))
		keys := make([]string, 0, len(r.props))
		for k := range r.props {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			if rng.IntN(10) == 0 { // a repeated key: the later value counts
				b.Property([]byte(k), Text, []byte("earlier"))
			}
			b.Property([]byte(k), r.props[k].kind, []byte(r.props[k].text))
		}
		if r.personless {
			b.Personless()
		}
		for _, op := range r.ops {
			b.Op(op)
		}
		for _, op := range r.groups {
			b.Group(op)
		}
		b.SetDistinctID([]byte(r.id))
	}
	for _, r := range rows {
		if rng.IntN(4) == 0 {
			dropped := randomRows(rng, 1)[0]
			dropped.props["never kept"] = value{Text, "x"}
			put(dropped)
			b.Abort()
		}
		put(r)
		b.End()
	}
}

// What is put into a builder comes back from the wire, batch after batch.
func TestRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	b := NewBuilder()
	for round := range 60 {
		want := randomRows(rng, rng.IntN(300))
		fill(b, want, rng)
		if b.Rows() != len(want) {
			t.Fatalf("seed %d: Rows() = %d, want %d", seed, b.Rows(), len(want))
		}
		built := b.Finish()
		built.CreatedAt = rng.Int64()
		copyRandom(rng, built, want)
		if got := rowsOf(t, built); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d round %d: batch differs from the rows put in", seed, round)
		}
		wire := Append([]byte("before"), built)[6:]
		decoded, err := Decode(wire)
		if err != nil {
			t.Fatalf("seed %d round %d: Decode: %v", seed, round, err)
		}
		if got := rowsOf(t, decoded); !reflect.DeepEqual(got, want) || decoded.CreatedAt != built.CreatedAt {
			t.Fatalf("seed %d round %d: decoded batch differs", seed, round)
		}
		if again := Append(nil, decoded); !bytes.Equal(again, wire) {
			t.Fatalf("seed %d round %d: the wire of the decoded batch differs", seed, round)
		}
		if len(built.Props) > 0 && built.Props[len(built.Props)-1].Key == "never kept" {
			t.Fatalf("seed %d: a property of dropped rows only is in the batch", seed)
		}
	}
}

// copyRandom has random rows of a batch copy random properties.
func copyRandom(rng *rand.Rand, b *Batch, rows []row) {
	if b.Rows == 0 {
		return
	}
	for range rng.IntN(3) {
		c := Copy{Rows: vec.NewBitmap(b.Rows), Props: []CopiedProp{}}
		for range rng.IntN(len(b.Props) + 1) {
			from := b.Props[rng.IntN(len(b.Props))].Key
			c.Props = append(c.Props, CopiedProp{from, []string{from, "other"}[rng.IntN(2)]})
		}
		for i := range rows {
			if rng.IntN(2) == 0 {
				continue
			}
			c.Rows.Set(i)
			for _, p := range c.Props {
				rows[i].copies = append(rows[i].copies, p.From+" to "+p.To)
			}
		}
		b.Copies = append(b.Copies, c)
	}
}

// TestRepeat gives rows as members that are written somehow, which repeat those of the row before in part.
func TestRepeat(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	b := NewBuilder()
	repeated := 0
	for range 200 {
		type pair struct{ key, value string }
		var members []pair
		var want []map[string]value
		for range rng.IntN(20) {
			for range rng.IntN(4) {
				at := rng.IntN(len(members) + 1)
				p := pair{fmt.Sprint("k", rng.IntN(8)), fmt.Sprint(rng.IntN(3))}
				switch {
				case rng.IntN(3) == 0 || at == len(members):
					members = slices.Insert(members, at, p)
				case rng.IntN(2) == 0:
					members = slices.Delete(members, at, at+1)
				default:
					members[at] = p
				}
			}
			b.Begin(vec.UUIDValue{}, 0)
			row := map[string]value{}
			single := func() {
				if rng.IntN(6) == 0 {
					key := fmt.Sprint("k", rng.IntN(8))
					b.Property([]byte(key), Bool, []byte("true"))
					row[key] = value{Bool, "true"}
				}
			}
			single()
			var text []byte
			for _, p := range members {
				text = fmt.Appendf(text, "%s=%s;", p.key, p.value)
			}
			for at := 0; at < len(members); {
				n := b.Repeat(text)
				if repeated += n; n == 0 {
					b.Member([]byte(members[at].key), Text, []byte(members[at].value))
					n = len(members[at].key + members[at].value + "=;")
					b.Written(text[:n])
				}
				for ; n > 0; at++ {
					size := len(members[at].key + members[at].value + "=;")
					row[members[at].key] = value{Text, members[at].value}
					text, n = text[size:], n-size
				}
			}
			single()
			if rng.IntN(6) == 0 {
				b.Abort()
				continue
			}
			b.End()
			want = append(want, row)
		}
		for i, got := range rowsOf(t, b.Finish()) {
			if !reflect.DeepEqual(got.props, want[i]) {
				t.Fatalf("seed %d: row %d has %v, want %v", seed, i, got.props, want[i])
			}
		}
	}
	if repeated == 0 {
		t.Error("nothing was repeated")
	}
}

func TestDecodeRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := NewBuilder()
	rows := randomRows(rng, 20)
	fill(b, rows, rng)
	built := b.Finish()
	for len(built.Copies) == 0 {
		copyRandom(rng, built, rows)
	}
	wire := Append(nil, built)
	for i := range wire {
		if _, err := Decode(wire[:i]); err == nil {
			t.Errorf("Decode of the first %d of %d bytes gave no error", i, len(wire))
		}
	}
	if _, err := Decode(append(slices.Clone(wire), 0)); err == nil {
		t.Errorf("Decode with a byte too many gave no error")
	}
}

func FuzzDecode(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 7, 100} {
		b := NewBuilder()
		fill(b, randomRows(rng, n), rng)
		f.Add(Append(nil, b.Finish()))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		b, err := Decode(src)
		if err != nil {
			return
		}
		rowsOf(t, b)
		again, err := Decode(Append(nil, b))
		if err != nil {
			t.Fatalf("Decode of what Append made: %v", err)
		}
		if !reflect.DeepEqual(rowsOf(t, again), rowsOf(t, b)) {
			t.Fatalf("second decoding differs")
		}
	})
}

func benchRows(n int) [][][]byte {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([][][]byte, n)
	for i := range out {
		for k := range 25 {
			out[i] = append(out[i], []byte(fmt.Sprint("$property_", k)), []byte(fmt.Sprint("value ", rng.IntN(1+k*k))))
		}
	}
	return out
}

// BenchmarkBuilder is one event of 25 properties.
func BenchmarkBuilder(b *testing.B) {
	rows := benchRows(4096)
	build := NewBuilder()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r := rows[i&4095]
		i++
		build.Begin(vec.UUIDValue{byte(i)}, int64(i))
		build.SetName([]byte("page"))
		build.SetDistinctID(r[49])
		for k := 0; k < len(r); k += 2 {
			build.Property(r[k], Text, r[k+1])
		}
		build.End()
		if build.Rows() == 4096 {
			build.Finish()
		}
	}
}

func BenchmarkWire(b *testing.B) {
	rows := benchRows(4096)
	build := NewBuilder()
	for i, r := range rows {
		build.Begin(vec.UUIDValue{byte(i)}, int64(i))
		build.SetName([]byte("page"))
		build.SetDistinctID(r[49])
		for k := 0; k < len(r); k += 2 {
			build.Property(r[k], Text, r[k+1])
		}
		build.End()
	}
	batch := build.Finish()
	wire := Append(nil, batch)
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			wire = Append(wire[:0], batch)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/event")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := Decode(wire); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/event")
	})
}

// A property that few rows have keeps their codes alone, in memory as on the wire.
func TestFewRows(t *testing.T) {
	for _, rows := range []int{7, 8, 15, 16, 400} {
		for _, have := range [][]int{{0}, {rows - 1}, {rows / 2, rows/2 + 1}, {0, 3, rows - 1}} {
			b := NewBuilder()
			want := make([]uint32, rows)
			for i := range rows {
				b.Begin(vec.UUIDValue{}, 0)
				if at := slices.Index(have, i); at >= 0 {
					want[i] = uint32(at) + 1
					b.Property([]byte("p"), Int, fmt.Appendf(nil, "%d", at))
				}
				b.End()
			}
			made := b.Finish()
			raw := Append(nil, made)
			read, err := Decode(raw)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []*Batch{made, read} {
				c := &b.Props[0].Codes
				some, few := c.Some()
				kept := rows
				if len(have)*8 <= rows {
					kept = len(have)
				}
				if few != (kept < rows) || len(some) != kept && few || b.Cells() != kept || c.Len() != rows {
					t.Errorf("%d of %d rows: the codes of %d rows, %d kept", len(have), rows, len(some), b.Cells())
				}
				got, taken := make([]uint32, rows), make([]uint32, len(have))
				c.Read(got)
				rest := make([]uint32, rows-1)
				c.Read(rest)
				from, list := 0, []uint32{}
				for i, v := range want {
					if n := c.Next(i, &from); n != v || c.At(i) != v {
						t.Errorf("%d of %d rows: Next(%d) = %d, At = %d, want %d", len(have), rows, i, n, c.At(i), v)
					}
					if v != 0 {
						list = append(list, uint32(i))
					}
				}
				if c.Take(taken[:len(list)], list); !slices.Equal(got, want) || !slices.Equal(rest, want[:rows-1]) || taken[0] != want[list[0]] {
					t.Errorf("%d of %d rows: %v, want %v", len(have), rows, got, want)
				}
				c.Set(rows-1, 300)
				if _, few := c.Some(); few || c.At(rows-1) != 300 || c.Len() != rows || have[0] != rows-1 && c.At(have[0]) != want[have[0]] {
					t.Errorf("%d of %d rows: after Set a row has %d", len(have), rows, c.At(rows-1))
				}
			}
		}
	}
	b := NewBuilder()
	for i := range 16 {
		b.Begin(vec.UUIDValue{}, 0)
		if i == 3 {
			b.Property([]byte("p"), Text, []byte("x"))
		}
		b.End()
	}
	raw := Append(nil, b.Finish())
	at := bytes.Index(raw, []byte{'p', 1, 1, 'x', byte(Text), 1, 3, 1})
	if at < 0 {
		t.Fatalf("%x has no property", raw)
	}
	for change, to := range map[int]byte{5: 17, 6: 16, 7: 0} {
		bad := slices.Clone(raw)
		bad[at+change] = to
		if _, err := Decode(bad); err == nil {
			t.Errorf("byte %d of the property as %d is read", change, to)
		}
	}
}

// In version 3 every row has a code of every property, and has it when it is read: what a batch
// takes in memory, which decides when it is flushed, stays what it was.
func TestReadsVersion3(t *testing.T) {
	raw := append([]byte{3, 16, 0}, make([]byte, 16*16)...)
	raw = append(raw, 0, 0, 1, 1, 'e', 1, 1, 'u', 1, 1, 'p', 1, 1, 'x', byte(Text), 1<<3, 0, 0, 0, 0, 0)
	b, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, few := b.Props[0].Codes.Some(); few || b.Props[0].Codes.At(3) != 1 || b.Cells() != 16 {
		t.Errorf("Decode = %+v", b.Props[0])
	}
	if again, err := Decode(Append(nil, b)); err != nil || !reflect.DeepEqual(again.Props, b.Props) {
		t.Errorf("the batch of version 3 comes back as %+v, %v", again.Props, err)
	}
}

// A batch of an older version has no groups, or no copies, and is read as it was.
func TestVersions(t *testing.T) {
	b := NewBuilder()
	b.Begin(vec.UUIDValue{1}, 5)
	b.SetName([]byte("e"))
	b.SetDistinctID([]byte("u"))
	b.End()
	raw := Append(nil, b.Finish())
	for version := 1; version < wireVersion; version++ {
		old := append([]byte{byte(version)}, raw[1:len(raw)-max(0, 3-version)]...)
		got, err := Decode(old)
		if err != nil || got.Rows != 1 || got.Groups != nil || got.Copies != nil {
			t.Errorf("Decode of version %d = %+v, %v", version, got, err)
		}
	}
	for _, version := range []byte{0, wireVersion + 1} {
		if _, err := Decode(append([]byte{version}, raw[1:]...)); err == nil {
			t.Errorf("a batch of version %d is read", version)
		}
	}
}

// A batch is the caller's: what is appended to one of its columns changes no other, and neither
// does the next batch of the builder.
func TestBatchesShareNothing(t *testing.T) {
	build := NewBuilder()
	make3 := func(value string) *Batch {
		for i := range 3 {
			build.Begin(vec.UUIDValue{byte(i)}, int64(i))
			build.SetName([]byte("e"))
			build.SetDistinctID([]byte(value))
			for _, key := range []string{"a", "b", "c"} {
				build.Property([]byte(key), Text, fmt.Append(nil, value, key, i))
			}
			build.End()
		}
		return build.Finish()
	}
	first := make3("one ")
	want := Append(nil, first)
	first.Set("b", Text, "more", []uint32{1})
	next := make3("two ")
	for i, key := range []string{"a", "b", "c"} {
		if got := first.Props[i].Values.Str(0); got != "one "+key+"0" {
			t.Errorf("first value of %s: %q", key, got)
		}
		if got := next.Props[i].Values.Str(2); got != "two "+key+"2" {
			t.Errorf("last value of %s in the next batch: %q", key, got)
		}
	}
	first.Props[1].Codes.Set(1, 2)
	first.Props[1].Kinds = first.Props[1].Kinds[:3]
	first.Props[1].Values = vec.StringsOf("one b0", "one b1", "one b2")
	if got := Append(nil, first); string(got) != string(want) {
		t.Error("appending to a column has changed others")
	}
}
