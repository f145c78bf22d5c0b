package exec

import (
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/vec"
)

// tableBatches reads a table of persons or groups whole. Those of persons list only whom has
// a profile.
func tableBatches(n *plan.Scan, env *Env) ([]*vec.Batch, error) {
	var build func(plan.ScanColumn) (*vec.Vector, error)
	var rows int
	switch n.Table.Name {
	case "persons":
		ordinals := profiles(findWhose(n.Whose, env), env)
		rows = len(ordinals)
		build = func(c plan.ScanColumn) (*vec.Vector, error) {
			read, err := personColumn(c, env)
			if err != nil {
				return nil, err
			}
			return read(slices.Clone(ordinals))
		}
	case "person_distinct_ids":
		ids, roots := distinctIDs(findWhose(n.Whose, env), env)
		rows = len(roots)
		build = func(c plan.ScanColumn) (*vec.Vector, error) {
			if c.Column == "distinct_id" {
				return ids, nil
			}
			return &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Dict, Dict: env.Snapshot.Persons().UUIDVector(), Codes: roots}, nil
		}
	case "groups":
		groups := env.Snapshot.Groups()
		for i := range group.Types {
			rows += groups.Len(i)
		}
		build = func(c plan.ScanColumn) (*vec.Vector, error) { return groupColumn(c, groups, rows, env) }
	case "cohort_members":
		cohorts, ordinals := cohortMembers(env)
		rows = len(ordinals)
		build = func(c plan.ScanColumn) (*vec.Vector, error) {
			if c.Column == "cohort_id" {
				return &vec.Vector{Type: vec.T(vec.Int8), I64: cohorts}, nil
			}
			return &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Dict, Dict: env.Snapshot.Persons().UUIDVector(), Codes: ordinals}, nil
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
	return []*vec.Batch{b}, nil
}

// cohortMembers lists the members of static cohorts: the number of the cohort, and the person.
func cohortMembers(env *Env) (cohorts []int64, ordinals []uint32) {
	identity := env.Snapshot.Identity()
	for _, o := range env.Snapshot.Objects().List(object.Cohort) {
		members := env.Snapshot.StaticMembers(o.ID)
		if members == nil {
			continue
		}
		seen := roaring.New() // members that were merged are one
		for it := members.Iterator(); it.HasNext(); {
			if root := identity.Root(it.Next()); seen.CheckedAdd(root) {
				cohorts, ordinals = append(cohorts, o.ID), append(ordinals, root)
			}
		}
	}
	return cohorts, ordinals
}

// profiles lists the ordinals of persons that have a profile and were not merged away, of these persons
// if who is not nil.
func profiles(who *whose, env *Env) []uint32 {
	persons, identity := env.Snapshot.Persons(), env.Snapshot.Identity()
	var out []uint32
	if who != nil {
		for _, o := range who.ordinals {
			if who.roots[o] && persons.HasProfile(o) {
				out = append(out, o)
			}
		}
		return out
	}
	for o := range uint32(persons.Len()) {
		if persons.HasProfile(o) && identity.Root(o) == o {
			out = append(out, o)
		}
	}
	return out
}

// distinctIDs lists the distinct ids of persons with a profile, and whose they are now: those ids or persons
// that were asked for if who is not nil.
func distinctIDs(who *whose, env *Env) (*vec.Vector, []uint32) {
	persons, identity := env.Snapshot.Persons(), env.Snapshot.Identity()
	ids := vec.NewBuilder(vec.T(vec.Text))
	var roots []uint32
	add := func(id string, root uint32) {
		if persons.HasProfile(root) {
			ids.V.Str.AppendString(id)
			roots = append(roots, root)
		}
	}
	if who != nil && who.ids != nil {
		for _, id := range who.ids {
			o, _ := env.Snapshot.Seen(id)
			add(id, identity.Root(o))
		}
		return ids.V, roots
	}
	for id, o := range persons.DistinctIDs() {
		if root := identity.Root(o); who == nil || who.roots[root] {
			add(id, root)
		}
	}
	return ids.V, roots
}
