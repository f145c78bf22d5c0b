package insighttest

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
)

// Differences says where an answer to a query is not what the model answers. The order of
// results counts wherever the rules give one.
func Differences(query, want, got map[string]any) []string {
	if textOf(query, "kind") == "FunnelsQuery" && get(query, "breakdownFilter", "breakdown") != nil && textOf(query, "funnelsFilter", "funnelVizType") != "trends" {
		return funnelDifferences(listOf(want, "results"), listOf(got, "results"))
	}
	return Missing(want, got, "$")
}

// funnelDifferences compares funnels by breakdown value: equal ones stand in any order.
func funnelDifferences(want, got []any) []string {
	if len(want) != len(got) {
		return []string{fmt.Sprintf("%d breakdown values %v, want %d: %v", len(got), valuesOf(got), len(want), valuesOf(want))}
	}
	counts := func(steps any) []any {
		var out []any
		for _, s := range steps.([]any) {
			out = append(out, get(s, "count"))
		}
		return out
	}
	var out []string
	for i, w := range want {
		out = append(out, Missing(counts(w), counts(got[i]), fmt.Sprintf("$[%d].counts", i))...)
		at := slices.IndexFunc(got, func(g any) bool { return reflect.DeepEqual(valueOfSteps(g), valueOfSteps(w)) })
		if at < 0 {
			out = append(out, fmt.Sprintf("no breakdown value %v among %v", valueOfSteps(w), valuesOf(got)))
			continue
		}
		out = append(out, Missing(w, got[at], fmt.Sprintf("$[%v]", valueOfSteps(w)))...)
	}
	return out
}

func valueOfSteps(steps any) any {
	if l, ok := steps.([]any); ok && len(l) > 0 {
		return get(l[0], "breakdown_value")
	}
	return nil
}

func valuesOf(list []any) []any {
	var out []any
	for _, l := range list {
		out = append(out, valueOfSteps(l))
	}
	return out
}

// Missing says what of want is not in got. Objects of got may have more keys; lists agree in
// length and order, and numbers to nine digits. results_count and results_unordered are the
// words of the cases.
func Missing(want, got any, path string) []string {
	switch w := want.(type) {
	case object:
		g, ok := got.(object)
		if !ok {
			return []string{fmt.Sprintf("%s: got %v, want an object", path, got)}
		}
		var out []string
		for _, k := range keys(w) {
			switch v := w[k]; k {
			case "results_count":
				if n := len(listOf(g, "results")); float64(n) != v {
					out = append(out, fmt.Sprintf("%s: %d results, want %v", path, n, v))
				}
			case "results_unordered":
				left := slices.Clone(listOf(g, "results"))
				for _, one := range v.([]any) {
					i := slices.IndexFunc(left, func(l any) bool { return len(Missing(one, l, "")) == 0 })
					if i < 0 {
						out = append(out, fmt.Sprintf("%s: no result is %v among %v", path, one, left))
						continue
					}
					left = slices.Delete(left, i, i+1)
				}
			default:
				out = append(out, Missing(v, g[k], path+"."+k)...)
			}
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return []string{fmt.Sprintf("%s: got %s, want %s", path, short(got), short(want))}
		}
		var out []string
		for i := range w {
			out = append(out, Missing(w[i], g[i], fmt.Sprintf("%s[%d]", path, i))...)
		}
		return out
	case float64:
		if g, ok := got.(float64); ok && math.Abs(g-w) <= 1e-9*max(math.Abs(g), math.Abs(w), 1) {
			return nil
		}
	default:
		if want == got {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: got %s, want %s", path, short(got), short(want))}
}

// short is a value in one line that is not too long.
func short(v any) string {
	raw, _ := json.Marshal(v)
	if len(raw) > 500 {
		raw = append(raw[:500], " ..."...)
	}
	return string(raw)
}
