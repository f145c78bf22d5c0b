package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/vec"
)

// A text section is a list of byte strings, usually the sorted values of a dictionary:
//
//	+--------+---------+-------------+--------------------+---------+--------+------+
//	| crc(4) | form(1) | raw size(4) | size of lengths(4) | lengths | crc(4) | text |
//	+--------+---------+-------------+--------------------+---------+--------+------+
//	         |<----------------- head ------------------->| column  |
//
// Form 0 keeps the text as it is, 1 as one zstd frame; 2 is for lists of nothing but
// uuids in their usual form: 16 bytes each and no lengths. Form 3 is for session ids alone: a
// block of uuids as those of rows (uuid.go), whose times are those of the sessions' starts.
const (
	formRaw = iota
	formZstd
	formUUID
	formStarts

	textHead = 13
	// zstdLeast is how much text is worth a frame.
	zstdLeast = 128
)

var compressor = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err) // only options that do not fit each other
	}
	return w
})

var decompressor = sync.OnceValue(func() *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxText))
	if err != nil {
		panic(err)
	}
	return r
})

// appendStrings adds the list of values as a text section.
func appendStrings(dst []byte, values *vec.Strings, compress bool) []byte {
	n := values.Len()
	var text []byte
	if n > 0 {
		text = values.Bytes[values.Offs[0]:values.Offs[n]]
	}
	if packed, ok := packUUIDs(values); ok {
		return appendBody(dst, formUUID, len(text), nil, packed)
	}
	lengths := make([]uint32, n)
	for i := range lengths {
		lengths[i] = values.Offs[i+1] - values.Offs[i]
	}
	column := encoding.AppendColumn(nil, lengths)
	if compress && len(text) >= zstdLeast {
		if packed := compressor().EncodeAll(text, nil); len(packed) < len(text)-len(text)/16 {
			return appendBody(dst, formZstd, len(text), column, packed)
		}
	}
	return appendBody(dst, formRaw, len(text), column, text)
}

// appendBody adds a text section of its parts.
func appendBody(dst []byte, form byte, raw int, lengths, body []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, textHead)...)
	head := dst[start:]
	head[4] = form
	binary.LittleEndian.PutUint32(head[5:], uint32(raw))
	binary.LittleEndian.PutUint32(head[9:], uint32(len(lengths)))
	binary.LittleEndian.PutUint32(head, crc32.Checksum(head[4:], encoding.Table))
	dst = append(dst, lengths...)
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(body, encoding.Table))
	return append(dst, body...)
}

// openBody checks a text section that takes up all of src and gives its parts. The lengths lie
// behind the head, the body is at the end.
func openBody(src []byte) (form byte, raw, size int, body []byte, err error) {
	if len(src) < textHead+4 {
		return 0, 0, 0, nil, fmt.Errorf("text of %d bytes: %w", len(src), encoding.ErrBlock)
	}
	if want, got := binary.LittleEndian.Uint32(src), crc32.Checksum(src[4:textHead], encoding.Table); want != got {
		return 0, 0, 0, nil, &encoding.DamageError{Block: -1, Want: want, Got: got}
	}
	form, raw, size = src[4], int(binary.LittleEndian.Uint32(src[5:])), int(binary.LittleEndian.Uint32(src[9:]))
	if size > len(src)-textHead-4 {
		return 0, 0, 0, nil, fmt.Errorf("lengths of %d bytes in %d: %w", size, len(src), encoding.ErrBlock)
	}
	at := textHead + size
	body = src[at+4:]
	if want, got := binary.LittleEndian.Uint32(src[at:]), crc32.Checksum(body, encoding.Table); want != got {
		return 0, 0, 0, nil, &encoding.DamageError{Offset: at, Want: want, Got: got}
	}
	return form, raw, size, body, nil
}

// openStarts is the body of a section in formStarts, or nil if it has another form.
func openStarts(src []byte) ([]byte, error) {
	form, _, size, body, err := openBody(src)
	if err != nil || form != formStarts {
		return nil, err
	}
	if size != 0 {
		return nil, fmt.Errorf("session ids with lengths of %d bytes: %w", size, encoding.ErrBlock)
	}
	return bytes.Clone(body), nil // it may outlive the mapping
}

// openStrings reads a text section of count values that takes up all of src.
func openStrings(src []byte, count int) (vec.Strings, error) {
	var none vec.Strings
	form, raw, size, body, err := openBody(src)
	if err != nil {
		return none, err
	}
	if form == formUUID {
		if size != 0 || len(body) != 16*count || raw != 36*count {
			return none, fmt.Errorf("%d uuids in %d bytes: %w", count, len(body), encoding.ErrBlock)
		}
		return unpackUUIDs(body), nil
	}
	lengths, err := encoding.OpenColumn(src[textHead:textHead+size], count)
	if err != nil {
		return none, err
	}
	switch {
	case form == formRaw && len(body) == raw:
		body = bytes.Clone(body) // a list may outlive the mapping
	case form == formZstd:
		// No more is set aside than the frame may well hold; a larger text grows.
		text, err := decompressor().DecodeAll(body, make([]byte, 0, min(raw, 64*len(body))))
		if err != nil {
			return none, fmt.Errorf("text: %w", err)
		}
		if len(text) != raw {
			return none, fmt.Errorf("text of %d bytes, want %d: %w", len(text), raw, encoding.ErrBlock)
		}
		body = text
	default:
		return none, fmt.Errorf("text of form %d with %d bytes: %w", form, len(body), encoding.ErrBlock)
	}
	offs := make([]uint32, count+1)
	if err := lengths.Read(offs[1:], 0); err != nil {
		return none, err
	}
	end := uint64(0)
	for i := range offs {
		end += uint64(offs[i])
		if end > uint64(len(body)) {
			return none, fmt.Errorf("values of more than the %d bytes of text: %w", len(body), encoding.ErrBlock)
		}
		offs[i] = uint32(end)
	}
	if int(end) != len(body) {
		return none, fmt.Errorf("values of %d bytes, text of %d: %w", end, len(body), encoding.ErrBlock)
	}
	return vec.Strings{Offs: offs, Bytes: body}, nil
}

// packUUIDs gives 16 bytes for each value if all values are uuids in their usual form.
func packUUIDs(values *vec.Strings) ([]byte, bool) {
	n := values.Len()
	if n == 0 || int(values.Offs[n]-values.Offs[0]) != 36*n {
		return nil, false
	}
	out := make([]byte, 16*n)
	for i := range n {
		if !parseUUID(out[16*i:][:16], values.At(i)) {
			return nil, false
		}
	}
	return out, true
}

// hexDigits maps a lower-case hexadecimal digit to its value, and all else to 0xff.
var hexDigits = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
	}
	return t
}()

func parseUUID(dst, text []byte) bool {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return false
	}
	at := 0
	for i := range 16 {
		if at == 8 || at == 13 || at == 18 || at == 23 {
			at++
		}
		high, low := hexDigits[text[at]], hexDigits[text[at+1]]
		if high|low == 0xff {
			return false
		}
		dst[i] = high<<4 | low
		at += 2
	}
	return true
}

func unpackUUIDs(packed []byte) vec.Strings {
	n := len(packed) / 16
	out := vec.Strings{Offs: make([]uint32, n+1), Bytes: make([]byte, 36*n)}
	const digits = "0123456789abcdef"
	for i := range n {
		out.Offs[i+1] = uint32(36 * (i + 1))
		text := out.Bytes[36*i:][:36]
		at := 0
		for _, b := range packed[16*i:][:16] {
			if at == 8 || at == 13 || at == 18 || at == 23 {
				text[at] = '-'
				at++
			}
			text[at], text[at+1] = digits[b>>4], digits[b&15]
			at += 2
		}
	}
	return out
}

// appendBlob adds bytes under a checksum of their own; nothing at all if there are none.
func appendBlob(dst, blob []byte) []byte {
	if len(blob) == 0 {
		return dst
	}
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(blob, encoding.Table))
	return append(dst, blob...)
}

func openBlob(src []byte) ([]byte, error) {
	if len(src) < 4 {
		return nil, fmt.Errorf("%d bytes: %w", len(src), encoding.ErrBlock)
	}
	if want, got := binary.LittleEndian.Uint32(src), crc32.Checksum(src[4:], encoding.Table); want != got {
		return nil, &encoding.DamageError{Offset: 0, Want: want, Got: got}
	}
	return src[4:], nil
}
