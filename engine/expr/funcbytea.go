package expr

import (
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
)

// checkAt checks a position in so many bytes or bits.
func checkAt(at, size int64) error {
	if at < 0 || at >= size {
		return pgerr.New("2202E", "index %d out of valid range, 0..%d", at, size-1)
	}
	return nil
}

// subbytes counts from 1, as substring does for characters.
func subbytes(dst []byte, s string, from, n int64, bounded bool) ([]byte, error) {
	end := int64(len(s)) + 1
	if bounded {
		if n < 0 {
			return dst, pgerr.New("22011", "negative substring length not allowed")
		}
		end = min(end, from+n)
	}
	if from = max(from, 1); from >= end {
		return dst, nil
	}
	return append(dst, s[from-1:end-1]...), nil
}

func init() {
	for _, name := range []string{"substring", "substr"} {
		define(name, tBytea, types(tBytea, tInt4), text2(func(_ *Context, dst []byte, s string, from int64) ([]byte, error) {
			return subbytes(dst, s, from, 0, false)
		}))
		define(name, tBytea, types(tBytea, tInt4, tInt4), text3(func(_ *Context, dst []byte, s string, from, n int64) ([]byte, error) {
			return subbytes(dst, s, from, n, true)
		}))
	}
	overlay := func(dst []byte, s, by string, from, n int64) ([]byte, error) {
		if from < 1 {
			return dst, pgerr.New("22011", "negative substring length not allowed")
		}
		size := int64(len(s))
		dst = append(append(dst, s[:min(from-1, size)]...), by...)
		return append(dst, s[min(max(from-1+n, 0), size):]...), nil
	}
	define("overlay", tBytea, types(tBytea, tBytea, tInt4), text3(func(_ *Context, dst []byte, s, by string, from int64) ([]byte, error) {
		return overlay(dst, s, by, from, int64(len(by)))
	}))
	define("overlay", tBytea, types(tBytea, tBytea, tInt4, tInt4), func(f *frame) error {
		s, by, from, n := viewOf[string](f, 0), viewOf[string](f, 1), viewOf[int64](f, 2), viewOf[int64](f, 3)
		return eachText(f, func(i int, dst []byte) ([]byte, error) { return overlay(dst, s.at(i), by.at(i), from.at(i), n.at(i)) })
	})
	define("position", tInt4, types(tBytea, tBytea), map2(func(_ *Context, s, sub string) (int64, error) {
		return int64(strings.Index(s, sub)) + 1, nil
	}))
	define("get_byte", tInt4, types(tBytea, tInt4), map2(func(_ *Context, s string, at int64) (int64, error) {
		if err := checkAt(at, int64(len(s))); err != nil {
			return 0, err
		}
		return int64(s[at]), nil
	}))
	define("set_byte", tBytea, types(tBytea, tInt4, tInt4), text3(func(_ *Context, dst []byte, s string, at, x int64) ([]byte, error) {
		if err := checkAt(at, int64(len(s))); err != nil {
			return dst, err
		}
		dst = append(dst, s...)
		dst[len(dst)-len(s)+int(at)] = byte(x)
		return dst, nil
	}))
	define("get_bit", tInt4, types(tBytea, tInt8), map2(func(_ *Context, s string, at int64) (int64, error) {
		if err := checkAt(at, 8*int64(len(s))); err != nil {
			return 0, err
		}
		return int64(s[at/8] >> (at % 8) & 1), nil
	}))
	define("set_bit", tBytea, types(tBytea, tInt8, tInt4), text3(func(_ *Context, dst []byte, s string, at, x int64) ([]byte, error) {
		if err := checkAt(at, 8*int64(len(s))); err != nil {
			return dst, err
		}
		if x != 0 && x != 1 {
			return dst, pgerr.New(pgerr.InvalidParameterValue, "new bit must be 0 or 1")
		}
		dst = append(dst, s...)
		b := &dst[len(dst)-len(s)+int(at/8)]
		*b = *b&^(1<<(at%8)) | byte(x)<<(at%8)
		return dst, nil
	}))
	// trim takes bytes of a set from the ends.
	for name, ends := range map[string][2]bool{"btrim": {true, true}, "trim": {true, true}, "ltrim": {true, false}, "rtrim": {false, true}} {
		define(name, tBytea, types(tBytea, tBytea), text2(func(_ *Context, dst []byte, s, set string) ([]byte, error) {
			for ends[0] && s != "" && strings.IndexByte(set, s[0]) >= 0 {
				s = s[1:]
			}
			for ends[1] && s != "" && strings.IndexByte(set, s[len(s)-1]) >= 0 {
				s = s[:len(s)-1]
			}
			return append(dst, s...), nil
		}))
	}
}
