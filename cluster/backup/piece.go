package backup

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/xxh3"
)

// Piece is entries of the log without a gap. Its file can be read by any zstd: the hash at
// its end lies in a frame that decoders skip, and covers all before it.
//
//	+------------+-------------------+---------+---------------+
//	| zstd frame | skippable head(8) | 16 bytes: xxh3-128      |
//	+------------+-------------------+---------+---------------+
//
// Inside the frame: magic(8), length(u32) of the head, the head as JSON, and each entry:
//
//	term u64 | type u8 | appended at i64 (ns) | extensions u32 | data u32 | extensions | data
type Piece struct {
	Head    PieceHead
	Entries []raft.Log
}

// PieceHead says what a piece holds.
type PieceHead struct {
	Cluster string `json:"cluster"`
	Group   int    `json:"group"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
	Term    uint64 `json:"term"` // of the last entry
	// Times of the first and the last entry that has one, µs since 1970 UTC; 0: none has.
	FirstTime int64 `json:"first_time"`
	LastTime  int64 `json:"last_time"`
}

const (
	pieceMagic    = "prkpiec1"
	pieceTrailer  = 8 + 16
	entryOverhead = 8 + 1 + 8 + 4 + 4
)

// skippable is the head of the frame with the hash.
var skippable = []byte{0x50, 0x2a, 0x4d, 0x18, 16, 0, 0, 0}

// EncodePiece gives the bytes of a piece. Its entries follow each other.
func EncodePiece(p *Piece) ([]byte, error) {
	if len(p.Entries) == 0 {
		return nil, errors.New("piece of the log without an entry")
	}
	head := p.Head
	head.First = p.Entries[0].Index
	head.Last, head.Term = p.Entries[len(p.Entries)-1].Index, p.Entries[len(p.Entries)-1].Term
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	raw := binary.LittleEndian.AppendUint32([]byte(pieceMagic), uint32(len(text)))
	raw = append(raw, text...)
	for i := range p.Entries {
		e := &p.Entries[i]
		if e.Index != head.First+uint64(i) {
			return nil, fmt.Errorf("piece of the log: entry %d where %d should be", e.Index, head.First+uint64(i))
		}
		at := int64(0)
		if !e.AppendedAt.IsZero() {
			at = e.AppendedAt.UnixNano()
		}
		raw = binary.LittleEndian.AppendUint64(raw, e.Term)
		raw = append(raw, byte(e.Type))
		raw = binary.LittleEndian.AppendUint64(raw, uint64(at))
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(e.Extensions)))
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(e.Data)))
		raw = append(raw, e.Extensions...)
		raw = append(raw, e.Data...)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are constants
	}
	out := append(enc.EncodeAll(raw, nil), skippable...)
	sum := xxh3.Hash128(out).Bytes()
	return append(out, sum[:]...), nil
}

// DecodePiece checks the bytes of a piece and takes them apart.
func DecodePiece(file []byte) (*Piece, error) {
	if len(file) < pieceTrailer {
		return nil, fmt.Errorf("%d bytes are no piece of a log", len(file))
	}
	body, want := file[:len(file)-16], file[len(file)-16:]
	if sum := xxh3.Hash128(body).Bytes(); !bytes.Equal(sum[:], want) {
		return nil, fmt.Errorf("hash %x, want %x", sum, want)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxTailBytes))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	raw, err := dec.DecodeAll(body[:len(body)-len(skippable)], nil)
	if err != nil {
		return nil, err
	}
	return decodeEntries(raw)
}

// decodeEntries takes apart what is inside a piece's frame.
func decodeEntries(raw []byte) (*Piece, error) {
	if len(raw) < len(pieceMagic)+4 || string(raw[:len(pieceMagic)]) != pieceMagic {
		return nil, errors.New("not a piece of a log, or one of a newer version")
	}
	raw = raw[len(pieceMagic):]
	n := binary.LittleEndian.Uint32(raw)
	if raw = raw[4:]; uint64(n) > uint64(len(raw)) {
		return nil, errors.New("ends too early")
	}
	p := new(Piece)
	if err := json.Unmarshal(raw[:n], &p.Head); err != nil {
		return nil, err
	}
	raw = raw[n:]
	for index := p.Head.First; len(raw) > 0; index++ {
		if len(raw) < entryOverhead {
			return nil, errors.New("ends too early")
		}
		e := raft.Log{Index: index, Term: binary.LittleEndian.Uint64(raw), Type: raft.LogType(raw[8])}
		if at := int64(binary.LittleEndian.Uint64(raw[9:])); at != 0 {
			e.AppendedAt = unixNano(at)
		}
		extensions, data := uint64(binary.LittleEndian.Uint32(raw[17:])), uint64(binary.LittleEndian.Uint32(raw[21:]))
		if raw = raw[entryOverhead:]; extensions+data > uint64(len(raw)) {
			return nil, errors.New("ends too early")
		}
		if extensions > 0 {
			e.Extensions = raw[:extensions:extensions]
		}
		e.Data = raw[extensions : extensions+data : extensions+data]
		raw = raw[extensions+data:]
		p.Entries = append(p.Entries, e)
	}
	if count := uint64(len(p.Entries)); count == 0 || p.Head.First == 0 || p.Head.Last != p.Head.First+count-1 {
		return nil, fmt.Errorf("%d entries, the head says %d to %d", count, p.Head.First, p.Head.Last)
	}
	return p, nil
}
