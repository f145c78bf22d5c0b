package vec

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"
	"unsafe"
)

// Strings is a list of byte strings in one slice. Value i is Bytes[Offs[i]:Offs[i+1]],
// so Offs has one element more than there are values. The zero value is an empty list.
type Strings struct {
	Offs  []uint32
	Bytes []byte
	// ASCII says that all bytes are ASCII, so a value has as many characters as bytes, and Ascending that
	// each value is greater than the one before, as bytes; false: nobody has looked. Whoever sets one
	// adds no more values.
	ASCII, Ascending bool
}

// MakeStrings is an empty list with room for n values of size bytes in all.
func MakeStrings(n, size int) Strings {
	return Strings{Offs: append(make([]uint32, 0, n+1), 0), Bytes: make([]byte, 0, size)}
}

// StringsOf is a list of the given values.
func StringsOf(values ...string) Strings {
	s := MakeStrings(len(values), 0)
	for _, v := range values {
		s.AppendString(v)
	}
	return s
}

// Len is the number of values.
func (s *Strings) Len() int {
	if len(s.Offs) == 0 {
		return 0
	}
	return len(s.Offs) - 1
}

// At is value i. It shares memory with the list.
func (s *Strings) At(i int) []byte {
	return s.Bytes[s.Offs[i]:s.Offs[i+1]:s.Offs[i+1]]
}

// Str is value i as a string that shares memory with the list: it is valid as long as
// the list is not written to.
func (s *Strings) Str(i int) string {
	b := s.Bytes[s.Offs[i]:s.Offs[i+1]]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Append adds a value.
func (s *Strings) Append(v []byte) {
	if len(s.Offs) == 0 {
		s.Offs = append(s.Offs, 0)
	}
	s.Bytes = append(s.Bytes, v...)
	s.Offs = append(s.Offs, uint32(len(s.Bytes)))
}

// AppendString adds a value.
func (s *Strings) AppendString(v string) {
	if len(s.Offs) == 0 {
		s.Offs = append(s.Offs, 0)
	}
	s.Bytes = append(s.Bytes, v...)
	s.Offs = append(s.Offs, uint32(len(s.Bytes)))
}

// appendRange adds values [lo, hi) of another list, at least one.
func (s *Strings) appendRange(src *Strings, lo, hi int) {
	if len(s.Offs) == 0 {
		s.Offs = append(s.Offs, 0)
	}
	shift := uint32(len(s.Bytes)) - src.Offs[lo]
	s.Bytes = append(s.Bytes, src.Bytes[src.Offs[lo]:src.Offs[hi]]...)
	for _, end := range src.Offs[lo+1 : hi+1] {
		s.Offs = append(s.Offs, end+shift)
	}
}

// IsAscending says whether each value is greater than the one before.
func (s *Strings) IsAscending() bool {
	for i := 1; i < s.Len(); i++ {
		if bytes.Compare(s.At(i-1), s.At(i)) >= 0 {
			return false
		}
	}
	return true
}

// IsASCII says whether all bytes are ASCII.
func IsASCII(b []byte) bool {
	return !slices.ContainsFunc(b[ASCIIWords(b):], func(c byte) bool { return c >= utf8.RuneSelf })
}

// ASCIIWords is how many bytes the words of eight have that are ASCII, up to the first that is not.
func ASCIIWords(b []byte) int {
	const tops = 0x8080808080808080
	le, rest := binary.LittleEndian, b
	for len(rest) >= 32 && (le.Uint64(rest)|le.Uint64(rest[8:])|le.Uint64(rest[16:])|le.Uint64(rest[24:]))&tops == 0 {
		rest = rest[32:]
	}
	for len(rest) >= 8 && le.Uint64(rest)&tops == 0 {
		rest = rest[8:]
	}
	return len(b) - len(rest)
}

// Reset empties the list and keeps its memory.
func (s *Strings) Reset() {
	s.Offs = append(s.Offs[:0], 0)
	s.Bytes = s.Bytes[:0]
}
