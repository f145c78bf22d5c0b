package format

import "encoding/binary"

// Arrow describes its data in FlatBuffers: tables whose fields are found through a list of
// offsets, the vtable. They are written here front to back: a vtable, its table, and then
// what the table points at, since pointers go forward.
//
//	+--------------+---------------+---------------------+ +--------------------+--------+
//	| its bytes(2) | table's       | offset of field(2), | | distance of the    | fields |
//	|              | bytes(2)      | 0: absent, ...      | | vtable before it(4)|        |
//	+--------------+---------------+---------------------+ +--------------------+--------+
//	vtable                                                 table
type (
	// flatTable is fields by their number; nil is absent.
	flatTable []any
	// flatTables is a vector of tables.
	flatTables []flatTable
	// flatLongs is a vector of structs of two longs.
	flatLongs [][2]int64
	// flatRoot is a message, whose first bytes point at its table.
	flatRoot struct{ b []byte }
)

func (f *flatRoot) pad(to int) {
	for len(f.b)%to != 0 {
		f.b = append(f.b, 0)
	}
}

// appendFlat gives the bytes of a table as a message.
func appendFlat(t flatTable) []byte {
	f := &flatRoot{b: make([]byte, 4, 1024)}
	at := f.table(t)
	binary.LittleEndian.PutUint32(f.b, uint32(at))
	f.pad(8)
	return f.b
}

// size of a field in its table.
func flatSize(v any) int {
	switch v.(type) {
	case bool, uint8:
		return 1
	case int16:
		return 2
	case int64:
		return 8
	}
	return 4 // int32, and the distance to what is elsewhere
}

// table writes a table and what it points at, and gives its position.
func (f *flatRoot) table(t flatTable) int {
	le := binary.LittleEndian
	f.pad(2)
	vtable := len(f.b)
	f.b = append(f.b, make([]byte, 4+2*len(t))...)
	f.pad(8)
	at := len(f.b)
	f.b = le.AppendUint32(f.b, uint32(at-vtable))
	places := make([]int, len(t))
	for i, v := range t {
		if v == nil {
			continue
		}
		f.pad(flatSize(v))
		places[i] = len(f.b)
		le.PutUint16(f.b[vtable+4+2*i:], uint16(len(f.b)-at))
		switch v := v.(type) {
		case bool:
			b := byte(0)
			if v {
				b = 1
			}
			f.b = append(f.b, b)
		case uint8:
			f.b = append(f.b, v)
		case int16:
			f.b = le.AppendUint16(f.b, uint16(v))
		case int32:
			f.b = le.AppendUint32(f.b, uint32(v))
		case int64:
			f.b = le.AppendUint64(f.b, uint64(v))
		default:
			f.b = append(f.b, 0, 0, 0, 0)
		}
	}
	le.PutUint16(f.b[vtable:], uint16(4+2*len(t)))
	le.PutUint16(f.b[vtable+2:], uint16(len(f.b)-at))
	for i, v := range t {
		var target int
		switch v := v.(type) {
		case flatTable:
			target = f.table(v)
		case string:
			f.pad(4)
			target = len(f.b)
			f.b = append(append(le.AppendUint32(f.b, uint32(len(v))), v...), 0)
		case flatTables:
			f.pad(4)
			target = len(f.b)
			f.b = append(le.AppendUint32(f.b, uint32(len(v))), make([]byte, 4*len(v))...)
			for k, child := range v {
				place, at := target+4+4*k, f.table(child)
				le.PutUint32(f.b[place:], uint32(at-place))
			}
		case flatLongs:
			for len(f.b)%8 != 4 { // the longs are aligned, their count stands before
				f.b = append(f.b, 0)
			}
			target = len(f.b)
			f.b = le.AppendUint32(f.b, uint32(len(v)))
			for _, pair := range v {
				f.b = le.AppendUint64(le.AppendUint64(f.b, uint64(pair[0])), uint64(pair[1]))
			}
		default:
			continue
		}
		le.PutUint32(f.b[places[i]:], uint32(target-places[i]))
	}
	return at
}
