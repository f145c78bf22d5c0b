package expr

import (
	"testing"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// TestTextFromOutside gives bytes that are no text, in each form and for each type that keeps text.
func TestTextFromOutside(t *testing.T) {
	ctx := &Context{Location: time.UTC}
	for _, typ := range []vec.Type{vec.T(vec.Text), vec.T(vec.Unknown), vec.T(vec.Varchar), vec.T(vec.Bpchar), vec.T(vec.Name), vec.ArrayOf(vec.Text), vec.T(vec.JSONB)} {
		for _, bad := range []string{"\xff", "a\x00b", "{\xff}", "\"\xff\""} {
			if _, err := ParseValue(ctx, typ, []byte(bad)); pgerr.Code(err) != pgerr.BadEncoding {
				t.Errorf("%q as %s: %v, want %s", bad, typ, err, pgerr.BadEncoding)
			}
			if typ.Array {
				continue
			}
			_, err := ReadBinary(ctx, typ, []byte(bad))
			if code := pgerr.Code(err); code != pgerr.BadEncoding && !(typ.Kind == vec.JSONB && code == pgerr.InvalidText) {
				t.Errorf("%q in binary as %s: %v, want %s", bad, typ, err, pgerr.BadEncoding)
			}
		}
		if _, err := ParseValue(ctx, typ, []byte(`{}`)); err != nil {
			t.Errorf("{} as %s: %v", typ, err)
		}
	}
}
