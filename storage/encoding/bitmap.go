package encoding

import (
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
)

// Bitmap reads a roaring bitmap from foreign bytes.
func Bitmap(raw []byte) (set *roaring.Bitmap, err error) {
	defer func() {
		// The library is not made for bytes that were tampered with.
		if p := recover(); p != nil {
			err = fmt.Errorf("bitmap: %v", p)
		}
	}()
	set = roaring.New()
	if err := set.UnmarshalBinary(raw); err != nil {
		return nil, fmt.Errorf("bitmap: %w", err)
	}
	if err := set.Validate(); err != nil {
		return nil, fmt.Errorf("bitmap: %w", err)
	}
	return set, nil
}
