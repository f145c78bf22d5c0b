package vec

import (
	"slices"
	"testing"
)

// Object ids that are shown by name are the listed types, and no others.
func TestRegKinds(t *testing.T) {
	for k := range kindCount {
		reg := slices.Contains(RegKinds, k)
		if T(k).IsReg() != reg || (k.Unnamed() != k) != reg || reg && (k.Unnamed() != OID || T(k).Payload() != PayloadI64) {
			t.Errorf("%s: IsReg %t, Unnamed %s, listed %t", T(k), T(k).IsReg(), T(k.Unnamed()), reg)
		}
	}
}
