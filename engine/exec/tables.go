package exec

import (
	"fmt"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// tableBatches reads a table of persons whole. Both list only persons with a profile.
func tableBatches(n *plan.Scan, env *Env) ([]*vec.Batch, error) {
	var build func(plan.ScanColumn) (*vec.Vector, error)
	var rows int
	switch n.Table.Name {
	case "persons":
		ordinals := profiles(env)
		rows = len(ordinals)
		build = func(c plan.ScanColumn) (*vec.Vector, error) { return personColumn(c, ordinals, env) }
	case "person_distinct_ids":
		ids, roots := distinctIDs(env)
		rows = len(roots)
		build = func(c plan.ScanColumn) (*vec.Vector, error) {
			if c.Column == "distinct_id" {
				return ids, nil
			}
			return &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Dict, Dict: env.Snapshot.Persons().UUIDVector(), Codes: roots}, nil
		}
	default:
		return nil, fmt.Errorf("table %q has no reader", n.Table.Name)
	}
	b := &vec.Batch{Rows: rows}
	for _, c := range n.Columns {
		v, err := build(c)
		if err != nil {
			return nil, err
		}
		b.Cols = append(b.Cols, v)
	}
	env.Progress.Rows.Add(int64(rows))
	return []*vec.Batch{b}, nil
}

// profiles lists the ordinals of persons that have a profile and were not merged away.
func profiles(env *Env) []uint32 {
	persons, identity := env.Snapshot.Persons(), env.Snapshot.Identity()
	var out []uint32
	for o := range uint32(persons.Len()) {
		if persons.HasProfile(o) && identity.Root(o) == o {
			out = append(out, o)
		}
	}
	return out
}

func personColumn(c plan.ScanColumn, ordinals []uint32, env *Env) (*vec.Vector, error) {
	persons := env.Snapshot.Persons()
	switch c.Column {
	case "id":
		return &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Dict, Dict: persons.UUIDVector(), Codes: ordinals}, nil
	case "created_at":
		v := &vec.Vector{Type: vec.T(vec.TimestampTZ), I64: make([]int64, len(ordinals))}
		for i, o := range ordinals {
			v.I64[i] = persons.CreatedAt(o)
		}
		return v, nil
	case "is_identified":
		v := &vec.Vector{Type: vec.T(vec.Bool), Bools: make([]bool, len(ordinals))}
		for i, o := range ordinals {
			v.Bools[i] = persons.IsIdentified(o)
		}
		return v, nil
	case "properties":
		v := &vec.Vector{Type: vec.T(vec.JSONB), Str: vec.MakeStrings(len(ordinals), 0)}
		for _, o := range ordinals {
			if p := persons.Properties(o); len(p) > 0 {
				v.Str.Append(p)
			} else {
				v.Str.AppendString("{}")
			}
		}
		if len(c.Path) == 0 {
			return v, nil
		}
		e, err := jsonPath(&expr.Column{Index: 0, T: v.Type}, c.Path, c.Type)
		if err != nil {
			return nil, err
		}
		return e.Eval(env.Expr, &vec.Batch{Rows: len(ordinals), Cols: []*vec.Vector{v}})
	}
	return nil, fmt.Errorf("persons has no column %q", c.Column)
}

// distinctIDs lists the distinct ids of persons with a profile, and whose they are now.
func distinctIDs(env *Env) (*vec.Vector, []uint32) {
	persons, identity := env.Snapshot.Persons(), env.Snapshot.Identity()
	ids := vec.NewBuilder(vec.T(vec.Text))
	var roots []uint32
	for id, o := range persons.DistinctIDs() {
		root := identity.Root(o)
		if !persons.HasProfile(root) {
			continue
		}
		ids.V.Str.AppendString(string(id))
		roots = append(roots, root)
	}
	return ids.V, roots
}
