package expr

import (
	"fmt"
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
		b.V.Str.ASCII = wide == -1
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

// TestRepeats has functions that give parts of texts, of which few or many are the same: in a large batch they
// come as a dictionary, or not, and are what a batch of one row gives.
func TestRepeats(t *testing.T) {
	column := &Column{Index: 0, T: tText}
	for name, args := range map[string][]string{
		"regexp_replace": {`^https?://(?:www\.)?([^/]+)/.*$`, `\1`},
		"regexp_extract": {`//([a-z]*)`},
		"regexp_substr":  {`//[a-z]*`},
		"substring":      {`^http://(.*)/`},
		"url_host":       nil,
		"url_domain":     nil,
	} {
		operands := []Expr{column}
		for _, a := range args {
			operands = append(operands, literal(tText, a))
		}
		e, err := NewOperator(name, operands...)
		if err != nil {
			t.Fatal(err)
		}
		for _, hosts := range []int{1, 20, 1000, 1 << 20} {
			b := vec.NewBuilder(tText)
			var rows []uint32
			for i := range 3000 {
				switch {
				case i%17 == 3:
					b.AppendNull()
				case i%13 == 5:
					b.V.Str.AppendString("no link")
				default:
					b.V.Str.AppendString(fmt.Sprintf("http://www.%c%d.example/%d", 'a'+i%3, i*7919%hosts, i))
				}
				if i%5 > 0 {
					rows = append(rows, uint32(i))
				}
			}
			for _, sel := range [][]uint32{nil, rows, {}} {
				batch := &vec.Batch{Rows: 3000, Sel: sel, Cols: []*vec.Vector{b.V}}
				got, err := e.Eval(&Context{}, batch)
				if err != nil {
					t.Fatal(err)
				}
				if hosts != 1000 && sel == nil && (name == "regexp_replace" || name == "url_host") && (got.Form == vec.Dict) != (hosts < 1000) {
					t.Errorf("%s of %d hosts has form %d", name, hosts, got.Form)
				}
				if sel == nil {
					sel = firstRows(3000)
				}
				for _, r := range sel {
					want, err := e.Eval(&Context{}, &vec.Batch{Rows: 1, Cols: []*vec.Vector{b.V.Slice(int(r), int(r)+1)}})
					if err != nil {
						t.Fatal(err)
					}
					if !vec.Equal(got, int(r), want, 0) {
						t.Fatalf("%s of %d hosts: row %d is %s, want %s", name, hosts, r, show(got, int(r), &Context{}), show(want, 0, &Context{}))
					}
				}
			}
		}
	}
}

func firstRows(n int) (rows []uint32) {
	for i := range n {
		rows = append(rows, uint32(i))
	}
	return rows
}

// TestEqualTexts compares a column with constants, on either side.
func TestEqualTexts(t *testing.T) {
	b := vec.NewBuilder(tText)
	for i := range 20 {
		if i == 7 {
			b.AppendNull()
			continue
		}
		b.V.Str.AppendString([]string{"", "a", "ab", "é"}[i%4])
	}
	for _, x := range []string{"", "a", "b", "ab", "é"} {
		for _, op := range []string{"=", "<>"} {
			for _, operands := range [][]Expr{{&Column{T: tText}, literal(tText, x)}, {literal(tText, x), &Column{T: tText}}} {
				e, err := NewOperator(op, operands...)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range []*vec.Vector{b.V, b.V.Slice(0, 20)} {
					got, err := e.Eval(&Context{}, &vec.Batch{Rows: 20, Cols: []*vec.Vector{v}})
					if err != nil {
						t.Fatal(err)
					}
					for i := range 20 {
						if null, want := i == 7, (b.V.Str.Str(i) == x) == (op == "="); got.IsNull(i) != null || !null && got.Bools[i] != want {
							t.Errorf("%s: %q = %v", String(e), b.V.Str.Str(i), got.Bools[i])
						}
					}
				}
			}
		}
	}
}
