// Package bench measures prickle on made-up data and checks its answers.
//
// Data come from bench/gen; bench/load drives a running server. [Questions] is what is asked; [Model] answers the same
// questions from the generated events by nested loops, and a fast wrong answer is not a
// result: [Measure] reports how long a question took together with a hash of its rows.
//
// To compare two commits honestly: the same machine, the same data directory made anew by
// each, runs in turn (A B A B …), medians and ratios rather than single times.
package bench
