package gen

import (
	"context"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// row is an event in a Parquet file: the columns that an importer needs.
type row struct {
	UUID       string `parquet:"uuid"`
	Event      string `parquet:"event,dict"`
	DistinctID string `parquet:"distinct_id,dict"`
	Timestamp  int64  `parquet:"timestamp,timestamp(microsecond)"`
	Properties string `parquet:"properties"` // a JSON object
}

const (
	// parquetBatch rows are handed over at once.
	parquetBatch = 1024
	// parquetGroup rows make a row group, which is held in memory until it is full: about 40 MB.
	parquetGroup = 65_536
)

// WriteParquet writes the stream of c to w as one Parquet file compressed with zstd. Progress is as
// in [WriteNDJSON].
func WriteParquet(ctx context.Context, w io.Writer, c Config, progress func(events uint64)) error {
	if err := c.Validate(); err != nil {
		return err
	}
	m := New(c)
	return m.WriteParquet(ctx, w, 0, m.Sessions(), progress)
}

// WriteParquet writes the events of sessions [from, to) as [WriteParquet] does all.
func (m *Model) WriteParquet(ctx context.Context, w io.Writer, from, to uint64, progress func(events uint64)) error {
	file := parquet.NewGenericWriter[row](w,
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.MaxRowsPerRowGroup(parquetGroup))
	b := rowBatch{rows: make([]row, 0, parquetBatch)}
	written := uint64(0)
	err := m.Each(from, to, func(e *Event) error {
		b.add(e)
		if len(b.rows) == cap(b.rows) {
			if err := b.flush(file); err != nil {
				return err
			}
		}
		written++
		return tick(ctx, written, progress)
	})
	if err != nil {
		return err
	}
	if err := b.flush(file); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("parquet: footer: %w", err)
	}
	if progress != nil {
		progress(written)
	}
	return nil
}

// rowBatch collects rows. Their ids and properties lie in one piece of text, so that a
// batch costs one string and not two for each row.
type rowBatch struct {
	rows []row
	text []byte
	ends []int // of each row's id and properties
}

func (b *rowBatch) add(e *Event) {
	b.text = e.AppendUUID(b.text)
	b.ends = append(b.ends, len(b.text))
	b.text = e.AppendProperties(b.text)
	b.ends = append(b.ends, len(b.text))
	b.rows = append(b.rows, row{Event: e.Name, DistinctID: e.DistinctID, Timestamp: e.UnixMilli * 1000})
}

func (b *rowBatch) flush(file *parquet.GenericWriter[row]) error {
	text, from := string(b.text), 0
	for i := range b.rows {
		id, properties := b.ends[2*i], b.ends[2*i+1]
		b.rows[i].UUID, b.rows[i].Properties = text[from:id], text[id:properties]
		from = properties
	}
	if _, err := file.Write(b.rows); err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	b.rows, b.text, b.ends = b.rows[:0], b.text[:0], b.ends[:0]
	return nil
}
