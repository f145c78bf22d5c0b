package encoding

import (
	"bytes"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
)

// Bigints reads a set of bigint, which is a portable roaring bitmap of 64 bits, from foreign
// bytes: they must be a whole bitmap and nothing else.
func Bigints(raw []byte) (set *roaring64.Bitmap, err error) {
	defer func() {
		// The library is not made for bytes that were tampered with.
		if p := recover(); p != nil {
			err = fmt.Errorf("bitmap: %v", p)
		}
	}()
	if err := countBigints(raw); err != nil {
		return nil, err
	}
	set = roaring64.New()
	n, err := set.ReadFrom(bytes.NewReader(raw))
	if err == nil && n != int64(len(raw)) {
		err = fmt.Errorf("%d bytes after it", int64(len(raw))-n)
	}
	if err == nil && !set.IsEmpty() {
		err = set.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("bitmap: %w", err)
	}
	return set, nil
}

// minBucketBytes is the least that the members of one 2^32 numbers take: their upper half and
// an empty 32-bit bitmap.
const minBucketBytes = 4 + 8

// countBigints checks the number of buckets, for which the library takes memory before it has
// looked at them.
func countBigints(raw []byte) error {
	if len(raw) < 8 {
		return fmt.Errorf("bitmap: %d bytes, want 8 at least", len(raw))
	}
	n := uint64(0)
	for i := range 8 {
		n |= uint64(raw[i]) << (8 * i)
	}
	if n > uint64(len(raw)-8)/minBucketBytes {
		return fmt.Errorf("bitmap: %d buckets in %d bytes", n, len(raw))
	}
	return nil
}

// AppendBigints adds the one form that a set has as bytes: equal sets have equal bytes. The set
// is made smaller on the way, and stays the same set.
func AppendBigints(dst []byte, set *roaring64.Bitmap) []byte {
	set.RunOptimize()
	w := bytes.NewBuffer(dst)
	if _, err := set.WriteTo(w); err != nil {
		panic(err) // it writes to memory
	}
	return w.Bytes()
}
