package insighttest

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// get follows a path of keys, nil where it ends.
func get(o any, path ...string) any {
	for _, key := range path {
		m, ok := o.(object)
		if !ok {
			return nil
		}
		o = m[key]
	}
	return o
}

func textOf(o any, path ...string) string {
	s, _ := get(o, path...).(string)
	return s
}

func listOf(o any, path ...string) []any {
	l, _ := get(o, path...).([]any)
	return l
}

func isTrue(o any, path ...string) bool {
	b, _ := get(o, path...).(bool)
	return b
}

func intOf(o any, otherwise int, path ...string) int {
	if n, ok := get(o, path...).(float64); ok {
		return int(n)
	}
	return otherwise
}

// asText is the value as a text; JSON null has none.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return numberText(v), true
	default:
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			panic(err)
		}
		return strings.TrimSpace(out.String()), true
	}
}

func numberText(f float64) string {
	if f == 0 {
		return "0"
	}
	if a := math.Abs(f); a >= 1e21 {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// asNumber is the value's text as a number.
func asNumber(v any) (float64, bool) {
	s, ok := asText(v)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
