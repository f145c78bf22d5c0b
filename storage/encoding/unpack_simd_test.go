//go:build goexperiment.simd && amd64

package encoding

import "testing"

// TestAVX2 asks the kernels for processors without AVX-512 what the tests ask those that are used here.
func TestAVX2(t *testing.T) {
	had := haveAVX512
	defer func() { haveAVX512 = had }()
	haveAVX512 = false
	t.Run("unpack", TestUnpackTwins)
	t.Run("expand", TestExpandTwins)
}
