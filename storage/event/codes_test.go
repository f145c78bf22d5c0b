package event

import (
	"fmt"
	"slices"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// Codes of every size are what was set, before and after a larger one makes all of them wider,
// and go through the wire.
func TestCodes(t *testing.T) {
	for _, most := range []uint32{1, 254, 255, 256, 65534, 65535, 65536, 1 << 20} {
		for _, larger := range []uint32{most, 255, 256, 65535, 65536, 1 << 24} {
			want := []uint32{0, most, most / 2, 1, most}
			c := NewCodes(len(want), most)
			for i, v := range want {
				c.Set(i, v)
			}
			want[3] = larger
			c.Set(3, larger)
			got, some := make([]uint32, len(want)), make([]uint32, 2)
			c.Read(got)
			c.Take(some, []uint32{1, 3})
			if !slices.Equal(got, want) || some[0] != want[1] || some[1] != want[3] || c.Len() != len(want) || c.At(4) != want[4] {
				t.Errorf("codes up to %d with %d: %v and %v, want %v", most, larger, got, some, want)
			}
		}
	}
	for _, values := range []int{1, 255, 256, 65535, 65536} {
		b := NewBuilder()
		for i := range values + 1 {
			b.Begin(vec.UUIDValue{}, 0)
			if i > 0 { // the first row has none
				b.Property([]byte("p"), Text, fmt.Appendf(nil, "%d", i))
			}
			b.End()
		}
		made := b.Finish()
		read, err := Decode(Append(nil, made))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*Prop{&made.Props[0], &read.Props[0]} {
			if got := p.Codes.bytes(); got != CodeBytes(uint32(values)) {
				t.Errorf("%d values: codes of %d bytes", values, got)
			}
			for i := range values + 1 {
				if got := p.Codes.At(i); got != uint32(i) {
					t.Fatalf("%d values: the code of row %d is %d", values, i, got)
				}
			}
		}
	}
}

func (c *Codes) bytes() int {
	switch {
	case c.narrow != nil:
		return 1
	case c.middle != nil:
		return 2
	}
	return 4
}
