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
		ordinals := profiles(env)
		rows = len(ordinals)
		build = func(c plan.ScanColumn) (*vec.Vector, error) {
			read, err := personColumn(c, env)
			if err != nil {
				return nil, err
			}
			return read(slices.Clone(ordinals))
		}
	case "person_distinct_ids":
		ids, roots := distinctIDs(env)
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
