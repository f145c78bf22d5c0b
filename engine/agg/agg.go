package agg

import (
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Spec is an aggregate for given argument types.
type Spec struct {
	Name   string
	Args   []vec.Type // what each argument must be cast to
	Result vec.Type

	make func(s *Spec, order []OrderKey) State
	// ordered says that the result depends on the order of rows, so ORDER BY counts.
	ordered bool
	// repeats says that equal arguments change nothing, so DISTINCT does not matter.
	repeats bool
}

// OrderKey is one item of an aggregate's ORDER BY.
type OrderKey struct {
	Type             vec.Type
	Desc, NullsFirst bool
}

// State is an aggregate's values for all groups. It is used by one goroutine at a time.
type State interface {
	// Grow makes room for groups in all; new ones have seen no rows.
	Grow(groups int)
	// Update adds rows: groups[i] is the group of row rows[i]. args holds the Spec's
	// arguments, then one vector for each key of ORDER BY.
	Update(ctx *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error
	// Merge adds what another state of the same Spec has seen: its group g is group to[g]
	// here. The other state must not be used again.
	Merge(from State, to []uint32) error
	// Finish is one value for each group.
	Finish() (*vec.Vector, error)
	// Bytes is the memory in use, about.
	Bytes() int64
}

type resolver func(args []vec.Type) *Spec

var registry = map[string]resolver{}

// IsAggregate says whether there is an aggregate of that name.
func IsAggregate(name string) bool { _, ok := registry[name]; return ok }

// Resolve finds an aggregate for arguments of the given types. For those that stand before
// WITHIN GROUP, the arguments are the direct ones, then the key; its direction is the
// OrderKey's.
func Resolve(name string, args []vec.Type) (*Spec, error) {
	if r := registry[name]; r != nil {
		if s := r(args); s != nil {
			s.Name = name
			return s, nil
		}
	}
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a.String()
	}
	return nil, pgerr.New(pgerr.UndefinedFunction, "function %s(%s) does not exist", name, strings.Join(words, ", ")).
		WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

// New makes the state of one call. DISTINCT drops rows whose arguments repeat; order is
// the call's ORDER BY.
func (s *Spec) New(distinct bool, order []OrderKey) State { return s.make(s, order) }
