package vec

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// randomValue appends a value of b's type; few of them differ if the domain is small.
func randomValue(rng *rand.Rand, b *Builder, domain int) {
	v := b.V
	x := int64(rng.IntN(domain))
	if rng.IntN(20) == 0 {
		x = []int64{math.MinInt64, math.MaxInt64, -1, 1 << 40}[rng.IntN(4)]
	}
	switch v.Type.Payload() {
	case PayloadBools:
		v.Bools = append(v.Bools, x&1 != 0)
	case PayloadI64:
		v.I64 = append(v.I64, x)
	case PayloadF64:
		v.F64 = append(v.F64, []float64{float64(x), math.NaN(), math.Inf(-1), 0.1}[rng.IntN(4)])
	case PayloadDec:
		d, err := DecimalFrom128(x%1000, uint64(x), rng.IntN(MaxDecimalDigits+1))
		if err != nil || rng.IntN(10) == 0 {
			d = []Decimal{DecimalNaN, DecimalInf, DecimalNegInf}[rng.IntN(3)]
		}
		v.Dec = append(v.Dec, d)
	case PayloadStr:
		v.Str.AppendString(fmt.Sprint("value ", x)[:rng.IntN(7)])
	case PayloadIvl:
		v.Ivl = append(v.Ivl, IntervalValue{int32(x), int32(x >> 32), x})
	case PayloadUUIDs:
		v.UUIDs = append(v.UUIDs, UUIDValue{0: byte(x), 15: byte(x >> 8)})
	case PayloadList:
		list := Vector{Type: v.Type, Offs: []uint32{0}, Elem: randomVector(rng, v.Type.Elem(), Flat, rng.IntN(4), domain)}
		if v.Type.Elem().Payload() != PayloadNone {
			list.Offs = append(list.Offs, uint32(list.Elem.Len()))
		} else {
			list.Offs = append(list.Offs, 0)
		}
		b.AppendFrom(&list, 0)
	}
}

func randomVector(rng *rand.Rand, t Type, form Form, rows, domain int) *Vector {
	nulls := rng.IntN(3) // none, some, many
	v := &Vector{Type: t, Form: form}
	b := Builder{V: v}
	mark := func(v *Vector, n int) {
		for i := range n {
			if rng.IntN(4) < nulls {
				v.Nulls = v.Nulls.Grow(n)
				v.Nulls.Set(i)
			}
		}
	}
	switch form {
	case Flat:
		for range rows {
			randomValue(rng, &b, domain)
		}
		mark(v, rows) // with values left under the nulls
	case Const:
		if rng.IntN(4) < nulls {
			return NullConst(t)
		}
		v.Form = Flat // while it is built
		randomValue(rng, &b, domain)
		v.Form = Const
	case Dict:
		v.Dict = randomVector(rng, t, Flat, 1+rng.IntN(2*rows+1), domain)
		size := v.Dict.Len()
		if t.Payload() == PayloadNone {
			size = 1
		}
		v.Codes = make([]uint32, rows)
		for i := range v.Codes {
			v.Codes[i] = uint32(rng.IntN(size))
		}
		if rng.IntN(2) == 0 { // few of them used
			for i := range v.Codes {
				v.Codes[i] = uint32(size - 1)
			}
		}
		mark(v, rows)
		for i := range v.Codes {
			if v.Nulls.Get(i) {
				v.Codes[i] = 0
			}
		}
	}
	return v
}

func allTypes() []Type {
	var out []Type
	for k := range kindCount {
		out = append(out, T(k), ArrayOf(k), Type{Kind: k, Mod: -int32(k) * 1e8})
	}
	return out
}

func randomBatch(rng *rand.Rand, rows int) *Batch {
	b := &Batch{Rows: rows}
	for _, t := range allTypes() {
		for form := range Dict + 1 {
			b.Cols = append(b.Cols, randomVector(rng, t, form, rows, 1+rng.IntN(1000)))
		}
	}
	if rng.IntN(2) == 0 {
		b.Sel = []uint32{}
		for r := range rows {
			if rng.IntN(3) > 0 {
				b.Sel = append(b.Sel, uint32(r))
			}
		}
	}
	return b
}

func TestBatchesComeBackFromTheWire(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		rows := []int{0, 1, 7, 64, 65, 300}[rng.IntN(6)]
		b := randomBatch(rng, rows)
		wire := AppendBatch([]byte("before"), b)[len("before"):]
		if again := AppendBatch(nil, b); !bytes.Equal(again, wire) {
			t.Fatalf("seed %d: the bytes differ the second time", seed)
		}
		got, err := DecodeBatch(wire)
		if err != nil {
			t.Fatalf("seed %d: DecodeBatch: %v", seed, err)
		}
		if got.Rows != b.Live() || got.Sel != nil || len(got.Cols) != len(b.Cols) {
			t.Fatalf("seed %d: %d rows of %d columns, want %d of %d", seed, got.Rows, len(got.Cols), b.Live(), len(b.Cols))
		}
		for c, v := range got.Cols {
			want := b.Cols[c]
			if v.Type != want.Type {
				t.Fatalf("seed %d: column %d has type %v, want %v", seed, c, v.Type, want.Type)
			}
			for i := range got.Rows {
				r := i
				if b.Sel != nil {
					r = int(b.Sel[i])
				}
				if v.IsNull(i) != want.IsNull(r) || v.Type.Payload() != PayloadNone && Compare(v, i, want, r) != 0 {
					t.Fatalf("seed %d: column %d (%v, form %d): row %d is not row %d of what was sent", seed, c, v.Type, want.Form, i, r)
				}
			}
		}
		// What came back is the same again: nothing is lost in how values are written.
		if again := AppendBatch(nil, got); !bytes.Equal(again, wire) {
			t.Fatalf("seed %d: the batch that came back has other bytes", seed)
		}
	}
}

// What lies under a null does not count.
func TestWireBytesAreOfTheValuesAlone(t *testing.T) {
	a := &Vector{Type: T(Int8), I64: []int64{7, 1 << 60, 8}, Nulls: Bitmap{2}}
	b := &Vector{Type: T(Int8), I64: []int64{7, 0, 8}, Nulls: Bitmap{2 | 1<<40, 5}}
	x, y := &Vector{Type: T(Text), Str: StringsOf("a", "left", "c"), Nulls: Bitmap{2}}, &Vector{Type: T(Text), Str: StringsOf("a", "", "c"), Nulls: Bitmap{2}}
	first, second := AppendBatch(nil, &Batch{Rows: 3, Cols: []*Vector{a, x}}), AppendBatch(nil, &Batch{Rows: 3, Cols: []*Vector{b, y}})
	if !bytes.Equal(first, second) {
		t.Errorf("bytes %x and %x of equal batches", first, second)
	}
}

func TestWireKeepsADictionaryThatIsWorthIt(t *testing.T) {
	dict := &Vector{Type: T(Text)}
	for i := range 100_000 {
		dict.Str.AppendString(fmt.Sprint("a long value that nobody wants to see twice ", i))
	}
	few := &Vector{Type: T(Text), Form: Dict, Dict: dict, Codes: make([]uint32, 1000)}
	all := &Vector{Type: T(Text), Form: Dict, Dict: dict, Codes: make([]uint32, 1000)}
	for i := range few.Codes {
		few.Codes[i], all.Codes[i] = uint32(99_990+i%10), uint32(i)
	}
	none := &Vector{Type: T(Text), Form: Dict, Dict: &Vector{Type: T(Text)}, Codes: make([]uint32, 1000), Nulls: NewBitmap(1000)}
	for i := range 1000 {
		none.Nulls.Set(i)
	}
	wire := AppendBatch(nil, &Batch{Rows: 1000, Cols: []*Vector{few}})
	if len(wire) > 2000 {
		t.Errorf("1000 codes of 10 values take %d bytes", len(wire))
	}
	got, err := DecodeBatch(AppendBatch(nil, &Batch{Rows: 1000, Cols: []*Vector{few, all, none}}))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Form{Dict, Flat, Const} {
		if got.Cols[i].Form != want {
			t.Errorf("column %d has form %d, want %d", i, got.Cols[i].Form, want)
		}
	}
}

func TestDecodeBatchRefuses(t *testing.T) {
	good := AppendBatch(nil, &Batch{Rows: 2, Cols: []*Vector{{Type: T(Int8), I64: []int64{1, 2}}}})
	for name, src := range map[string][]byte{
		"nothing":                 nil,
		"another version":         append([]byte{wireVersion + 1}, good[1:]...),
		"more than a batch":       append(bytes.Clone(good), 0),
		"less than a batch":       good[:len(good)-1],
		"too many rows":           {wireVersion, 0xff, 0xff, 0xff, 0xff, 0x0f, 0},
		"too many columns":        {wireVersion, 1, 100, byte(Bool), 0, 0},
		"an unknown kind":         {wireVersion, 1, 1, byte(kindCount), 0, 0},
		"an unknown form":         {wireVersion, 1, 1, byte(Bool), 3, 0},
		"an unknown flag":         {wireVersion, 1, 1, byte(Bool), 32, 0},
		"bits beyond the rows":    {wireVersion, 1, 1, byte(Bool), 0, 2},
		"numbers of three bytes":  {wireVersion, 1, 1, byte(Int8), 0, 0, 3, 1, 1, 1},
		"a code out of range":     {wireVersion, 2, 1, byte(Bool), 2, 1, 1, 0, 1},
		"an empty dictionary":     {wireVersion, 1, 1, byte(Bool), 2, 0, 0},
		"a negative length":       {wireVersion, 1, 1, byte(Text), 0, 1, 1, 0},
		"a length beyond the end": {wireVersion, 1, 1, byte(Text), 0, 0, 1, 9, 'a'},
		"a scale too large":       {wireVersion, 1, 1, byte(Numeric), 0, 0, 1, 0, 0, 1, 1, 0, 1, 39},
	} {
		if b, err := DecodeBatch(src); err == nil {
			t.Errorf("%s: DecodeBatch = %+v, want an error", name, b)
		}
	}
}

func FuzzDecodeBatch(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, t := range allTypes() {
		b := &Batch{Rows: 5}
		for form := range Dict + 1 {
			b.Cols = append(b.Cols, randomVector(rng, t, form, b.Rows, 3))
		}
		f.Add(AppendBatch(nil, b))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		b, err := DecodeBatch(src)
		if err != nil {
			return
		}
		b.Rows = min(b.Rows, 1<<16) // a row without bytes is worth nothing more
		wire := AppendBatch(nil, b)
		again, err := DecodeBatch(wire)
		if err != nil {
			t.Fatalf("DecodeBatch of a batch that was decoded: %v", err)
		}
		if !bytes.Equal(AppendBatch(nil, again), wire) {
			t.Fatal("the bytes differ the second time")
		}
		for _, c := range b.Cols {
			for r := range min(b.Rows, 100) {
				AppendKey(nil, c, r)
				Compare(c, r, c, 0)
				HashRow(c, r)
			}
		}
	})
}

func BenchmarkBatchWire(b *testing.B) {
	batch := &Batch{Rows: BatchRows}
	times, texts := &Vector{Type: T(TimestampTZ)}, &Vector{Type: T(Text)}
	codes := &Vector{Type: T(Text), Form: Dict, Codes: make([]uint32, BatchRows), Dict: &Vector{Type: T(Text), Str: StringsOf("open", "click", "close")}}
	for i := range BatchRows {
		times.I64 = append(times.I64, 1_700_000_000_000_000+int64(i)*1000)
		texts.Str.AppendString(fmt.Sprint("/page/", i*7919%5000))
		codes.Codes[i] = uint32(i % 3)
	}
	batch.Cols = []*Vector{times, texts, codes}
	wire := AppendBatch(nil, batch)
	b.Run("append", func(b *testing.B) {
		b.SetBytes(int64(len(wire)))
		for b.Loop() {
			wire = AppendBatch(wire[:0], batch)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(wire)))
		for b.Loop() {
			if _, err := DecodeBatch(wire); err != nil {
				b.Fatal(err)
			}
		}
	})
}
