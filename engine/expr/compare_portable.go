//go:build !(goexperiment.simd && amd64)

package expr

func compareConst(dst []bool, a []int64, x int64, op comparison) { compareConstPortable(dst, a, x, op) }
