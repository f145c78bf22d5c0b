package expr

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/prickledb/prickle/storage/vec"
)

// TestMemoKeepsItsOwn overwrites the memory that a format came in, as the next batch does.
func TestMemoKeepsItsOwn(t *testing.T) {
	lent := []byte(`9"a"`)
	one := vec.DecimalFromInt(1)
	for _, format := range []string{unsafe.String(&lent[0], len(lent)), `9"a"`} {
		got, err := appendNumberFormat(nil, one, format)
		if err != nil || string(got) != " 1a" {
			t.Errorf("to_char(1, '9\"a\"') = %q, %v", got, err)
		}
		lent[2] = 'b'
	}
}

// TestLikeAnywhere searches many texts for words, as one text, and each alone.
func TestLikeAnywhere(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 5))
	for range 300 {
		b := vec.NewBuilder(tText)
		rows := 1 + rnd.IntN(200)
		for range rows {
			if rnd.IntN(20) == 0 {
				b.AppendNull()
				continue
			}
			var s []byte
			for range rnd.IntN(1 + rnd.IntN(40)) {
				s = append(s, "aabc"[rnd.IntN(4)])
			}
			b.V.Str.Append(s)
		}
		word := []string{"a", "b", "ab", "aa", "abc", "bcab", "aabaabca"}[rnd.IntN(7)]
		op := []string{"like", "!~~"}[rnd.IntN(2)]
		e, err := NewOperator(op, &Column{T: tText}, literal(tText, "%"+word+"%"))
		if err != nil {
			t.Fatal(err)
		}
		lo := rnd.IntN(rows)
		v := b.V
		if rnd.IntN(2) == 0 {
			v = v.Slice(lo, rows)
		}
		got, err := e.Eval(&Context{}, &vec.Batch{Rows: v.Len(), Cols: []*vec.Vector{v}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range v.Len() {
			want := strings.Contains(v.Str.Str(i), word) == (op == "like")
			if v.IsNull(i) != got.IsNull(i) || !v.IsNull(i) && got.Bools[i] != want {
				t.Fatalf("%s: %q = %v", String(e), v.Str.Str(i), got.Bools[i])
			}
		}
	}
}

func BenchmarkLikeAnywhere(b *testing.B) {
	texts := vec.MakeStrings(0, 0)
	for i := range vec.BatchRows {
		texts.AppendString(fmt.Sprintf("http://wildberries.ru/page/%x?cat_id=%d&state=%d", i*7919, i%5000, i*31%1_000_000))
	}
	e, err := NewOperator("like", &Column{T: tText}, literal(tText, "%google%"))
	if err != nil {
		b.Fatal(err)
	}
	batch := &vec.Batch{Rows: vec.BatchRows, Cols: []*vec.Vector{{Type: tText, Str: texts}}}
	b.SetBytes(int64(len(texts.Bytes)))
	for b.Loop() {
		if _, err := e.Eval(&Context{}, batch); err != nil {
			b.Fatal(err)
		}
	}
}
