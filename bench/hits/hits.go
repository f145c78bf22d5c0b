package hits

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/prickledb/prickle/bench/gen"
)

// kind is the type of a column.
type kind uint8

const (
	small   kind = iota // smallint
	integer             // integer
	bigint              // bigint
	text                // text
	date                // days since 1970
	instant             // timestamp, seconds since 1970
)

var sqlTypes = [...]string{"smallint", "integer", "bigint", "text", "date", "timestamp"}

// column is a column of the table: number or word gives its value.
type column struct {
	name   string
	kind   kind
	number func(*row) int64
	word   func(*row) string
}

// Schema creates the table. Nothing is NULL.
func Schema() string {
	var parts []string
	for _, c := range columns {
		parts = append(parts, c.name+" "+sqlTypes[c.kind]+" NOT NULL")
	}
	return "CREATE TABLE hits (" + strings.Join(parts, ", ") + ")"
}

// Order is the columns by which a database that sorts its rows lays them.
const Order = "CounterID, EventDate, UserID, EventTime, WatchID"

// groupRows rows make a row group of a file, which is held in memory until it is full.
const groupRows = 125_000

// WriteParquet writes rows [from, to) of a table of so many rows as one Parquet file.
func WriteParquet(ctx context.Context, w io.Writer, from, to, rows uint64) error {
	group := parquet.Group{}
	for _, c := range columns {
		group[c.name] = [...]func() parquet.Node{
			small: func() parquet.Node { return parquet.Int(16) }, integer: func() parquet.Node { return parquet.Int(32) },
			bigint: func() parquet.Node { return parquet.Int(64) }, text: parquet.String, date: parquet.Date,
			instant: func() parquet.Node { return parquet.Timestamp(parquet.Millisecond) },
		}[c.kind]()
	}
	schema := parquet.NewSchema("hits", group)
	place := map[string]int{} // a group orders its columns by name
	for i, path := range schema.Columns() {
		place[path[0]] = i
	}
	file := parquet.NewGenericWriter[any](w, schema, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), parquet.MaxRowsPerRowGroup(groupRows))
	batch := make([]parquet.Row, 0, 256)
	for i := range cap(batch) {
		batch[:i+1][i] = make(parquet.Row, len(columns))
	}
	flush := func() error {
		_, err := file.WriteRows(batch)
		batch = batch[:0]
		if err == nil {
			err = ctx.Err()
		}
		return err
	}
	var r row
	for n := from; n < to; n++ {
		r.fill(n, rows)
		batch = batch[:len(batch)+1]
		out := batch[len(batch)-1]
		for i := range columns {
			c := &columns[i]
			var v parquet.Value
			switch c.kind {
			case text:
				v = parquet.ByteArrayValue([]byte(c.word(&r)))
			case bigint:
				v = parquet.Int64Value(c.number(&r))
			case instant:
				v = parquet.Int64Value(c.number(&r) * 1000)
			default:
				v = parquet.Int32Value(int32(c.number(&r)))
			}
			at := place[c.name]
			out[at] = v.Level(0, 0, at)
		}
		if len(batch) == cap(batch) {
			if err := flush(); err != nil {
				return fmt.Errorf("hits: row %d: %w", n, err)
			}
		}
	}
	if err := flush(); err != nil {
		return fmt.Errorf("hits: row %d: %w", to, err)
	}
	return file.Close()
}

// row is what the columns of one row are made of.
type row struct {
	number, user, session uint64
	detail, more          uint64 // bits for what differs from row to row
	time                  int64  // seconds since 1970
	site                  int64
	mobile                bool
	phrase                string
	engine, banner        int64
	url, title, referrer  string
	urlHash, referrerHash int64
}

const (
	firstDay = 1372636800 // 2013-07-01
	days     = 31
	// bigSite is a site with many rows, which the last questions ask about.
	bigSite = 62
)

// The values that questions look for.
const (
	knownUser     = 435090932899640449
	knownURL      = 2868770270353813622
	knownReferrer = 3594120000172545465
)

// fill makes row n of a table of so many rows.
func (r *row) fill(n, rows uint64) {
	r.number, r.detail, r.more = n, hash(n, 1), hash(n, 2)
	r.session = hash(n/7+pick(r.detail, 50, 1)*rows, 3)
	r.user = pick(hash(r.session, 4), rows/6+1, 2)
	r.site = int64(1 + pick(hash(r.session, 5), 6500, 4)*37%6500)
	if r.session%180 == 0 {
		r.site = bigSite
	}
	r.time = firstDay + int64(n*days*86400/rows) + int64(r.detail>>40%600)
	r.mobile = hash(r.user, 6)%16 == 0
	r.phrase, r.engine, r.banner = "", 0, 0
	if r.more%100 < 13 {
		r.phrase = phrase(pick(r.more>>8, rows/16+100, 2))
		r.engine = []int64{2, 3, 2, 4, 2, 3, 1, 13}[r.more>>40%8]
	}
	if r.more>>50%160 == 0 {
		r.banner = int64(2 + pick(r.detail>>10, 20, 2))
	}
	page := uint64(r.site)*1_000_003 + pick(r.detail>>5, rows/50+10, 3)
	if r.detail%8 == 0 {
		page = 1 + uint64(r.site)*1000
	}
	r.url = url(page)
	r.title = phrase(page%(rows/20+7)) + " — " + strings.TrimPrefix(sites[hash(page, 45)%uint64(len(sites))], "http://")
	if hash(page, 46)%900 == 0 {
		r.title += " Google"
	}
	r.referrer = ""
	from := uint64(0)
	if r.detail>>30%10 < 8 {
		from = uint64(r.site)*1_000_003 + pick(r.more>>12, rows/40+10, 3)
		r.referrer = url(from)
	}
	r.urlHash, r.referrerHash = int64(hash(page, 60)), int64(hash(from, 60))
	if page == bigSite*1000+1 {
		r.urlHash = knownURL
	}
	if from != 0 && r.site == bigSite && r.more>>20%7 == 0 {
		r.referrerHash = knownReferrer
	}
}

func phrase(k uint64) string {
	var b []byte
	for i := range 1 + hash(k, 1)%4 {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, words[hash(k, 2+i)%uint64(len(words))]...)
	}
	return string(strconv.AppendUint(append(b, ' '), k, 10))
}

func url(k uint64) string {
	b := append([]byte(sites[pick(hash(k, 40), uint64(len(sites)), 2)]), '/')
	b = strconv.AppendUint(b, k*7919%100_000_007, 36)
	if hash(k, 41)%3 == 0 {
		b = strconv.AppendUint(append(b, "?cat_id="...), hash(k, 42)%5000, 10)
		b = strconv.AppendUint(append(b, "&state="...), hash(k, 43)%1_000_000, 10)
	}
	if hash(k, 44)%2000 == 0 {
		b = append(b, "#google"...)
	}
	return string(b)
}

// hash is splitmix64 of k, a different one for each question about it.
func hash(k, question uint64) uint64 { return gen.Mix(k*0x9E3779B97F4A7C15 ^ gen.Mix(question)) }

// pick is a number below n; of a power above 1, small ones are more likely.
func pick(h, n uint64, power int) uint64 {
	u := h & 0xFFFFF
	v := u << 12
	for ; power > 1; power-- {
		v = v * u >> 20
	}
	return n * v >> 32
}
