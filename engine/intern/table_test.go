package intern

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// TestTable numbers random values in every form, and compares with a map.
func TestTable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []vec.Type{vec.T(vec.Text), vec.T(vec.UUID), vec.T(vec.Numeric)} {
		value := func(b *vec.Builder) {
			switch k := random.IntN(3000); {
			case k < 100:
				b.AppendNull()
			case typ.Kind == vec.Text:
				b.V.Str.AppendString(fmt.Sprint("text ", k))
			case typ.Kind == vec.UUID:
				b.V.UUIDs = append(b.V.UUIDs, vec.UUIDValue{15: byte(k), 3: byte(k >> 8)})
			default:
				d, err := vec.ParseDecimal([]byte(fmt.Sprintf("%d.%0*d", k, 1+random.IntN(3), 0))) // equal ones with other zeros
				if err != nil {
					t.Fatal(err)
				}
				b.AppendFrom(&vec.Vector{Type: typ, Dec: []vec.Decimal{d}}, 0)
			}
		}
		vector := func(n int) *vec.Vector {
			b := vec.NewBuilder(typ)
			for range n {
				value(b)
			}
			return b.V
		}
		in := New(typ)
		var given *vec.Vector
		var kept []string
		for round := range 3 {
			numbers := map[string]uint32{}
			dicts := []*vec.Vector{vector(500), vector(20)}
			for range 60 {
				n := 1 + random.IntN(1000)
				v := vector(n)
				switch random.IntN(4) {
				case 0:
					v = &vec.Vector{Type: typ, Form: vec.Dict, Dict: dicts[random.IntN(2)], Codes: make([]uint32, n)}
					for i := range v.Codes {
						v.Codes[i] = uint32(random.IntN(v.Dict.Len()))
					}
					if random.IntN(2) == 0 {
						v.Nulls = vec.NewBitmap(n)
						v.Nulls.Set(random.IntN(n))
					}
				case 1:
					v = vector(1)
					v.Form = vec.Const
				}
				var rows []uint32
				for i := range n {
					if random.IntN(3) > 0 {
						rows = append(rows, uint32(i))
					}
				}
				got := make([]uint32, len(rows))
				in.Assign(got, v, rows)
				for i, r := range rows {
					key := string(vec.AppendKey(nil, v, int(r)))
					want, ok := numbers[key]
					if !ok {
						want = got[i]
						numbers[key] = want
					}
					at := in.Values()
					if got[i] != want || !v.IsNull(int(r)) && !vec.Equal(at, int(want), v, int(r)) || v.IsNull(int(r)) != at.IsNull(int(want)) {
						t.Fatalf("%s: row %d has number %d, want %d", typ, r, got[i], want)
					}
					if v.IsNull(int(r)) && in.Null() != want {
						t.Fatalf("%s: Null = %d, want %d", typ, in.Null(), want)
					}
				}
			}
			if in.Count() != len(numbers) || in.Values().Len() != len(numbers) || len(in.Hashes()) != len(numbers) {
				t.Fatalf("%s: %d numbers for %d values, want %d", typ, in.Count(), in.Values().Len(), len(numbers))
			}
			if round == 0 {
				given = in.Values()
				for i := range given.Len() {
					kept = append(kept, string(vec.AppendKey(nil, given, i)))
				}
				in.GiveAway()
			} else {
				in.Empty()
			}
			if in.Count() != 0 || in.Null() != None {
				t.Fatalf("%s: %d values when all are forgotten, Null = %d", typ, in.Count(), in.Null())
			}
		}
		for i, want := range kept {
			if got := string(vec.AppendKey(nil, given, i)); got != want {
				t.Fatalf("%s: value %d that was given away = %q, want %q", typ, i, got, want)
			}
		}
	}
}

func BenchmarkAssign(b *testing.B) {
	const rows = 1 << 20
	v := &vec.Vector{Type: vec.T(vec.Text)}
	for i := range rows {
		v.Str.AppendString(fmt.Sprint("http://example.com/page", i*7919%(rows/2)))
	}
	all := make([]uint32, vec.BatchRows)
	dst := make([]uint32, vec.BatchRows)
	for b.Loop() {
		in := New(v.Type)
		for at := 0; at < rows; at += len(all) {
			for i := range all {
				all[i] = uint32(at + i)
			}
			in.Assign(dst, v, all)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
}
