package bind

import (
	"slices"
	"strings"
)

// nearNames is how far a name may be from another to be suggested.
const nearNames = 2

// maxSuggest is the length of a name beyond which no suggestion is looked for.
const maxSuggest = 64

// nearest is the candidate that name was probably meant to be, or "". Of equally near
// ones it is the first by name.
func nearest(name string, candidates []string) string {
	if len(name) > maxSuggest || len(name) < 2 {
		return ""
	}
	limit := nearNames
	if len(name) <= 4 {
		limit = 1 // two changes turn a short name into many others
	}
	best, at := "", limit+1
	for _, c := range candidates {
		if c == name || len(c) > maxSuggest {
			continue
		}
		d := distance(strings.ToLower(name), strings.ToLower(c), limit)
		if d < at || d == at && at <= limit && c < best {
			best, at = c, d
		}
	}
	return best
}

// distance counts insertions, deletions, changes and swaps of neighbours that lead from
// a to b; it is more than limit if it would be.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			row[j] = d
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func mapKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
