package expr

import "github.com/prickledb/prickle/storage/event"

// These read a jsonb value as the value of a property is read: a dotted path by its context.
func init() {
	define("property_text", tText, types(tJSON), text1(func(_ *Context, dst []byte, j string) ([]byte, error) {
		switch kind, text := event.KindOf([]byte(j)); kind {
		case event.Null:
			return dst, errNull
		case event.Number:
			return event.AppendPlainNumber(dst, text), nil
		default:
			return append(dst, text...), nil
		}
	}))
	define("property_number", tFloat8, types(tJSON), map1(func(_ *Context, j string) (float64, error) {
		if kind, text := event.KindOf([]byte(j)); kind == event.Number || kind == event.Text {
			if f, ok := event.ParseNumber(text); ok {
				return f, nil
			}
		}
		return 0, errNull
	}))
	define("property_boolean", tBool, types(tJSON), map1(func(_ *Context, j string) (bool, error) {
		if kind, text := event.KindOf([]byte(j)); kind == event.Bool || kind == event.Text {
			if s := string(text); s == "true" || s == "false" {
				return s == "true", nil
			}
		}
		return false, errNull
	}))
	define("property_time", tTz, types(tJSON), map1(func(ctx *Context, j string) (int64, error) {
		if kind, text := event.KindOf([]byte(j)); kind == event.Text {
			if t, ok := event.ParseTime(text, zoneOf(ctx).loc); ok {
				return t, nil
			}
		}
		return 0, errNull
	}))
}
