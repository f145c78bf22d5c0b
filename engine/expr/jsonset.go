package expr

import (
	"slices"
	"strconv"

	"github.com/prickledb/prickle/engine/pgerr"
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
			members = append(members, jsonMember{appendJSONString(nil, []byte(key)), e.value})
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

func init() {
	set := editor("set", func(f *frame, i int) jsonEdit { return jsonEdit{value: f.argText(2, i), create: f.argBool(3, i, true)} })
	insert := editor("set", func(f *frame, i int) jsonEdit {
		return jsonEdit{value: f.argText(2, i), create: true, insert: true, after: f.argBool(3, i, false)}
	})
	for _, args := range [][]vec.Type{types(tJSON, tTexts, tJSON), types(tJSON, tTexts, tJSON, tBool)} {
		define("jsonb_set", tJSON, args, set)
		define("jsonb_insert", tJSON, args, insert)
	}
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
	m := jsonMember{key: appendJSONString(nil, keys.Str.At(k)), value: []byte("null")}
	if !values.IsNull(v) {
		m.value = appendJSONString(nil, values.Str.At(v))
	}
	return m
}
