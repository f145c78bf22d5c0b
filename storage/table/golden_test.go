package table

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vec"
)

// A file of each version of the format is kept, and opens for good: its rows are those of
// everyType.
func TestVersions(t *testing.T) {
	const rows = 50
	s, b := everyType(rows)
	if version := os.Getenv("PRICKLE_WRITE_VERSION"); version != "" {
		if version == "3" {
			s.OrderBy = []uint32{3, 1}
		}
		raw, err := Build(s, nil, []*Rows{{First: 7, Columns: allColumns(s), Batch: b}}, roaring.New())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/version"+version+".seg", raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for version, size := range map[string]int{"1": 8147, "2": 8066, "3": 6994} {
		testVersion(t, version, size, s, b)
	}
}

func testVersion(t *testing.T, version string, size int, s *Schema, b *vec.Batch) {
	rows := b.Rows
	raw, err := os.ReadFile("testdata/version" + version + ".seg")
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	if r.Rows() != rows || r.First() != 7 || r.Last() != uint32(7+rows-1) {
		t.Errorf("%d rows, from %d to %d", r.Rows(), r.First(), r.Last())
	}
	v := &Version{Schema: s, Segments: []*Reader{r}, Dead: roaring.New(), Hidden: roaring.New()}
	for _, p := range v.Pieces() {
		sameRows(t, s, &p, b, 7)
	}
	var dump strings.Builder
	if err := r.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(dump.String(), "\n"); first != fmt.Sprintf("segment of a table: 50 rows, numbers 7 to 56, %d bytes", size) {
		t.Errorf("version %s: Dump begins with %q", version, first)
	}
}
