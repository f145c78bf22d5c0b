package wire

import (
	"encoding/binary"
	"errors"
	"testing"
)

func sample() []byte {
	b := []byte{7}
	b = binary.LittleEndian.AppendUint32(b, 1<<31)
	b = binary.AppendUvarint(b, 1<<63)
	b = binary.AppendVarint(b, -1<<63)
	return append(binary.AppendUvarint(b, 3), "abc"...)
}

func read(r *Reader) (byte, uint32, uint64, int64, string) {
	return r.Byte(), r.Uint32(), r.Uvarint(), r.Varint(), string(r.Take(r.Count("letters", 3)))
}

func TestReader(t *testing.T) {
	r := Reader{Src: sample()}
	a, b, c, d, e := read(&r)
	if a != 7 || b != 1<<31 || c != 1<<63 || d != -1<<63 || e != "abc" || r.End() != nil {
		t.Errorf("%d %d %d %d %q, %v", a, b, c, d, e, r.Err)
	}
}

// Cut anywhere, the values give ErrShort and then zeros.
func TestReaderOfLess(t *testing.T) {
	for n := range sample() {
		r := Reader{Src: sample()[:n]}
		if read(&r); !errors.Is(r.End(), ErrShort) {
			t.Errorf("%d bytes: %v, want ErrShort", n, r.Err)
		}
		if a, b, c, d, e := read(&r); a != 0 || b != 0 || c != 0 || d != 0 || e != "" {
			t.Errorf("%d bytes, after the error: %d %d %d %d %q", n, a, b, c, d, e)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(*Reader)
		want string
	}{
		{"a count above the limit", func(r *Reader) { r.Count("rows", 6) }, "7 rows, at most 6 are possible here"},
		{"a limit below none", func(r *Reader) { r.Count("rows", -1) }, "7 rows, at most -1 are possible here"},
		{"a negative size", func(r *Reader) { r.Take(-1) }, "ends too early"},
		{"the second of two errors", func(r *Reader) { r.Fail("a %d", 1); r.Fail("b") }, "a 1"},
		{"a rest", func(r *Reader) { r.Byte() }, "1 bytes too many"},
	} {
		r := Reader{Src: []byte{7, 0}}
		c.do(&r)
		if err := r.End(); err == nil || err.Error() != c.want || len(r.Src) > 0 {
			t.Errorf("%s: %v with %d bytes left, want %q and none", c.what, err, len(r.Src), c.want)
		}
	}
	long := Reader{Src: []byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}}
	if v := long.Uvarint(); v != 0 || long.Err != ErrShort {
		t.Errorf("a varint of 11 bytes = %d, %v", v, long.Err)
	}
}
