//go:build !(goexperiment.simd && amd64)

package encoding

// unpack fills dst with values of a width and adds base to each. The width is at most
// 32, and src holds at least 64 bytes a bit of it.
func unpack(dst *[GroupRows]uint32, src []byte, base uint32, width uint) {
	unpackPortable(dst, src, base, width)
}

// unpackSums fills dst with first and the sums from there on of the differences that
// src holds less least. The first packed difference is not used.
func unpackSums(dst *[GroupRows]uint32, src []byte, first, least uint32, width uint) {
	unpackSumsPortable(dst, src, first, least, width)
}

// expandRuns makes values of runs.
func expandRuns(dst, values, lengths []uint32, rows, lo int) bool {
	return expandRunsPortable(dst, values, lengths, rows, lo)
}
