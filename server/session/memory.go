package session

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/table"
)

// What a session holds beside the queries that run is reserved of the memory for queries: the rows
// that its cursors keep, its temporary tables, what its transaction has written, and the rows that
// a statement is writing. It is counted in whole steps, so that small sessions count nothing.

const holdStep = 1 << 20

// holding is what a session has reserved.
type holding struct {
	reserved int64
	temp     *table.Tables // of which temps was found
	temps    int64
}

// hold reserves what the session holds, and more bytes that a statement of it holds, and gives back
// what it holds no longer. It fails if there is no room.
func (s *Session) hold(more int64) error {
	h := &s.holding
	if h.temp != s.temp {
		h.temp, h.temps = s.temp, s.temporaries().Bytes()
	}
	want := more + s.cursorBytes + h.temps
	if s.writes != nil {
		want += s.writes.bytes
	}
	want -= want % holdStep
	if want > h.reserved && !s.config.Memory.TryReserve(want-h.reserved) {
		return pgerr.New(pgerr.OutOfMemory, "out of memory: the session holds %d MB of rows, and there is no room for more", h.reserved>>20).
			WithHint("End the transaction, close cursors, drop temporary tables, or raise the setting memory.")
	}
	if want < h.reserved {
		s.config.Memory.Release(h.reserved - want)
	}
	h.reserved = want
	return nil
}

// settleMemory is hold where there is nothing more to reserve.
func (s *Session) settleMemory() {
	_ = s.hold(0) // it needs no more than before, and if it does, the next statement that writes fails
}

// hold reserves what the statement holds.
func (w *writing) hold() error {
	more := w.queued + w.held + w.temp.bytes
	if w.into != w.portal.session.writes {
		more += w.into.bytes
	}
	return w.portal.session.hold(more)
}
