package pgwire

import (
	"encoding/binary"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/storage/vec"
)

// encoder writes the rows of one answer as DataRow messages.
type encoder struct {
	ctx    *expr.Context
	binary []bool // by column
}

func newEncoder(s *session.Session, p *session.Portal) (*encoder, error) {
	e := &encoder{ctx: s.Context(), binary: make([]bool, len(p.Schema))}
	for i := range p.Schema {
		format, err := formatOf(p.Formats, i)
		if err != nil {
			return nil, err
		}
		e.binary[i] = format == 1
	}
	e.ctx.Shapes = p.Shapes
	return e, nil
}

// appendRow adds one DataRow message.
func (e *encoder) appendRow(dst []byte, b *vec.Batch, row int) []byte {
	start := len(dst)
	dst = append(dst, 'D', 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b.Cols)))
	for i, col := range b.Cols {
		if col.IsNull(row) {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		if i < len(e.binary) && e.binary[i] {
			dst = expr.AppendBinary(dst, col, row, e.ctx)
		} else {
			dst = expr.AppendText(dst, col, row, e.ctx)
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}
