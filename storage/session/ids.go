package session

import (
	"context"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

const (
	key = "$session_id"
	// batchRows is how many rows are read at a time.
	batchRows = 4096
)

// IDs numbers the sessions that a segment has rows of, dead or not.
type IDs struct {
	hashes []uint64
	empty  uint32 // the number of the empty id, which is no session; hashes' length if there is none

	// Where the segment keeps session ids as any other property; otherwise its table
	// numbers them.
	byText map[string]uint32
	texts  *vec.Strings
}

// ReadIDs numbers the sessions of a segment.
func ReadIDs(ctx context.Context, r *segment.Reader) (*IDs, error) {
	x := &IDs{}
	if !r.HasSessions() {
		if err := x.collect(ctx, r); err != nil {
			return nil, err
		}
	}
	texts, err := x.Texts(r)
	if err != nil {
		return nil, err
	}
	x.hashes = make([]uint64, texts.Len())
	x.empty = uint32(len(x.hashes))
	for i := range x.hashes {
		text := texts.At(i)
		if len(text) == 0 {
			x.empty = uint32(i)
		}
		x.hashes[i] = xxh3.Hash(text)
	}
	return x, nil
}

// collect numbers the sessions of a segment that has no table of them.
func (x *IDs) collect(ctx context.Context, r *segment.Reader) error {
	x.byText, x.texts = map[string]uint32{}, &vec.Strings{}
	for _, g := range r.Ranges() {
		for lo := g.Lo; lo < g.Hi; lo += batchRows {
			if err := ctx.Err(); err != nil {
				return err
			}
			v, err := g.Read(key, event.ReadText, nil, lo, min(lo+batchRows, g.Hi))
			if err != nil {
				return err
			}
			if v.Form == vec.Const {
				break // no row of the range has one
			}
			for i := range v.Len() {
				if v.IsNull(i) {
					continue
				}
				at, row := v.At(i)
				if text := at.Str.Str(row); !x.knows(text) {
					x.byText[strings.Clone(text)] = uint32(x.texts.Len())
					x.texts.AppendString(text)
				}
			}
		}
	}
	return nil
}

func (x *IDs) knows(text string) bool {
	_, ok := x.byText[text]
	return ok
}

// Len is how many numbers there are.
func (x *IDs) Len() int { return len(x.hashes) }

// Bytes is about how much memory the numbers take.
func (x *IDs) Bytes() int64 {
	n := 8 * int64(len(x.hashes))
	if x.texts != nil {
		n += 2*int64(len(x.texts.Bytes)) + 32*int64(x.texts.Len())
	}
	return n
}

// Texts is the session ids by number, of the segment that was numbered.
func (x *IDs) Texts(r *segment.Reader) (*vec.Strings, error) {
	if x.texts != nil {
		return x.texts, nil
	}
	v, err := r.SessionIDs()
	if err != nil {
		return nil, err
	}
	return &v.Str, nil
}

// Vector is Texts as a vector. It is shared: do not modify it.
func (x *IDs) Vector(r *segment.Reader) (*vec.Vector, error) {
	if x.texts != nil {
		return &vec.Vector{Type: vec.T(vec.Text), Str: *x.texts}, nil
	}
	return r.SessionIDs()
}

// IsEmpty says whether a number is that of the empty id, which is no session.
func (x *IDs) IsEmpty(number uint32) bool { return number == x.empty }

// Numbers is the sessions of rows [lo, hi), which must be of the stretch; Len for a row that
// is in none.
func (x *IDs) Numbers(g *segment.Stretch, lo, hi int) ([]uint32, error) {
	none := uint32(x.Len())
	v, err := g.Read(key, event.ReadText, nil, lo, hi)
	if err != nil {
		return nil, err
	}
	if x.texts == nil && v.Form == vec.Dict {
		for i, c := range v.Codes {
			if c == x.empty || v.Nulls.Get(i) {
				v.Codes[i] = none
			}
		}
		return v.Codes, nil
	}
	out := make([]uint32, hi-lo)
	for i := range out {
		out[i] = none
		if v.IsNull(i) {
			continue
		}
		at, row := v.At(i)
		if n, ok := x.byText[at.Str.Str(row)]; ok && n != x.empty {
			out[i] = n
		}
	}
	return out, nil
}
