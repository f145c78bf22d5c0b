package expr

import (
	"bytes"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

var jsonConcat = &Function{Name: "||", eval: text2(func(_ *Context, dst []byte, a, b string) ([]byte, error) {
	x, y := []byte(a), []byte(b)
	if jsonType(x) == "object" && jsonType(y) == "object" {
		var members []jsonMember
		add := func(k, v []byte) bool { members = append(members, jsonMember{k, v}); return true }
		eachMember(x, add)
		eachMember(y, add)
		return appendMembers(dst, members), nil
	}
	dst = append(dst, '[')
	first := true
	add := func(v []byte) bool {
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = append(dst, v...)
		return true
	}
	for _, side := range [][]byte{x, y} {
		if jsonType(side) == "array" {
			eachElement(side, add)
		} else {
			add(side)
		}
	}
	return append(dst, ']'), nil
})}

// appendJSONValue writes a value found in a document, as text if asked; nil and JSON null as
// text are NULL.
func appendJSONValue(dst, v []byte, text bool) ([]byte, error) {
	switch {
	case v == nil:
		return dst, errNull
	case !text:
		return append(dst, v...), nil
	case string(v) == "null":
		return dst, errNull
	}
	return jsonText(dst, v), nil
}

// pathOf is a text array's elements; false if one is null.
func pathOf(v *vec.Vector, i int) ([]string, bool) {
	elem, lo, hi := elements(v, i)
	out := make([]string, 0, hi-lo)
	for ; lo < hi; lo++ {
		if elem.IsNull(lo) {
			return nil, false
		}
		out = append(out, elem.Str.Str(lo))
	}
	return out, true
}

// jsonContains is a @> b.
func jsonContains(a, b []byte) bool {
	ta, tb := jsonType(a), jsonType(b)
	switch {
	case ta == "array" && tb == "array":
		ok := true
		eachElement(b, func(y []byte) bool {
			found := false
			eachElement(a, func(x []byte) bool {
				found = jsonType(x) == jsonType(y) && jsonContains(x, y)
				return !found
			})
			ok = found
			return ok
		})
		return ok
	case ta == "array" && tb != "object":
		found := false
		eachElement(a, func(x []byte) bool {
			found = jsonType(x) == tb && jsonContains(x, b)
			return !found
		})
		return found
	case ta != tb:
		return false
	case ta == "object":
		ok := true
		eachMember(b, func(k, y []byte) bool {
			x := jsonField(a, string(jsonText(nil, k)))
			ok = x != nil && jsonType(x) == jsonType(y) && jsonContains(x, y)
			return ok
		})
		return ok
	case ta == "number":
		x, err1 := parseNumeric(string(a))
		y, err2 := parseNumeric(string(b))
		if err1 == nil && err2 == nil {
			return x.Cmp(y) == 0
		}
	}
	return bytes.Equal(a, b)
}

// jsonHas is a ? key: a member of an object, or a string of an array.
func jsonHas(a []byte, key string) bool {
	switch jsonType(a) {
	case "object":
		return jsonField(a, key) != nil
	case "array":
		found := false
		eachElement(a, func(v []byte) bool {
			found = len(v) > 0 && v[0] == '"' && string(jsonText(nil, v)) == key
			return !found
		})
		return found
	}
	return len(a) > 0 && a[0] == '"' && string(jsonText(nil, a)) == key
}

func init() {
	for _, op := range []struct {
		name, path string
		result     vec.Type
		text       bool
	}{{"->", "#>", tJSON, false}, {"->>", "#>>", tText, true}} {
		define(op.name, op.result, types(tJSON, tText), text2(func(_ *Context, dst []byte, j, key string) ([]byte, error) {
			return appendJSONValue(dst, jsonField([]byte(j), key), op.text)
		}))
		define(op.name, op.result, types(tJSON, tInt4), text2(func(_ *Context, dst []byte, j string, at int64) ([]byte, error) {
			doc := []byte(j)
			if t := jsonType(doc); t != "array" && t != "object" && (at == 0 || at == -1) {
				return appendJSONValue(dst, doc, op.text) // a scalar is kept as an array of one
			}
			return appendJSONValue(dst, jsonElement(doc, at), op.text)
		}))
		define(op.path, op.result, types(tJSON, tTexts), func(f *frame) error {
			j := viewOf[string](f, 0)
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				path, ok := pathOf(f.args[1], i)
				if !ok {
					return dst, errNull
				}
				return appendJSONValue(dst, jsonPath([]byte(j.at(i)), path), op.text)
			})
		})
	}
	for _, f := range []struct {
		name   string
		result vec.Type
		text   bool
	}{{"extract_path", tJSON, false}, {"extract_path_text", tText, true}} {
		for _, prefix := range []string{"jsonb_", "json_"} {
			defineVariadic(prefix+f.name, f.result, types(tJSON, tText), func(fr *frame) error {
				j := viewOf[string](fr, 0)
				var keys []view[string]
				for k := 1; k < len(fr.args); k++ {
					keys = append(keys, viewOf[string](fr, k))
				}
				return eachText(fr, func(i int, dst []byte) ([]byte, error) {
					path := make([]string, len(keys))
					for k := range keys {
						path[k] = keys[k].at(i)
					}
					return appendJSONValue(dst, jsonPath([]byte(j.at(i)), path), f.text)
				})
			})
		}
	}
	for _, prefix := range []string{"jsonb_", "json_"} {
		define(prefix+"typeof", tText, types(tJSON), text1(func(_ *Context, dst []byte, j string) ([]byte, error) {
			return append(dst, jsonType([]byte(j))...), nil
		}))
		define(prefix+"array_length", tInt4, types(tJSON), map1(func(_ *Context, j string) (int64, error) {
			switch jsonType([]byte(j)) {
			case "array":
				return int64(jsonLength([]byte(j))), nil
			case "object":
				return 0, pgerr.New(pgerr.InvalidParameterValue, "cannot get array length of a non-array")
			}
			return 0, pgerr.New(pgerr.InvalidParameterValue, "cannot get array length of a scalar")
		}))
		define(prefix+"strip_nulls", tJSON, types(tJSON), text1(func(_ *Context, dst []byte, j string) ([]byte, error) {
			return stripNulls(dst, []byte(j)), nil
		}))
		define(prefix+"pretty", tText, types(tJSON), text1(func(_ *Context, dst []byte, j string) ([]byte, error) {
			return prettyJSON(dst, []byte(j), 0), nil
		}))
		jsonBuilders(prefix)
	}
	for _, name := range []string{"to_jsonb", "to_json"} {
		choose(name, func(args []vec.Type) *Overload {
			if len(args) != 1 {
				return nil
			}
			t := args[0]
			if t.Kind == vec.Unknown {
				t = tText
			}
			return &Overload{Args: types(t), Result: tJSON, Fn: &Function{Name: name, eval: func(f *frame) error {
				return eachText(f, func(i int, dst []byte) ([]byte, error) { return AppendJSON(dst, f.args[0], i, f.ctx), nil })
			}}}
		})
	}
	define("@>", tBool, types(tJSON, tJSON), map2(func(_ *Context, a, b string) (bool, error) { return jsonContains([]byte(a), []byte(b)), nil }))
	define("<@", tBool, types(tJSON, tJSON), map2(func(_ *Context, a, b string) (bool, error) { return jsonContains([]byte(b), []byte(a)), nil }))
	define("?", tBool, types(tJSON, tText), map2(func(_ *Context, a, k string) (bool, error) { return jsonHas([]byte(a), k), nil }))
	for name, all := range map[string]bool{"?|": false, "?&": true} {
		define(name, tBool, types(tJSON, tTexts), func(f *frame) error {
			j := viewOf[string](f, 0)
			return tryEach(f, func(i int) error {
				elem, lo, hi := elements(f.args[1], i)
				ok := all
				for ; lo < hi; lo++ {
					if !elem.IsNull(lo) && jsonHas([]byte(j.at(i)), elem.Str.Str(lo)) != all {
						ok = !all
						break
					}
				}
				f.out.Bools[i] = ok
				return nil
			})
		})
	}
	define("-", tJSON, types(tJSON, tText), text2(func(_ *Context, dst []byte, j, key string) ([]byte, error) {
		switch jsonType([]byte(j)) {
		case "object":
			var members []jsonMember
			eachMember([]byte(j), func(k, v []byte) bool {
				if !sameKey(k, key) {
					members = append(members, jsonMember{k, v})
				}
				return true
			})
			return appendMembers(dst, members), nil
		case "array":
			return appendElementsIf(dst, []byte(j), func(_ int, v []byte) bool {
				return v[0] != '"' || string(jsonText(nil, v)) != key
			}), nil
		}
		return dst, pgerr.New(pgerr.InvalidParameterValue, "cannot delete from scalar")
	}))
	define("-", tJSON, types(tJSON, tInt4), text2(func(_ *Context, dst []byte, j string, at int64) ([]byte, error) {
		switch jsonType([]byte(j)) {
		case "object":
			return dst, pgerr.New(pgerr.InvalidParameterValue, "cannot delete from object using integer index")
		case "array":
			if at < 0 {
				at += int64(jsonLength([]byte(j)))
			}
			return appendElementsIf(dst, []byte(j), func(i int, _ []byte) bool { return int64(i) != at }), nil
		}
		return dst, pgerr.New(pgerr.InvalidParameterValue, "cannot delete from scalar")
	}))
}

func appendElementsIf(dst, j []byte, keep func(i int, v []byte) bool) []byte {
	dst = append(dst, '[')
	i, first := 0, true
	eachElement(j, func(v []byte) bool {
		if keep(i, v) {
			if !first {
				dst = append(dst, ", "...)
			}
			first = false
			dst = append(dst, v...)
		}
		i++
		return true
	})
	return append(dst, ']')
}

func stripNulls(dst, j []byte) []byte {
	switch jsonType(j) {
	case "object":
		var members []jsonMember
		eachMember(j, func(k, v []byte) bool {
			if string(v) != "null" {
				members = append(members, jsonMember{k, stripNulls(nil, v)})
			}
			return true
		})
		return appendMembers(dst, members)
	case "array":
		dst = append(dst, '[')
		first := true
		eachElement(j, func(v []byte) bool {
			if !first {
				dst = append(dst, ", "...)
			}
			first = false
			dst = stripNulls(dst, v)
			return true
		})
		return append(dst, ']')
	}
	return append(dst, j...)
}

func prettyJSON(dst, j []byte, depth int) []byte {
	line := func(depth int) {
		dst = append(dst, '\n')
		for range depth {
			dst = append(dst, "    "...)
		}
	}
	first := true
	begin := func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		line(depth + 1)
	}
	switch jsonType(j) {
	case "object":
		dst = append(dst, '{')
		eachMember(j, func(k, v []byte) bool {
			begin()
			dst = append(append(dst, k...), ": "...)
			dst = prettyJSON(dst, v, depth+1)
			return true
		})
		line(depth)
		return append(dst, '}')
	case "array":
		dst = append(dst, '[')
		eachElement(j, func(v []byte) bool {
			begin()
			dst = prettyJSON(dst, v, depth+1)
			return true
		})
		line(depth)
		return append(dst, ']')
	}
	return append(dst, j...)
}

func jsonBuilders(prefix string) {
	choose(prefix+"build_array", func(args []vec.Type) *Overload {
		return &Overload{Args: texts(args), Result: tJSON, Fn: &Function{Name: prefix + "build_array", lax: true, eval: func(f *frame) error {
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				dst = append(dst, '[')
				for k, v := range f.args {
					if k > 0 {
						dst = append(dst, ", "...)
					}
					dst = AppendJSON(dst, v, i, f.ctx)
				}
				return append(dst, ']'), nil
			})
		}}}
	})
	choose(prefix+"build_object", func(args []vec.Type) *Overload {
		return &Overload{Args: texts(args), Result: tJSON, Fn: &Function{Name: prefix + "build_object", lax: true, eval: func(f *frame) error {
			if len(f.args)%2 != 0 {
				return pgerr.New(pgerr.InvalidParameterValue, "argument list must have even number of elements").
					WithHint("The arguments of %sbuild_object() must consist of alternating keys and values.", prefix)
			}
			return eachText(f, func(i int, dst []byte) ([]byte, error) {
				var members []jsonMember
				for k := 0; k < len(f.args); k += 2 {
					if f.args[k].IsNull(i) {
						return dst, pgerr.New(pgerr.InvalidParameterValue, "argument %d: key must not be null", k+1)
					}
					key, err := AppendJSONKey(nil, f.args[k], i, f.ctx)
					if err != nil {
						return dst, err
					}
					members = append(members, jsonMember{key, AppendJSON(nil, f.args[k+1], i, f.ctx)})
				}
				return appendMembers(dst, members), nil
			})
		}}}
	})
}
