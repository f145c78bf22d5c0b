package storage

import (
	"maps"
	"slices"
	"time"

	"github.com/prickledb/prickle/storage/segment"
)

const dayMicros = 86_400_000_000

// dayNumber is the UTC day of an instant, since 1970.
func dayNumber(us int64) int32 {
	d := us / dayMicros
	if us%dayMicros < 0 {
		d--
	}
	return int32(d)
}

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

// partition sorts the rows of batches by the stretch of days they fall into.
func partition(batches []*memBatch, stretch func(int32) (int32, int)) []*part {
	parts := map[int32]*part{}
	firstOf := map[int32]int32{} // day → first day of its stretch
	for _, b := range batches {
		here := map[int32][]uint32{}
		add := func(row uint32) {
			d := dayNumber(b.batch.Time[row])
			first, ok := firstOf[d]
			if !ok {
				var days int
				first, days = stretch(d)
				firstOf[d] = first
				if parts[first] == nil {
					parts[first] = &part{firstDay: first, days: days}
				}
			}
			here[first] = append(here[first], row)
		}
		if b.rows == nil {
			for row := range uint32(b.batch.Rows) {
				add(row)
			}
		} else {
			for _, row := range b.rows {
				add(row)
			}
		}
		for first, rows := range here {
			in := b.input()
			in.Rows = rows
			parts[first].inputs = append(parts[first].inputs, in)
			parts[first].rows += len(rows)
		}
	}
	out := make([]*part, 0, len(parts))
	for _, first := range slices.Sorted(maps.Keys(parts)) {
		out = append(out, parts[first])
	}
	return out
}
