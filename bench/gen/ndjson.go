package gen

import (
	"bufio"
	"context"
	"io"
)

// AppendNDJSON appends the event as one line of JSON, with its end.
func (e *Event) AppendNDJSON(dst []byte) []byte {
	dst = append(dst, `{"uuid":"`...)
	dst = e.AppendUUID(dst)
	dst = append(dst, `",`...)
	dst = appendText(dst, "event", e.Name)
	dst = appendText(dst, "distinct_id", e.DistinctID)
	dst = append(dst, `"timestamp":"`...)
	dst = e.Time().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","properties":`...)
	dst = e.AppendProperties(dst)
	return append(dst, "}\n"...)
}

// progressEvery is how many events lie between two looks at the context and calls of
// a progress function.
const progressEvery = 10_000

// WriteNDJSON writes the stream of c to w, a line an event. Progress, if not nil, is told now and then,
// and at the end, how many events are written.
func WriteNDJSON(ctx context.Context, w io.Writer, c Config, progress func(events uint64)) error {
	if err := c.Validate(); err != nil {
		return err
	}
	m := New(c)
	buffered := bufio.NewWriterSize(w, 1<<20)
	var line []byte
	written := uint64(0)
	err := m.Each(0, m.Sessions(), func(e *Event) error {
		line = e.AppendNDJSON(line[:0])
		if _, err := buffered.Write(line); err != nil {
			return err
		}
		written++
		return tick(ctx, written, progress)
	})
	if err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if progress != nil {
		progress(written)
	}
	return nil
}

func tick(ctx context.Context, written uint64, progress func(events uint64)) error {
	if written%progressEvery != 0 {
		return nil
	}
	if progress != nil {
		progress(written)
	}
	return ctx.Err()
}
