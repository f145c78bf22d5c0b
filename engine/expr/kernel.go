package expr

// each calls f for every row to compute.
func each(f *frame, do func(i int)) {
	if f.rows != nil {
		for _, r := range f.rows {
			do(int(r))
		}
		return
	}
	for i := range f.n {
		do(i)
	}
}
