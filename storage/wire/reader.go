package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrShort is the error of a value that is not there as a whole, or of a varint that takes
// more than 64 bits.
var ErrShort = errors.New("ends too early")

// Reader takes values off Src.
type Reader struct {
	Src []byte // what is left, nothing after an error
	Err error  // the first
}

// Fail makes what it says the error, if there is none yet.
func (r *Reader) Fail(format string, args ...any) {
	if r.Err == nil {
		r.Err = fmt.Errorf(format, args...)
	}
	r.Src = nil
}

func (r *Reader) short() {
	if r.Err == nil {
		r.Err = ErrShort
	}
	r.Src = nil
}

// Take is the next n bytes, which share memory with Src, or nil.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.Src) {
		r.short()
		return nil
	}
	out := r.Src[:n:n]
	r.Src = r.Src[n:]
	return out
}

// Byte is the next byte.
func (r *Reader) Byte() byte {
	if b := r.Take(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint32 is a number of four bytes, little-endian.
func (r *Reader) Uint32() uint32 {
	if b := r.Take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uvarint is a varint without a sign.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.Src)
	if n <= 0 {
		r.short()
		return 0
	}
	r.Src = r.Src[n:]
	return v
}

// Varint is a varint with a sign.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.Src)
	if n <= 0 {
		r.short()
		return 0
	}
	r.Src = r.Src[n:]
	return v
}

// Count is a varint of things that there may be limit of at most; what they are is for the
// error.
func (r *Reader) Count(what string, limit int) int {
	v := r.Uvarint()
	if limit < 0 || v > uint64(limit) {
		r.Fail("%d %s, at most %d are possible here", v, what, limit)
		return 0
	}
	return int(v)
}

// End is Err, or says that something is left.
func (r *Reader) End() error {
	if len(r.Src) > 0 {
		r.Fail("%d bytes too many", len(r.Src))
	}
	return r.Err
}
