package expr

import (
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Input reads values of one type that come from outside, in their text form or in that of
// PostgreSQL's binary protocol, and appends them to vectors. A value that does not fit the
// type's modifier is refused as in an assignment. An Input is used by one goroutine.
type Input struct {
	t    vec.Type
	text func(ctx *Context, v *vec.Vector, s string) error
	zone *zone // found at the first use
}

var badEncoding = pgerr.New(pgerr.BadEncoding, `invalid byte sequence for encoding "UTF8"`)

// checkText says whether bytes from outside are a text: UTF-8, and without NUL as in PostgreSQL.
func checkText(s string) error {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return pgerr.New(pgerr.BadEncoding, `invalid byte sequence for encoding "UTF8": 0x00`)
	case !utf8.ValidString(s):
		return badEncoding
	}
	return nil
}

// NewInput reads values of a type.
func NewInput(t vec.Type) *Input {
	in := &Input{t: t}
	switch {
	case t.Array:
		in.text = in.cast()
	case t.IsInt():
		lo, hi := intRange(t.Kind)
		in.text = func(_ *Context, v *vec.Vector, s string) error {
			x, ok := plainInt(s)
			if !ok || x < lo || x > hi {
				var err error
				if x, err = parseInt(s, t); err != nil {
					return err
				}
			}
			v.I64 = append(v.I64, x)
			return nil
		}
	default:
		in.text = in.reader()
	}
	return in
}

// Text appends the value whose text form is s to v, a flat vector of the type. The bytes are
// not kept.
func (in *Input) Text(ctx *Context, v *vec.Vector, s []byte) error {
	return in.text(ctx, v, unsafe.String(unsafe.SliceData(s), len(s)))
}

// plainInt reads up to 18 digits, perhaps behind a minus.
func plainInt(s string) (int64, bool) {
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	x := int64(0)
	for i := 0; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		x = x*10 + int64(c)
	}
	if neg {
		x = -x
	}
	return x, true
}

// reader is how a type that is no integer and no array is read.
func (in *Input) reader() func(ctx *Context, v *vec.Vector, s string) error {
	t := in.t
	switch t.Kind {
	case vec.Bool:
		return func(_ *Context, v *vec.Vector, s string) error {
			if s == "t" || s == "f" {
				v.Bools = append(v.Bools, s == "t")
				return nil
			}
			x, err := parseBool(s)
			if err == nil {
				v.Bools = append(v.Bools, x)
			}
			return err
		}
	case vec.Float4, vec.Float8:
		return func(_ *Context, v *vec.Vector, s string) error {
			x, err := parseFloat(s, t)
			if err == nil {
				v.F64 = append(v.F64, x)
			}
			return err
		}
	case vec.Numeric:
		return func(_ *Context, v *vec.Vector, s string) error {
			x, err := parseNumeric(s)
			if err == nil && t.Mod != 0 {
				x, err = fitDecimal(x, t.Mod)
			}
			if err == nil {
				v.Dec = append(v.Dec, x)
			}
			return err
		}
	case vec.Date, vec.Timestamp, vec.TimestampTZ:
		return in.moment
	case vec.UUID:
		return func(_ *Context, v *vec.Vector, s string) error {
			x, err := parseUUID(s)
			if err == nil {
				v.UUIDs = append(v.UUIDs, x)
			}
			return err
		}
	case vec.JSONB:
		return func(_ *Context, v *vec.Vector, s string) error {
			if err := checkText(s); err != nil {
				return err
			}
			return appendInPlace(v, func(dst []byte) ([]byte, error) {
				return CanonicalJSON(dst, unsafe.Slice(unsafe.StringData(s), len(s)))
			})
		}
	case vec.Text, vec.Varchar, vec.Bpchar, vec.Name, vec.Unknown:
		return func(_ *Context, v *vec.Vector, s string) error {
			if err := checkText(s); err != nil {
				return err
			}
			if t.Mod != 0 && (t.Kind == vec.Varchar || t.Kind == vec.Bpchar) {
				return appendInPlace(v, func(dst []byte) ([]byte, error) { return appendFitting(dst, s, t) })
			}
			if t.Kind == vec.Name {
				s = cutName(s)
			}
			v.Str.AppendString(s)
			return nil
		}
	}
	return in.cast()
}

// appendInPlace appends a text to v as f adds it to the bytes there are. A value that fails
// leaves no trace.
func appendInPlace(v *vec.Vector, f func(dst []byte) ([]byte, error)) error {
	if len(v.Str.Offs) == 0 {
		v.Str.Offs = append(v.Str.Offs, 0)
	}
	out, err := f(v.Str.Bytes)
	if err != nil {
		return err
	}
	v.Str.Bytes = out
	v.Str.Offs = append(v.Str.Offs, uint32(len(out)))
	return nil
}

// moment reads dates and timestamps, those in ISO 8601 without a zone by a shorter way.
func (in *Input) moment(ctx *Context, v *vec.Vector, s string) error {
	x, ok := isoMoment(s)
	var err error
	switch kind := in.t.Kind; {
	case ok && kind == vec.Date:
		x = vec.FloorDiv(x, microsDay)
	case ok && kind == vec.TimestampTZ:
		if in.zone == nil {
			z := zoneOf(ctx)
			in.zone = &z
		}
		x = in.zone.utc(x)
	case ok:
	case kind == vec.Date:
		x, err = parseDay(ctx, s)
	case kind == vec.Timestamp:
		x, err = parseTimestamp(ctx, s)
	default:
		x, err = parseTimestampTZ(ctx, s)
	}
	if err == nil {
		if in.t.Mod != 0 {
			x = fitTime(x, in.t.Modifier())
		}
		v.I64 = append(v.I64, x)
	}
	return err
}

// plainDays is how many days each month has in any year.
var plainDays = [...]int64{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// isoMoment reads YYYY-MM-DD, perhaps with HH:MM:SS behind a blank or a T.
func isoMoment(s string) (int64, bool) {
	if len(s) != 10 && (len(s) != 19 || s[10] != ' ' && s[10] != 'T' || s[13] != ':' || s[16] != ':') || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	bad := byte(0)
	two := func(i int) int64 {
		a, b := s[i]-'0', s[i+1]-'0'
		if a > 9 || b > 9 {
			bad = 1
		}
		return int64(a)*10 + int64(b)
	}
	y, m, d := two(0)*100+two(2), two(5), two(8)
	var clock int64
	if len(s) == 19 {
		h, mi, sec := two(11), two(14), two(17)
		if h > 23 || mi > 59 || sec > 59 {
			return 0, false
		}
		clock = ((h*60+mi)*60 + sec) * microsSecond
	}
	if bad != 0 || y == 0 || m < 1 || m > 12 || d < 1 || d > plainDays[m-1] {
		return 0, false
	}
	return dayOf(y, int(m), int(d))*microsDay + clock, true
}

// cast reads a value as a conversion from text does.
func (in *Input) cast() func(ctx *Context, v *vec.Vector, s string) error {
	fn, ok := castFunction(vec.T(vec.Unknown), in.t)
	return func(ctx *Context, v *vec.Vector, s string) error {
		if !ok {
			return pgerr.Unsupported("a value of type " + in.t.String() + " from outside")
		}
		if err := checkText(s); err != nil {
			return err
		}
		one := &vec.Vector{Type: vec.T(vec.Unknown), Form: vec.Const, Str: vec.StringsOf(s)}
		if fn != nil {
			var err error
			if one, err = applyFlat(ctx, fn, []*vec.Vector{one}, in.t, 1, nil); err != nil {
				return err
			}
		}
		(&vec.Builder{V: v}).AppendFrom(one, 0)
		return nil
	}
}

// ParseValue reads the text form of a value, as a parameter gives it, into a constant.
func ParseValue(ctx *Context, t vec.Type, text []byte) (*vec.Vector, error) {
	if err := checkText(string(text)); err != nil {
		return nil, err
	}
	v := &vec.Vector{Type: vec.T(vec.Unknown), Form: vec.Const}
	v.Str.Append(text)
	if t.Kind == vec.Unknown || !t.Array && t.Kind == vec.Text {
		v.Type = t
		return v, nil
	}
	x, err := NewCast(&Const{Value: v}, t, true, false)
	if err != nil {
		return nil, err
	}
	out, err := x.Eval(ctx, &vec.Batch{Rows: 1})
	if err != nil {
		return nil, err
	}
	c := *out.Flatten(1)
	c.Form = vec.Const
	return &c, nil
}
