package expr

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// TableFunction is a function that gives rows, chosen for arguments of certain types.
type TableFunction struct {
	Name string
	Args []vec.Type
	Out  vec.Schema
	// Named says that a column keeps its name when the function has an alias.
	Named bool
	lax   bool // sees nulls
	open  func(ctx *Context, args []*vec.Vector, row int) (Series, error)
}

// Series is the rows of one call of a TableFunction.
type Series interface {
	// Next appends up to n rows, fewer only at the end.
	Next(out []*vec.Builder, n int) (int, error)
}

// Open begins the rows for one row of arguments. They are nil if an argument is NULL that may
// not be.
func (s *TableFunction) Open(ctx *Context, args []*vec.Vector, row int) (Series, error) {
	for _, a := range args {
		if a.IsNull(row) && !s.lax {
			return nil, nil
		}
	}
	return s.open(ctx, args, row)
}

// tableFunctions are the functions that give rows.
var tableFunctions = []string{"generate_series", "unnest", "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_object_keys",
	"jsonb_each", "jsonb_each_text", "json_array_elements", "json_array_elements_text", "json_object_keys", "json_each", "json_each_text",
	"jsonb_path_query", "jsonb_path_query_tz", "generate_subscripts", "regexp_matches", "regexp_split_to_table", "string_to_table",
	"pg_get_keywords", "pg_timezone_names", "pg_show_all_settings", "pg_cursor", "pg_prepared_statement", "pg_available_extensions", "pg_partition_ancestors", "_pg_expandarray"}

// TableFunctions are the names of those that give rows.
func TableFunctions() []string { return slices.Clone(tableFunctions) }

// IsTableFunction says whether a function of that name gives rows.
func IsTableFunction(name string) bool { return slices.Contains(tableFunctions, name) }

// ResolveTable finds the function for arguments of the given types.
func ResolveTable(name string, args []vec.Type) (*TableFunction, error) {
	s := &TableFunction{Name: name}
	switch name {
	case "unnest":
		if len(args) == 1 && args[0].Array {
			s.Args, s.Out = args, vec.Schema{{Name: name, Type: args[0].Elem()}}
			s.open = openUnnest
			return s, nil
		}
	case "generate_series":
		if s.series(args) {
			return s, nil
		}
	case "jsonb_path_query", "jsonb_path_query_tz", "generate_subscripts", "regexp_matches", "regexp_split_to_table", "string_to_table":
		if s.parts(args) {
			return s, nil
		}
	default:
		if s.catalog(args) {
			return s, nil
		}
		json := strings.TrimPrefix(strings.TrimPrefix(name, "jsonb_"), "json_")
		if len(args) == 1 && strings.HasPrefix(name, "json") && IsTableFunction(name) && (args[0] == tJSON || args[0].Kind == vec.Unknown) {
			s.json(json)
			return s, nil
		}
	}
	if ambiguous(name, args) {
		return nil, notUnique(name, args)
	}
	return nil, noFunction(name, args)
}

// series chooses a form of generate_series.
func (s *TableFunction) series(args []vec.Type) bool {
	var t vec.Type
	switch len(args) {
	case 2, 3:
	default:
		return false
	}
	kinds := map[vec.Kind]bool{}
	for _, a := range args {
		if a.Array {
			return false
		}
		kinds[a.Kind] = true
	}
	delete(kinds, vec.Unknown)
	only := func(list ...vec.Kind) bool {
		for k := range kinds {
			if !slices.Contains(list, k) {
				return false
			}
		}
		return true
	}
	switch {
	case len(kinds) == 0:
		return false
	case only(vec.Int2, vec.Int4):
		t = tInt4
	case only(vec.Int2, vec.Int4, vec.Int8):
		t = tInt8
	case only(vec.Int2, vec.Int4, vec.Int8, vec.Numeric):
		t = tNum
	case len(args) == 3 && only(vec.Timestamp, vec.Interval):
		t = tTs
	case len(args) == 3 && only(vec.Date, vec.Timestamp, vec.TimestampTZ, vec.Interval):
		t = tTz
	default:
		return false
	}
	s.Args = []vec.Type{t, t, t}[:len(args)]
	s.Out = vec.Schema{{Name: s.Name, Type: t}}
	switch t.Kind {
	case vec.Numeric:
		s.open = openDecimals
	case vec.Int4, vec.Int8:
		s.open = openInts
	default:
		s.Args[2] = tIvl
		s.open = openTimes
	}
	return true
}

// value is one argument.
func tableArg(args []*vec.Vector, i, row int) (*vec.Vector, int) { return args[i].At(row) }

var errZeroStep = pgerr.New(pgerr.InvalidParameterValue, "step size cannot equal zero")

// intSeries is generate_series of integers.
type intSeries struct {
	next, last, step int64
	done             bool
}

func openInts(_ *Context, args []*vec.Vector, row int) (Series, error) {
	var x [3]int64
	x[2] = 1
	for i := range args {
		v, at := tableArg(args, i, row)
		x[i] = v.I64[at]
	}
	if x[2] == 0 {
		return nil, errZeroStep
	}
	return &intSeries{next: x[0], last: x[1], step: x[2]}, nil
}

func (s *intSeries) Next(out []*vec.Builder, n int) (int, error) {
	count := 0
	for ; count < n && !s.done; count++ {
		if s.step > 0 == (s.next > s.last) && s.next != s.last {
			s.done = true
			break
		}
		out[0].V.I64 = append(out[0].V.I64, s.next)
		sum := s.next + s.step
		s.done = (sum > s.next) != (s.step > 0) // beyond the integers
		s.next = sum
	}
	return count, nil
}

// decimalSeries is generate_series of numerics.
type decimalSeries struct {
	next, last, step vec.Decimal
	done             bool
}

func openDecimals(_ *Context, args []*vec.Vector, row int) (Series, error) {
	var x [3]vec.Decimal
	x[2] = vec.DecimalFromInt(1)
	for i := range args {
		v, at := tableArg(args, i, row)
		if x[i] = v.Decimal(at); !x[i].IsFinite() {
			what := "NaN"
			if x[i].IsInf() {
				what = "infinity"
			}
			return nil, pgerr.New(pgerr.InvalidParameterValue, "%s cannot be %s", [...]string{"start value", "stop value", "step size"}[i], what)
		}
	}
	if x[2].IsZero() {
		return nil, errZeroStep
	}
	return &decimalSeries{next: x[0], last: x[1], step: x[2]}, nil
}

func (s *decimalSeries) Next(out []*vec.Builder, n int) (int, error) {
	count := 0
	for ; count < n && !s.done; count++ {
		if c := s.next.Cmp(s.last); c*s.step.Sign() > 0 {
			s.done = true
			break
		}
		out[0].V.Dec = append(out[0].V.Dec, s.next)
		var err error
		if s.next, err = s.next.Add(s.step); err != nil {
			return count, err
		}
	}
	return count, nil
}

// timeSeries is generate_series of times.
type timeSeries struct {
	next, last int64
	step       vec.IntervalValue
	back, done bool
	zone       *zone // nil: without a time zone
}

func openTimes(ctx *Context, args []*vec.Vector, row int) (Series, error) {
	s := &timeSeries{}
	v, at := tableArg(args, 0, row)
	s.next = v.I64[at]
	if v.Type.Kind == vec.TimestampTZ {
		z := zoneOf(ctx)
		s.zone = &z
	}
	v, at = tableArg(args, 1, row)
	s.last = v.I64[at]
	v, at = tableArg(args, 2, row)
	s.step = v.Ivl[at]
	zero := &vec.Vector{Type: tIvl, Ivl: make([]vec.IntervalValue, 1)}
	switch c := vec.Compare(v, at, zero, 0); {
	case c == 0:
		return nil, errZeroStep
	case c < 0:
		s.back = true
	}
	return s, nil
}

func (s *timeSeries) Next(out []*vec.Builder, n int) (int, error) {
	count := 0
	for ; count < n && !s.done; count++ {
		if s.back && s.next < s.last || !s.back && s.next > s.last {
			s.done = true
			break
		}
		out[0].V.I64 = append(out[0].V.I64, s.next)
		ok := false
		if s.zone != nil {
			s.next, ok = addIntervalTz(s.zone, s.next, s.step)
		} else {
			s.next, ok = addInterval(s.next, s.step)
		}
		if !ok {
			return count, outOfRange(tTs)
		}
	}
	return count, nil
}

// elementSeries is unnest.
type elementSeries struct {
	elem   *vec.Vector
	lo, hi int
}

func openUnnest(_ *Context, args []*vec.Vector, row int) (Series, error) {
	elem, lo, hi := elements(args[0], row)
	return &elementSeries{elem, lo, hi}, nil
}

func (s *elementSeries) Next(out []*vec.Builder, n int) (int, error) {
	n = min(n, s.hi-s.lo)
	for range n {
		out[0].AppendFrom(s.elem, s.lo)
		s.lo++
	}
	return n, nil
}

// parts chooses a function whose rows are the elements of what another one gives: of
// regexp_split_to_array(s, p) for regexp_split_to_table(s, p).
func (s *TableFunction) parts(args []vec.Type) bool {
	whole, elem := "", tText
	switch s.Name {
	case "regexp_split_to_table":
		whole = "regexp_split_to_array"
	case "string_to_table":
		whole = "string_to_array"
	case "jsonb_path_query", "jsonb_path_query_tz":
		whole, elem = "jsonb_path_query_array"+strings.TrimPrefix(s.Name, "jsonb_path_query"), tJSON
	case "regexp_matches":
		return s.matches(args)
	case "generate_subscripts":
		return s.subscripts(args)
	}
	o, err := Resolve(whole, args)
	if err != nil {
		return false
	}
	s.Args, s.Out, s.lax = o.Args, vec.Schema{{Name: s.Name, Type: elem}}, o.Fn.lax
	s.open = func(ctx *Context, args []*vec.Vector, row int) (Series, error) {
		few := make([]*vec.Vector, len(args))
		for i, a := range args {
			v, at := a.At(row)
			few[i] = constOf(v, s.Args[i], at)
		}
		v, err := apply(ctx, o.Fn, few, o.Result, &vec.Batch{Rows: 1}, nil)
		if err != nil || v.IsNull(0) {
			return nil, err
		}
		if elem == tJSON {
			m := &memberSeries{values: true}
			v, at := v.At(0)
			eachElement(v.Str.At(at), func(value []byte) bool {
				m.list = append(m.list, [2][]byte{nil, value})
				return true
			})
			return m, nil
		}
		e, lo, hi := elements(v, 0)
		return &elementSeries{e, lo, hi}, nil
	}
	return true
}

// subscripts chooses generate_subscripts.
func (s *TableFunction) subscripts(args []vec.Type) bool {
	if len(args) < 2 || len(args) > 3 || !args[0].Array || !CanImplicit(args[1], tInt4) || len(args) == 3 && !CanImplicit(args[2], tBool) {
		return false
	}
	s.Args, s.Out = types(args[0], tInt4, tBool)[:len(args)], vec.Schema{{Name: s.Name, Type: tInt4}}
	s.open = func(_ *Context, args []*vec.Vector, row int) (Series, error) {
		_, lo, hi := elements(args[0], row)
		if d, at := tableArg(args, 1, row); d.I64[at] != 1 {
			return nil, nil
		}
		first := int64(1)
		if args[0].Type.IsVector() {
			first = 0
		}
		series := &intSeries{next: first, last: first + int64(hi-lo) - 1, step: 1, done: lo == hi}
		if len(args) == 3 {
			if v, at := tableArg(args, 2, row); v.Bools[at] {
				series.next, series.last, series.step = series.last, series.next, -1
			}
		}
		return series, nil
	}
	return true
}

// matches chooses regexp_matches: an array of groups for each match.
func (s *TableFunction) matches(args []vec.Type) bool {
	if len(args) < 2 || len(args) > 3 {
		return false
	}
	for _, a := range args {
		if !CanImplicit(a, tText) && a.Kind != vec.Unknown {
			return false
		}
	}
	s.Args, s.Out = types(tText, tText, tText)[:len(args)], vec.Schema{{Name: s.Name, Type: tTexts}}
	s.open = func(_ *Context, args []*vec.Vector, row int) (Series, error) {
		text := func(k int) string {
			v, at := tableArg(args, k, row)
			return v.Str.Str(at)
		}
		flags := ""
		if len(args) == 3 {
			flags = text(2)
		}
		re, err := regexps.get(text(1), flags, compileRegexp)
		if err != nil {
			return nil, err
		}
		n := 1
		if strings.Contains(flags, "g") {
			n = -1
		}
		return &matchSeries{text(0), matchesOf(nil, re, text(0), 0, n), re.places()}, nil
	}
	return true
}

// matchSeries is regexp_matches.
type matchSeries struct {
	s    string
	list []int // places of matches
	each int   // how many a match has
}

func (m *matchSeries) Next(out []*vec.Builder, n int) (int, error) {
	n = min(n, len(m.list)/m.each)
	for i := range n {
		at := m.list[i*m.each : (i+1)*m.each]
		groups := vec.NewBuilder(tText)
		appendGroups(groups, m.s, at)
		count := groups.V.Len()
		out[0].AppendFrom(&vec.Vector{Type: tTexts, Elem: groups.V, Offs: []uint32{0, uint32(count)}}, 0)
	}
	m.list = m.list[n*m.each:]
	return n, nil
}

// json chooses a function over jsonb.
func (s *TableFunction) json(name string) {
	s.Args = types(tJSON)
	text := strings.HasSuffix(name, "_text")
	value := vec.Field{Name: "value", Type: tJSON}
	if text {
		value.Type = tText
	}
	switch name {
	case "object_keys":
		s.Out = vec.Schema{{Name: s.Name, Type: tText}}
		s.open = func(_ *Context, args []*vec.Vector, row int) (Series, error) {
			return openMembers(args, row, "cannot call %s on %s", s.Name, true, false, false)
		}
	case "each", "each_text":
		s.Named = true
		s.Out = vec.Schema{{Name: "key", Type: tText}, value}
		s.open = func(_ *Context, args []*vec.Vector, row int) (Series, error) {
			return openMembers(args, row, "cannot call %s on a non-object", s.Name, true, true, text)
		}
	default:
		s.Named = true
		s.Out = vec.Schema{value}
		s.open = func(_ *Context, args []*vec.Vector, row int) (Series, error) {
			v, at := tableArg(args, 0, row)
			j := v.Str.At(at)
			switch jsonType(j) {
			case "array":
			case "object":
				return nil, pgerr.New(pgerr.InvalidParameterValue, "cannot extract elements from an object")
			default:
				return nil, pgerr.New(pgerr.InvalidParameterValue, "cannot extract elements from a scalar")
			}
			m := &memberSeries{values: true, text: text}
			eachElement(j, func(value []byte) bool {
				m.list = append(m.list, [2][]byte{nil, value})
				return true
			})
			return m, nil
		}
	}
}

// memberSeries is the members of an object or array.
type memberSeries struct {
	list         [][2][]byte
	keys, values bool
	text         bool
}

func openMembers(args []*vec.Vector, row int, format, name string, keys, values, text bool) (Series, error) {
	v, at := tableArg(args, 0, row)
	j := v.Str.At(at)
	if t := jsonType(j); t != "object" {
		if values {
			return nil, pgerr.New(pgerr.InvalidParameterValue, format, name)
		}
		if t != "array" {
			return nil, pgerr.New(pgerr.InvalidParameterValue, format, name, "a scalar")
		}
		return nil, pgerr.New(pgerr.InvalidParameterValue, format, name, "an array")
	}
	m := &memberSeries{keys: keys, values: values, text: text}
	eachMember(j, func(key, value []byte) bool {
		m.list = append(m.list, [2][]byte{key, value})
		return true
	})
	return m, nil
}

func (m *memberSeries) Next(out []*vec.Builder, n int) (int, error) {
	n = min(n, len(m.list))
	for _, x := range m.list[:n] {
		i := 0
		if m.keys {
			out[i].V.Str.AppendString(string(jsonText(nil, x[0])))
			i++
		}
		switch {
		case !m.values:
		case m.text && string(x[1]) == "null":
			out[i].AppendNull()
		case m.text:
			out[i].V.Str.AppendString(string(jsonText(nil, x[1])))
		default:
			out[i].V.Str.AppendString(string(x[1]))
		}
	}
	m.list = m.list[n:]
	return n, nil
}
