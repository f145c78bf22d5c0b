package table

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/vec"
)

// shuffled is the rows of a batch in another order, [from, to) of it.
func shuffled(b *vec.Batch, seed uint64) *vec.Batch {
	order := rand.New(rand.NewPCG(seed, 1)).Perm(b.Rows)
	out := &vec.Batch{Rows: b.Rows}
	for _, c := range b.Cols {
		v := vec.NewBuilder(c.Type)
		for _, row := range order {
			v.AppendFrom(c, row)
		}
		out.Cols = append(out.Cols, v.V)
	}
	return out
}

func opened(t *testing.T, s *Schema, segments []*Reader, batches []*Rows, dead *roaring.Bitmap) ([]byte, *Reader) {
	t.Helper()
	raw, err := Build(s, segments, batches, dead)
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(); err != nil {
		t.Fatal(err)
	}
	return raw, r
}

// The rows of a segment lie in the order of the table, whatever the columns are of, nulls last, and
// each is there with all its values. The bytes depend on the rows alone, not on how they came.
func TestRowsLieInOrder(t *testing.T) {
	const first, rows = 50, 2*vec.BatchRows + 1017
	s, b := everyType(rows)
	b = shuffled(b, 7)
	columns := allColumns(s)
	dead := roaring.New()
	for i := range uint32(rows) {
		if i%13 == 4 {
			dead.Add(first + i)
		}
	}
	cut := func(lo, hi int, encoded bool) *Rows {
		r := &Rows{First: first + uint32(lo), Columns: columns}
		if r.Batch = part(b, lo, hi, encoded); encoded {
			r.Encoded, r.Batch = Encode(r.Batch), nil
			for _, c := range s.Columns {
				r.types = append(r.types, c.Type)
			}
		}
		return r
	}
	time := slices.IndexFunc(s.Columns, func(c Column) bool { return c.Type.Kind == vec.Timestamp })
	orders := [][]uint32{{2, 1}, {19, 3, 11}}
	for i, c := range columns {
		if !testing.Short() || i%6 == 3 {
			orders = append(orders, []uint32{c})
		}
	}
	for n, order := range orders {
		s := s.Clone()
		s.OrderBy = order
		if n == 1 {
			s.Time, s.PartitionBy = columns[time], "day"
		}
		at := []int{0, 9000, 9001, 9700, rows}
		raw, r := opened(t, s, nil, []*Rows{cut(0, 9000, false), cut(9000, rows, false)}, dead)
		_, one := opened(t, s, nil, []*Rows{cut(0, at[1], false)}, roaring.New())
		_, two := opened(t, s, nil, []*Rows{cut(at[1], at[2], false), cut(at[2], at[3], true)}, dead)
		if again, _ := opened(t, s, []*Reader{one, two}, []*Rows{cut(at[3], at[4]-7000, true), cut(at[4]-7000, at[4], true)}, dead); !bytes.Equal(raw, again) {
			t.Fatalf("order %v: rows that came otherwise make other bytes", order)
		}
		v := &Version{Schema: s, Segments: []*Reader{r}, Next: first + rows, Dead: dead, Hidden: roaring.New()}
		seen := roaring.New()
		last := -1
		place := int64(0)
		for _, p := range v.Pieces() {
			if p.Place() != place {
				t.Fatalf("order %v: a piece is at place %d, want %d", order, p.Place(), place)
			}
			place += int64(p.Rows())
			ids := sameRows(t, s, &p, b, first)
			for _, id := range ids {
				row := int(id - first)
				if last >= 0 && !inOrder(s, b, last, row, time) {
					t.Fatalf("order %v: row %d lies before row %d", order, last, row)
				}
				last = row
				seen.Add(id)
			}
		}
		if want := rows - dead.GetCardinality(); seen.GetCardinality() != want || seen.Intersects(dead) {
			t.Fatalf("order %v: %d rows, want %d", order, seen.GetCardinality(), want)
		}
	}
}

// inOrder says whether row i may lie before row j.
func inOrder(s *Schema, b *vec.Batch, i, j, time int) bool {
	if s.PartitionBy != "" {
		c := b.Cols[time]
		if x, y := c.IsNull(i), c.IsNull(j); x != y {
			return y
		} else if x, y := vec.FloorDiv(c.I64[i], dayOf), vec.FloorDiv(c.I64[j], dayOf); !c.IsNull(i) && x != y {
			return x < y
		}
	}
	for _, id := range s.OrderBy {
		c := b.Cols[id-1]
		x, y := c.IsNull(i), c.IsNull(j)
		if x != y {
			return y
		}
		if d := vec.Compare(c, i, c, j); !x && d != 0 {
			return d < 0
		}
	}
	return i < j
}

const dayOf = 24 * 3_600_000_000

// A table that has lost its order has its rows by number again.
func TestOrderIsLost(t *testing.T) {
	s, b := everyType(3000)
	s.OrderBy = []uint32{2}
	_, sorted := opened(t, s, nil, []*Rows{{Columns: allColumns(s), Batch: b}}, roaring.New())
	s = s.Clone()
	s.Drop(2)
	_, r := opened(t, s, []*Reader{sorted}, nil, roaring.New())
	for block := range r.Blocks() {
		ids, err := r.ids(block)
		if err != nil || !slices.IsSorted(ids) {
			t.Fatalf("block %d: the rows are not by number (%v)", block, err)
		}
	}
}

// Periods are those of UTC, before 1970 too.
func TestPeriods(t *testing.T) {
	starts := map[string]func(time.Time) time.Time{
		"hour": func(x time.Time) time.Time { return x.Truncate(time.Hour) },
		"day":  func(x time.Time) time.Time { return x.Truncate(24 * time.Hour) },
		"week": func(x time.Time) time.Time {
			return x.Truncate(24*time.Hour).AddDate(0, 0, -int(x.Weekday()+6)%7)
		},
		"month": func(x time.Time) time.Time { return time.Date(x.Year(), x.Month(), 1, 0, 0, 0, 0, time.UTC) },
		"year":  func(x time.Time) time.Time { return time.Date(x.Year(), 1, 1, 0, 0, 0, 0, time.UTC) },
	}
	r := rand.New(rand.NewPCG(3, 4))
	for unit, start := range starts {
		for range 2000 {
			// Two times that lie near each other are of one period if one start is.
			a := time.UnixMicro(r.Int64N(4e15) - 2e15).UTC()
			b := a.Add(time.Duration(r.Int64N(int64(40*24*time.Hour)) - int64(20*24*time.Hour)))
			want := start(a).Compare(start(b))
			at := func(x time.Time) int64 { return periodOf(unit, vec.TimestampTZ, x.UnixMicro()) }
			if x, y := at(a), at(b); want < 0 != (x < y) || want > 0 != (x > y) {
				t.Fatalf("%s of %v and %v: %d and %d", unit, a, b, x, y)
			}
			day := func(x time.Time) int64 { return vec.FloorDiv(x.UnixMicro(), dayOf) }
			noon := time.UnixMicro(day(a)*dayOf + dayOf/2).UTC()
			if x, y := periodOf(unit, vec.Date, day(a)), at(noon); unit != "hour" && x != y {
				t.Fatal(fmt.Sprintf("%s of the date of %v is %d, want %d", unit, a, x, y))
			}
		}
	}
}

// A sort by keys is one by comparison, and leaves equal ones as they lie.
func TestSortBy(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, most := range []uint64{1, 3, 300, 1 << 20, 1<<64 - 1} {
		keys := make([]uint64, 5000)
		for i := range keys {
			keys[i] = 1<<40 + r.Uint64N(most)
		}
		order := make([]uint32, len(keys))
		for i := range order {
			order[i] = uint32(i)
		}
		want := slices.Clone(order)
		slices.SortStableFunc(want, func(a, b uint32) int {
			if keys[a] < keys[b] {
				return -1
			} else if keys[a] > keys[b] {
				return 1
			}
			return 0
		})
		if got, _ := sortBy(order, make([]uint32, len(keys)), keys); !slices.Equal(got, want) {
			t.Errorf("keys below %d are not in order", most)
		}
	}
}

func BenchmarkBuildSorted(b *testing.B) {
	s, batch := everyType(20 * vec.BatchRows)
	batch = shuffled(batch, 3)
	for _, order := range [][]uint32{nil, {3, 19}} {
		b.Run(fmt.Sprint(order), func(b *testing.B) {
			s := s.Clone()
			s.OrderBy = order
			for b.Loop() {
				if _, err := Build(s, nil, []*Rows{{Columns: allColumns(s), Batch: batch}}, roaring.New()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.Rows*len(s.Columns)), "ns/value")
		})
	}
}
