package expr

import (
	"slices"
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// jsonEdit is what is done at the end of a path.
type jsonEdit struct {
	value  []byte
	remove bool // #-
	// insert: jsonb_insert; the value goes before or after an element, and replaces nothing.
	insert, after bool
	create        bool // a member that is missing is made
}

// apply changes a document at a path.
func (e *jsonEdit) apply(dst, j []byte, path []string, level int) ([]byte, error) {
	last := level == len(path)-1
	switch jsonType(j) {
	case "object":
		var members []jsonMember
		key, found := path[level], false
		var err error
		eachMember(j, func(k, v []byte) bool {
			if !sameKey(k, key) {
				members = append(members, jsonMember{k, v})
				return true
			}
			found = true
			switch {
			case last && e.insert:
				err = pgerr.New(pgerr.InvalidParameterValue, "cannot replace existing key").
					WithHint("Try using the function jsonb_set to replace key value.")
			case last && e.remove:
				return true
			case last:
				v = e.value
			default:
				v, err = e.apply(nil, v, path, level+1)
			}
			members = append(members, jsonMember{k, v})
			return err == nil
		})
		if err != nil {
			return dst, err
		}
		if !found && last && !e.remove && e.create {
			members = append(members, jsonMember{event.AppendJSONString(nil, []byte(key)), e.value})
		}
		return appendMembers(dst, members), nil
	case "array":
		if e.remove && jsonLength(j) == 0 {
			return append(dst, j...), nil
		}
		at, err := strconv.ParseInt(path[level], 10, 32)
		if err != nil {
			return dst, pgerr.New(pgerr.InvalidText, "path element at position %d is not an integer: \"%s\"", level+1, path[level])
		}
		var list [][]byte
		eachElement(j, func(v []byte) bool { list = append(list, v); return true })
		n := int64(len(list))
		before := false // the first element
		if at < 0 {
			if -at > n {
				before = true
			}
			at += n
		}
		out := at >= n || before
		switch {
		case out && (!last || e.remove || !e.create):
		case before:
			list = slices.Insert(list, 0, e.value)
		case out:
			list = append(list, e.value)
		case last && e.remove:
			list = slices.Delete(list, int(at), int(at)+1)
		case last && e.insert && e.after:
			list = slices.Insert(list, int(at)+1, e.value)
		case last && e.insert:
			list = slices.Insert(list, int(at), e.value)
		case last:
			list[at] = e.value
		default:
			v, err := e.apply(nil, list[at], path, level+1)
			if err != nil {
				return dst, err
			}
			list[at] = v
		}
		return appendJSONList(dst, list), nil
	}
	return append(dst, j...), nil
}

// editor is a kernel whose first arguments are a document and a path.
func editor(name string, edit func(f *frame, i int) jsonEdit) func(*frame) error {
	return func(f *frame) error {
		j := viewOf[string](f, 0)
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			doc := []byte(j.at(i))
			e := edit(f, i)
			switch jsonType(doc) {
			case "object", "array":
			default:
				return dst, pgerr.New(pgerr.InvalidParameterValue, "cannot %s path in scalar", name)
			}
			elem, lo, hi := elements(f.args[1], i)
			path := make([]string, 0, hi-lo)
			for k := lo; k < hi; k++ {
				if elem.IsNull(k) {
					return dst, pgerr.New(pgerr.NullNotAllowed, "path element at position %d is null", k-lo+1)
				}
				path = append(path, elem.Str.Str(k))
			}
			if len(path) == 0 {
				return append(dst, doc...), nil
			}
			return e.apply(dst, doc, path, 0)
		})
	}
}

// setLax is jsonb_set with a null as the new value, about which the last argument decides. It is
// null where another argument is.
func setLax(set func(*frame) error) func(*frame) error {
	return func(f *frame) error {
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			for k, v := range f.args {
				if k != 2 && v.IsNull(i) && k < 4 {
					return dst, errNull
				}
			}
			one := func(v *vec.Vector) *vec.Vector {
				b := vec.NewBuilder(v.Type)
				b.AppendFrom(v, i)
				return b.V
			}
			args := []*vec.Vector{one(f.args[0]), one(f.args[1]), one(f.args[2])}
			if len(f.args) > 3 {
				args = append(args, one(f.args[3]))
			}
			kernel := set
			if args[2].IsNull(0) {
				how := "use_json_null"
				if len(f.args) > 4 {
					if f.args[4].IsNull(i) {
						return dst, pgerr.New(pgerr.InvalidParameterValue, "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
					}
					how = string(f.argText(4, i))
				}
				args[2] = &vec.Vector{Type: tJSON, Str: vec.StringsOf("null")}
				switch how {
				case "use_json_null":
				case "delete_key":
					kernel = editor("delete", func(*frame, int) jsonEdit { return jsonEdit{remove: true} })
				case "return_target":
					return append(dst, f.argText(0, i)...), nil
				case "raise_exception":
					return dst, pgerr.New(pgerr.NullNotAllowed, "JSON value must not be null").
						WithDetail("Exception was raised because null_value_treatment is \"raise_exception\".")
				default:
					return dst, pgerr.New(pgerr.InvalidParameterValue, "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
				}
			}
			v, err := applyFlat(f.ctx, &Function{Name: "jsonb_set", eval: kernel}, args, tJSON, 1, nil)
			if err != nil {
				return dst, err
			}
			return append(dst, v.Str.At(0)...), nil
		})
	}
}

// appendArrayLiteral writes a JSON array as {1,"a b",NULL}.
func appendArrayLiteral(dst, j []byte) []byte {
	dst = append(dst, '{')
	first := true
	eachElement(j, func(v []byte) bool {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		switch jsonType(v) {
		case "null":
			dst = append(dst, "NULL"...)
		case "array":
			dst = appendArrayLiteral(dst, v)
		default:
			dst = append(dst, '"')
			for _, c := range jsonText(nil, v) {
				if c == '"' || c == '\\' {
					dst = append(dst, '\\')
				}
				dst = append(dst, c)
			}
			dst = append(dst, '"')
		}
		return true
	})
	return append(dst, '}')
}

func init() {
	set := editor("set", func(f *frame, i int) jsonEdit { return jsonEdit{value: f.argText(2, i), create: f.argBool(3, i, true)} })
	insert := editor("set", func(f *frame, i int) jsonEdit {
		return jsonEdit{value: f.argText(2, i), create: true, insert: true, after: f.argBool(3, i, false)}
	})
	for _, args := range [][]vec.Type{types(tJSON, tTexts, tJSON), types(tJSON, tTexts, tJSON, tBool)} {
		define("jsonb_set", tJSON, args, set)
		define("jsonb_insert", tJSON, args, insert)
	}
	for _, n := range []int{3, 4, 5} {
		define("jsonb_set_lax", tJSON, types(tJSON, tTexts, tJSON, tBool, tText)[:n], setLax(set)).lax = true
	}
	// A JSON array as the text of an array, for the columns of jsonb_to_record.
	define("{}", tText, types(tJSON), text1(func(_ *Context, dst []byte, j string) ([]byte, error) {
		switch jsonType([]byte(j)) {
		case "array":
			return appendArrayLiteral(dst, []byte(j)), nil
		case "null":
			return dst, errNull
		}
		return dst, pgerr.New(pgerr.InvalidText, "expected JSON array")
	}))
	define("#-", tJSON, types(tJSON, tTexts), editor("delete", func(*frame, int) jsonEdit { return jsonEdit{remove: true} }))
	define("-", tJSON, types(tJSON, tTexts), func(f *frame) error {
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			doc := f.argText(0, i)
			gone := map[string]bool{}
			elem, lo, hi := elements(f.args[1], i)
			for ; lo < hi; lo++ {
				if !elem.IsNull(lo) {
					gone[elem.Str.Str(lo)] = true
				}
			}
			switch jsonType(doc) {
			case "object":
				var members []jsonMember
				eachMember(doc, func(k, v []byte) bool {
					if !gone[string(jsonText(nil, k))] {
						members = append(members, jsonMember{k, v})
					}
					return true
				})
				return appendMembers(dst, members), nil
			case "array":
				return appendElementsIf(dst, doc, func(_ int, v []byte) bool { return v[0] != '"' || !gone[string(jsonText(nil, v))] }), nil
			}
			return dst, pgerr.New(pgerr.InvalidParameterValue, "cannot delete from scalar")
		})
	})
	for _, prefix := range []string{"jsonb_", "json_"} {
		define(prefix+"object", tJSON, types(tTexts), func(f *frame) error {
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				elem, lo, hi := elements(f.args[0], i)
				if (hi-lo)%2 != 0 {
					return dst, pgerr.New("2202E", "array must have even number of elements")
				}
				var members []jsonMember
				for ; lo < hi; lo += 2 {
					if elem.IsNull(lo) {
						return dst, errNullKey
					}
					members = append(members, textMember(elem, lo, elem, lo+1))
				}
				return appendMembers(dst, members), nil
			})
		})
		define(prefix+"object", tJSON, types(tTexts, tTexts), func(f *frame) error {
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				keys, lo, hi := elements(f.args[0], i)
				values, at, end := elements(f.args[1], i)
				if hi-lo != end-at {
					return dst, pgerr.New("2202E", "mismatched array dimensions")
				}
				var members []jsonMember
				for ; lo < hi; lo, at = lo+1, at+1 {
					if keys.IsNull(lo) {
						return dst, errNullKey
					}
					members = append(members, textMember(keys, lo, values, at))
				}
				return appendMembers(dst, members), nil
			})
		})
	}
	toArray := func(f *frame) error {
		return eachText(f, func(i int, dst []byte) ([]byte, error) { return AppendJSON(dst, f.args[0], i, f.ctx), nil })
	}
	defineArray("array_to_json", nil, always(tJSON), false, toArray)
}

var errNullKey = pgerr.New(pgerr.NullNotAllowed, "null value not allowed for object key")

// textMember is a member of texts.
func textMember(keys *vec.Vector, k int, values *vec.Vector, v int) jsonMember {
	m := jsonMember{key: event.AppendJSONString(nil, keys.Str.At(k)), value: []byte("null")}
	if !values.IsNull(v) {
		m.value = event.AppendJSONString(nil, values.Str.At(v))
	}
	return m
}
