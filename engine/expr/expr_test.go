package expr

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// The cases in testdata are calls in brackets: (+ 1 2), (lower 'ABC'), '1 day'::interval.
// The answer is the value's text and its type, or the SQLSTATE and message.

var typeNames = map[string]vec.Type{
	"int2": tInt2, "int4": tInt4, "int8": tInt8, "numeric": tNum, "float4": tFloat4, "float8": tFloat8,
	"text": tText, "bpchar": vec.T(vec.Bpchar), "varchar": vec.T(vec.Varchar), "bytea": tBytea, "bool": tBool, "date": tDate, "time": tTime, "timestamp": tTs,
	"timestamptz": tTz, "interval": tIvl, "uuid": tUUID, "jsonb": tJSON, "oid": vec.T(vec.OID),
	"varchar3": {Kind: vec.Varchar, Mod: 7}, "char5": {Kind: vec.Bpchar, Mod: 9}, "numeric52": {Kind: vec.Numeric, Mod: 5<<16 + 2 + 4},
}

type reader struct {
	s string
	i int
}

func (r *reader) blanks() {
	for r.i < len(r.s) && strings.IndexByte(" \n\t", r.s[r.i]) >= 0 {
		r.i++
	}
}

func (r *reader) word() string {
	start := r.i
	for r.i < len(r.s) && strings.IndexByte(" \n\t()", r.s[r.i]) < 0 && !strings.HasPrefix(r.s[r.i:], "::") {
		r.i++
	}
	return r.s[start:r.i]
}

func literal(t vec.Type, s string) Expr {
	b := vec.NewBuilder(t)
	b.V.Str.AppendString(s)
	b.V.Form = vec.Const
	return &Const{Value: b.V}
}

func (r *reader) expr() (Expr, error) {
	r.blanks()
	var e Expr
	var err error
	switch c := r.s[r.i]; {
	case c == '(':
		r.i++
		name := r.word()
		var args []Expr
		for r.blanks(); r.s[r.i] != ')'; r.blanks() {
			a, err := r.expr()
			if err != nil {
				return nil, err
			}
			args = append(args, a)
		}
		r.i++
		e, err = call(name, args)
	case c == '\'':
		end := r.i + 1
		for r.s[end] != '\'' || end+1 < len(r.s) && r.s[end+1] == '\'' {
			if r.s[end] == '\'' {
				end++
			}
			end++
		}
		e = literal(vec.T(vec.Unknown), strings.ReplaceAll(r.s[r.i+1:end], "''", "'"))
		r.i = end + 1
	default:
		w := r.word()
		switch {
		case w == "null":
			e = &Const{Value: vec.NullConst(vec.T(vec.Unknown))}
		case w == "true" || w == "false":
			e = &Const{Value: constBool(w == "true")}
		case strings.ContainsAny(w, ".e") || len(w) > 19:
			e, err = NewCast(literal(vec.T(vec.Unknown), w), tNum, true, false)
		case len(w) > 9:
			e, err = NewCast(literal(vec.T(vec.Unknown), w), tInt8, true, false)
		default:
			e, err = NewCast(literal(vec.T(vec.Unknown), w), tInt4, true, false)
		}
	}
	for err == nil && strings.HasPrefix(r.s[r.i:], "::") {
		r.i += 2
		try := strings.HasPrefix(r.s[r.i:], "?")
		if try {
			r.i++
		}
		name := r.word()
		t, ok := typeNames[strings.TrimSuffix(name, "[]")]
		if !ok {
			return nil, fmt.Errorf("no type %s", name)
		}
		t.Array = strings.HasSuffix(name, "[]")
		e, err = NewCast(e, t, true, try)
	}
	return e, err
}

func call(name string, args []Expr) (Expr, error) {
	switch name {
	case "and":
		return &And{Args: args}, nil
	case "or":
		return &Or{Args: args}, nil
	case "not":
		return &Not{E: args[0]}, nil
	case "isnull":
		return &IsNull{E: args[0]}, nil
	case "array":
		return NewArray(args)
	case "any", "all":
		return NewQuantified("=", args[0], args[1], name == "all")
	case "in":
		cast, _, err := castCommon(args)
		if err != nil {
			return nil, err
		}
		return &InList{E: cast[0], List: cast[1:]}, nil
	case "case":
		results, t, err := castCommon([]Expr{args[1], args[2]})
		return &Case{Whens: []When{{args[0], results[0]}}, Else: results[1], T: t}, err
	}
	if e, err := NewConditional(name, args); e != nil || err != nil {
		return e, err
	}
	return NewOperator(name, args...)
}

func testContext(t testing.TB) *Context {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 12, 30, 0, 0, time.UTC).UnixMicro()
	return &Context{Now: now, Statement: now, Location: loc, Database: "shop", User: "ann"}
}

func show(v *vec.Vector, row int, ctx *Context) string {
	if v.IsNull(row) {
		return "NULL"
	}
	return string(AppendText(nil, v, row, ctx))
}

func evalCase(ctx *Context, line string) (e Expr, out string) {
	r := &reader{s: line}
	e, err := r.expr()
	var v *vec.Vector
	if err == nil {
		v, err = e.Eval(ctx, &vec.Batch{Rows: 1})
	}
	if err != nil {
		return e, pgerr.Code(err) + " " + pgerr.From(err).Message
	}
	return e, show(v, 0, ctx) + "  " + e.Type().String()
}

func TestCases(t *testing.T) {
	ctx := testContext(t)
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var sb strings.Builder
			for _, line := range strings.Split(d.Input, "\n") {
				e, out := evalCase(ctx, line)
				fmt.Fprintf(&sb, "%s\n", out)
				if e != nil && !strings.Contains(line, "jsonb_build_object") {
					checkForms(t, ctx, line, e, out)
				}
			}
			return sb.String()
		})
	})
}

// checkForms is left out for jsonb_build_object, which refuses the null keys of the rows around.

// checkForms evaluates e again with its constants as columns, flat and dictionary, with
// rows around that are null or do not count. The answer must be the same.
func checkForms(t *testing.T, ctx *Context, line string, e Expr, want string) {
	t.Helper()
	for _, form := range []vec.Form{vec.Flat, vec.Dict} {
		var cols []*vec.Vector
		varied := Map(e, func(e Expr) Expr {
			c, ok := e.(*Const)
			if !ok || c.Value.Type.Kind == vec.Unknown && !c.Value.Type.Array {
				return e
			}
			v := &vec.Vector{Type: c.Value.Type, Form: vec.Flat}
			b := vec.Builder{V: v}
			b.AppendNull()
			b.AppendFrom(c.Value, 0)
			b.AppendFrom(c.Value, 0)
			b.AppendNull()
			if form == vec.Dict {
				values := vec.NewBuilder(v.Type)
				values.AppendFrom(c.Value, 0)
				v = &vec.Vector{Type: v.Type, Form: vec.Dict, Codes: []uint32{0, 0, 0, 0}, Dict: values.V, Nulls: vec.Bitmap{9}}
			}
			cols = append(cols, v)
			return &Column{Index: len(cols) - 1, T: v.Type}
		})
		for _, sel := range [][]uint32{{2}, {0, 1, 2}, nil} {
			v, err := varied.Eval(ctx, &vec.Batch{Rows: 4, Sel: sel, Cols: cols})
			got := ""
			if err != nil {
				got = pgerr.Code(err) + " " + pgerr.From(err).Message
			} else {
				got = show(v, 2, ctx) + "  " + e.Type().String()
			}
			if got != want {
				t.Errorf("%s in form %d, selection %v: got %s, want %s", line, form, sel, got, want)
			}
		}
	}
}

// TestMasked says that errors of rows that are already decided do not come up.
func TestMasked(t *testing.T) {
	ctx := testContext(t)
	x := &vec.Vector{Type: tInt4, I64: []int64{0, 1, 2, 0}}
	col := &Column{T: tInt4}
	num := func(i int64) Expr {
		return &Const{Value: &vec.Vector{Type: tInt4, Form: vec.Const, I64: []int64{i}}}
	}
	quotient, err := NewOperator("/", num(10), col)
	if err != nil {
		t.Fatal(err)
	}
	more, _ := NewOperator(">", quotient, num(5))
	nonzero, _ := NewOperator("<>", col, num(0))
	zero, _ := NewOperator("=", col, num(0))
	b := &vec.Batch{Rows: 4, Cols: []*vec.Vector{x}}
	if _, err := more.Eval(ctx, b); pgerr.Code(err) != pgerr.DivisionByZero {
		t.Fatalf("10/x > 5: %v, want division by zero", err)
	}
	for _, e := range []Expr{
		&And{Args: []Expr{nonzero, more}},
		&Or{Args: []Expr{zero, more}},
		&Case{Whens: []When{{nonzero, more}}, T: tBool},
		&Coalesce{Args: []Expr{&Case{Whens: []When{{zero, constExpr(true)}}, T: tBool}, more}, T: tBool},
	} {
		if _, err := e.Eval(ctx, b); err != nil {
			t.Errorf("%s: %v", String(e), err)
		}
	}
	if _, err := more.Eval(ctx, subset(b, []uint32{1, 2})); err != nil {
		t.Errorf("rows that do not count raised %v", err)
	}
}

func constExpr(b bool) Expr { return &Const{Value: constBool(b)} }

// TestDictCache says that a call works once per dictionary entry, and gives unique values.
func TestDictCache(t *testing.T) {
	ctx := testContext(t)
	dict := &vec.Vector{Type: tText, Str: vec.StringsOf("A", "a", "B")}
	e, err := NewOperator("lower", &Column{T: tText})
	if err != nil {
		t.Fatal(err)
	}
	v := &vec.Vector{Type: tText, Form: vec.Dict, Dict: dict, Codes: []uint32{0, 1, 2, 0}}
	b := &vec.Batch{Rows: 4, Cols: []*vec.Vector{v}}
	first, err := e.Eval(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := e.Eval(ctx, b)
	if first.Form != vec.Dict || first.Dict != second.Dict || first.Dict.Len() != 2 {
		t.Fatalf("lower over a dictionary: form %d, %d entries, same dictionary %v; want 2 shared entries", first.Form, first.Dict.Len(), first.Dict == second.Dict)
	}
	if first.Codes[0] != first.Codes[1] {
		t.Fatalf("equal values have codes %v", first.Codes)
	}
}

func TestFold(t *testing.T) {
	ctx := testContext(t)
	e, _ := evalCase(ctx, "(+ (* 2 3) 4)")
	f, err := Fold(ctx, e)
	if err != nil || String(f) != "10" {
		t.Fatalf("Fold(%s) = %s, %v", String(e), String(f), err)
	}
	e, _ = evalCase(ctx, "(/ 1 0)")
	if f, _ := Fold(ctx, e); String(f) != "1 / 0" {
		t.Fatalf("Fold kept %s", String(f))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"2026-01-31 13:00:00+02", "2026-03-28 02:30:00", "2026-01-28T13:00:59", "-000123456789012345", "999999", "t", "P1Y2M3DT4H5M6.5S", "1 year -2 mons 04:05:06", `{"a":[1,"b",null]}`, `{a,"b c",NULL}`, "January 8, 1999 04:05 PM", "f47ac10b-58cc-4372-a567-0e02b2c3d479", `\xdead`, "1e5"} {
		f.Add(s)
	}
	ctx := testContext(f)
	targets := []vec.Type{tDate, tTime, tTs, tTz, tIvl, tJSON, tUUID, tBytea, tNum, tFloat8, tInt8, tBool, tTexts, vec.ArrayOf(vec.Int4)}
	f.Fuzz(func(t *testing.T, s string) {
		for _, to := range targets {
			e, err := NewCast(literal(tText, s), to, true, false)
			if err != nil {
				t.Fatal(err)
			}
			v, err := e.Eval(ctx, &vec.Batch{Rows: 1})
			in := &vec.Vector{Type: to}
			switch failed := NewInput(to).Text(ctx, in, []byte(s)); {
			case (failed != nil) != (err != nil) && utf8.ValidString(s):
				t.Fatalf("%q as %s: the conversion says %v, Input says %v", s, to, err, failed)
			case failed == nil && (in.Len() != 1 || !vec.Equal(in, 0, v, 0)):
				t.Fatalf("%q as %s is %s, Input reads %d values, the first is %s", s, to, show(v, 0, ctx), in.Len(), show(in, 0, ctx))
			}
			if err != nil {
				if pgerr.Code(err) == pgerr.Internal {
					t.Fatalf("%q as %s: %v is not a client error", s, to, err)
				}
				continue
			}
			text := show(v, 0, ctx)
			if to.Kind == vec.TimestampTZ && strings.Contains(text, ":") && len(text) > 30 {
				continue // offsets with seconds
			}
			again, err := NewCast(literal(tText, text), to, true, false)
			if err != nil {
				t.Fatal(err)
			}
			w, err := again.Eval(ctx, &vec.Batch{Rows: 1})
			if err != nil {
				t.Fatalf("%q as %s is %q, which does not read back: %v", s, to, text, err)
			}
			if !vec.Equal(v, 0, w, 0) {
				t.Fatalf("%q as %s is %q, which reads as %q", s, to, text, show(w, 0, ctx))
			}
		}
	})
}

func BenchmarkEval(b *testing.B) {
	ctx := testContext(b)
	n := vec.BatchRows
	ints := &vec.Vector{Type: tInt8, I64: make([]int64, n)}
	for i := range ints.I64 {
		ints.I64[i] = int64(i * 7919 % 1000)
	}
	dict := vec.NewBuilder(tText)
	for i := range 100 {
		dict.V.Str.AppendString(fmt.Sprintf("event number %d", i))
	}
	text := &vec.Vector{Type: tText, Form: vec.Dict, Dict: dict.V, Codes: make([]uint32, n)}
	for i := range text.Codes {
		text.Codes[i] = uint32(i * 31 % 100)
	}
	batch := &vec.Batch{Rows: n, Cols: []*vec.Vector{ints, text, text.Flatten(n)}}
	five := &Const{Value: &vec.Vector{Type: tInt8, Form: vec.Const, I64: []int64{5}}}
	word := literal(tText, "event number 7")
	for _, c := range []struct {
		name string
		op   string
		args []Expr
	}{
		{"add", "+", []Expr{&Column{T: tInt8}, five}},
		{"less", "<", []Expr{&Column{T: tInt8}, five}},
		{"equal/dict", "=", []Expr{&Column{Index: 1, T: tText}, word}},
		{"equal/flat", "=", []Expr{&Column{Index: 2, T: tText}, word}},
		{"like/dict", "like", []Expr{&Column{Index: 1, T: tText}, literal(tText, "%ber 7%")}},
		{"like/flat", "like", []Expr{&Column{Index: 2, T: tText}, literal(tText, "%ber 7%")}},
	} {
		e, err := NewOperator(c.op, c.args...)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := e.Eval(ctx, batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
		})
	}
}
