package exec

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/event"
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
	return func(m morsel, lo, hi int) (*vec.Vector, error) {
		ordinals, err := roots(m, lo, hi)
		if err != nil {
			return nil, err
		}
		return read(ordinals)
	}, nil
}

// rootsReader reads the ordinals of the persons that rows belong to now.
func rootsReader(env *Env) func(m morsel, lo, hi int) ([]uint32, error) {
	identity := env.Snapshot.Identity()
	return func(m morsel, lo, hi int) ([]uint32, error) {
		out := make([]uint32, hi-lo)
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
