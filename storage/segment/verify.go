package segment

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// Verify reads everything and checks every checksum, also of what has been read before.
func (r *Reader) Verify() error {
	if err := r.fill(); err != nil {
		return err
	}
	fresh := &Reader{parts: &parts{name: r.name, file: r.file, data: r.data, size: r.size}} // it is not closed: the file is r's
	if err := fresh.touch(fresh.open); err != nil {
		return err
	}
	return fresh.verify()
}

func (r *Reader) verify() error {
	n := r.dir.rows
	for sec := range fixedCount {
		switch sec {
		case secPersonBitmap, secIDs, secCreated, secSessions, secSessionStart, secSessionEnd:
			continue // not columns
		}
		if r.dir.fixed[sec].size == 0 && (sec >= secSessions && sec <= secSessionCount && !r.HasSessions() || sec >= secOrderFirst) {
			continue
		}
		c, err := r.fixed(sec)
		if err != nil {
			return err
		}
		if err := r.touch(c.Verify); err != nil {
			return r.corrupt(fixedNames[sec], r.dir.fixed[sec], err)
		}
	}
	if _, err := r.idDict(); err != nil {
		return err
	}
	if _, err := r.createdValues(); err != nil {
		return err
	}
	if _, err := r.PersonBitmap(); err != nil {
		return err
	}
	for _, g := range r.ranges {
		if _, err := g.Runs(); err != nil {
			return err
		}
		if _, err := g.dayBitmaps(); err != nil {
			return err
		}
	}
	if _, err := r.Sessions(); err != nil {
		return err
	}
	if err := r.verifyOrder(); err != nil {
		return err
	}
	var codes [encoding.BlockRows]uint32
	var times [encoding.BlockRows]int64
	var uuids [encoding.BlockRows]vec.UUIDValue
	for lo := 0; lo < n; lo += len(codes) {
		hi := min(lo+len(codes), n)
		if err := r.UUIDs(uuids[:], lo, hi); err != nil {
			return err
		}
		if err := r.CreatedAt(times[:], lo, hi); err != nil {
			return err
		}
		if _, err := r.DistinctIDs(lo, hi); err != nil {
			return err
		}
		if !r.HasSessions() {
			continue
		}
		if err := r.sessionCodes(codes[:hi-lo], lo); err != nil {
			return err
		}
	}
	for _, g := range r.groups {
		for _, c := range g.columns {
			if !c.entry.plain {
				if _, err := c.load(); err != nil {
					return err
				}
			}
			for lo := 0; lo < c.rows; lo += len(codes) {
				hi := min(lo+len(codes), c.rows)
				if err := c.readCodes(codes[:hi-lo], lo); err != nil {
					return err
				}
				if !c.entry.plain {
					continue
				}
				if err := c.numbers(times[:hi-lo], lo); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

var kindNames = [kinds]string{"null", "bool", "int", "float", "number", "text", "json"}

// Dump prints what a segment consists of: its span, its sections with their sizes, its
// events with their persons and columns.
func Dump(w io.Writer, r *Reader) error {
	d := r.dir
	rows := max(d.rows, 1)
	p := bufio.NewWriter(w)
	day := time.Unix(int64(d.firstDay)*86400, 0).UTC()
	fmt.Fprintf(p, "segment, version %d: %d bytes, %d rows, %.2f bytes a row\n", d.version, len(r.data), d.rows, float64(len(r.data))/float64(rows))
	fmt.Fprintf(p, "days: %d from %s, times %s to %s, unit %d µs\n", d.days, day.Format(time.DateOnly),
		time.UnixMicro(d.minTime).UTC().Format(time.RFC3339Nano), time.UnixMicro(d.maxTime).UTC().Format(time.RFC3339Nano), d.unit)
	fmt.Fprintf(p, "persons %d, distinct ids %d, sessions %d, creation times %d\n\n", d.persons, d.ids, d.sessions, d.created)
	fmt.Fprintf(p, "%-24s %12s %12s %8s\n", "section", "at", "bytes", "a row")
	section := func(name string, s section) {
		fmt.Fprintf(p, "%-24s %12d %12d %8.3f\n", name, s.off, s.size, float64(s.size)/float64(rows))
	}
	for i := range d.fixed {
		section(fixedNames[i], d.fixed[i])
	}
	var runs, masks, bitmaps int
	for i := range d.ranges {
		e := &d.ranges[i]
		runs += e.ordinals.size + e.starts.size
		masks += e.masks.size
		bitmaps += e.bitmaps.size
	}
	total := func(name string, size int) {
		fmt.Fprintf(p, "%-24s %12s %12d %8.3f\n", name, "", size, float64(size)/float64(rows))
	}
	total("run indexes", runs)
	total("day masks of events", masks)
	total("day bitmaps of events", bitmaps)
	var keys []string
	codes, dicts := map[string]int{}, map[string]int{}
	for i := range d.groups {
		for j := range d.groups[i].columns {
			c := &d.groups[i].columns[j]
			if _, seen := codes[c.key]; !seen {
				keys = append(keys, c.key)
			}
			codes[c.key] += c.codes.size
			for k := range c.values {
				dicts[c.key] += c.values[k].size
			}
		}
	}
	for _, key := range keys {
		total("property "+key, codes[key]+dicts[key])
		fmt.Fprintf(p, "%-24s %12s %12d %8.3f\n", "  of that dictionaries", "", dicts[key], float64(dicts[key])/float64(rows))
	}
	section("uuids", d.uuids)
	for i, g := range r.ranges {
		e := &d.ranges[i]
		fmt.Fprintf(p, "\nevent %q: rows %d to %d, persons %d, group %d\n", e.name, g.Lo, g.Hi, e.runs, e.group)
		fmt.Fprintf(p, "  runs %d bytes, day masks %d, day bitmaps %d\n", e.ordinals.size+e.starts.size, e.masks.size, e.bitmaps.size)
	}
	for i := range d.groups {
		g := &d.groups[i]
		fmt.Fprintf(p, "\ngroup %d: %d rows\n", i, g.rows)
		for j := range g.columns {
			c := &g.columns[j]
			fmt.Fprintf(p, "  %-24q codes %d bytes", c.key, c.codes.size)
			for k := range event.JSON + 1 {
				if c.counts[k] > 0 {
					fmt.Fprintf(p, ", %d %s in %d", c.counts[k], kindNames[k], c.values[k].size)
				}
			}
			if c.plain {
				fmt.Fprintf(p, ", plain")
			}
			if c.leader != noLeader {
				fmt.Fprintf(p, ", follows %q", g.columns[c.leader].key)
			}
			if c.nullable {
				fmt.Fprintf(p, ", with gaps")
			}
			fmt.Fprintf(p, "\n")
		}
	}
	return p.Flush()
}
