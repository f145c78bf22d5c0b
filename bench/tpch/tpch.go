package tpch

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"time"

	"github.com/prickledb/prickle/bench/gen"
)

// Tables lists the tables; those that others refer to come first.
var Tables = []string{"region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem"}

// Schema creates the tables.
var Schema = []string{
	`CREATE TABLE region (r_regionkey integer, r_name char(25), r_comment varchar(152))`,
	`CREATE TABLE nation (n_nationkey integer, n_name char(25), n_regionkey integer, n_comment varchar(152))`,
	`CREATE TABLE supplier (s_suppkey integer, s_name char(25), s_address varchar(40), s_nationkey integer, s_phone char(15), s_acctbal numeric(15,2), s_comment varchar(101))`,
	`CREATE TABLE part (p_partkey integer, p_name varchar(55), p_mfgr char(25), p_brand char(10), p_type varchar(25), p_size integer, p_container char(10), p_retailprice numeric(15,2), p_comment varchar(23))`,
	`CREATE TABLE partsupp (ps_partkey integer, ps_suppkey integer, ps_availqty integer, ps_supplycost numeric(15,2), ps_comment varchar(199))`,
	`CREATE TABLE customer (c_custkey integer, c_name varchar(25), c_address varchar(40), c_nationkey integer, c_phone char(15), c_acctbal numeric(15,2), c_mktsegment char(10), c_comment varchar(117))`,
	`CREATE TABLE orders (o_orderkey integer, o_custkey integer, o_orderstatus char(1), o_totalprice numeric(15,2), o_orderdate date, o_orderpriority char(15), o_clerk char(15), o_shippriority integer, o_comment varchar(79))`,
	`CREATE TABLE lineitem (l_orderkey integer, l_partkey integer, l_suppkey integer, l_linenumber integer, l_quantity numeric(15,2), l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2), l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct char(25), l_shipmode char(10), l_comment varchar(44))`,
}

// Maker makes tables at a scale; 1 is 6 million rows of lineitem.
type Maker struct{ suppliers, parts, customers, orders int }

// New is a maker of tables at a scale, which is 0.001 at least.
func New(scale float64) *Maker {
	n := func(x float64) int { return max(10, int(x*scale)) }
	return &Maker{suppliers: n(10_000), parts: n(200_000), customers: n(150_000), orders: n(1_500_000)}
}

// Write writes a table as COPY reads it in its text format.
func (m *Maker) Write(w io.Writer, table string) error {
	out := &writer{w: bufio.NewWriterSize(w, 1<<16)}
	switch table {
	case "region":
		for i, name := range regions {
			out.row(i, name, words(hash("region", i), 152))
		}
	case "nation":
		for i, n := range nations {
			out.row(i, n.name, n.region, words(hash("nation", i), 152))
		}
	case "supplier":
		each(m.suppliers, out, m.supplier)
	case "part":
		each(m.parts, out, m.part)
	case "partsupp":
		each(m.parts, out, m.partsupp)
	case "customer":
		each(m.customers, out, m.customer)
	case "orders":
		each(m.orders, out, func(out *writer, i int) { m.order(out, nil, i) })
	case "lineitem":
		each(m.orders, out, func(out *writer, i int) { m.order(nil, out, i) })
	default:
		return fmt.Errorf("TPC-H has no table %q", table)
	}
	if out.err != nil {
		return fmt.Errorf("table %s: %w", table, out.err)
	}
	return out.w.Flush()
}

// each makes rows 1 to n, as far as they can be written.
func each(n int, out *writer, row func(*writer, int)) {
	for i := 1; i <= n && out.err == nil; i++ {
		row(out, i)
	}
}

func (m *Maker) supplier(out *writer, i int) {
	h := hash("supplier", i)
	nation := h.upTo(25)
	comment := words(h, 101)
	switch h.upTo(2000) { // 5 in 10000 each
	case 0:
		comment = "dogged Customer ideas Complaints sleep"
	case 1:
		comment = "careful Customer packages Recommends nag"
	}
	out.row(i, fmt.Sprintf("Supplier#%09d", i), address(h), nation, phone(h, nation), cents(h.between(-99_999, 999_999)), comment)
}

func (m *Maker) part(out *writer, i int) {
	h := hash("part", i)
	name := ""
	for k := range 5 {
		if k > 0 {
			name += " "
		}
		name += pick(h, colours)
	}
	maker := h.between(1, 5)
	out.row(i, name, fmt.Sprintf("Manufacturer#%d", maker), fmt.Sprintf("Brand#%d%d", maker, h.between(1, 5)),
		pick(h, typeFirst)+" "+pick(h, typeSecond)+" "+pick(h, typeThird), h.between(1, 50),
		pick(h, containerFirst)+" "+pick(h, containerSecond), cents(retailPrice(i)), words(h, 23))
}

// retailPrice is the price of a part, in cents.
func retailPrice(part int) int { return 90_000 + part/10%20_001 + 100*(part%1000) }

// supplierOf is the k-th of the four suppliers of a part.
func (m *Maker) supplierOf(part, k int) int {
	return (part+k*(m.suppliers/4+(part-1)/m.suppliers))%m.suppliers + 1
}

func (m *Maker) partsupp(out *writer, part int) {
	h := hash("partsupp", part)
	for k := range 4 {
		out.row(part, m.supplierOf(part, k), h.between(1, 9999), cents(h.between(100, 100_000)), words(h, 199))
	}
}

func (m *Maker) customer(out *writer, i int) {
	h := hash("customer", i)
	nation := h.upTo(25)
	out.row(i, fmt.Sprintf("Customer#%09d", i), address(h), nation, phone(h, nation), cents(h.between(-99_999, 999_999)), pick(h, segments), words(h, 117))
}

// The days of orders, and the day that the data calls today.
var (
	firstDay = time.Date(1992, 1, 1, 0, 0, 0, 0, time.UTC)
	today    = days(time.Date(1995, 6, 17, 0, 0, 0, 0, time.UTC))
	lastDay  = days(time.Date(1998, 8, 2, 0, 0, 0, 0, time.UTC))
)

func days(t time.Time) int { return int(t.Sub(firstDay).Hours() / 24) }

// order writes an order, its lines, or both.
func (m *Maker) order(order, lines *writer, i int) {
	key := (i-1)/8*32 + (i-1)%8 + 1 // a quarter of the keys are used
	h := hash("orders", i)
	customer := h.between(1, m.customers)
	if customer%3 == 0 { // a third of the customers order nothing
		customer = max(1, customer-1)
	}
	day := h.upTo(lastDay + 1)
	total, shipped := 0, 0
	n := h.between(1, 7)
	l := hash("lineitem", i)
	for k := 1; k <= n; k++ {
		part, quantity := l.between(1, m.parts), l.between(1, 50)
		price, discount, tax := quantity*retailPrice(part), l.upTo(11), l.upTo(9)
		ship := day + l.between(1, 121)
		commit, receipt := day+l.between(30, 90), ship+l.between(1, 30)
		flag, status := "N", "O"
		if receipt <= today {
			flag = pick(l, []string{"R", "A"})
		}
		if ship <= today {
			status = "F"
			shipped++
		}
		total += price * (100 + tax) * (100 - discount) / 10_000
		supplier := m.supplierOf(part, l.upTo(4))
		instruct, mode, comment := pick(l, instructions), pick(l, modes), words(l, 44)
		if lines != nil {
			lines.row(key, part, supplier, k, cents(100*quantity), cents(price), cents(discount), cents(tax), flag, status,
				date(ship), date(commit), date(receipt), instruct, mode, comment)
		}
	}
	if order == nil {
		return
	}
	status := "P"
	switch shipped {
	case 0:
		status = "O"
	case n:
		status = "F"
	}
	comment := words(h, 79)
	if h.upTo(100) == 0 {
		comment = "quick special deposits wake requests"
	}
	order.row(key, customer, status, cents(total), date(day), pick(h, priorities), fmt.Sprintf("Clerk#%09d", h.between(1, max(1, m.orders/1500))), 0, comment)
}

// cents is an amount of money in hundredths.
type cents int

// date is a number of days since 1992-01-01.
type date int

// writer writes rows of COPY's text format; no value has a character that is written
// otherwise there.
type writer struct {
	w   *bufio.Writer
	buf []byte
	err error
}

func (w *writer) row(values ...any) {
	b := w.buf[:0]
	for i, v := range values {
		if i > 0 {
			b = append(b, '\t')
		}
		switch v := v.(type) {
		case int:
			b = strconv.AppendInt(b, int64(v), 10)
		case cents:
			if v < 0 {
				b, v = append(b, '-'), -v
			}
			b = strconv.AppendInt(b, int64(v/100), 10)
			b = append(b, '.', byte('0'+v/10%10), byte('0'+v%10))
		case date:
			b = firstDay.AddDate(0, 0, int(v)).AppendFormat(b, time.DateOnly)
		case string:
			b = append(b, v...)
		}
	}
	w.buf = append(b, '\n')
	if _, err := w.w.Write(w.buf); err != nil && w.err == nil {
		w.err = err
	}
}

// stream is numbers without end, made of a table's name and a row's number: splitmix64.
type stream uint64

func hash(table string, row int) *stream {
	s := stream(row)
	for _, c := range []byte(table) {
		s = s*131 + stream(c)<<32
	}
	s.next()
	return &s
}

func (s *stream) next() uint64 {
	x := gen.Mix(uint64(*s))
	*s += 0x9E3779B97F4A7C15
	return x
}

// upTo is a number from 0 to n-1.
func (s *stream) upTo(n int) int {
	hi, _ := bits.Mul64(s.next(), uint64(n))
	return int(hi)
}

// between is a number from lo to hi.
func (s *stream) between(lo, hi int) int { return lo + s.upTo(hi-lo+1) }

func pick(s *stream, list []string) string { return list[s.upTo(len(list))] }

// words is a comment of at most so many bytes, and two fifths of that at least.
func words(s *stream, most int) string {
	var b []byte
	for want := s.between(most*2/5, most); ; b = append(b, ' ') {
		w := pick(s, vocabulary)
		if len(b)+len(w) > most {
			return string(b[:max(0, len(b)-1)])
		}
		if b = append(b, w...); len(b) >= want {
			return string(b)
		}
	}
}

func address(s *stream) string {
	return strconv.FormatUint(s.next(), 36) + " " + strconv.FormatUint(s.next()>>40, 36)
}

func phone(s *stream, nation int) string {
	return fmt.Sprintf("%d-%d-%d-%d", nation+10, s.between(100, 999), s.between(100, 999), s.between(1000, 9999))
}
