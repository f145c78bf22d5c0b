package session

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgcatalog"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/table"
)

// A sequence belongs to a column of a table, or, if it is temporary, perhaps to none. Numbers of it are taken by an entry of the log of
// their own, at once, whatever becomes of the transaction: so nobody waits for others, and none
// is given out twice. A statement that takes many takes more and more at a time; what it leaves
// over is for the session's next statement. Those that only the session knows, temporary ones
// and those that its transaction has made or lets go on with another number, are counted without the log, in what it
// writes.

// sequences gives the numbers of sequences to one statement.
type sequences struct {
	session *Session
	ctx     context.Context
	catalog *catalog.Catalog
	base    *table.Tables // what others see
	found   map[string]*sequence
}

// sequence is a sequence that a statement takes numbers of. The session's mutex guards it.
type sequence struct {
	name   string
	table  *table.Schema
	column *table.Column
	local  bool          // what others know of it is not what the transaction sees
	base   uint32        // version of the table for others, of one that is not local
	used   uint32        // of a local one, in this statement
	from   int64         // what the statement has set a local one to; 0: nothing
	step   uint32        // how many to take next
	busy   chan struct{} // closed when the numbers are there that somebody is taking; nil if nobody is
}

// sequenceKey is a sequence, wherever its name leads.
type sequenceKey struct{ table, column uint32 }

// numbers is what a session has left of a sequence: from next on, before end.
type numbers struct{ next, end int64 }

// maxStep bounds how many numbers are taken at a time.
const maxStep = 4096

// find finds a sequence by its name. The caller holds the mutex.
func (q *sequences) find(name string) (*sequence, error) {
	if f := q.found[name]; f != nil {
		return f, nil
	}
	parts, ok := expr.ParseIdent(name)
	if ok {
		last, schema := parts[len(parts)-1], ""
		if n := len(parts); n > 1 {
			schema = parts[n-2]
		}
		temp := schema == "" || schema == "pg_temp" || schema == catalog.TempSchema
		for _, t := range q.catalog.Sequences {
			if t.Name == last && temp {
				return q.add(name, &sequence{name: last, table: t, column: &t.Columns[0], local: true}), nil
			}
		}
		for _, temp := range []bool{true, false} {
			for _, t := range q.catalog.Tables {
				if t.Schema == nil || t.Temp() != temp || schema != "" && !t.InSchema(schema) {
					continue
				}
				for i := range t.Schema.Columns {
					if c := &t.Schema.Columns[i]; c.Sequence == last {
						if !q.may(t) {
							return nil, pgerr.New(pgerr.InsufficientPrivilege, "permission denied for sequence %s", last)
						}
						f := &sequence{name: last, table: t.Schema, column: c, step: 1}
						if f.base = q.known(t.Schema, c); temp || f.base == 0 {
							f.local = true
						}
						return q.add(name, f), nil
					}
				}
			}
		}
	}
	if ok && pgcatalog.LookUp(q.catalog, strings.Join(parts[:len(parts)-1], "."), parts[len(parts)-1], true) != nil {
		return nil, pgerr.New(pgerr.WrongObjectType, `"%s" is not a sequence`, parts[len(parts)-1])
	}
	return nil, pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, name)
}

// known is the version that a table has for others, if they see its sequence as the transaction does. It is 0
// for a table or a sequence that the transaction has made, and for a sequence that it lets go on with another number.
func (q *sequences) known(s *table.Schema, c *table.Column) uint32 {
	t := q.base.Table(s.Table)
	if t == nil {
		return 0
	}
	if shared := t.Schema.ByID(c.ID); shared == nil || shared.Sequence != c.Sequence || shared.Next != c.Next {
		return 0
	}
	return t.Schema.Version
}

// add keeps a sequence that was found by a name. It may be known by another already: public.s is s.
func (q *sequences) add(name string, f *sequence) *sequence {
	if q.found == nil {
		q.found = map[string]*sequence{}
	}
	for _, known := range q.found {
		if known.key() == f.key() {
			f = known
		}
	}
	q.found[name] = f
	return f
}

// may says whether the statement may take numbers for the rows of a table.
func (q *sequences) may(t *catalog.Table) bool {
	return t.Temp() || slices.ContainsFunc([]string{"INSERT", "UPDATE"}, func(right string) bool {
		return q.catalog.Roles.May(q.catalog.Role, right, role.Table, t.OID, t.Owner(), false)
	})
}

// next takes the next number of a sequence.
func (q *sequences) next(name string) (int64, error) {
	s := q.session
	for {
		s.mu.Lock()
		f, err := q.find(name)
		if err != nil {
			s.mu.Unlock()
			return 0, err
		}
		if n, ok := q.have(f); ok {
			most := table.LastNumber(f.column.Type)
			if n <= most {
				s.took(f.name, n)
			}
			s.mu.Unlock()
			if n > most {
				return 0, pgerr.New(pgerr.SequenceLimit, `nextval: reached maximum value of sequence "%s" (%d)`, f.name, most)
			}
			return n, nil
		}
		if busy := f.busy; busy != nil {
			s.mu.Unlock()
			select {
			case <-busy:
				continue
			case <-q.ctx.Done():
				return 0, context.Cause(q.ctx)
			}
		}
		f.busy = make(chan struct{})
		step := f.step
		s.mu.Unlock()
		receipt, err := s.config.Engine.Write(q.ctx, s.config.Project, &storage.Commit{Tables: &table.WriteSet{Ops: []table.Op{
			{Kind: table.OpAdvance, Table: f.table.Table, Version: f.base, Column: f.column.ID, Count: step}}}})
		s.mu.Lock()
		if err == nil && receipt.First > 0 { // otherwise the numbers are lost: there are others
			s.left[f.key()] = numbers{receipt.First, receipt.First + int64(step)}
			f.step = min(2*step, maxStep)
		}
		close(f.busy)
		f.busy = nil
		s.mu.Unlock()
		if err != nil {
			return 0, clusterError(err)
		}
	}
}

// set lets a sequence go on with a number, or behind one that was called. Like a number that is
// taken, that does not wait for the transaction.
func (q *sequences) set(name string, n int64, called bool) error {
	s := q.session
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := q.find(name)
	if err != nil {
		return err
	}
	switch most := table.LastNumber(f.column.Type); {
	case n < 1 || n > most:
		return pgerr.New(pgerr.NumericOutOfRange, `setval: value %d is out of bounds for sequence "%s" (1..%d)`, n, f.name, most)
	case !f.table.Temp && s.Settings.On("transaction_read_only"):
		return pgerr.New(pgerr.ReadOnlyTransaction, "cannot execute setval() in a read-only transaction")
	}
	next := n
	if called && n < math.MaxInt64 {
		next++
	}
	if f.local {
		f.from, f.used = next, 0
	} else {
		s.mu.Unlock()
		_, err = s.config.Engine.Write(q.ctx, s.config.Project, &storage.Commit{Tables: &table.WriteSet{Ops: []table.Op{
			{Kind: table.OpRestart, Table: f.table.Table, Version: f.base, Column: f.column.ID, Next: next}}}})
		s.mu.Lock()
		if err != nil {
			return clusterError(err)
		}
		delete(s.left, f.key())
	}
	if called {
		s.last[f.name] = n
	}
	return nil
}

func (f *sequence) key() sequenceKey { return sequenceKey{f.table.Table, f.column.ID} }

// have gives a number that needs no log. The caller holds the mutex.
func (q *sequences) have(f *sequence) (int64, bool) {
	if f.local {
		first := f.column.Next
		if f.from > 0 {
			first = f.from
		}
		f.used++
		return first + int64(f.used) - 1, true
	}
	left := q.session.left[f.key()]
	if left.next >= left.end {
		return 0, false
	}
	left.next++
	q.session.left[f.key()] = left
	return left.next - 1, true
}

// took notes the last number of a sequence, and of all. The caller holds the mutex.
func (s *Session) took(name string, n int64) { s.last[name], s.last[""] = n, n }

// forget has the session take no more of the numbers that it has left of a sequence.
func (s *Session) forget(k sequenceKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.left, k)
}

// last is currval, and lastval for the empty name.
func (q *sequences) last(name string) (n int64, ok bool, err error) {
	s := q.session
	s.mu.Lock()
	defer s.mu.Unlock()
	of := ""
	if name != "" {
		f, err := q.find(name)
		if err != nil {
			return 0, false, err
		}
		of = f.name
	}
	n, ok = s.last[of]
	return n, ok, nil
}

// finish writes down how many numbers of local sequences were taken: into what the transaction
// writes, or what changes temporary tables.
func (q *sequences) finish(into, temp *writes) {
	if q == nil {
		return
	}
	q.session.mu.Lock()
	defer q.session.mu.Unlock()
	for _, f := range q.found {
		o := table.Op{Kind: table.OpAdvance, Table: f.table.Table, Version: f.table.Version, Column: f.column.ID, Count: f.used}
		if f.from > 0 {
			o.Kind, o.Count, o.Next = table.OpRestart, 0, f.from+int64(f.used)
		} else if f.used == 0 {
			continue
		}
		f.used, f.from = 0, 0
		if f.table.Temp {
			temp.add(o)
			continue
		}
		if o.Table > q.base.LastID() {
			o.Table = table.Fresh + o.Table - q.base.LastID() - 1
		}
		into.add(o)
	}
}

// end is finish for a statement that writes nothing else.
func (q *sequences) end() error {
	var into, temp writes
	q.finish(&into, &temp)
	if len(into.ops) == 0 && len(temp.ops) == 0 {
		return nil
	}
	s := q.session
	for _, o := range into.ops { // it has made or changed the table, so it has written
		s.writes.add(o)
	}
	next, _, err := s.temporaries().Apply(&table.WriteSet{Ops: temp.ops}, 0, 0)
	if err == nil && len(temp.ops) > 0 {
		s.temp = next
	}
	return err
}
