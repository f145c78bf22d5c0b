package main

// nearest is the candidate that a word was probably meant to be, or "".
func nearest(word string, candidates []string) string {
	best, at := "", 3
	for _, c := range candidates {
		limit := min(2, max(1, len(c)/2))
		if d := distance(word, c); d <= limit && d < at {
			best, at = c, d
		}
	}
	return best
}

// distance counts how many letters were put in, left out, changed or swapped with their
// neighbour (Damerau-Levenshtein, each place touched once).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	d := make([][]int, len(x)+1)
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(x)][len(y)]
}
