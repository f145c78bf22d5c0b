package exec

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// personPrefix begins the names of the columns that a scan of events has of each row's
// person.
const personPrefix = "person."

// personReader reads something of the person that a row belongs to now.
func personReader(c plan.ScanColumn, env *Env) (columnReader, error) {
	c.Column = strings.TrimPrefix(c.Column, personPrefix)
	read, err := personColumn(c, env)
	if err != nil {
		return nil, err
	}
	roots := rootsReader(env)
	return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
		ordinals, err := roots(a, m, lo, hi)
		if err != nil {
			return nil, err
		}
		return read(ordinals)
	}, nil
}

// personRuns reads a column of events that is the same for all rows of a person as runs.
func personRuns(c plan.ScanColumn, env *Env) (runReader, error) {
	c.Column = strings.TrimPrefix(c.Column, personPrefix)
	if c.Column == "person_id" {
		c.Column = "id"
	}
	read, err := personColumn(c, env)
	if err != nil {
		return nil, err
	}
	identity := env.Snapshot.Identity()
	return func(_ *segment.RunRoom, m morsel, lo, hi int) (*vec.Vector, []uint32, bool, error) {
		if moved, err := m.seg.Moved(); moved != nil || err != nil {
			return nil, nil, false, err // rows of a run belong to several
		}
		var roots, ends []uint32
		for _, rng := range m.events(lo, hi) {
			runs, err := rng.Runs()
			if err != nil {
				return nil, nil, false, err
			}
			from := max(0, lowerBound(runs.Starts, uint32(lo)+1)-1)
			to := min(lowerBound(runs.Starts, uint32(hi)), len(runs.Ordinals))
			roots, ends = slices.Grow(roots, to-from), slices.Grow(ends, to-from)
			for i := from; i < to; i++ {
				roots = append(roots, identity.Root(runs.Ordinals[i]))
				ends = append(ends, min(runs.Starts[i+1], uint32(hi))-uint32(lo))
			}
		}
		v, err := read(roots)
		return v, ends, true, err
	}, nil
}

// ofPerson says whether a column of events is the same for all rows of a person.
func ofPerson(c *plan.ScanColumn) bool { return strings.HasPrefix(c.Column, personPrefix) }

// findPersons evaluates the conditions on persons for each of them. If rows are to be told, or
// if that fails for a person, who perhaps has no row that counts, they become conditions on
// rows.
func (f *rowFilter) findPersons(ctx context.Context, env *Env, rows bool) error {
	if len(f.byPerson) == 0 {
		return nil
	}
	total := env.Snapshot.Persons().Len()
	if err := env.hold(ctx, int64(total)/8); err != nil {
		return err
	}
	persons := vec.NewBitmap(total)
	var failed atomic.Bool
	mark := func(lo int, b *vec.Batch) (err error) {
		for _, e := range f.byPerson {
			if b, err = keepTrue(env.Expr, e, b); err != nil {
				failed.Store(true)
				return err
			}
		}
		var all []uint32
		rows := b.Sel
		if rows == nil {
			rows = firstRows(&all, b.Rows)
		}
		for _, r := range rows {
			persons.Set(lo + int(r)) // nobody else has persons of the same word
		}
		return nil
	}
	if !rows {
		if err := eachPerson(ctx, f.scan, f.byPerson, env, mark); err == nil || !failed.Load() {
			f.persons = persons
			return err
		}
	}
	f.byRow, f.byPerson = append(f.byRow, f.byPerson...), nil
	return nil
}

// eachPerson visits all persons in batches from lo on, by ordinal, with the columns of a scan of events
// that expressions read, on several goroutines. The columns are of persons only.
func eachPerson(ctx context.Context, sc *plan.Scan, exprs []expr.Expr, env *Env, visit func(lo int, b *vec.Batch) error) error {
	columns := make([]gather, len(sc.Columns))
	for _, e := range exprs {
		var failed error
		expr.Walk(e, func(e expr.Expr) bool {
			if c, ok := e.(*expr.Column); ok && columns[c.Index] == nil && failed == nil {
				of := sc.Columns[c.Index]
				of.Column = strings.TrimPrefix(of.Column, personPrefix)
				columns[c.Index], failed = personColumn(of, env)
			}
			return true
		})
		if failed != nil {
			return failed
		}
	}
	return intervals(ctx, env, env.Snapshot.Persons().Len(), vec.BatchRows, func(_ context.Context, _, lo, hi int) error {
		b := &vec.Batch{Rows: hi - lo, Cols: make([]*vec.Vector, len(columns))}
		for i, read := range columns {
			if read == nil {
				continue
			}
			ordinals := make([]uint32, b.Rows)
			for j := range ordinals {
				ordinals[j] = uint32(lo + j)
			}
			var err error
			if b.Cols[i], err = read(ordinals); err != nil {
				return err
			}
		}
		return visit(lo, b)
	})
}

// rootsReader reads the ordinals of the persons that rows belong to now.
func rootsReader(env *Env) func(a *vec.Arena, m morsel, lo, hi int) ([]uint32, error) {
	identity := env.Snapshot.Identity()
	return func(a *vec.Arena, m morsel, lo, hi int) ([]uint32, error) {
		out := a.Uint32s(hi - lo)
		if err := m.seg.Ordinals(out, lo, hi); err != nil {
			return nil, err
		}
		if identity.Len() > 0 {
			for i, o := range out {
				out[i] = identity.Root(o)
			}
		}
		return out, nil
	}
}

// gather reads something of the persons with the given ordinals. It takes the slice.
type gather func(ordinals []uint32) (*vec.Vector, error)

// personColumn is how to read a column of the table of persons. A person without a profile
// has no properties, and was created by the first event.
func personColumn(c plan.ScanColumn, env *Env) (gather, error) {
	persons := env.Snapshot.Persons()
	switch c.Column {
	case "id":
		uuids := persons.UUIDVector()
		return func(ordinals []uint32) (*vec.Vector, error) {
			return &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Dict, Dict: uuids, Codes: ordinals}, nil
		}, nil
	case "created_at":
		first := sync.OnceValues(func() ([]int64, error) {
			if err := env.hold(context.Background(), 8*int64(persons.Len())); err != nil {
				return nil, err
			}
			return env.Snapshot.FirstEvents()
		})
		return func(ordinals []uint32) (*vec.Vector, error) {
			v := &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: make([]int64, len(ordinals))}
			for i, o := range ordinals {
				if persons.HasProfile(o) {
					v.I64[i] = persons.CreatedAt(o)
					continue
				}
				events, err := first()
				if err != nil {
					return nil, err
				}
				if v.I64[i] = events[o]; events[o] == math.MaxInt64 {
					v.Nulls = v.Nulls.Grow(len(ordinals))
					v.Nulls.Set(i)
				}
			}
			return v, nil
		}, nil
	case "is_identified":
		return func(ordinals []uint32) (*vec.Vector, error) {
			v := &vec.Vector{Type: vec.T(vec.Bool), Bools: make([]bool, len(ordinals))}
			for i, o := range ordinals {
				v.Bools[i] = persons.IsIdentified(o)
			}
			return v, nil
		}, nil
	case "properties":
		if len(c.Path) > 0 {
			return personProperty(c, env)
		}
		return func(ordinals []uint32) (*vec.Vector, error) {
			b := vec.NewBuilder(vec.T(vec.JSONB))
			for _, o := range ordinals {
				switch p := persons.Properties(o); {
				case len(p) > 0:
					b.V.Str.Append(p)
				case persons.HasProfile(o):
					b.V.Str.AppendString("{}")
				default:
					b.AppendNull()
				}
			}
			return b.V, nil
		}, nil
	}
	return nil, fmt.Errorf("persons has no column %q", c.Column)
}

// personProperty reads a value inside the properties of persons: a dictionary vector over
// the column of all persons.
func personProperty(c plan.ScanColumn, env *Env) (gather, error) {
	as, ok := event.ReadingOf(c.Type, c.Digits)
	if !ok {
		return nil, fmt.Errorf("person property %q cannot be read as %s", c.Path[0], c.Type)
	}
	var nested expr.Expr
	if len(c.Path) > 1 {
		e, err := jsonPath(&expr.Column{Index: 0, T: vec.T(vec.JSONB)}, c.Path[1:], c)
		if err != nil {
			return nil, err
		}
		as, nested = event.ReadJSON, e
	}
	column, err := env.Snapshot.Persons().Column(c.Path[0], as, env.Expr.Location)
	if err != nil {
		return nil, err
	}
	return func(codes []uint32) (*vec.Vector, error) {
		for i, o := range codes {
			codes[i] = column.Code(o)
		}
		v := &vec.Vector{Type: as.Type(), Form: vec.Dict, Codes: codes, Dict: column.Dict}
		if nested == nil {
			return v, nil
		}
		return nested.Eval(env.Expr, &vec.Batch{Rows: len(codes), Cols: []*vec.Vector{v}})
	}, nil
}
