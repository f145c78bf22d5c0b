package expr

import (
	"encoding/hex"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

func TestRecordsInBinary(t *testing.T) {
	for record, want := range map[string]string{
		"()":              "00000000",
		"(1)":             "00000001" + "00000019" + "00000001" + "31",
		`(,"")`:           "00000002" + "00000019" + "ffffffff" + "00000019" + "00000000",
		`("a ""\\,(",x,)`: "00000003" + "00000019" + "00000006" + hex.EncodeToString([]byte(`a "\,(`)) + "00000019" + "00000001" + "78" + "00000019" + "ffffffff",
	} {
		if got := hex.EncodeToString(appendRecord(nil, []byte(record), vec.T(vec.Record), nil)); got != want {
			t.Errorf("%s: %s, want %s", record, got, want)
		}
	}
}

// What appendField writes, eachField reads.
func FuzzRecord(f *testing.F) {
	f.Add("a", `b "c`, "")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		record := append(appendField([]byte("("), []byte(a)), ',')
		record = append(appendField(record, []byte(b)), ",,"...)
		record = append(appendField(record, []byte(c)), ')')
		var got []string
		eachField(record, func(field []byte, null bool) {
			if null != (len(got) == 2) {
				t.Errorf("field %d of %q: null = %v", len(got), record, null)
			}
			got = append(got, string(field))
		})
		if len(got) != 4 || got[0] != a || got[1] != b || got[3] != c {
			t.Errorf("%q: %q", record, got)
		}
	})
}
