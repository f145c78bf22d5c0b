package raftlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"

	"github.com/prickledb/prickle/storage/encoding"
)

const (
	// sectorBytes is what a write that is cut off may spoil as a whole.
	sectorBytes = 512
	recordBytes = 64 // of a record without extensions and data
	// maxFileBytes bounds a file that is read: offsets of the index have 32 bits.
	maxFileBytes = 1 << 30
	minFileBytes = 8 * sectorBytes
	magic        = "prkrlog1"
	version      = 1
)

// Type is what a record is.
type Type uint8

const (
	TypeEntry Type = iota + 1
	TypeTruncate
	TypeCompact
	TypeStable
	TypeMark
	TypeEnd
)

func (t Type) String() string {
	names := [...]string{"type 0", "entry", "truncate", "compact", "stable", "mark", "end of file"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

const (
	flagHead   = 1
	flagStart  = 2
	flagResume = 4
	flagReset  = 8
)

// Record is one record of a file. What its fields mean depends on the type; the package
// comment has the table.
type Record struct {
	Epoch      uint64
	Group      uint32
	Type       Type
	Flags      uint8
	Kind       raft.LogType // of an entry
	Index      uint64
	Term       uint64
	AppendedAt int64 // ns since 1970, 0 for none
	CommitHint uint64
	Extensions []byte
	Data       []byte
}

// bytes is the size in a file, filled up to 8.
func (r *Record) bytes() int64 { return align(recordBytes+int64(len(r.Extensions)+len(r.Data)), 8) }

func align(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }

// payloadSum is the part of the checksum that does not depend on where the record goes.
func (r *Record) payloadSum() uint32 {
	return crc32.Update(crc32.Update(0, encoding.Table, r.Extensions), encoding.Table, r.Data)
}

// appendHeader appends all of the record but extensions and data.
func (r *Record) appendHeader(dst []byte, payloadSum uint32) []byte {
	le := binary.LittleEndian
	at := len(dst)
	dst = le.AppendUint32(dst, uint32(recordBytes+len(r.Extensions)+len(r.Data)))
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint64(dst, r.Epoch)
	dst = le.AppendUint32(dst, r.Group)
	dst = append(dst, byte(r.Type), r.Flags, byte(r.Kind), 0)
	dst = le.AppendUint64(dst, r.Index)
	dst = le.AppendUint64(dst, r.Term)
	dst = le.AppendUint64(dst, uint64(r.AppendedAt))
	dst = le.AppendUint64(dst, r.CommitHint)
	dst = le.AppendUint32(dst, uint32(len(r.Extensions)))
	dst = le.AppendUint32(dst, 0)
	le.PutUint32(dst[at+4:], headerSum(payloadSum, dst[at:]))
	return dst
}

func headerSum(payloadSum uint32, header []byte) uint32 {
	return crc32.Update(crc32.Update(payloadSum, encoding.Table, header[8:recordBytes]), encoding.Table, header[:4])
}

// parse reads the record at the start of raw. Extensions and data are parts of raw.
func (r *Record) parse(raw []byte) error {
	le := binary.LittleEndian
	if len(raw) < recordBytes {
		return fmt.Errorf("%d bytes are left, a record has %d at least", len(raw), recordBytes)
	}
	length, extensions := le.Uint32(raw), le.Uint32(raw[56:])
	if length < recordBytes || uint64(length) > uint64(len(raw)) || extensions > length-recordBytes {
		return fmt.Errorf("record of %d bytes with %d of extensions, %d bytes are left", length, extensions, len(raw))
	}
	payload := raw[recordBytes:length:length]
	want := le.Uint32(raw[4:])
	if got := headerSum(crc32.Update(0, encoding.Table, payload), raw); got != want {
		return fmt.Errorf("record of %d bytes: checksum %08x, want %08x", length, got, want)
	}
	*r = Record{
		Epoch: le.Uint64(raw[8:]), Group: le.Uint32(raw[16:]), Type: Type(raw[20]), Flags: raw[21], Kind: raft.LogType(raw[22]),
		Index: le.Uint64(raw[24:]), Term: le.Uint64(raw[32:]), AppendedAt: int64(le.Uint64(raw[40:])), CommitHint: le.Uint64(raw[48:]),
		Extensions: payload[:extensions:extensions], Data: payload[extensions:],
	}
	return nil
}

// log gives an entry as Raft's. It shares the record's bytes.
func (r *Record) log(l *raft.Log) {
	*l = raft.Log{Index: r.Index, Term: r.Term, Type: r.Kind}
	if len(r.Data) > 0 {
		l.Data = r.Data
	}
	if len(r.Extensions) > 0 {
		l.Extensions = r.Extensions
	}
	if r.AppendedAt != 0 {
		l.AppendedAt = time.Unix(0, r.AppendedAt)
	}
}

// nanos is how a time is stored.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// header begins a file.
type header struct {
	number    uint64
	epoch     uint64
	prevEpoch uint64 // of the file before; 0 in the first of all
	prevEnd   int64  // where that one's rounds end
	size      int64  // of the file, which never changes
}

func (h header) append(dst []byte) []byte {
	le := binary.LittleEndian
	at := len(dst)
	dst = append(dst, magic...)
	dst = le.AppendUint32(dst, version)
	dst = le.AppendUint32(dst, 0)
	for _, v := range []uint64{h.number, h.epoch, h.prevEpoch, uint64(h.prevEnd)} {
		dst = le.AppendUint64(dst, v)
	}
	dst = le.AppendUint64(dst, uint64(h.size))
	dst = append(dst, zeros[:sectorBytes-56]...)
	le.PutUint32(dst[at+60:], crc32.Checksum(dst[at:at+60], encoding.Table))
	return dst
}

// errVersion is the reason why a file of a newer release is refused.
type errVersion uint32

func (v errVersion) Error() string {
	return fmt.Sprintf("written by a newer release: version %d, this one reads version %d; start the newer release again", uint32(v), version)
}

func parseHeader(raw []byte) (h header, err error) {
	le := binary.LittleEndian
	if len(raw) < 64 || string(raw[:8]) != magic {
		return h, fmt.Errorf("no header of a log file")
	}
	want := le.Uint32(raw[60:])
	if got := crc32.Checksum(raw[:60], encoding.Table); got != want {
		return h, fmt.Errorf("header: checksum %08x, want %08x", got, want)
	}
	if v := le.Uint32(raw[8:]); v != version {
		return h, errVersion(v)
	}
	return header{
		number: le.Uint64(raw[16:]), epoch: le.Uint64(raw[24:]), prevEpoch: le.Uint64(raw[32:]),
		prevEnd: int64(le.Uint64(raw[40:])), size: int64(le.Uint64(raw[48:])),
	}, nil
}

func session(epoch uint64) uint32 { return uint32(epoch >> 32) }

// mine says whether an epoch is one of the file with this number.
func mine(epoch, number uint64) bool { return uint32(epoch) == uint32(number) }

// place is a record and where it is in its file.
type place struct {
	Record
	offset int64
}

// walk is how far the rounds of a file are whole.
type walk struct {
	end    int64   // of the last whole round: the next begins here
	epoch  uint64  // of that round
	ended  bool    // the end-of-file record was met
	whole  []place // records of the round at end that sum, up to the first that does not
	bad    int64   // where reading stopped
	reason error
}

// walkFile shows visit all records of whole rounds, each round with its mark first, up to
// the byte where the next file says that this one ended, or, for the last file, as far as
// there are rounds. raw is the whole file; records are parts of it.
func walkFile(h header, raw []byte, until int64, visit func(round []place) error) (walk, error) {
	w := walk{end: sectorBytes, epoch: h.epoch}
	var round []place
	for {
		round = round[:0]
		w.bad, w.whole = w.end, nil
		past := until > 0 && w.end >= until
		var mark Record
		w.reason = mark.parse(raw[min(w.end, int64(len(raw))):])
		if w.reason == nil {
			w.reason = mark.begins(h, w.epoch)
		}
		size := int64(mark.CommitHint)
		if w.reason == nil && (size < recordBytes || size > int64(len(raw))-w.end || size%8 != 0) {
			w.reason = fmt.Errorf("round of %d bytes", size)
		}
		if w.reason != nil {
			if past {
				w.reason = nil
			}
			return w, nil
		}
		round = append(round, place{mark, w.end})
		for at := w.end + recordBytes; at < w.end+size; {
			var r Record
			if w.reason = r.parse(raw[at : w.end+size]); w.reason == nil && r.Epoch != mark.Epoch {
				w.reason = fmt.Errorf("record of epoch %x in a round of epoch %x", r.Epoch, mark.Epoch)
			}
			if w.reason != nil {
				w.bad, w.whole = at, round[1:]
				if past {
					w.reason, w.whole = nil, nil
				}
				return w, nil
			}
			round = append(round, place{r, at})
			at += r.bytes()
		}
		ends := round[len(round)-1].Type == TypeEnd
		if past {
			w.ended = ends && w.end == until
			return w, nil
		}
		if err := visit(round); err != nil {
			return w, err
		}
		if ends {
			w.ended = true
			return w, nil
		}
		w.end, w.epoch = align(w.end+size, sectorBytes), mark.Epoch
	}
}

// begins says why a record is not the mark of a round after one of the given epoch.
func (r *Record) begins(h header, epoch uint64) error {
	if r.Type != TypeMark {
		return fmt.Errorf("%v instead of a mark", r.Type)
	}
	if r.Epoch == epoch || r.Flags&flagResume != 0 && r.Epoch > epoch && mine(r.Epoch, h.number) {
		return nil
	}
	return fmt.Errorf("mark of epoch %x after epoch %x", r.Epoch, epoch)
}

// covered says whether a mark says that what is at w.end was synced.
func (w *walk) covered(h header, raw []byte) bool {
	for at := w.end; at+recordBytes <= int64(len(raw)); at += sectorBytes {
		epoch := binary.LittleEndian.Uint64(raw[at+8:])
		if epoch < w.epoch || !mine(epoch, h.number) {
			continue
		}
		var r Record
		if r.parse(raw[at:]) == nil && r.Type == TypeMark &&
			(r.Index > h.number || r.Index == h.number && int64(r.Term) > w.end) {
			return true
		}
	}
	return false
}
