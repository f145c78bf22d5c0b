package load

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/prickledb/prickle/bench/gen"
)

// timeLayout is how events carry times, in as many bytes as any.
const timeLayout = "2006-01-02T15:04:05.000Z"

// body is a request of a batch of events, as server libraries send it: everything but the ids
// and the times. It is shared, and not written to.
type body struct {
	request []byte // head and body
	sentAt  int    // where that time begins
	ids     []int  // where the events' ids begin
	times   []int  // and their times
}

// maxPrepared bounds the memory of prepared bodies. What comes after has the properties and
// persons of the first again.
const maxPrepared = 48 << 20

// maxEvents is how many different events are prepared at most.
const maxEvents = 100_000

// prepare makes bodies of so many made-up events, or of at least one batch.
func prepare(host, token string, batch, events int) ([]body, error) {
	m := gen.New(gen.Config{Events: uint64(max(batch, events))})
	var (
		bodies []body
		packed []byte // the events of b so far
		b      body
		size   int
	)
	none := make([]byte, len(timeLayout))
	flush := func() {
		head := fmt.Sprintf(`{"api_key":%s,"sent_at":"`, strconv.Quote(token))
		middle := `","batch":[`
		length := len(head) + len(none) + len(middle) + len(packed) + len("]}")
		b.request = fmt.Appendf(nil, "POST /batch/ HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", host, length)
		b.request = append(b.request, head...)
		b.sentAt = len(b.request)
		b.request = append(append(append(b.request, none...), middle...), packed...)
		start := len(b.request) - len(packed)
		for i := range b.ids {
			b.ids[i] += start
			b.times[i] += start
		}
		b.request = append(b.request, "]}"...)
		size += len(b.request)
		bodies = append(bodies, b)
		b, packed = body{}, packed[:0]
	}
	var line []byte
	err := m.Each(0, m.Sessions(), func(e *gen.Event) error {
		line = bytes.TrimSuffix(e.AppendNDJSON(line[:0]), []byte("\n"))
		id, at := bytes.Index(line, []byte(`"uuid":"`)), bytes.Index(line, []byte(`"timestamp":"`))
		if id < 0 || at < 0 {
			return fmt.Errorf("a made-up event has no uuid or no timestamp: %s", line)
		}
		if len(packed) > 0 {
			packed = append(packed, ',')
		}
		b.ids = append(b.ids, len(packed)+id+len(`"uuid":"`))
		b.times = append(b.times, len(packed)+at+len(`"timestamp":"`))
		packed = append(packed, line...)
		if len(b.ids) == batch {
			if flush(); size > maxPrepared {
				return errEnough
			}
		}
		return nil
	})
	if err != nil && err != errEnough {
		return nil, err
	}
	return bodies, nil
}

var errEnough = fmt.Errorf("enough bodies")

// idSource gives uuids of version 7 that no other source gives.
type idSource struct {
	own  uint64 // differs from source to source
	next uint64
}

// write writes the next id at an instant as its 36 characters.
func (s *idSource) write(dst []byte, ms int64) {
	s.next++
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(ms)<<16|7<<12|s.next&0xfff)
	// The rest looks random, as that of libraries is: a bijection of the counter.
	x := s.own<<40 | s.next>>12
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	binary.BigEndian.PutUint64(id[8:], x)
	id[8] = id[8]&0x3f | 0x80
	hex.Encode(dst[0:8], id[0:4])
	dst[8] = '-'
	hex.Encode(dst[9:13], id[4:6])
	dst[13] = '-'
	hex.Encode(dst[14:18], id[6:8])
	dst[18] = '-'
	hex.Encode(dst[19:23], id[8:10])
	dst[23] = '-'
	hex.Encode(dst[24:36], id[10:16])
}

// stamp makes a request of b in buf: with fresh ids, of events of the second before now.
func (b *body) stamp(buf []byte, ids *idSource, now time.Time) []byte {
	buf = append(buf[:0], b.request...)
	now = now.UTC()
	var space [2 * len(timeLayout)]byte // formatting also writes behind what it returns
	copy(buf[b.sentAt:], now.AppendFormat(space[:0], timeLayout))
	at := now.Truncate(time.Second).Add(-time.Second).AppendFormat(space[:0], timeLayout)
	ms := now.UnixMilli()
	for i, to := range b.times {
		part := i * 1000 / len(b.times)
		at[20], at[21], at[22] = byte('0'+part/100), byte('0'+part/10%10), byte('0'+part%10)
		copy(buf[to:], at)
		ids.write(buf[b.ids[i]:], ms)
	}
	return buf
}
