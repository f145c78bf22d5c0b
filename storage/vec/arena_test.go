package vec

import "testing"

// What an arena gives out is apart until it is taken back, and then given out again.
func TestArena(t *testing.T) {
	SpoilArenas = true
	defer func() { SpoilArenas = false }()
	var a Arena
	for round, n := range []int{10, 10, 300, 40, 10_000} {
		first, second := a.Uint32s(n), a.Uint32s(n)
		numbers, floats := a.Int64s(n), a.Float64s(n)
		if len(first) != n || len(second) != n || len(numbers) != n || len(floats) != n {
			t.Fatalf("%d values, and %d, %d, %d; want %d", len(first), len(second), len(numbers), len(floats), n)
		}
		if round > 0 && n <= 20 && (first[0] == 0 || second[0] == 0 || numbers[0] == 0 || floats[0] == 0) {
			t.Errorf("%d, %d, %d, %v are not what was taken back", first[0], second[0], numbers[0], floats[0])
		}
		for i := range n {
			first[i], second[i], numbers[i], floats[i] = 1, 2, 3, 4
		}
		if first[n-1] != 1 || second[0] != 2 {
			t.Errorf("two slices of %d are one", n)
		}
		a.Reset()
		if first[0] == 1 || second[n-1] == 2 || numbers[0] == 3 || floats[n-1] == 4 {
			t.Errorf("%d, %d, %d, %v were taken back and are as they were", first[0], second[n-1], numbers[0], floats[n-1])
		}
	}
	if s := new(Arena).Uint32s(0); s == nil {
		t.Error("a slice of no values is nil")
	}
	var none *Arena
	none.Reset()
	x, y := none.Int64s(3), none.Int64s(3)
	if x[0] = 1; y[0] != 0 {
		t.Error("slices of no arena are one")
	}
}
