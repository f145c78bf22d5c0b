package storage

import (
	"fmt"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// A batch that came from the log counts as much as the one that was written to it, or replicas would
// flush at different entries. Properties that few rows have do not take a code for each row.
func TestBytesOfABatch(t *testing.T) {
	made := func(each, keys int) *memBatch {
		b := event.NewBuilder()
		for i := range 8000 {
			b.Begin(vec.UUIDValue{byte(i), byte(i >> 8)}, int64(i))
			b.SetName([]byte("e"))
			b.SetDistinctID([]byte("u"))
			for k := range each {
				b.Property(fmt.Appendf(nil, "key %d", (i+k*977)%keys), event.Text, fmt.Appendf(nil, "%d", i%20))
			}
			b.End()
		}
		return &memBatch{batch: b.Finish()}
	}
	none := made(0, 1).bytes()
	for _, c := range []struct {
		each, keys int
		least      int64
		most       int64
	}{{5, 5, 5 * 8000, 5 * 8200}, {5, 1000, 5*8000*5 + 1000*fewBytes, 1000 * (fewBytes + 5*40 + 8*20)}} {
		local := made(c.each, c.keys)
		read, err := event.Decode(event.Append(nil, local.batch))
		if err != nil {
			t.Fatal(err)
		}
		n, again := local.bytes(), (&memBatch{batch: read}).bytes()
		if n != again || n-none < c.least || n-none > c.most {
			t.Errorf("%d of %d properties in 8000 rows count %d bytes, and %d from the log, want %d to %d", c.each, c.keys, n-none, again-none, c.least, c.most)
		}
	}
}
