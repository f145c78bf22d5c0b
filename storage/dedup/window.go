package dedup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"github.com/prickledb/prickle/storage/encoding"
)

const (
	// WindowSpan is how long a window remembers a request, by the times of log entries.
	WindowSpan = time.Hour
	// WindowKeys is how many requests of a project it remembers at most: 4 MB.
	WindowKeys = 100_000

	windowVersion = 1
	windowEntry   = 16 + 8 + 8
)

// RequestKey names a request of a project: the id that the client gave it, or a hash of
// its body.
type RequestKey [16]byte

// Window remembers the requests of the last hour, so that one that is sent again is
// answered without work. Correctness does not rest on it: events are compared one by one all
// the same. What it says follows from the entries that were added. The zero value is
// empty; it is used by one goroutine at a time.
type Window struct {
	now      int64 // the highest entry time
	swept    int64 // when all projects were last rid of what is old
	projects map[uint32]*windowProject
}

// windowProject is the requests of a project, oldest first. Those before first are gone.
type windowProject struct {
	requests []windowRequest
	first    int
	index    map[RequestKey]uint64
}

type windowRequest struct {
	key   RequestKey
	at    int64  // entry time
	index uint64 // of the entry
}

// Find gives the index of the entry that a request came in, if it is remembered at an entry
// time.
func (w *Window) Find(project uint32, at int64, key RequestKey) (uint64, bool) {
	w.move(at)
	p := w.projects[project]
	if p == nil {
		return 0, false
	}
	p.forget(w.now)
	index, ok := p.index[key]
	return index, ok
}

// Add remembers a request that came in an entry. One that is remembered already stays as
// it is.
func (w *Window) Add(project uint32, at int64, key RequestKey, index uint64) {
	w.move(at)
	p := w.projects[project]
	if p == nil {
		p = &windowProject{index: map[RequestKey]uint64{}}
		if w.projects == nil {
			w.projects = map[uint32]*windowProject{}
		}
		w.projects[project] = p
	}
	p.forget(w.now)
	if _, ok := p.index[key]; ok {
		return
	}
	if len(p.index) == WindowKeys {
		p.drop()
	}
	p.requests = append(p.requests, windowRequest{key, w.now, index})
	p.index[key] = index
}

// move takes note of an entry time. Projects that send nothing any more are rid of old
// requests four times in a span.
func (w *Window) move(at int64) {
	w.now = max(w.now, at)
	if w.now-w.swept < WindowSpan.Microseconds()/4 {
		return
	}
	w.swept = w.now
	maps.DeleteFunc(w.projects, func(_ uint32, p *windowProject) bool {
		p.forget(w.now)
		return len(p.index) == 0
	})
}

// forget drops what is older than a span.
func (p *windowProject) forget(now int64) {
	for p.first < len(p.requests) && now-p.requests[p.first].at > WindowSpan.Microseconds() {
		p.drop()
	}
}

// drop forgets the oldest request.
func (p *windowProject) drop() {
	delete(p.index, p.requests[p.first].key)
	if p.first++; p.first > len(p.requests)/2 {
		p.requests = append([]windowRequest(nil), p.requests[p.first:]...)
		p.first = 0
	}
}

// A window is, in a snapshot:
//
//	version(1) | time of the last entry (i64) | projects (u32) | of each, ascending:
//	    id (u32) | requests (u32) | of each, oldest first: key (16), time (i64), index (u64)
//	| crc (4)
//
// Append adds that to dst. Equal histories give equal bytes.
func (w *Window) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, windowVersion)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(w.now))
	count := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	n := uint32(0)
	for _, id := range slices.Sorted(maps.Keys(w.projects)) {
		p := w.projects[id]
		p.forget(w.now)
		if len(p.index) == 0 {
			continue
		}
		n++
		dst = binary.LittleEndian.AppendUint32(dst, id)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p.index)))
		for _, r := range p.requests[p.first:] {
			dst = append(dst, r.key[:]...)
			dst = binary.LittleEndian.AppendUint64(dst, uint64(r.at))
			dst = binary.LittleEndian.AppendUint64(dst, r.index)
		}
	}
	binary.LittleEndian.PutUint32(dst[count:], n)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], encoding.Table))
}

// DecodeWindow reads what Append wrote, which is all of src.
func DecodeWindow(src []byte) (*Window, error) {
	const head = 1 + 8 + 4
	if len(src) < head+4 || src[0] != windowVersion {
		return nil, errors.New("request window: not one, or of a newer version")
	}
	body := src[:len(src)-4]
	if err := sumErr("request window", body, binary.LittleEndian.Uint32(src[len(body):])); err != nil {
		return nil, err
	}
	w := &Window{now: int64(binary.LittleEndian.Uint64(body[1:])), projects: map[uint32]*windowProject{}}
	w.swept = w.now
	projects := binary.LittleEndian.Uint32(body[9:])
	body = body[head:]
	for range projects {
		if len(body) < 8 {
			return nil, errors.New("request window: ends too early")
		}
		id, n := binary.LittleEndian.Uint32(body), int(binary.LittleEndian.Uint32(body[4:]))
		body = body[8:]
		if n > WindowKeys || n*windowEntry > len(body) || w.projects[id] != nil {
			return nil, fmt.Errorf("request window: project %d with %d requests in %d bytes", id, n, len(body))
		}
		p := &windowProject{requests: make([]windowRequest, n), index: make(map[RequestKey]uint64, n)}
		for i := range p.requests {
			e := body[i*windowEntry:]
			r := windowRequest{RequestKey(e[:16]), int64(binary.LittleEndian.Uint64(e[16:])), binary.LittleEndian.Uint64(e[24:])}
			p.requests[i], p.index[r.key] = r, r.index
		}
		if len(p.index) != n {
			return nil, fmt.Errorf("request window: project %d has a request twice", id)
		}
		w.projects[id] = p
		body = body[n*windowEntry:]
	}
	if len(body) > 0 {
		return nil, fmt.Errorf("request window: %d bytes too many", len(body))
	}
	return w, nil
}
