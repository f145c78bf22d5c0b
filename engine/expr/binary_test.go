package expr

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
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

// TestBinaryVectors has the vectors of the catalog, which begin at 0, beside an array.
func TestBinaryVectors(t *testing.T) {
	for _, c := range []struct {
		kind vec.Type
		text string
		want string // the header: dimensions, whether there are nulls, the type; then how many, and the first
	}{
		{vec.Type{Kind: vec.Int2Vector, Array: true}, "3 4", "00000001 00000000 00000015 00000002 00000000"},
		{vec.Type{Kind: vec.OIDVector, Array: true}, "", "00000001 00000000 0000001a 00000000 00000000"},
		{vec.ArrayOf(vec.Int2), "{3,4}", "00000001 00000000 00000015 00000002 00000001"},
	} {
		v, err := ParseValue(&Context{}, c.kind, []byte(c.text))
		if err != nil {
			t.Errorf("%s %q: %v", c.kind, c.text, err)
			continue
		}
		got := AppendBinary(nil, v, 0, &Context{})
		if head := fmt.Sprintf("%x %x %x %x %x", got[:4], got[4:8], got[8:12], got[12:16], got[16:20]); head != c.want {
			t.Errorf("%s %q = %s, want %s", c.kind, c.text, head, c.want)
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
