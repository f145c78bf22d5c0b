package expr

import (
	"testing"
	"unsafe"

	"github.com/prickledb/prickle/storage/vec"
)

// TestMemoKeepsItsOwn overwrites the memory that a format came in, as the next batch does.
func TestMemoKeepsItsOwn(t *testing.T) {
	lent := []byte(`9"a"`)
	one := vec.DecimalFromInt(1)
	for _, format := range []string{unsafe.String(&lent[0], len(lent)), `9"a"`} {
		got, err := appendNumberFormat(nil, one, format)
		if err != nil || string(got) != " 1a" {
			t.Errorf("to_char(1, '9\"a\"') = %q, %v", got, err)
		}
		lent[2] = 'b'
	}
}
