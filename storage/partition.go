package storage

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

const dayMicros = 86_400_000_000

// dayNumber is the UTC day of an instant, since 1970.
func dayNumber(us int64) int32 { return int32(vec.FloorDiv(us, dayMicros)) }

// dayOf is the day alone: what a flush cuts rows into.
func dayOf(d int32) (int32, int) { return d, 1 }

// monthOf is the first day and the length of the month that a day belongs to.
func monthOf(d int32) (int32, int) {
	y, m, _ := time.Unix(int64(d)*86_400, 0).UTC().Date()
	first := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	return int32(first.Unix() / 86_400), first.AddDate(0, 1, -1).Day()
}

// part is the rows of one stretch of days.
type part struct {
	firstDay int32
	days     int
	rows     int
	inputs   []segment.Input
}

const (
	// flushDays is up to how many days a flush writes a file each. An import touches many, and
	// one in no order years of them.
	flushDays = 8
	// flushDayRows is how many rows a day needs for a file of its own in a flush that
	// touches more. Files of fewer cost more to open and to merge than their rows do.
	flushDayRows = 20_000
)

// flushParts is what a flush makes segments of: days, and months of such days as have few
// rows, if there are many days. It depends on the rows alone.
func flushParts(batches []*memBatch) []*part {
	rows := map[int32]int{}
	for _, b := range batches {
		b.each(func(row uint32) { rows[dayNumber(b.batch.Time[row])]++ })
	}
	if len(rows) <= flushDays {
		return partition(batches, dayOf)
	}
	return partition(batches, func(d int32) (int32, int) {
		if rows[d] < flushDayRows {
			return monthOf(d)
		}
		return dayOf(d)
	})
}

// each calls visit for every row that is stored.
func (b *memBatch) each(visit func(row uint32)) {
	if b.rows != nil {
		for _, row := range b.rows {
			visit(row)
		}
		return
	}
	for row := range uint32(b.batch.Rows) {
		visit(row)
	}
}

// partition sorts the rows of batches by the stretch of days they fall into. Stretches of
// different lengths may overlap: then each has the rows that it was named for.
func partition(batches []*memBatch, stretch func(int32) (int32, int)) []*part {
	type span struct {
		first int32
		days  int
	}
	parts := map[span]*part{}
	spanOf := map[int32]span{} // by day
	for _, b := range batches {
		here := map[span][]uint32{}
		b.each(func(row uint32) {
			d := dayNumber(b.batch.Time[row])
			s, ok := spanOf[d]
			if !ok {
				s.first, s.days = stretch(d)
				spanOf[d] = s
				if parts[s] == nil {
					parts[s] = &part{firstDay: s.first, days: s.days}
				}
			}
			here[s] = append(here[s], row)
		})
		for s, rows := range here {
			in := b.input()
			in.Rows = rows
			parts[s].inputs = append(parts[s].inputs, in)
			parts[s].rows += len(rows)
		}
	}
	out := slices.Collect(maps.Values(parts))
	slices.SortFunc(out, func(a, b *part) int {
		return cmp.Or(cmp.Compare(a.firstDay, b.firstDay), cmp.Compare(a.days, b.days))
	})
	return out
}
