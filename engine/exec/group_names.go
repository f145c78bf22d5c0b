package exec

import (
	"fmt"
	"sync"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// groupReader reads something of the group of a type that an event names by its key:
// group_0.properties, group_0.created_at. An event without a group, or with one that
// nothing is known of, has NULL.
func groupReader(index int, column string, c plan.ScanColumn, env *Env) (columnReader, error) {
	name := fmt.Sprintf("group_%d", index)
	keys, err := propertyReader(propertyColumns[name], plan.ScanColumn{Column: name, Type: vec.T(vec.Text)}, env)
	if err != nil {
		return nil, err
	}
	g := &groupNames{index: index, env: env, seen: map[*vec.Vector]*vec.Vector{}}
	switch column {
	case "created_at":
		g.read = g.created
	case "properties":
		if len(c.Path) > 0 {
			if g.path, err = jsonPath(&expr.Column{Index: 0, T: vec.T(vec.JSONB)}, c.Path, c); err != nil {
				return nil, err
			}
		}
		g.read = g.properties
	default:
		return nil, fmt.Errorf("groups have no column %q", column)
	}
	return func(a *vec.Arena, m morsel, lo, hi int) (*vec.Vector, error) {
		key, err := keys(a, m, lo, hi)
		if err != nil {
			return nil, err
		}
		return g.of(key, hi-lo)
	}, nil
}

// groupNames finds groups by their keys, once for each entry of a dictionary.
type groupNames struct {
	index int
	env   *Env
	path  expr.Expr // into properties; nil: all of them
	read  func(keys *vec.Vector, rows int) (*vec.Vector, error)
	mu    sync.Mutex
	seen  map[*vec.Vector]*vec.Vector // by dictionary of keys
}

// of reads the groups of a column of keys.
func (g *groupNames) of(keys *vec.Vector, rows int) (*vec.Vector, error) {
	switch keys.Form {
	case vec.Const:
		v, err := g.read(keys, 1)
		if err != nil {
			return nil, err
		}
		return v.Take(make([]uint32, rows)), nil
	case vec.Flat:
		return g.read(keys, rows)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	dict, ok := g.seen[keys.Dict]
	if !ok {
		var err error
		if dict, err = g.read(keys.Dict, keys.Dict.Len()); err != nil {
			return nil, err
		}
		if dict.Form != vec.Flat {
			dict = dict.Flatten(keys.Dict.Len())
		}
		g.seen[keys.Dict] = dict
	}
	return &vec.Vector{Type: dict.Type, Form: vec.Dict, Dict: dict, Codes: keys.Codes, Nulls: keys.Nulls}, nil
}

// ordinal finds the group of a row.
func (g *groupNames) ordinal(keys *vec.Vector, row int) (uint32, bool) {
	if keys.IsNull(row) {
		return 0, false
	}
	v, i := keys.At(row)
	return g.env.Snapshot.Groups().Find(g.index, v.Str.At(i))
}

func (g *groupNames) created(keys *vec.Vector, rows int) (*vec.Vector, error) {
	groups := g.env.Snapshot.Groups()
	v := &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: make([]int64, rows)}
	for i := range rows {
		if o, ok := g.ordinal(keys, i); ok {
			v.I64[i] = groups.CreatedAt(g.index, o)
			continue
		}
		v.Nulls = v.Nulls.Grow(rows)
		v.Nulls.Set(i)
	}
	return v, nil
}

func (g *groupNames) properties(keys *vec.Vector, rows int) (*vec.Vector, error) {
	groups := g.env.Snapshot.Groups()
	b := vec.NewBuilder(vec.T(vec.JSONB))
	for i := range rows {
		o, ok := g.ordinal(keys, i)
		if !ok {
			b.AppendNull()
			continue
		}
		if p := groups.Properties(g.index, o); len(p) > 0 {
			b.V.Str.Append(p)
		} else {
			b.V.Str.AppendString("{}")
		}
	}
	if g.path == nil {
		return b.V, nil
	}
	return g.path.Eval(g.env.Expr, &vec.Batch{Rows: rows, Cols: []*vec.Vector{b.V}})
}
