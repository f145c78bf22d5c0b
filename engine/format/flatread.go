package format

import "encoding/binary"

// flatView reads a table of FlatBuffers (flat.go). What points outside of the bytes reads as
// absent, so nothing that is read can be out of bounds.
type flatView struct {
	b  []byte
	at int // of the table; negative: there is none
}

func (v flatView) u32(at int) int {
	if at < 0 || at > len(v.b)-4 {
		return -1 << 40 // leads outside
	}
	return int(binary.LittleEndian.Uint32(v.b[at:]))
}

func (v flatView) u16(at int) int {
	if at < 0 || at > len(v.b)-2 {
		return 0
	}
	return int(binary.LittleEndian.Uint16(v.b[at:]))
}

// flatRootView is the table of a message.
func flatRootView(b []byte) flatView {
	v := flatView{b: b}
	v.at = v.u32(0)
	return v
}

// field is the place of a field; -1 if it is absent.
func (v flatView) field(slot int) int {
	if v.at < 0 || v.at > len(v.b)-4 {
		return -1
	}
	vtable := v.at - int(int32(binary.LittleEndian.Uint32(v.b[v.at:])))
	if 4+2*slot >= v.u16(vtable) {
		return -1
	}
	off := v.u16(vtable + 4 + 2*slot)
	if off == 0 || v.at+off >= len(v.b) {
		return -1
	}
	return v.at + off
}

// number is a field of so many bytes, with a sign.
func (v flatView) number(slot, size int, absent int64) int64 {
	at := v.field(slot)
	if at < 0 || at > len(v.b)-size {
		return absent
	}
	switch size {
	case 1:
		return int64(int8(v.b[at]))
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(v.b[at:])))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(v.b[at:])))
	}
	return int64(binary.LittleEndian.Uint64(v.b[at:]))
}

// target is where a field points; -1 if it is absent.
func (v flatView) target(slot int) int {
	at := v.field(slot)
	if at < 0 {
		return -1
	}
	at += v.u32(at)
	if at < 0 || at > len(v.b)-4 {
		return -1
	}
	return at
}

// table is a table that a field points at.
func (v flatView) table(slot int) flatView { return flatView{v.b, v.target(slot)} }

// vector is the place and the number of the elements of a vector, of so many bytes each.
func (v flatView) vector(slot, size int) (at, n int) {
	at = v.target(slot)
	if at < 0 {
		return 0, 0
	}
	n = v.u32(at)
	if at += 4; n < 0 || n > (len(v.b)-at)/size {
		return 0, 0
	}
	return at, n
}

func (v flatView) text(slot int) string {
	at, n := v.vector(slot, 1)
	return string(v.b[at : at+n])
}

// tables are the tables of a vector.
func (v flatView) tables(slot int) []flatView {
	at, n := v.vector(slot, 4)
	var out []flatView
	for i := range n {
		place := at + 4*i
		out = append(out, flatView{v.b, place + v.u32(place)})
	}
	return out
}
