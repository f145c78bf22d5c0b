package must

import "fmt"

// True panics if an invariant does not hold: going on could lose data or give wrong
// answers. The process ends with the message and the goroutines' stacks.
func True(cond bool, format string, args ...any) {
	if !cond {
		panic("broken invariant: " + fmt.Sprintf(format, args...))
	}
}
