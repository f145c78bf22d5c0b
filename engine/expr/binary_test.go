package expr

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

func TestBinaryInet(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1": "022000047f000001", "::ffff:10.0.0.1": "022000040a000001", "fe80::1%eth0": "03800010fe800000000000000000000000000001",
	} {
		if got := hex.EncodeToString(appendBinaryInet(nil, []byte(text))); got != want {
			t.Errorf("%s = %s, want %s", text, got, want)
		}
	}
}

// TestBinaryArrayElements has arrays whose elements are sent as another type: they are read as the
// elements of the array all the same, and nothing comes in that is no value of it.
func TestBinaryArrayElements(t *testing.T) {
	array := func(oid uint32, value string) []byte {
		be := binary.BigEndian
		var b []byte
		for _, n := range []uint32{1, 0, oid, 1, 1, uint32(len(value))} {
			b = be.AppendUint32(b, n)
		}
		return append(b, value...)
	}
	for _, c := range []struct {
		kind, sent vec.Kind
		value      string
		want       string // empty: an error
	}{
		{vec.Text, vec.Varchar, "a", "{a}"},
		{vec.Text, vec.Bytea, "a", "{a}"},
		{vec.Text, vec.Bytea, "\xff", ""},
		{vec.JSONB, vec.Text, `{"b":1,"a":2}`, `{"{\"a\": 2, \"b\": 1}"}`},
		{vec.JSONB, vec.Text, "{", ""},
		{vec.Text, vec.Int4, "abcd", ""},
	} {
		v, err := ReadBinary(&Context{}, vec.ArrayOf(c.kind), array(vec.T(c.sent).OID(), c.value))
		got := ""
		if err == nil {
			got = string(AppendText(nil, v, 0, nil))
		}
		if got != c.want {
			t.Errorf("%q sent as %s in an array of %s: %q, %v, want %q", c.value, vec.T(c.sent), vec.T(c.kind), got, err, c.want)
		}
	}
}
