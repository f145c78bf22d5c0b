package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// tableLog is what was applied: entry i is at index i+1.
type tableLog [][]byte

// replay opens a store and applies what it lacks of the log.
func (l tableLog) replay(t *testing.T, fs vfs.FS, opt Options) *Store {
	t.Helper()
	s, err := Open(fs, "d", opt)
	if err != nil {
		t.Fatal(err)
	}
	for i := s.AppliedIndex(); i < uint64(len(l)); i++ {
		l.apply(s, i+1)
	}
	return s
}

// apply applies one entry. The first makes the project; nil is an entry of something else.
func (l tableLog) apply(s *Store, index uint64) (table.Change, error) {
	if index == 1 {
		_, err := s.ApplyProject(1, 1, ProjectEdit{Create: &ProjectSpec{Name: "p", Token: "t"}})
		return table.Change{}, err
	}
	ws, err := table.DecodeWriteSet(l[index-1])
	if err != nil {
		return table.Change{}, err
	}
	return s.ApplyTables(index, int64(index)*1000, 1, ws)
}

// contents is every table of a project: its columns, and its rows as texts, sorted.
func contents(t *testing.T, s *Store) map[string][]string {
	t.Helper()
	sn, err := s.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	out := map[string][]string{}
	for _, v := range sn.Tables().List() {
		rows := []string{}
		var names []string
		for i := range v.Schema.Columns {
			names = append(names, v.Schema.Columns[i].Name)
		}
		eachRow(t, v, func(_ uint32, values []string) { rows = append(rows, strings.Join(values, " ")) })
		slices.Sort(rows)
		out[v.Schema.Name] = append([]string{strings.Join(names, " ")}, rows...)
		if int64(len(rows)) != v.Live() {
			t.Fatalf("table %s: Live() = %d, %d rows are read", v.Schema.Name, v.Live(), len(rows))
		}
	}
	return out
}

func eachRow(t *testing.T, v *table.Version, visit func(id uint32, values []string)) {
	t.Helper()
	before := int64(-1)
	sorted := v.Schema.OrderBy != nil || v.Schema.ByID(2) == nil // it may have lost its order with the column
	for _, p := range v.Pieces() {
		ids, err := p.IDs()
		if err != nil {
			t.Fatal(err)
		}
		live, err := p.Live()
		if err != nil {
			t.Fatal(err)
		}
		var columns []*vec.Vector
		for i := range v.Schema.Columns {
			c, err := p.Column(&v.Schema.Columns[i])
			if err != nil {
				t.Fatal(err)
			}
			columns = append(columns, c)
		}
		for i, id := range ids {
			if int64(id) <= before && !sorted {
				t.Fatalf("table %s: row %d follows row %d", v.Schema.Name, id, before)
			}
			before = int64(id)
			if live != nil {
				if len(live) == 0 || live[0] != uint32(i) {
					continue
				}
				live = live[1:]
			}
			values := make([]string, len(columns))
			for k, c := range columns {
				values[k] = "null"
				if !c.IsNull(i) {
					src, at := c.At(i)
					if src.Type.Kind == vec.Text {
						values[k] = src.Str.Str(at)
					} else {
						values[k] = fmt.Sprint(src.I64[at])
					}
				}
			}
			visit(id, values)
		}
	}
}

// modelTable is a table as a reader of the specification would keep it.
type modelTable struct {
	columns []table.Column
	next    uint32
	rows    map[string]map[uint32]string // by key, which is column 1; value by column number
}

func (m *modelTable) lines() []string {
	var names, rows []string
	for _, c := range m.columns {
		names = append(names, c.Name)
	}
	for _, r := range m.rows {
		var values []string
		for _, c := range m.columns {
			values = append(values, r[c.ID])
		}
		rows = append(rows, strings.Join(values, " "))
	}
	slices.Sort(rows)
	return append([]string{strings.Join(names, " ")}, rows...)
}

func (m *modelTable) clone() *modelTable {
	out := &modelTable{columns: slices.Clone(m.columns), next: m.next, rows: map[string]map[uint32]string{}}
	for k, r := range m.rows {
		out.rows[k] = maps.Clone(r)
	}
	return out
}

type model map[string]*modelTable

func (m model) clone() model {
	out := model{}
	for name, t := range m {
		out[name] = t.clone()
	}
	return out
}

// writer makes random write sets on what a store shows, and changes a model likewise.
type tableWriter struct {
	t     *testing.T
	rng   *rand.Rand
	model model
	keys  int
	txns  byte
	small bool // no batch is larger than a block
}

// on is a random write set on what a store has. It reads rows, so a snapshot holds their files
// meanwhile: a full memtable is flushed at any time.
func (w *tableWriter) on(s *Store) *table.WriteSet {
	w.t.Helper()
	sn, err := s.Snapshot(1)
	if err != nil {
		w.t.Fatal(err)
	}
	defer sn.Release()
	return w.random(sn.Tables())
}

// random is a write set of a few operations on different tables. It follows the rules: one
// table is touched by deletions of old rows at most once.
func (w *tableWriter) random(tables *table.Tables) *table.WriteSet {
	ws := &table.WriteSet{}
	list := tables.List()
	w.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if len(list) < 4 && w.rng.IntN(3) == 0 {
		w.create(ws)
	}
	for _, v := range list[:min(len(list), 1+w.rng.IntN(2))] {
		m := w.model[v.Schema.Name]
		op := table.Op{Table: v.Schema.Table, Version: v.Schema.Version}
		switch w.rng.IntN(12) {
		case 0:
			op.Kind, op.Schema = table.OpAlter, w.alter(v.Schema, m)
			ws.Ops = append(ws.Ops, op)
		case 1:
			op.Kind, op.Until = table.OpTruncate, v.Next
			m.rows = map[string]map[uint32]string{}
			ws.Ops = append(ws.Ops, op)
			w.insert(ws, op.Table, v.Schema, m)
		case 2:
			if w.rng.IntN(3) == 0 {
				op.Kind = table.OpDrop
				ws.Ops = append(ws.Ops, op)
				delete(w.model, v.Schema.Name)
			}
		case 3, 4, 5, 6:
			op.Kind, op.Rows = table.OpDelete, roaring.New()
			share := w.rng.IntN(4)
			eachRow(w.t, v, func(id uint32, values []string) {
				if w.rng.IntN(4) <= share {
					op.Rows.Add(id)
					delete(m.rows, values[0])
				}
			})
			ws.Ops = append(ws.Ops, op)
			if w.rng.IntN(2) == 0 {
				w.insert(ws, op.Table, v.Schema, m)
			}
		default:
			w.insert(ws, op.Table, v.Schema, m)
		}
	}
	return ws
}

func (w *tableWriter) create(ws *table.WriteSet) {
	s := &table.Schema{Version: 1, Name: fmt.Sprintf("t%d", w.keys)}
	w.keys++
	s.Add(table.Column{Name: "key", Type: vec.T(vec.Text)})
	s.Add(table.Column{Name: "n", Type: vec.T(vec.Int8)})
	s.OrderBy = [][]uint32{nil, {2}, {2, 1}}[w.rng.IntN(3)]
	m := &modelTable{columns: slices.Clone(s.Columns), rows: map[string]map[uint32]string{}}
	w.model[s.Name] = m
	n := uint32(0)
	for i := range ws.Ops {
		if ws.Ops[i].Kind == table.OpCreate {
			n++
		}
	}
	ws.Ops = append(ws.Ops, table.Op{Kind: table.OpCreate, Table: table.Fresh + n, Schema: s})
	w.insert(ws, table.Fresh+n, s, m)
}

// alter adds, drops or renames a column, or renames the table.
func (w *tableWriter) alter(s *table.Schema, m *modelTable) *table.Schema {
	s = s.Clone()
	switch k := w.rng.IntN(3); {
	case k == 0:
		c := table.Column{Name: fmt.Sprintf("c%d", s.NextColumn), Type: vec.T(vec.Int4)}
		value := "null"
		if w.rng.IntN(2) == 0 {
			value = "42"
			c.Missing = table.AppendValue(nil, &vec.Vector{Type: c.Type, I64: []int64{42}})
		}
		id := s.Add(c)
		for _, r := range m.rows {
			r[id] = value
		}
	case k == 1 && len(s.Columns) > 1:
		s.Drop(s.Columns[1+w.rng.IntN(len(s.Columns)-1)].ID)
	default:
		delete(w.model, s.Name)
		s.Name = fmt.Sprintf("t%d", w.keys)
		w.keys++
		w.model[s.Name] = m
	}
	m.columns = slices.Clone(s.Columns)
	return s
}

// insert adds rows, encoded or not, and perhaps deletes some of them again.
func (w *tableWriter) insert(ws *table.WriteSet, id uint32, s *table.Schema, m *modelTable) {
	n := 1 + w.rng.IntN(20)
	if w.rng.IntN(20) == 0 && !w.small {
		n = 9000 // over the end of a block
	}
	var columns []uint32
	b := &vec.Batch{Rows: n}
	rows := make([]map[uint32]string, n)
	for i := range rows {
		rows[i] = map[uint32]string{}
	}
	for _, c := range s.Columns {
		if c.ID != 1 && w.rng.IntN(8) == 0 {
			value := "null" // left out: what a row has that is older than the column
			if c.Missing != nil {
				value = "42"
			}
			for i := range rows {
				rows[i][c.ID] = value
			}
			continue
		}
		v := vec.NewBuilder(c.Type)
		for i := range n {
			switch {
			case c.ID == 1:
				w.keys++
				rows[i][1] = fmt.Sprintf("k%d", w.keys)
				v.V.Str.AppendString(rows[i][1])
			case w.rng.IntN(5) == 0:
				v.AppendNull()
				rows[i][c.ID] = "null"
			default:
				x := w.rng.Int64N(1000)
				v.V.I64 = append(v.V.I64, x)
				rows[i][c.ID] = fmt.Sprint(x)
			}
		}
		columns, b.Cols = append(columns, c.ID), append(b.Cols, v.V)
	}
	if n < 100 && w.rng.IntN(4) == 0 {
		// Not before other rows of the write set in this table: own rows are counted.
		own := roaring.New()
		for i := range n {
			if w.rng.IntN(2) == 0 {
				own.Add(uint32(i))
				rows[i] = nil
			}
		}
		defer func() {
			ws.Ops = append(ws.Ops, table.Op{Kind: table.OpDelete, Table: id, Version: s.Version, Own: own})
		}()
	}
	for _, r := range rows {
		if r != nil {
			m.rows[r[1]] = r
		}
	}
	o := table.Op{Kind: table.OpInsert, Table: id, Version: s.Version, Columns: columns, Batch: b}
	if w.rng.IntN(3) > 0 {
		ws.Ops = append(ws.Ops, o)
		return
	}
	for from := 0; from < n; from += vec.BatchRows {
		piece := &vec.Batch{Rows: min(vec.BatchRows, n-from)}
		for _, v := range b.Cols {
			c := vec.NewBuilder(v.Type)
			c.AppendRows(v, from, from+piece.Rows)
			piece.Cols = append(piece.Cols, c.V)
		}
		o.Kind, o.Batch, o.Encoded = table.OpLoad, nil, table.Encode(piece)
		ws.Ops = append(ws.Ops, o)
	}
}

// staged cuts a write set into parts at random places, if it may be cut.
func (w *tableWriter) staged(ws *table.WriteSet) []*table.WriteSet {
	w.txns++
	txn := table.Txn{w.txns}
	last := &table.WriteSet{Stage: table.Last, Txn: txn}
	var out []*table.WriteSet
	for _, o := range ws.Ops {
		switch o.Kind {
		case table.OpAlter, table.OpDrop:
			return []*table.WriteSet{ws}
		case table.OpCreate, table.OpInsert, table.OpLoad:
			out = append(out, &table.WriteSet{Stage: table.Part, Txn: txn, Ops: []table.Op{o}})
		default:
			last.Ops = append(last.Ops, o)
		}
	}
	return append(out, last)
}

// Random write sets, whole and in parts, with flushes, merges, reopening and replays between
// them, give what a map gives; and a second store that flushes at other moments gives the same.
func TestTablesAgainstModel(t *testing.T) {
	seeds := uint64(2)
	if n, err := strconv.ParseUint(os.Getenv("PRICKLE_SEEDS"), 10, 64); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			fs := vfs.NewMem()
			log := tableLog{nil}
			opt := Options{SealRows: 20_000}
			s := log.replay(t, fs, opt)
			w := &tableWriter{t: t, rng: rng, model: model{}}
			check := func(what string, s *Store) {
				t.Helper()
				want := map[string][]string{}
				for name, m := range w.model {
					want[name] = m.lines()
				}
				if got := contents(t, s); !maps.EqualFunc(got, want, slices.Equal) {
					for name := range want {
						if !slices.Equal(got[name], want[name]) {
							t.Fatalf("seed %d, entry %d, %s: table %s has %d lines, want %d:\n%.300q\n%.300q", seed, len(log), what, name,
								len(got[name]), len(want[name]), got[name], want[name])
						}
					}
					t.Fatalf("seed %d, entry %d, %s: tables %v, want %v", seed, len(log), what, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
				}
			}
			for range 80 {
				before := w.model.clone()
				ws := w.on(s)
				parts := []*table.WriteSet{ws}
				if rng.IntN(3) == 0 {
					parts = w.staged(ws)
				}
				if len(parts) > 1 && rng.IntN(3) == 0 { // never to be finished
					w.model = before
					parts[len(parts)-1] = &table.WriteSet{Stage: table.Abort, Txn: parts[0].Txn}
					if rng.IntN(2) == 0 {
						parts = parts[:len(parts)-1]
					}
				}
				for i, part := range parts {
					log = append(log, table.AppendWriteSet(nil, part))
					if _, err := log.apply(s, uint64(len(log))); err != nil {
						t.Fatalf("seed %d, entry %d: %v", seed, len(log), err)
					}
					if i < len(parts)-1 && rng.IntN(6) == 0 {
						if err := s.Flush(context.Background()); err != nil {
							t.Fatal(err)
						}
					}
				}
				switch rng.IntN(8) {
				case 0, 1:
					if err := s.Flush(context.Background()); err != nil {
						t.Fatal(err)
					}
					check("flushed", s)
				case 2:
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = log.replay(t, fs, opt)
					check("reopened", s)
				case 3, 4:
					check("applied", s)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			other := log.replay(t, vfs.NewMem(), Options{SealRows: 3_000})
			check("in another store", other)
			if err := other.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			check("in another store, flushed", other)
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The same log with the same flushes gives the same files, byte by byte.
func TestTableFilesAreAFunctionOfTheLog(t *testing.T) {
	build := func() map[string]string {
		fs := vfs.NewMem()
		log := tableLog{nil}
		s := log.replay(t, fs, Options{SealRows: 5_000})
		w := &tableWriter{t: t, rng: rand.New(rand.NewPCG(1, 1)), model: model{}}
		for i := range 60 {
			log = append(log, table.AppendWriteSet(nil, w.on(s)))
			if _, err := log.apply(s, uint64(len(log))); err != nil {
				t.Fatal(err)
			}
			if i%7 == 6 {
				if err := s.Flush(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		names, err := fs.List("d/segments")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			raw, err := vfs.ReadFile(fs, "d/segments/"+n, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			out[n] = string(raw)
		}
		return out
	}
	if a, b := build(), build(); len(a) == 0 || !maps.Equal(a, b) {
		t.Errorf("two runs gave %d and %d files, which are not equal", len(a), len(b))
	}
}

// simple is a table with so many rows in a store, and how to write to it.
func simple(t *testing.T, rows int) (*Store, *tableLog, *vfs.Mem) {
	t.Helper()
	fs := vfs.NewMem()
	log := &tableLog{nil}
	s := log.replay(t, fs, Options{})
	w := &tableWriter{t: t, rng: rand.New(rand.NewPCG(1, 2)), model: model{}}
	ws := &table.WriteSet{}
	w.create(ws)
	ws.Ops = ws.Ops[:1]
	ws.Ops = append(ws.Ops, table.Op{Kind: table.OpInsert, Table: table.Fresh, Version: 1, Columns: []uint32{1, 2}, Batch: numbered(0, rows)})
	log.must(t, s, ws)
	return s, log, fs
}

func numbered(from, n int) *vec.Batch {
	b := &vec.Batch{Rows: n, Cols: []*vec.Vector{{Type: vec.T(vec.Text)}, {Type: vec.T(vec.Int8)}}}
	for i := range n {
		b.Cols[0].Str.AppendString(fmt.Sprintf("row %d", from+i))
		b.Cols[1].I64 = append(b.Cols[1].I64, int64(from+i))
	}
	return b
}

func (l *tableLog) write(s *Store, ws *table.WriteSet) error {
	*l = append(*l, table.AppendWriteSet(nil, ws))
	_, err := l.apply(s, uint64(len(*l)))
	return err
}

func (l *tableLog) must(t *testing.T, s *Store, ws *table.WriteSet) {
	t.Helper()
	if err := l.write(s, ws); err != nil {
		t.Fatal(err)
	}
}

// A write set that does not fit what is there any more changes nothing at all.
func TestTableConflicts(t *testing.T) {
	s, log, _ := simple(t, 10)
	defer s.Close()
	insert := table.Op{Kind: table.OpInsert, Table: 1, Version: 1, Columns: []uint32{1, 2}, Batch: numbered(100, 1)}
	remove := func(rows ...uint32) table.Op {
		return table.Op{Kind: table.OpDelete, Table: 1, Version: 1, Rows: roaring.BitmapOf(rows...)}
	}
	other := &table.Schema{Name: "t0", Version: 1}
	log.must(t, s, &table.WriteSet{Ops: []table.Op{remove(3)}})
	before := contents(t, s)
	for _, c := range []struct {
		what string
		last table.Op
	}{
		{"a row that is deleted", remove(3)},
		{"a row that never was", remove(12)},
		{"a table that is not there", table.Op{Kind: table.OpDrop, Table: 2, Version: 1}},
		{"a table of another transaction", table.Op{Kind: table.OpDrop, Table: table.Fresh, Version: 1}},
		{"another version", table.Op{Kind: table.OpTruncate, Table: 1, Version: 2}},
		{"a name that is taken", table.Op{Kind: table.OpCreate, Table: table.Fresh, Schema: other}},
		{"rows in a table that must be empty", table.Op{Kind: table.OpAlter, Table: 1, Version: 1, Schema: other, IfEmpty: true}},
		{"an own row that is not there", table.Op{Kind: table.OpDelete, Table: 1, Version: 1, Own: roaring.BitmapOf(1)}},
	} {
		err := log.write(s, &table.WriteSet{Ops: []table.Op{insert, remove(0), c.last}})
		var conflict *table.ConflictError
		if !errors.As(err, &conflict) {
			t.Errorf("%s: error %v, want a conflict", c.what, err)
		}
		if got := contents(t, s); !maps.EqualFunc(got, before, slices.Equal) {
			t.Errorf("%s: left %v", c.what, got)
		}
	}
}

// A transaction in parts is seen at its end, whole; one that ends otherwise, or is silent for
// long, never was.
func TestTableStages(t *testing.T) {
	s, log, fs := simple(t, 1)
	part := func(txn byte, stage table.Stage, ops ...table.Op) *table.WriteSet {
		return &table.WriteSet{Stage: stage, Txn: table.Txn{txn}, Ops: ops}
	}
	insert := func(id uint32, from, n int) table.Op {
		return table.Op{Kind: table.OpInsert, Table: id, Version: 1, Columns: []uint32{1, 2}, Batch: numbered(from, n)}
	}
	made := &table.Schema{Name: "made", Version: 1}
	made.Add(table.Column{Name: "a", Type: vec.T(vec.Text)})
	made.Add(table.Column{Name: "b", Type: vec.T(vec.Int8)})
	create := table.Op{Kind: table.OpCreate, Table: table.Fresh, Schema: made}
	before := contents(t, s)
	same := func(what string) {
		t.Helper()
		if got := contents(t, s); !maps.EqualFunc(got, before, slices.Equal) {
			t.Fatalf("%s: %v, want %v", what, got, before)
		}
	}
	log.must(t, s, part(1, table.Part, create, insert(table.Fresh, 0, 5)))
	log.must(t, s, part(2, table.Part, insert(1, 10, 3)))
	log.must(t, s, part(1, table.Part, insert(1, 20, 2), insert(table.Fresh, 5, 5)))
	same("parts")
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	same("flushed parts")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = log.replay(t, fs, Options{})
	defer func() { s.Close() }()
	same("reopened parts")
	log.must(t, s, part(2, table.Abort))
	same("abort")
	own := roaring.BitmapOf(0, 9)
	log.must(t, s, part(1, table.Last, table.Op{Kind: table.OpDelete, Table: table.Fresh, Version: 1, Own: own}))
	if got := contents(t, s); len(got["made"]) != 1+8 || len(got["t0"]) != 1+3 {
		t.Fatalf("after the last part: %v", got)
	}
	before = contents(t, s)
	// What was abandoned stays so: its last part has nothing to show.
	log.must(t, s, part(2, table.Last))
	same("last part after abort")
	log.must(t, s, part(3, table.Part, insert(1, 30, 1)))
	*log = append(*log, table.AppendWriteSet(nil, part(4, table.Abort)))
	ws, err := table.DecodeWriteSet((*log)[len(*log)-1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ApplyTables(uint64(len(*log)), 1<<40, 1, ws); err != nil {
		t.Fatal(err)
	}
	log.must(t, s, part(3, table.Last))
	same("last part after ten minutes")
}

// A crash at any step of flushes leaves a store that, with the log, has everything.
func TestTableCrashAtEveryStep(t *testing.T) {
	log := tableLog{nil}
	w := &tableWriter{t: t, rng: rand.New(rand.NewPCG(3, 3)), model: model{}, small: true}
	plain := log.replay(t, vfs.NewMem(), Options{})
	for range 12 {
		log = append(log, table.AppendWriteSet(nil, w.on(plain)))
		if _, err := log.apply(plain, uint64(len(log))); err != nil {
			t.Fatal(err)
		}
	}
	want := contents(t, plain)
	if err := plain.Close(); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		fs := vfs.NewMem()
		var armed atomic.Bool // the flusher goes on beside the test
		var steps atomic.Int64
		fs.Hook = func(op, name string) error {
			if armed.Load() && steps.Add(1) >= int64(n) {
				return errors.New("power")
			}
			return nil
		}
		s, err := Open(fs, "d", Options{})
		if err != nil {
			t.Fatal(err)
		}
		armed.Store(true)
		failed := false
		for i := uint64(1); i <= uint64(len(log)) && !failed; i++ {
			log.apply(s, i) // may be refused: nothing is written here
			if i%4 == 0 {
				failed = s.Flush(context.Background()) != nil
			}
		}
		for seed := range uint64(2) {
			var rng *rand.Rand
			if seed > 0 {
				rng = rand.New(rand.NewPCG(seed, uint64(n)))
			}
			back := log.replay(t, fs.Crash(rng), Options{})
			if got := contents(t, back); !maps.EqualFunc(got, want, slices.Equal) {
				t.Fatalf("step %d, seed %d: tables are not what the log says", n, seed)
			}
			if err := back.Close(); err != nil {
				t.Fatal(err)
			}
		}
		armed.Store(false)
		s.Close() // after a failure nothing of it matters
		if steps.Load() < int64(n) {
			return
		}
	}
}

// Files of a dropped table, and those that a merge replaced, go.
func TestTableFilesGo(t *testing.T) {
	s, log, fs := simple(t, 100)
	defer s.Close()
	files := func() int {
		t.Helper()
		if err := s.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		names, err := fs.List("d/segments")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	for i := range 20 {
		log.must(t, s, &table.WriteSet{Ops: []table.Op{{Kind: table.OpInsert, Table: 1, Version: 1, Columns: []uint32{1, 2}, Batch: numbered(100+10*i, 10)}}})
		if n := files(); n > 4 {
			t.Fatalf("%d files after %d flushes of ten rows, want at most 4", n, i+2)
		}
	}
	sn, err := s.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	old := sn.Tables().Table(1)
	dead := roaring.New()
	dead.AddRange(0, 250)
	log.must(t, s, &table.WriteSet{Ops: []table.Op{{Kind: table.OpDelete, Table: 1, Version: 1, Rows: dead}}})
	files()
	total := 0
	for _, seg := range s.Tables(1).Table(1).Segments {
		total += seg.Rows()
	}
	if total != 50 {
		t.Errorf("segments hold %d rows after a flush, want the 50 that are there", total)
	}
	log.must(t, s, &table.WriteSet{Ops: []table.Op{{Kind: table.OpDrop, Table: 1, Version: 1}}})
	files()
	rows := 0
	eachRow(t, old, func(uint32, []string) { rows++ })
	if rows != 300 {
		t.Errorf("the old snapshot reads %d rows, want 300", rows)
	}
	sn.Release()
	if n := files(); n != 0 {
		t.Errorf("%d files are left of a dropped table", n)
	}
}

// The proof that persons are erased passes by the segments of user tables.
func TestErasureBesideTables(t *testing.T) {
	s, _, fs := simple(t, 10)
	defer s.Close()
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	r, err := VerifyErased(fs, "d")
	if err != nil || len(r.Erasures) != 0 {
		t.Errorf("VerifyErased = %+v, %v", r, err)
	}
}

// What queries decode of encoded rows is kept if a budget bounds it, and counted there.
func TestDecodedRowsAreBounded(t *testing.T) {
	schema := &table.Schema{Version: 1, Name: "t"}
	schema.Add(table.Column{Name: "n", Type: vec.T(vec.Int8)})
	b := &vec.Batch{Rows: 2000, Cols: []*vec.Vector{{Type: vec.T(vec.Int8), I64: make([]int64, 2000)}}}
	log := tableLog{nil, table.AppendWriteSet(nil, &table.WriteSet{Ops: []table.Op{
		{Kind: table.OpCreate, Table: table.Fresh, Schema: schema},
		{Kind: table.OpLoad, Table: table.Fresh, Version: 1, Columns: []uint32{1}, Encoded: table.Encode(b)},
	}})}
	for _, budget := range []*memory.Budget{nil, memory.NewBudget(1 << 30)} {
		s := log.replay(t, vfs.NewMem(), Options{Memory: budget})
		sn, err := s.Snapshot(1)
		if err != nil {
			t.Fatal(err)
		}
		read := func() *vec.Vector {
			v := sn.Tables().List()[0]
			c, err := v.Pieces()[0].Column(&v.Schema.Columns[0])
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		kept := read() == read()
		if used := budget.Pool(memory.Decoded).Used(); kept != (budget != nil) || used > 0 != kept {
			t.Errorf("with a budget %v: kept %v, %d bytes are counted", budget != nil, kept, used)
		}
		sn.Release()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
