package session

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/pgcatalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// cursor is what DECLARE adds to a portal: a place among its rows, and perhaps the rows.
//
// One with NO SCROLL is a stream: it keeps no row, and does not go back. One that says nothing
// keeps its rows until there are too many, as leanBytes says, and goes back among them; then it is
// a stream, and goes back to its start alone, by running its query again in the state that it has
// pinned: rows without an order may come in another one then.
type cursor struct {
	portal  *Portal
	decl    *ast.DeclareCursor
	created time.Time
	// at is the row where it stands, from 1 on; 0 is before the first, and one more than
	// there are is behind the last.
	at int64
	// keeps says that it keeps what it has read, after the first base rows: kept, and how
	// many rows are in front of each batch.
	keeps bool
	// lean says that it becomes a stream when it has kept too much, full that it has.
	lean, full bool

	base   int64
	kept   []*vec.Batch
	before []int64
	bytes  int64
	// held says that the transaction that has declared it is committed.
	held bool
}

// leanBytes is how much a cursor keeps of which nobody has said that it scrolls. It is enough for
// somebody who looks at rows, and little for who has a cursor for each of many tables.
const leanBytes = 1 << 20

// declare is DECLARE: the query begins to run at once, and is read by FETCH.
func (p *Portal) declare(st *sql.Statement, params []*vec.Vector, types []vec.Type) error {
	s, d := p.session, st.Command.Cursor
	name := d.Name.Name
	switch {
	case !d.Hold && !s.keeps():
		return pgerr.New(pgerr.NoActiveTransaction, "DECLARE CURSOR can only be used in transaction blocks").
			WithHint("Begin a transaction, or declare the cursor WITH HOLD.")
	case s.portals[name] != nil:
		return pgerr.New(pgerr.DuplicateCursor, `cursor "%s" already exists`, name)
	case len(s.portals) >= maxPortals:
		return tooManyPortals()
	}
	c := &cursor{decl: d, created: s.now, keeps: d.Scroll != ast.ScrollNo, lean: d.Scroll == ast.ScrollDefault && !d.Hold}
	c.portal = s.portal(&Prepared{Text: p.text, Stmt: d.Query, Params: types}, params)
	c.portal.Name, c.portal.cursor, c.portal.started = name, c, true
	err := c.work(p.ctx, func() error {
		if err := c.portal.run(c.portal.prepared, params); err != nil {
			return err
		}
		if d.Hold && !s.keeps() {
			return c.hold(c.portal.ctx)
		}
		return nil
	})
	if err != nil {
		c.portal.Close()
		return err
	}
	s.add(c.portal)
	p.tag, p.done = st.Tag, true
	return nil
}

// work does something with the rows of the cursor, which ends when ctx does.
func (c *cursor) work(ctx context.Context, do func() error) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	err = do()
	leave(err)
	return err
}

// enter has the query of the cursor run for a statement, until leave is called with what came
// of it. When ctx ends, the cursor does, too.
func (c *cursor) enter(ctx context.Context) (leave func(error), err error) {
	stop := context.AfterFunc(ctx, func() { c.portal.cancel(context.Cause(ctx)) })
	if q := c.portal.query; q != nil && !c.portal.done {
		if _, err := q.enter(c.portal.ctx, true); err != nil {
			stop()
			q.leave() // it waits no longer
			return nil, err
		}
	}
	return func(err error) {
		stop()
		if q := c.portal.query; q != nil {
			q.leave()
			if err != nil || c.portal.done {
				q.end(err)
			}
		}
	}, nil
}

// hold reads all rows, so that the cursor needs its transaction no longer.
func (c *cursor) hold(ctx context.Context) error {
	if !c.keeps {
		c.keeps, c.base = true, c.at
	}
	for {
		if more, err := c.read(); err != nil || !more {
			c.portal.again = nil
			c.portal.finish()
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
}

// read keeps the next rows of the query; false says that there are none.
func (c *cursor) read() (more bool, err error) {
	b, lo, hi, err := c.portal.take(0)
	if b == nil || err != nil {
		return false, err
	}
	for part := range pieces(liveRows(b, lo, hi).Compact(), false, false) {
		size := int64(0)
		for _, v := range part.Cols {
			size += v.Bytes() + v.Dict.Bytes()
		}
		s := c.portal.session
		c.full = c.lean && (c.bytes+size > leanBytes || s.cursorBytes+size > s.cursorLimit/2)
		if s.cursorBytes+size > s.cursorLimit && !c.lean {
			return false, pgerr.New(pgerr.ProgramLimitExceeded, "the cursors of a session keep at most %d MB of rows", s.cursorLimit>>20).
				WithHint("Declare cursors NO SCROLL and WITHOUT HOLD, or close some.")
		}
		if err := s.hold(size, 0); err != nil && !c.lean {
			return false, err
		} else if err != nil {
			c.full = true
		}
		s.cursorBytes += size
		c.bytes += size
		c.before = append(c.before, c.count())
		c.kept = append(c.kept, part)
	}
	return true, nil
}

// liveRows is the live rows lo to hi of a batch.
func liveRows(b *vec.Batch, lo, hi int) *vec.Batch {
	rows := make([]uint32, hi-lo)
	for i := range rows {
		rows[i] = uint32(lo + i)
		if b.Sel != nil {
			rows[i] = b.Sel[lo+i]
		}
	}
	return &vec.Batch{Rows: b.Rows, Sel: rows, Cols: b.Cols}
}

// count is how many rows were read.
func (c *cursor) count() int64 {
	n := len(c.kept)
	if n == 0 {
		return c.base
	}
	return c.before[n-1] + int64(c.kept[n-1].Rows)
}

// has says whether there is a row, having read that far.
func (c *cursor) has(row int64) (bool, error) {
	for c.count() < row {
		if more, err := c.read(); !more || err != nil {
			return false, err
		}
	}
	return row > c.base, nil
}

// forget gives back what the cursor keeps.
func (c *cursor) forget() {
	c.portal.session.cursorBytes -= c.bytes
	c.kept, c.before, c.bytes = nil, nil, 0
	c.portal.session.settleMemory()
}

// scrolls says whether the cursor goes backwards.
func (c *cursor) scrolls() bool { return c.keeps && c.decl.Scroll != ast.ScrollNo }

func onlyForward() error {
	return pgerr.New(pgerr.ObjectNotInState, "cursor can only scan forward").
		WithHint("Declare it with SCROLL option to enable backward scan.")
}

// fetch gives the rows that FETCH asks for, and moves the cursor as they are read.
func (c *cursor) fetch(f *ast.FetchCursor) (Rows, error) {
	r := &fetchRows{cursor: c, left: f.Count, back: f.Direction == ast.FetchBackward}
	if f.All {
		r.left = math.MaxInt64
	}
	switch {
	case f.Direction == ast.FetchAbsolute:
		return c.absolute(r, f.Count)
	case f.Count == 0 && !f.All:
		return c.here()
	case f.Direction == ast.FetchRelative && f.Count > 0:
		r.left = 1
		return r, c.seek(c.at + f.Count - 1)
	case f.Direction == ast.FetchRelative:
		if !c.scrolls() {
			return nil, onlyForward()
		}
		return c.absolute(r, max(c.at+f.Count, 0))
	}
	if r.left < 0 {
		r.left, r.back = -r.left, !r.back
	}
	if r.back && !c.scrolls() {
		return nil, onlyForward()
	}
	return r, nil
}

// absolute goes to the n-th row, from the end if n is below zero, and has r give it.
func (c *cursor) absolute(r *fetchRows, n int64) (Rows, error) {
	r.left = 1
	if n < 0 {
		if c.lean && c.keeps {
			if err := c.skip(math.MaxInt64); err != nil {
				return nil, err
			}
		}
		if !c.scrolls() {
			return nil, onlyForward()
		}
		if _, err := c.has(math.MaxInt64); err != nil {
			return nil, err
		}
		if n += c.count() + 1; n < 0 {
			n = 0
		}
	}
	if n == 0 {
		r.left = 0
	}
	return r, c.seek(max(n-1, 0))
}

// seek goes to a row, or behind the last.
func (c *cursor) seek(row int64) error {
	if c.keeps && (row >= c.at || c.scrolls()) && (!c.lean || row <= c.count()) {
		c.at = row
		if row > 0 {
			if there, err := c.has(row); err != nil {
				return err
			} else if !there {
				c.at = c.count() + 1
			}
		}
		return nil
	}
	if row < c.at {
		if c.decl.Scroll == ast.ScrollNo {
			return onlyForward()
		}
		if err := c.portal.rewind(); err != nil {
			return err
		}
		c.at = 0
	}
	return c.skip(row - c.at)
}

// skip passes over so many rows.
func (c *cursor) skip(rows int64) error {
	over := &fetchRows{cursor: c, left: rows}
	for {
		if b, err := over.Next(c.portal.ctx); b == nil || err != nil {
			return err
		}
	}
}

// here gives the row where the cursor stands.
func (c *cursor) here() (Rows, error) {
	one := func(b *vec.Batch, row int) (Rows, error) {
		return &fixedRows{[]*vec.Batch{liveRows(b, row, row+1)}}, nil
	}
	switch {
	case c.keeps:
		if there, err := c.has(c.at); err != nil || !there {
			return &fixedRows{}, err
		}
		b, row := c.find(c.at)
		return one(b, row)
	case c.portal.batch == nil || c.portal.pos == 0: // before the first, or behind the last
		return &fixedRows{}, nil
	}
	return one(c.portal.batch, c.portal.pos-1)
}

// find is where a row is that was kept.
func (c *cursor) find(row int64) (*vec.Batch, int) {
	i, found := slices.BinarySearch(c.before, row-1)
	if !found {
		i--
	}
	return c.kept[i], int(row - 1 - c.before[i])
}

// fetchRows gives rows of a cursor one way, which moves it.
type fetchRows struct {
	cursor *cursor
	left   int64
	back   bool
	leave  func(error) // of the cursor; nil if nobody has entered it
	err    error
}

// Next implements Rows.
func (r *fetchRows) Next(context.Context) (b *vec.Batch, err error) {
	if r.left == 0 {
		return nil, nil
	}
	c := r.cursor
	switch {
	case !c.keeps:
		b, err = r.stream()
	case r.back:
		b = r.backward()
	default:
		b, err = r.forward()
	}
	r.err = err
	return b, err
}

// stream passes on rows of the query.
func (r *fetchRows) stream() (*vec.Batch, error) {
	c := r.cursor
	b, lo, hi, err := c.portal.take(int(min(r.left, math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	if b == nil {
		if !c.portal.behind {
			c.portal.behind = true
			c.at++
		}
		r.left = 0
		return nil, nil
	}
	r.left -= int64(hi - lo)
	c.at += int64(hi - lo)
	return liveRows(b, lo, hi), nil
}

func (r *fetchRows) forward() (*vec.Batch, error) {
	c := r.cursor
	if c.full && c.at == c.count() {
		c.forget()
		c.keeps = false
		return r.stream()
	}
	if there, err := c.has(c.at + 1); err != nil {
		return nil, err
	} else if !there {
		c.at, r.left = c.count()+1, 0
		return nil, nil
	}
	b, from := c.find(c.at + 1)
	n := min(int64(b.Rows-from), r.left)
	r.left -= n
	c.at += n
	return liveRows(b, from, from+int(n)), nil
}

func (r *fetchRows) backward() *vec.Batch {
	c := r.cursor
	if c.at-1 <= c.base {
		c.at, r.left = c.base, 0
		return nil
	}
	b, from := c.find(c.at - 1)
	rows := make([]uint32, min(int64(from+1), r.left))
	for i := range rows {
		rows[i] = uint32(from - i)
	}
	r.left -= int64(len(rows))
	c.at -= int64(len(rows))
	out := &vec.Batch{Rows: len(rows)}
	for _, v := range b.Cols {
		out.Cols = append(out.Cols, v.Take(rows))
	}
	return out
}

// Close implements Rows.
func (r *fetchRows) Close() error {
	if r.leave != nil {
		r.leave(r.err)
		r.leave = nil
	}
	return nil
}

// fetch is FETCH and MOVE.
func (p *Portal) fetch(st *sql.Statement) error {
	f := st.Command.Fetch
	c, err := p.session.cursor(f.Name.Name)
	if err != nil {
		return err
	}
	leave, err := c.enter(p.ctx)
	if err != nil {
		return err
	}
	rows, err := c.fetch(f)
	if err != nil || f.Move {
		n := int64(0)
		for err == nil {
			var b *vec.Batch
			if b, err = rows.Next(p.ctx); b == nil {
				break
			}
			n += int64(b.Live())
		}
		leave(err)
		p.done, p.word, p.moved = true, st.Tag, n
		return err
	}
	if r, ok := rows.(*fetchRows); ok {
		r.leave = leave
	} else {
		leave(nil)
	}
	p.Schema, p.rows, p.word = c.portal.Schema, rows, st.Tag
	if c.decl.Binary && p.Formats == nil {
		p.Formats = []int16{1}
	}
	return nil
}

// cursor finds a cursor.
func (s *Session) cursor(name string) (*cursor, error) {
	if p := s.portals[name]; p != nil && p.cursor != nil {
		return p.cursor, nil
	}
	return nil, pgerr.New(pgerr.UndefinedCursor, `cursor "%s" does not exist`, name)
}

// closeCursor is CLOSE.
func (s *Session) closeCursor(c *sql.CommandSpec) error {
	if !c.All {
		if _, err := s.cursor(c.Name); err != nil {
			return err
		}
		s.ClosePortal(c.Name)
		return nil
	}
	for name, p := range s.portals {
		if p.cursor != nil {
			s.ClosePortal(name)
		}
	}
	return nil
}

// holdCursors has the cursors WITH HOLD outlive their transaction, which is about to commit.
func (s *Session) holdCursors(ctx context.Context) error {
	for _, p := range s.portals {
		c := p.cursor
		if c == nil || c.held || !c.decl.Hold {
			continue
		}
		if err := c.work(ctx, func() error { return c.hold(ctx) }); err != nil {
			return explain(ctx, err)
		}
		c.held = true
	}
	return nil
}

// listCursors is the rows of pg_cursors.
func (s *Session) listCursors() []pgcatalog.Cursor {
	var out []pgcatalog.Cursor
	for _, p := range s.portals {
		if c := p.cursor; c != nil {
			out = append(out, pgcatalog.Cursor{Name: p.Name, Statement: ast.Format(c.decl), Holdable: c.decl.Hold, Binary: c.decl.Binary,
				Scrollable: c.scrolls(), Created: c.created.UnixMicro()})
		}
	}
	slices.SortFunc(out, func(a, b pgcatalog.Cursor) int { return strings.Compare(a.Name, b.Name) })
	return out
}
