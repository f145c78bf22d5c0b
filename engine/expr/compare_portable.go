//go:build !(goexperiment.simd && amd64)

package expr

import (
	"bytes"

	"github.com/prickledb/prickle/storage/vec"
)

func compareConst(dst []bool, a []int64, x int64, op comparison) { compareConstPortable(dst, a, x, op) }

func maskBytes(mask vec.Bitmap, values []uint8, x uint8, equal bool) {
	maskPortable(mask, values, x, equal)
}

func maskWords(mask vec.Bitmap, values []uint16, x uint16, equal bool) {
	maskPortable(mask, values, x, equal)
}

func indexOf(text []byte, word string) int { return bytes.Index(text, []byte(word)) }
