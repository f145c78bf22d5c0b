package encoding

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// shapes are columns that each form, and each border between forms, is there for.
func shapes(rng *rand.Rand, n int) map[string][]uint32 {
	out := map[string][]uint32{}
	add := func(name string, f func(i int, before uint32) uint32) {
		v := make([]uint32, n)
		before := uint32(0)
		for i := range v {
			before = f(i, before)
			v[i] = before
		}
		out[name] = v
	}
	add("constant", func(int, uint32) uint32 { return 77 })
	add("zero", func(int, uint32) uint32 { return 0 })
	add("any", func(int, uint32) uint32 { return rng.Uint32() })
	add("bits", func(int, uint32) uint32 { return rng.Uint32N(2) })
	add("13 bits", func(int, uint32) uint32 { return 1000 + rng.Uint32N(1<<13) })
	add("runs", func(i int, before uint32) uint32 {
		if rng.IntN(20) == 0 {
			return rng.Uint32N(5000)
		}
		return before
	})
	add("ascending", func(i int, before uint32) uint32 { return before + rng.Uint32N(9) })
	add("falling", func(i int, before uint32) uint32 { return before - rng.Uint32N(9) })
	add("far apart", func(i int, before uint32) uint32 { return uint32(i%2) * (1<<32 - 1) })
	add("one odd", func(i int, before uint32) uint32 {
		if i == n/2 {
			return 1 << 31
		}
		return 3
	})
	return out
}

func TestColumnRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 15, 16, 17, 511, 512, 513, 1024, 8191, 8192, 8193, 20000} {
		for name, v := range shapes(rng, n) {
			packed := AppendColumn(nil, v)
			c, err := OpenColumn(packed, n)
			if err != nil {
				t.Fatalf("%s of %d: %v", name, n, err)
			}
			got := make([]uint32, n)
			if err := c.Read(got, 0); err != nil || !slices.Equal(got, v) {
				t.Fatalf("%s of %d: read back differs (%v)", name, n, err)
			}
			for range 20 {
				lo := rng.IntN(n + 1)
				hi := lo + rng.IntN(n-lo+1)
				if err := c.Read(got[:hi-lo], lo); err != nil || !slices.Equal(got[:hi-lo], v[lo:hi]) {
					t.Fatalf("%s of %d: Read(%d, %d) differs (%v)", name, n, lo, hi, err)
				}
				most := uint32(0)
				for _, x := range v {
					most = max(most, x)
				}
				if most > 1<<20 {
					continue
				}
				counts, want := make([]uint32, most+1), make([]uint32, most+1)
				for _, x := range v[lo:hi] {
					want[x]++
				}
				if err := c.Count(counts, lo, hi); err != nil || !slices.Equal(counts, want) {
					t.Fatalf("%s of %d: Count(%d, %d) differs (%v)", name, n, lo, hi, err)
				}
				values, ends, ok, err := c.AppendRuns([]uint32{9}, []uint32{9}, lo, hi)
				if err != nil || name == "runs" && n > 1000 && !ok || name == "any" && hi > lo && n > 1 && ok {
					t.Fatalf("%s of %d: AppendRuns(%d, %d) = %v, %v", name, n, lo, hi, ok, err)
				}
				if ok && (values[0] != 9 || ends[0] != 9 || !slices.Equal(rowsOf(values[1:], ends[1:]), v[lo:hi])) {
					t.Fatalf("%s of %d: AppendRuns(%d, %d) differs", name, n, lo, hi)
				}
				if hi > lo && n > 0 && c.Count(counts[:most], 0, n) == nil {
					t.Fatalf("%s of %d: Count has no place for %d", name, n, most)
				}
			}
		}
	}
}

// A column that is made of runs is the one that is made of the values.
func TestColumnOfRuns(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 2, 3, 16, 511, 512, 513, 1024, 8191, 8192, 8193, 20000} {
		all := shapes(rng, n)
		for _, every := range []int{2, 3, 5, 50, 600, 9000} {
			v := make([]uint32, n)
			for i := range v {
				if rng.IntN(every) == 0 {
					v[i] = 1 + rng.Uint32N(20)
				}
			}
			all[fmt.Sprintf("one in %d", every)] = v
		}
		for name, v := range all {
			var values, ends []uint32
			for i, x := range v {
				if i > 0 && x == v[i-1] {
					ends[len(ends)-1]++
					continue
				}
				values, ends = append(values, x), append(ends, uint32(i)+1)
			}
			if got, want := AppendRunsColumn([]byte{7}, values, ends), AppendColumn([]byte{7}, v); !bytes.Equal(got, want) {
				t.Errorf("%s of %d: %d runs give %d bytes, the values %d others", name, n, len(values), len(got), len(want))
			}
		}
	}
}

func TestWidths(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var v, got [GroupRows]uint32
	for width := uint(0); width <= 32; width++ {
		for i := range v {
			v[i] = uint32(rng.Uint64() & (1<<width - 1))
		}
		packed := appendPacked(nil, v[:], 0, width)
		if len(packed) != packedSize(GroupRows, width) {
			t.Fatalf("width %d: %d bytes", width, len(packed))
		}
		unpack(&got, packed, 0, width)
		if got != v {
			t.Fatalf("width %d: vertical differs", width)
		}
		packed = appendHorizontal(nil, v[:301], 0, width)
		unpackHorizontal(got[:201], packed, 100, 0, width)
		if !slices.Equal(got[:201], v[100:301]) {
			t.Fatalf("width %d: horizontal differs", width)
		}
	}
}

func TestWideRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, spread := range []int64{1, 1000, 1 << 40, 1<<63 - 1} {
		for _, n := range []int{0, 1, 700, 9000} {
			v := make([]int64, n)
			for i := range v {
				v[i] = rng.Int64N(spread) - spread/2
			}
			if n > 3 && spread > 1<<50 {
				v[1], v[2] = -1<<63, 1<<63-1
			}
			w, err := OpenWide(AppendWide(nil, v), n)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]int64, n)
			if err := w.Read(got, 0); err != nil || !slices.Equal(got, v) {
				t.Fatalf("%d values spread over %d: read back differs (%v)", n, spread, err)
			}
		}
	}
}

func TestEveryFlipIsNoticed(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for name, v := range shapes(rng, 600) {
		packed := AppendColumn(nil, v)
		for at := range packed {
			packed[at] ^= 1 << rng.IntN(8)
			c, err := OpenColumn(packed, len(v))
			if err == nil {
				err = c.Verify()
			}
			if err == nil {
				t.Fatalf("%s: flip at %d of %d unnoticed", name, at, len(packed))
			}
			packed = AppendColumn(packed[:0], v)
		}
	}
}

// rowsOf is the rows of runs, each of which has some.
func rowsOf(values, ends []uint32) []uint32 {
	out := []uint32{}
	for i, end := range ends {
		for begin := len(out); len(out) < int(end) || len(out) == begin; {
			out = append(out, values[i])
		}
	}
	return out
}

func FuzzDecodeBlock(f *testing.F) {
	for _, v := range shapes(rand.New(rand.NewPCG(9, 9)), 700) {
		f.Add(AppendBlock(nil, v), 700, 13)
	}
	f.Fuzz(func(t *testing.T, src []byte, rows, lo int) {
		if rows < 0 || rows > BlockRows || lo < 0 || lo > rows {
			return
		}
		dst := make([]uint32, rows-lo)
		err := DecodeBlock(dst, src, rows, lo)
		if err != nil && !errors.Is(err, ErrBlock) {
			t.Fatal(err)
		}
		counts := make([]uint32, 1<<16)
		counting := CountBlock(counts, src, rows, lo, rows)
		if counting != nil && !errors.Is(counting, ErrBlock) {
			t.Fatal(counting)
		}
		values, ends, ok, running := AppendBlockRuns(nil, nil, src, rows, lo, rows, 0)
		if running != nil && !errors.Is(running, ErrBlock) {
			t.Fatal(running)
		}
		if err == nil && ok && !slices.Equal(rowsOf(values, ends), dst) {
			t.Fatalf("runs %v that end at %v, want %v", values, ends, dst)
		}
		if err == nil && counting == nil {
			for _, v := range dst {
				counts[v]--
			}
			for v, n := range counts {
				if n != 0 {
					t.Fatalf("%d of value %d are left over", int32(n), v)
				}
			}
		}
	})
}

func FuzzOpenColumn(f *testing.F) {
	for _, v := range shapes(rand.New(rand.NewPCG(9, 9)), 300) {
		f.Add(AppendColumn(nil, v), 300)
	}
	f.Fuzz(func(t *testing.T, src []byte, n int) {
		if c, err := OpenColumn(src, n&0xffff); err == nil {
			_ = c.Verify() // any answer but a panic will do
		}
		if w, err := OpenWide(src, n&0xffff); err == nil {
			_ = w.Verify()
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for name, v := range shapes(rand.New(rand.NewPCG(1, 1)), BlockRows) {
		block := AppendBlock(nil, v)
		dst := make([]uint32, BlockRows)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := DecodeBlock(dst, block, BlockRows, 0); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/BlockRows, "ns/value")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, v := range shapes(rand.New(rand.NewPCG(1, 1)), BlockRows) {
		var block []byte
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				block = AppendBlock(block[:0], v)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/BlockRows, "ns/value")
		})
	}
}
