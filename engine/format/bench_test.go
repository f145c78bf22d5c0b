package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/prickledb/prickle/storage/vec"
)

// wideRows is CSV with the shape of the usual web analytics table: 105 columns, most of them
// small numbers.
func wideRows(rows int) (raw []byte, columns []Column) {
	r := rand.New(rand.NewPCG(1, 2))
	for c := range 105 {
		kind := vec.Int2
		switch {
		case c%9 == 8:
			kind = vec.Text
		case c%20 == 5:
			kind = vec.Timestamp
		case c%6 == 3:
			kind = vec.Int8
		}
		columns = append(columns, Column{Name: fmt.Sprint("c", c), Type: vec.T(kind), NotNull: true})
	}
	var out bytes.Buffer
	for range rows {
		for c, col := range columns {
			if c > 0 {
				out.WriteByte(',')
			}
			switch col.Type.Kind {
			case vec.Text:
				if r.IntN(3) > 0 {
					fmt.Fprintf(&out, "http://example.com/%d/page-%d", r.IntN(1000), r.IntN(100))
				}
			case vec.Timestamp:
				fmt.Fprintf(&out, "2013-07-%02d %02d:%02d:%02d", 1+r.IntN(31), r.IntN(24), r.IntN(60), r.IntN(60))
			case vec.Int8:
				fmt.Fprint(&out, r.Int64())
			default:
				fmt.Fprint(&out, r.IntN(4)*r.IntN(200))
			}
		}
		out.WriteByte('\n')
	}
	return out.Bytes(), columns
}

func BenchmarkReadCSV(b *testing.B) {
	raw, columns := wideRows(20_000)
	o := Defaults(CSV)
	o.Null = "nil"
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(raw), o, columns, "COPY t", testContext())
		if err != nil {
			b.Fatal(err)
		}
		d := r.Decoder()
		for {
			p, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				_, err = d.Decode(p)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
