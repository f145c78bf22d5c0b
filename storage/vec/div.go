package vec

// FloorDiv is a quotient that is rounded down, by a divisor above 0: days before 1970 are whole ones, too.
func FloorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
