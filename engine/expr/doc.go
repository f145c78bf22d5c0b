// Package expr holds bound, typed expressions and evaluates them a batch at a time.
//
// An [Expr] is immutable. The binder makes calls with [Resolve] and [NewCall], conversions
// with [NewCast]; a plan rewrite looks at them with [Walk] and changes them with [Map].
// A function is a [Function]: a kernel over slices that knows nothing of null,
// constant or dictionary vectors. Those are settled once per batch, in call.go.
//
// A call over a dictionary vector whose other arguments are fixed for the statement is
// computed once per dictionary entry. The answer is kept in the call, under the address
// of the dictionary; a dictionary that a call returns holds no value twice if the one it
// came from did not.
package expr
