package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
)

// The uuids of a segment are blocks of 8,192 rows behind a head:
//
//	+-------------+----------------+-----+---------+---------+-----+
//	| crc of head | end(4) crc(4)  | ... | block 0 | block 1 | ... |     ends count from the end of the head
//	|     (4)     | of block 0     |     |         |         |     |
//	+-------------+----------------+-----+---------+---------+-----+
//
// A block is its form and the uuids in that form. What a version says by itself is not
// stored: of version 4 and of version 7 six bits are always the same, and the 48 bits of the
// time in a uuid of version 7 are mostly those of its event, or a little off.
//
//	form 0   16 bytes each
//	form 1   version 4: 15 bytes each, then 2 bits each
//	form 2   version 7: size(4) of a wide column, which has the difference of the time inside to that of the row, in ms;
//	         then 9 bytes each, then 2 bits each
//
// Of a uuid in form 1, byte 8 is missing, and so is the version: bits 5 to 2 of byte 8 lie in
// its place. Bits 1 and 0 of byte 8 are the 2 bits behind, four to a byte, lowest first. In
// form 2 the first six bytes are missing as well.
const (
	uuidsPlain = iota
	uuidsV4
	uuidsV7

	// leastUUID is the least number of bytes that a uuid takes in any form.
	leastUUID = 9
)

// uuidForm is the form in which some uuids can be kept.
func uuidForm(ids []vec.UUIDValue) byte {
	if len(ids) == 0 {
		return uuidsPlain
	}
	v := ids[0][6] >> 4
	for i := range ids {
		if ids[i][6]>>4 != v || ids[i][8]>>6 != 2 {
			return uuidsPlain
		}
	}
	switch v {
	case 4:
		return uuidsV4
	case 7:
		return uuidsV7
	}
	return uuidsPlain
}

// millis is a time in µs as uuids of version 7 have it.
func millis(micros int64) int64 {
	ms := micros / 1000
	if micros%1000 < 0 {
		ms--
	}
	return ms
}

// appendUUIDs adds a block of uuids of rows with these times, in µs.
func appendUUIDs(dst []byte, ids []vec.UUIDValue, times []int64, pack bool) []byte {
	form := byte(uuidsPlain)
	if pack {
		form = uuidForm(ids)
	}
	start := len(dst)
	dst = append(dst, form)
	from := 0
	switch form {
	case uuidsPlain:
		for i := range ids {
			dst = append(dst, ids[i][:]...)
		}
		return dst
	case uuidsV7:
		from = 6
		off := make([]int64, len(ids))
		for i := range ids {
			off[i] = int64(binary.BigEndian.Uint64(ids[i][:])>>16) - millis(times[i])
		}
		at := len(dst)
		dst = encoding.AppendWide(append(dst, 0, 0, 0, 0), off)
		binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	for i := range ids {
		id := &ids[i]
		at := len(dst)
		dst = append(dst, id[from:8]...)
		dst[at+6-from] = dst[at+6-from]&15 | id[8]>>2<<4
		dst = append(dst, id[9:]...)
	}
	rest := byte(0)
	for i := range ids {
		rest |= ids[i][8] & 3 << (2 * (i & 3))
		if i&3 == 3 || i == len(ids)-1 {
			dst = append(dst, rest)
			rest = 0
		}
	}
	if len(dst)-start > 1+16*len(ids) { // times far off
		return appendUUIDs(dst[:start], ids, times, false)
	}
	return dst
}

// readUUIDs reads the uuids from row lo on of a block of n, whose rows have the times that
// times gives.
func readUUIDs(dst []vec.UUIDValue, src []byte, n, lo int, times func([]int64) error) error {
	if len(src) == 0 {
		return fmt.Errorf("uuids of no bytes: %w", encoding.ErrBlock)
	}
	form, body := src[0], src[1:]
	from, version := 0, byte(0x40)
	var before []int64 // the time inside, in ms
	switch form {
	case uuidsPlain:
		if len(body) != 16*n {
			return fmt.Errorf("%d uuids in %d bytes: %w", n, len(body), encoding.ErrBlock)
		}
		for i := range dst {
			copy(dst[i][:], body[16*(lo+i):])
		}
		return nil
	case uuidsV4:
	case uuidsV7:
		if len(body) < 4 || uint64(binary.LittleEndian.Uint32(body)) > uint64(len(body)-4) {
			return fmt.Errorf("times of uuids in %d bytes: %w", len(body), encoding.ErrBlock)
		}
		size := int(binary.LittleEndian.Uint32(body))
		w, err := encoding.OpenWide(body[4:4+size], n)
		if err != nil {
			return err
		}
		body = body[4+size:]
		from, version = 6, 0x70
		before = make([]int64, 2*len(dst))
		off := before[len(dst):]
		before = before[:len(dst)]
		if err := w.Read(off, lo); err != nil {
			return err
		}
		if err := times(before); err != nil {
			return err
		}
		for i := range before {
			before[i] = millis(before[i]) + off[i]
		}
	default:
		return fmt.Errorf("uuids of form %d: %w", form, encoding.ErrBlock)
	}
	size := 15 - from
	if len(body) != size*n+(n+3)/4 {
		return fmt.Errorf("%d uuids of form %d in %d bytes: %w", n, form, len(body), encoding.ErrBlock)
	}
	bits := body[size*n:]
	for i := range dst {
		row := lo + i
		in := body[size*row:][:size]
		id := &dst[i]
		if form == uuidsV7 {
			binary.BigEndian.PutUint64(id[:], uint64(before[i])<<16)
		}
		copy(id[from:8], in)
		copy(id[9:], in[8-from:])
		id[8] = 0x80 | id[6]>>4<<2 | bits[row>>2]>>(2*(row&3))&3
		id[6] = id[6]&15 | version
	}
	return nil
}

// uuids writes the uuids of all rows.
func (b *builder) uuids() {
	d := &b.dir
	ids := make([]vec.UUIDValue, d.rows)
	for i := range b.sources {
		s := &b.sources[i]
		for r, to := range b.placeAll(i) {
			if to != dropped {
				ids[to] = s.uuids[r]
			}
		}
	}
	start := len(b.out)
	b.out = append(b.out, make([]byte, uuidsHead(d.rows))...)
	data := len(b.out)
	for lo := 0; lo < d.rows; lo += encoding.BlockRows {
		hi := min(lo+encoding.BlockRows, d.rows)
		at := len(b.out)
		b.out = appendUUIDs(b.out, ids[lo:hi], b.time[lo:hi], !b.opt.Image)
		entry := b.out[start+4+8*(lo/encoding.BlockRows):]
		binary.LittleEndian.PutUint32(entry, uint32(len(b.out)-data))
		binary.LittleEndian.PutUint32(entry[4:], crc32.Checksum(b.out[at:], encoding.Table))
	}
	head := b.out[start:data]
	binary.LittleEndian.PutUint32(head, crc32.Checksum(head[4:], encoding.Table))
	d.uuids = b.section(start)
}

// uuidsHead is how many bytes stand before the blocks of uuids.
func uuidsHead(rows int) int { return 4 + 8*((rows+encoding.BlockRows-1)/encoding.BlockRows) }

// uuidsSize2 is the size of all uuids up to version 2: a checksum for each block, then 16
// bytes each.
func uuidsSize2(rows int) int {
	return 4*((rows+encoding.BlockRows-1)/encoding.BlockRows) + 16*rows
}

// UUIDs fills dst with the uuids of rows [lo, hi).
func (r *Reader) UUIDs(dst []vec.UUIDValue, lo, hi int) error {
	if err := r.rows(lo, hi, len(dst)); err != nil {
		return err
	}
	for lo < hi {
		n := min(encoding.BlockRows-lo%encoding.BlockRows, hi-lo)
		part, from := dst[:n], lo
		err := r.touch(func() error {
			b := from / encoding.BlockRows
			block, err := r.uuidBlock(b)
			if err != nil {
				return err
			}
			first := b * encoding.BlockRows
			rows := min(encoding.BlockRows, r.dir.rows-first)
			if r.dir.version < 3 {
				for i := range part {
					copy(part[i][:], block[16*(from-first+i):])
				}
				return nil
			}
			err = readUUIDs(part, block, rows, from-first, func(times []int64) error { return r.Times(times, from, from+len(times)) })
			if err != nil {
				return r.corrupt("uuids", r.dir.uuids, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		dst = dst[n:]
		lo += n
	}
	return nil
}

// uuidBlock is the bytes of a block of uuids, which are checked the first time.
func (r *Reader) uuidBlock(b int) ([]byte, error) {
	s := r.dir.uuids
	raw := r.bytes(s)
	var want uint32
	var start, end int
	if r.dir.version < 3 {
		head := uuidsSize2(r.dir.rows) - 16*r.dir.rows
		start = head + 16*encoding.BlockRows*b
		end = min(start+16*encoding.BlockRows, len(raw))
		want = binary.LittleEndian.Uint32(raw[4*b:])
	} else {
		head := uuidsHead(r.dir.rows)
		if !r.uuidsHeadOK.Load() {
			if sum := crc32.Checksum(raw[4:head], encoding.Table); sum != binary.LittleEndian.Uint32(raw) {
				return nil, r.corrupt("uuids", s, &encoding.DamageError{Block: -1, Want: binary.LittleEndian.Uint32(raw), Got: sum})
			}
			r.uuidsHeadOK.Store(true)
		}
		start = head
		if b > 0 {
			start += int(binary.LittleEndian.Uint32(raw[4+8*b-8:]))
		}
		end = head + int(binary.LittleEndian.Uint32(raw[4+8*b:]))
		last := 8*(b+1)+4 == head
		if start > end || end > len(raw) || last && end != len(raw) {
			return nil, r.bad("uuids", s, "block %d from byte %d to %d of %d", b, start, end, len(raw))
		}
		want = binary.LittleEndian.Uint32(raw[4+8*b+4:])
	}
	word, bit := &r.uuidsOK[b/32], uint32(1)<<(b%32)
	if word.Load()&bit == 0 {
		if got := crc32.Checksum(raw[start:end], encoding.Table); got != want {
			return nil, r.corrupt("uuids", s, &encoding.DamageError{Block: b, Offset: start, Want: want, Got: got})
		}
		word.Or(bit)
	}
	return raw[start:end], nil
}

// appendSessionIDs adds the ids of the sessions table: as a block of uuids of which the times
// are those at which the sessions begin, if all are such of version 7, otherwise as text.
func (b *builder) appendSessionIDs(dst []byte, o *owned) []byte {
	n := o.values.Len()
	packed, ok := packUUIDs(&o.values)
	if !ok || b.opt.Image {
		return appendStrings(dst, &o.values, !b.opt.Image)
	}
	ids := make([]vec.UUIDValue, n)
	for i := range ids {
		copy(ids[i][:], packed[16*i:])
	}
	if uuidForm(ids) != uuidsV7 {
		return appendStrings(dst, &o.values, true)
	}
	body := appendUUIDs(nil, ids, o.start, true)
	return appendBody(dst, formStarts, 36*n, nil, body)
}

// sessionIDs is the ids of the sessions table.
func (r *Reader) sessionIDs() (*vec.Vector, error) {
	s, n := r.dir.fixed[secSessions], r.dir.sessions
	var body []byte
	err := r.touch(func() (err error) {
		body, err = openStarts(r.bytes(s))
		return err
	})
	if err != nil {
		return nil, r.corrupt(fixedNames[secSessions], s, err)
	}
	if body == nil {
		return r.texts(secSessions)
	}
	starts, err := r.wide(secSessionStart)
	if err != nil {
		return nil, err
	}
	ids := make([]vec.UUIDValue, n)
	err = r.touch(func() error {
		return readUUIDs(ids, body, n, 0, func(times []int64) error {
			for i := range times {
				times[i] = int64(r.dir.firstDay)*dayMicros + starts[i]*r.dir.unit
			}
			return nil
		})
	})
	if err != nil {
		return nil, r.corrupt(fixedNames[secSessions], s, err)
	}
	packed := make([]byte, 0, 16*n)
	for i := range ids {
		packed = append(packed, ids[i][:]...)
	}
	return &vec.Vector{Type: vec.T(vec.Text), Str: unpackUUIDs(packed)}, nil
}
