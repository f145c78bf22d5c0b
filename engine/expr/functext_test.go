package expr

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prickledb/prickle/storage/vec"
)

// TestLengths has texts with and without characters beyond ASCII, in every place of a batch, and as parts
// of a longer list.
func TestLengths(t *testing.T) {
	column := &Column{Index: 0, T: vec.T(vec.Text)}
	length, err := NewOperator("length", column)
	if err != nil {
		t.Fatal(err)
	}
	size, err := NewOperator("octet_length", column)
	if err != nil {
		t.Fatal(err)
	}
	for wide := -1; wide < 9; wide++ {
		b := vec.NewBuilder(vec.T(vec.Text))
		var runes, bytes []int64
		for i := range 9 {
			s := strings.Repeat("abc", i*i%7)
			if i == wide {
				s += "é"
			}
			if i == 4 {
				b.AppendNull()
				s = ""
			} else {
				b.V.Str.AppendString(s)
			}
			runes, bytes = append(runes, int64(utf8.RuneCountInString(s))), append(bytes, int64(len(s)))
		}
		for lo := range 5 {
			batch := &vec.Batch{Rows: 8 - lo, Cols: []*vec.Vector{b.V.Slice(lo, 8)}}
			for _, c := range []struct {
				e    Expr
				want []int64
			}{{length, runes}, {size, bytes}} {
				v, err := c.e.Eval(&Context{}, batch)
				if err != nil {
					t.Fatal(err)
				}
				if null := 4 - lo; !v.IsNull(null) || !slices.Equal(v.I64, c.want[lo:8]) {
					t.Errorf("é in %d: from %d on = %v, want %v, and NULL in %d", wide, lo, v.I64, c.want[lo:8], null)
				}
			}
		}
	}
}
