package session

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/table"
)

// What a session holds beside the queries that run counts as memory of queries: the rows that its
// cursors keep, its temporary tables and what its transaction has written, which may last, and the
// rows that a statement is writing, which are on their way. It is counted in whole steps, so that
// small sessions count nothing. What lasts may be half of that memory for all sessions together.

const holdStep = 1 << 20

// holding is what a session has counted.
type holding struct {
	bytes, lasting int64
	temp           *table.Tables // of which temps was found
	temps          int64
}

// hold counts what the session holds, with what a statement adds to that, and what is on its way.
// It fails if more lasts than there is room for.
func (s *Session) hold(lasting, passing int64) error {
	h := &s.holding
	if h.temp != s.temp {
		h.temp, h.temps = s.temp, s.temporaries().Bytes()
	}
	lasting += s.cursorBytes + h.temps
	if s.writes != nil {
		lasting += s.writes.bytes
	}
	lasting -= lasting % holdStep
	all := lasting + passing - passing%holdStep
	pool, held := s.config.Memory, &s.config.Sessions.held
	if pool != nil && lasting > h.lasting && held.Load()+lasting-h.lasting > pool.Size()/2 {
		return pgerr.New(pgerr.OutOfMemory, "out of memory: sessions hold %d MB of rows, this one %d MB, and there is no room for more", held.Load()>>20, h.lasting>>20).
			WithHint("End the transaction, close cursors, drop temporary tables, or raise the setting memory.")
	}
	held.Add(lasting - h.lasting)
	pool.Add(all - h.bytes)
	h.bytes, h.lasting = all, lasting
	return nil
}

// settleMemory is hold after what was held has become less.
func (s *Session) settleMemory() {
	_ = s.hold(0, 0) // it needs no more than before, and if it does, the next statement that writes fails
}

// hold counts what the statement holds.
func (w *writing) hold() error {
	s, lasting, passing := w.portal.session, w.held+w.temp.bytes, w.queued
	switch {
	case w.into == s.writes: // which the session counts
	case s.keeps():
		lasting += w.into.bytes
	default:
		passing += w.into.bytes
	}
	return s.hold(lasting, passing)
}

// queueLimit bounds the rows of a statement that are being encoded.
func queueLimit(pool *memory.Pool) int64 {
	if pool == nil {
		return queueBytes
	}
	return min(queueBytes, pool.Size()/8)
}
