package capture

import (
	"errors"

	"github.com/prickledb/prickle/storage/event"
)

// TypedLines makes batches of events that come one by one as typed lines, such as the import route
// takes. It is for one goroutine.
type TypedLines struct{ t typed }

// NewTypedLines is without events yet.
func NewTypedLines() *TypedLines { return &TypedLines{typed{d: newDecoder(Typed)}} }

// Add takes the line of one event. An error says what is wrong with it.
func (r *TypedLines) Add(line []byte) error {
	if reason := r.t.d.line(line, false); reason.kind != "" {
		return errors.New(reason.detail)
	}
	if r.t.d.full() {
		r.t.flush()
	}
	return nil
}

// Bytes is about how large the batch at hand has become.
func (r *TypedLines) Bytes() int { return r.t.d.b.Bytes() }

// Finish gives the batches of all events since the last call.
func (r *TypedLines) Finish(now int64) []*event.Batch {
	if r.t.d.b.Rows() > 0 {
		r.t.flush()
	}
	batches := r.t.batches
	r.t.batches = nil
	for _, b := range batches {
		b.CreatedAt, b.AsWritten = now, true
	}
	return batches
}
