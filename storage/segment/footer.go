package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/wire"
)

// A footer ends every segment, so a reader finds everything from the last 16 bytes:
//
//	+----------+-------+-----+---------+-------+-----------+---------------+-----------+----------+
//	| magic(8) | fixed | ... | columns | uuids | directory | dir offset(8) | crc32c(4) | magic(4) |
//	+----------+-------+-----+---------+-------+-----------+---------------+-----------+----------+
//	                                           |<--------------------- footer -------------------->|
//
// The checksum covers the directory and its offset. Each section has its own.
const (
	headMagic = "prickseg"
	footMagic = "pseg"
	// Version 1 has no order of the rows; up to version 2 all columns have codes of their own,
	// and uuids are 16 bytes.
	version    = 3
	footerTail = 16
	// MaxDays is how many days a segment may span: a month, so that a day mask fits 32 bits.
	MaxDays = 31
	// maxKey bounds an event name or a property key. What arrives is far shorter.
	maxKey = 1 << 20
)

// The sections that every segment has, in file order. An empty one takes no bytes.
const (
	secPersons      = iota // ordinals, ascending
	secMasks               // a day mask a person
	secPersonBitmap        // the same persons, roaring
	secQuarter             // time code a row
	secOffset              // time within the quarter-hour a row, in time units
	secIDs                 // distinct ids by (least ordinal, text)
	secIDFirst             // first distinct id of each person
	secIDRow               // distinct id a row, from the first of its person
	secCreated             // distinct creation times, ascending
	secCreatedFirst        // least creation time of each quarter-hour
	secCreatedRow          // creation time a row, from the least of its quarter-hour
	secSessions            // session ids by (least ordinal, start, text)
	secSessionFirst        // first session of each person
	secSessionRow          // session a row: 0 for none, or as distinct ids, shifted by one
	secSessionOrdinal
	secSessionStart // time units since the first day
	secSessionEnd   // time units since the start
	secSessionCount // events
	secOrderFirst   // first position of each person in order of (person, time, uuid), and the end
	secOrder        // event of each position
	fixedCount
)

var fixedNames = [fixedCount]string{
	"persons", "day masks", "person bitmap", "time codes", "time offsets", "distinct ids",
	"first distinct ids", "distinct id rows", "creation times", "first creation times",
	"creation time rows", "sessions", "first sessions", "session rows", "session ordinals",
	"session starts", "session ends", "session counts", "first positions", "order",
}

// section is where bytes lie in the file.
type section struct{ off, size int }

// directory is what the footer says.
type directory struct {
	version byte

	rows, persons, ids, created, sessions int

	firstDay         int32
	days             int
	minTime, maxTime int64
	unit             int64 // µs of a time unit: a power of ten

	fixed  [fixedCount]section
	ranges []rangeEntry
	groups []groupEntry
	uuids  section
}

// rangeEntry is one event name.
type rangeEntry struct {
	name                             string
	rows, group, runs                int
	carried                          []byte // bit i: some row carries column i of the group
	ordinals, starts, masks, bitmaps section
}

// groupEntry is the property columns that one or more ranges share. Its rows are those
// of its ranges, in order.
type groupEntry struct {
	rows    int
	columns []columnEntry
}

// columnEntry is one property.
type columnEntry struct {
	key      string
	nullable bool // code 0 is a row without the property; others are one more than the value
	plain    bool // no dictionary: a number a row, of the only kind
	leader   int  // the column that it follows, or noLeader; a codes section then has a code for each of the leader's
	decimals uint8
	counts   [kinds]int // values of each kind
	codes    section
	values   [kinds]section
}

const (
	noLeader    = -1
	kinds       = int(event.JSON) + 1
	rawFloats   = 0xff // decimals: floats are kept as their bits
	maxDecimals = 4
)

func appendSize(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)) }

func appendText(dst []byte, s string) []byte { return append(appendSize(dst, len(s)), s...) }

// append writes the directory. Sections follow each other without gaps, in the order
// in which they are named here, so sizes say where they are.
func (d *directory) append(dst []byte) []byte {
	dst = append(dst, version)
	for _, n := range []int{d.rows, d.persons, d.ids, d.created, d.sessions, d.days} {
		dst = appendSize(dst, n)
	}
	for _, n := range []int64{int64(d.firstDay), d.minTime, d.maxTime, d.unit} {
		dst = binary.AppendVarint(dst, n)
	}
	for i := range d.fixed {
		dst = appendSize(dst, d.fixed[i].size)
	}
	dst = appendSize(dst, len(d.groups))
	dst = appendSize(dst, len(d.ranges))
	for i := range d.ranges {
		e := &d.ranges[i]
		dst = appendText(dst, e.name)
		for _, n := range []int{e.rows, e.group, e.runs, e.ordinals.size, e.starts.size, e.masks.size, e.bitmaps.size, len(e.carried)} {
			dst = appendSize(dst, n)
		}
		dst = append(dst, e.carried...)
	}
	for i := range d.groups {
		g := &d.groups[i]
		dst = appendSize(dst, len(g.columns))
		for j := range g.columns {
			c := &g.columns[j]
			dst = appendText(dst, c.key)
			flags := byte(0)
			if c.nullable {
				flags |= 1
			}
			if c.plain {
				flags |= 2
			}
			if c.leader != noLeader {
				flags |= 4
			}
			dst = append(dst, flags, c.decimals)
			if c.leader != noLeader {
				dst = appendSize(dst, c.leader)
			}
			dst = appendSize(dst, c.codes.size)
			for k := range c.counts {
				dst = appendSize(dst, c.counts[k])
				dst = appendSize(dst, c.values[k].size)
			}
		}
	}
	return appendSize(dst, d.uuids.size)
}

// appendFooter ends a file that starts with dst.
func (d *directory) appendFooter(dst []byte) []byte {
	start := len(dst)
	dst = d.append(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(start))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], encoding.Table))
	return append(dst, footMagic...)
}

// dirReader takes a directory off its bytes.
type dirReader struct {
	wire.Reader
	next int // where the next section starts
	end  int // where the last one ends
}

func (r *dirReader) text(what string) string {
	return string(r.Take(r.Count("bytes of "+what, min(maxKey, len(r.Src)))))
}

func (r *dirReader) section(what string) section {
	s := section{off: r.next, size: r.Count("bytes of "+what, r.end-r.next)}
	r.next += s.size
	return s
}

// FooterSize says how many bytes at the end of a segment file a reader must have to open it,
// beside the first HeadSize ones. end is the last bytes of the file, MinEnd at least, and size
// is that of the file.
func FooterSize(end []byte, size int64) (int64, error) {
	if len(end) < MinEnd || string(end[len(end)-4:]) != footMagic {
		return 0, fmt.Errorf("ends with %q: not a segment, or cut off", end[max(0, len(end)-4):])
	}
	start := binary.LittleEndian.Uint64(end[len(end)-footerTail:])
	if start > uint64(size) {
		return 0, fmt.Errorf("directory at byte %d of %d", start, size)
	}
	return size - int64(start), nil
}

const (
	// HeadSize and MinEnd are the bytes at both ends that say that a file is a segment.
	HeadSize = len(headMagic)
	MinEnd   = footerTail
)

// readDirectory finds the directory of a file and checks that it is of one piece: counts
// that size memory are bounded by the uuids, of which each row has one.
func readDirectory(file []byte) (*directory, error) {
	if len(file) < len(headMagic)+footerTail {
		return nil, fmt.Errorf("a segment takes more than the %d bytes that there are", len(file))
	}
	if string(file[:len(headMagic)]) != headMagic {
		return nil, fmt.Errorf("starts with %q, want %q: not a segment", file[:len(headMagic)], headMagic)
	}
	tail := file[len(file)-footerTail:]
	if string(tail[12:]) != footMagic {
		return nil, fmt.Errorf("ends with %q, want %q: not a segment, or cut off", tail[12:], footMagic)
	}
	start := binary.LittleEndian.Uint64(tail)
	if start < uint64(len(headMagic)) || start > uint64(len(file)-footerTail) {
		return nil, fmt.Errorf("directory at byte %d of %d", start, len(file))
	}
	covered := file[start : len(file)-8]
	if want, got := binary.LittleEndian.Uint32(tail[8:]), crc32.Checksum(covered, encoding.Table); want != got {
		return nil, &CorruptError{Section: "directory", Offset: int64(start), Want: want, Got: got}
	}
	r := &dirReader{Reader: wire.Reader{Src: covered[:len(covered)-8]}, next: len(headMagic), end: int(start)}
	d := r.directory()
	if r.End() == nil && r.next != r.end {
		r.Fail("sections end at byte %d, the directory starts at %d", r.next, r.end)
	}
	if r.Err != nil {
		return nil, &CorruptError{Section: "directory", Offset: int64(start), Err: r.Err}
	}
	return d, nil
}

func (r *dirReader) directory() *directory {
	d := &directory{version: r.Byte()}
	if r.Err == nil && (d.version < 1 || d.version > version) {
		r.Fail("version %d, want at most %d", d.version, version)
	}
	d.rows = r.Count("rows", r.end/leastUUID)
	for _, n := range []*int{&d.persons, &d.ids, &d.created, &d.sessions} {
		*n = r.Count("values", d.rows)
	}
	d.days = r.Count("days", MaxDays)
	d.firstDay = int32(r.Varint())
	d.minTime, d.maxTime, d.unit = r.Varint(), r.Varint(), r.Varint()
	if r.Err == nil && (d.unit < 1 || d.unit > quarterMicros) {
		r.Fail("time unit of %d µs", d.unit)
	}
	for i := range d.fixed {
		if d.version == 1 && i == secOrder {
			d.fixed[i].off = r.next
			break
		}
		d.fixed[i] = r.section(fixedNames[i])
	}
	if d.version == 1 && d.fixed[secOrderFirst].size > 0 {
		r.Fail("%d reserved bytes", d.fixed[secOrderFirst].size)
	}
	groups := r.Count("groups", min(d.rows, len(r.Src)))
	ranges := r.Count("events", min(d.rows, len(r.Src)))
	if r.Err != nil {
		return nil
	}
	d.groups = make([]groupEntry, groups)
	d.ranges = make([]rangeEntry, ranges)
	rows := 0
	for i := range d.ranges {
		e := &d.ranges[i]
		e.name = r.text("event name")
		e.rows = r.Count("rows of an event", d.rows-rows)
		e.group = r.Count("group", groups-1)
		e.runs = r.Count("persons of an event", e.rows)
		e.ordinals, e.starts = r.section("run ordinals"), r.section("run starts")
		e.masks, e.bitmaps = r.section("day masks"), r.section("day bitmaps")
		e.carried = bytes.Clone(r.Take(r.Count("bytes of column marks", len(r.Src))))
		if r.Err != nil {
			return nil
		}
		if e.rows == 0 || e.runs == 0 || i > 0 && e.name <= d.ranges[i-1].name {
			r.Fail("event %q is empty or out of order", e.name)
			return nil
		}
		rows += e.rows
		d.groups[e.group].rows += e.rows
	}
	if rows != d.rows {
		r.Fail("%d rows in events, want %d", rows, d.rows)
	}
	for i := range d.groups {
		r.columns(&d.groups[i], d.version)
	}
	least := uuidsHead(d.rows) + leastUUID*d.rows
	if d.version < 3 {
		least = uuidsSize2(d.rows)
	}
	if d.uuids = r.section("uuids"); r.Err == nil && (d.uuids.size < least || d.version < 3 && d.uuids.size > least) {
		r.Fail("uuids of %d bytes for %d rows", d.uuids.size, d.rows)
	}
	return d
}

func (r *dirReader) columns(g *groupEntry, version byte) {
	// A column takes more than this many bytes of directory.
	g.columns = make([]columnEntry, r.Count("columns", len(r.Src)/(3+2*kinds)))
	for j := range g.columns {
		c := &g.columns[j]
		c.key = r.text("property key")
		flags := r.Byte()
		c.nullable, c.plain = flags&1 != 0, flags&2 != 0
		c.decimals = r.Byte()
		c.leader = noLeader
		if flags&4 != 0 && version > 2 {
			c.leader = r.Count("as leader of a column", len(g.columns)-1)
			flags &^= 4
		}
		c.codes = r.section("codes")
		total, used := 0, 0
		for k := range c.counts {
			c.counts[k] = r.Count("values", g.rows)
			c.values[k] = r.section("values")
			total += c.counts[k]
			if c.counts[k] > 0 {
				used++
			}
		}
		if r.Err != nil {
			return
		}
		switch {
		case j > 0 && c.key <= g.columns[j-1].key:
			r.Fail("column %q is out of order", c.key)
		case total == 0 || total > g.rows:
			r.Fail("column %q: %d values in %d rows", c.key, total, g.rows)
		case flags > 3 || c.plain && c.leader != noLeader || c.decimals > maxDecimals && c.decimals != rawFloats:
			r.Fail("column %q: unknown form", c.key)
		case c.plain && (used != 1 || c.counts[event.Int]+c.counts[event.Float] == 0):
			r.Fail("column %q: plain, but not of one kind of number", c.key)
		}
		if r.Err != nil {
			return
		}
	}
	for j := range g.columns {
		if l := g.columns[j].leader; l != noLeader && (g.columns[l].leader != noLeader || g.columns[l].plain) {
			r.Fail("column %q follows one that cannot lead", g.columns[j].key)
		}
	}
}
