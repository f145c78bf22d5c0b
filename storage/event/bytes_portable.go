//go:build !(goexperiment.simd && amd64)

package event

func plainEnd(src []byte, p int) int { return plainEndPortable(src, p) }

func line(src []byte) (size int, valid bool) { return linePortable(src) }

// commonPrefix is how many bytes a and b have in common at their beginnings.
func commonPrefix(a, b []byte) int { return commonPrefixPortable(a, b) }
