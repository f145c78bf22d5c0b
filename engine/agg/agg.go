package agg

import (
	"maps"
	"slices"
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

	create func(order []OrderKey) State
	// repeats says that equal arguments change nothing, so DISTINCT does not matter.
	repeats bool
}

// OrderKey is one item of an aggregate's ORDER BY.
type OrderKey struct {
	Type             vec.Type
	Desc, NullsFirst bool
}

// compare puts two values into order.
func (k *OrderKey) compare(a *vec.Vector, i int, b *vec.Vector, j int) int {
	an, bn := a.IsNull(i), b.IsNull(j)
	switch {
	case an && bn:
		return 0
	case an || bn:
		if an == k.NullsFirst {
			return -1
		}
		return 1
	}
	c := vec.Compare(a, i, b, j)
	if k.Desc {
		return -c
	}
	return c
}

// State is an aggregate's values for all groups. It is used by one goroutine at a time.
type State interface {
	// Grow makes room for groups in all; new ones have seen no rows.
	Grow(groups int)
	// Update adds rows: groups[i] is the group of row rows[i]. args holds the Spec's
	// arguments, then one vector for each key of ORDER BY. Nothing of them is kept,
	// except dictionaries.
	Update(ctx *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error
	// Merge adds what another state of the same Spec has seen: its group g is group to[g]
	// here. The other state must not be used again.
	Merge(from State, to []uint32) error
	// Partial is what the state holds as rows of vectors: how it travels. Row i is of group
	// groups[i], or of group i where groups is nil; the order of a group's rows matters.
	// The vectors share memory with the state, which must not be used again.
	Partial() (groups []uint32, cols []*vec.Vector)
	// Absorb adds rows that the Partial of another state of the same Spec gave: row i goes
	// to groups[i]. The vectors are as long as groups, and may have come by the wire.
	Absorb(ctx *expr.Context, groups []uint32, cols []*vec.Vector) error
	// Finish is one value for each group.
	Finish() (*vec.Vector, error)
	// Bytes is the memory in use, about.
	Bytes() int64
}

// Divided is a state that keeps different arguments, which may come to it a part at a time, while those
// of other parts are elsewhere.
type Divided interface {
	State
	// Leave gives away what the state has seen since the last Settle, as rows like those of Partial;
	// give may be called several times. The state goes on without them.
	Leave(give func(groups []uint32, cols []*vec.Vector) error) error
	// Settle ends a part: no argument of it will come again. States with parts behind them can be
	// merged and finished, but their Partial has only what came since.
	Settle() error
}

// Renewable is a state that may be used for other groups after Partial, once that is copied.
type Renewable interface {
	State
	// Renew forgets all groups and keeps their memory.
	Renew()
}

// Reusable is a state that may be used for other groups after Finish.
type Reusable interface {
	State
	// Reuse forgets all groups and keeps their memory; it says false, and does nothing, if it cannot.
	Reuse() bool
}

// Joint is a state whose groups can be finished together with those of other states of its Spec: what
// they hold stays where it is, and groups are finished side by side.
type Joint interface {
	State
	// Joins says whether that is so with these states, none of which is used in another way afterwards.
	Joins(with []State) bool
	// Arrange makes the state ready for FinishJointly.
	Arrange()
	// FinishJointly is one value for each of the groups [lo, hi). Group g is group of[i][g] of
	// state i, which is NoGroup where that does not have it.
	FinishJointly(states []State, of [][]uint32, lo, hi int) (*vec.Vector, error)
}

// NoGroup is no group of a state.
const NoGroup = ^uint32(0)

// A resolver answers nil if the arguments do not fit.
type resolver func(args []vec.Type) *Spec

var registry = map[string]resolver{}

// IsAggregate says whether there is an aggregate of that name.
func IsAggregate(name string) bool { _, ok := registry[name]; return ok }

// Names are those of all aggregates, in order.
func Names() []string { return slices.Sorted(maps.Keys(registry)) }

// Resolve finds an aggregate for arguments of the given types. For those with WITHIN
// GROUP, the arguments are the direct ones, then the key; the key's direction is the
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
	if name == "array_agg" && len(args) == 1 && args[0].Array {
		return nil, pgerr.Unsupported("an array of more than one dimension")
	}
	if ambiguous(name, args) {
		return nil, pgerr.New(pgerr.AmbiguousFunction, "function %s(%s) is not unique", name, strings.Join(words, ", ")).
			WithHint("Could not choose a best candidate function. You might need to add explicit type casts.")
	}
	return nil, pgerr.New(pgerr.UndefinedFunction, "function %s(%s) does not exist", name, strings.Join(words, ", ")).
		WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

// ambiguous says whether literals of no type could be read as one that would fit.
func ambiguous(name string, args []vec.Type) bool {
	r := registry[name]
	if r == nil || !slices.Contains(args, vec.T(vec.Unknown)) {
		return false
	}
	for _, k := range []vec.Kind{vec.Float8, vec.Bool, vec.Interval} {
		try := slices.Clone(args)
		for i := range try {
			if try[i].Kind == vec.Unknown {
				try[i] = vec.T(k)
			}
		}
		if r(try) != nil {
			return true
		}
	}
	return false
}

// New makes the state of one call. DISTINCT drops rows whose arguments repeat; order is
// the call's ORDER BY.
func (s *Spec) New(distinct bool, order []OrderKey) State {
	if !distinct || s.repeats {
		return s.create(order)
	}
	if s.Name == "count" && len(s.Args) == 1 {
		return newDistinctCount(s.Args[0])
	}
	return newDistinct(s, order)
}

func init() {
	registry["count"] = func(args []vec.Type) *Spec {
		return &Spec{Args: known(args), Result: vec.T(vec.Int8), create: func([]OrderKey) State { return &count{} }}
	}
	registry["count_if"] = func(args []vec.Type) *Spec {
		if len(args) != 1 || !fits(args[0], vec.Bool) {
			return nil
		}
		return &Spec{Args: []vec.Type{vec.T(vec.Bool)}, Result: vec.T(vec.Int8), create: func([]OrderKey) State { return &count{ifTrue: true} }}
	}
	registry["regr_count"] = func(args []vec.Type) *Spec {
		if len(args) != 2 {
			return nil
		}
		return &Spec{Args: known(args), Result: vec.T(vec.Int8), create: func([]OrderKey) State { return &count{} }}
	}
	registry["approx_count_distinct"] = func(args []vec.Type) *Spec {
		if len(args) != 1 {
			return nil
		}
		t := known(args)[0]
		return &Spec{Args: []vec.Type{t}, Result: vec.T(vec.Int8), repeats: true, create: func([]OrderKey) State { return newDistinctCount(t) }}
	}
}

// known is the types without modifiers, with text in place of unknown.
func known(args []vec.Type) []vec.Type {
	out := append([]vec.Type{}, args...)
	for i, t := range out {
		out[i].Mod = 0
		if t.Kind == vec.Unknown {
			out[i].Kind = vec.Text
		}
	}
	return out
}

// fits says whether a value becomes one of a kind unasked.
func fits(t vec.Type, k vec.Kind) bool { return expr.CanImplicit(t, vec.T(k)) }

// valid drops the rows where v is null.
func valid(v *vec.Vector, groups, rows []uint32) (g, r []uint32) {
	if v.Form == vec.Const {
		if v.Nulls.Get(0) {
			return nil, nil
		}
		return groups, rows
	}
	if !v.HasNulls() {
		return groups, rows
	}
	g = make([]uint32, 0, len(rows))
	r = make([]uint32, 0, len(rows))
	for i, row := range rows {
		if !v.IsNull(int(row)) {
			g = append(g, groups[i])
			r = append(r, row)
		}
	}
	return g, r
}

// dense is the values of rows, one behind the other. It may share memory with v.
func dense[T any](v *vec.Vector, rows []uint32) []T {
	if len(rows) == 0 {
		return nil
	}
	if v.Form == vec.Flat {
		src := vec.Values[T](v)
		if n := len(rows); rows[n-1] == uint32(n-1) { // ascending, so these are the first n
			return src[:n]
		}
		out := make([]T, len(rows))
		for i, r := range rows {
			out[i] = src[r]
		}
		return out
	}
	out := make([]T, len(rows))
	if v.Form == vec.Const {
		x := vec.Values[T](v)[0]
		for i := range out {
			out[i] = x
		}
		return out
	}
	src := vec.Values[T](v.Dict)
	for i, r := range rows {
		out[i] = src[v.Codes[r]]
	}
	return out
}

// sources is where the values of rows are: x[at[i]] is that of rows[i].
func sources[T any](v *vec.Vector, rows []uint32) (x []T, at []uint32) {
	switch v.Form {
	case vec.Flat:
		return vec.Values[T](v), rows
	case vec.Const:
		return vec.Values[T](v), make([]uint32, len(rows))
	}
	at = make([]uint32, len(rows))
	for i, r := range rows {
		at[i] = v.Codes[r]
	}
	return vec.Values[T](v.Dict), at
}

// grow extends a slice with zero values.
func grow[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	if n <= cap(s) {
		return s[:n]
	}
	out := make([]T, n, max(n, 2*cap(s)))
	copy(out, s)
	return out
}

// count is count(*), count(x) and count_if(x).
type count struct {
	ifTrue bool
	n      []int64
}

func (s *count) Grow(groups int) { s.n = grow(s.n, groups) }
func (s *count) Bytes() int64    { return int64(cap(s.n)) * 8 }

func (s *count) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	for _, v := range args {
		groups, rows = valid(v, groups, rows)
	}
	if s.ifTrue {
		for i, ok := range dense[bool](args[0], rows) {
			if ok {
				s.n[groups[i]]++
			}
		}
		return nil
	}
	if len(s.n) == 1 {
		s.n[0] += int64(len(groups))
		return nil
	}
	n := s.n
	for _, g := range groups {
		n[g]++
	}
	return nil
}

// Renew implements Renewable.
func (s *count) Renew() { s.n = renew(s.n) }

// renew is no values, in the memory of others that is zero now, as grow wants it.
func renew[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// Weighted is a State that can take rows of which each stands for several.
type Weighted interface {
	// UpdateWeighted is Update for rows of which rows[i] stands for weights[rows[i]].
	UpdateWeighted(groups []uint32, args []*vec.Vector, rows []uint32, weights []int64)
}

// UpdateWeighted implements Weighted.
func (s *count) UpdateWeighted(groups []uint32, args []*vec.Vector, rows []uint32, weights []int64) {
	for _, v := range args {
		groups, rows = valid(v, groups, rows)
	}
	truths := []bool(nil)
	if s.ifTrue {
		truths = dense[bool](args[0], rows)
	}
	n := s.n
	for i, g := range groups {
		if truths == nil || truths[i] {
			n[g] += weights[rows[i]]
		}
	}
}

func (s *count) Merge(from State, to []uint32) error {
	for g, n := range from.(*count).n {
		s.n[to[g]] += n
	}
	return nil
}

func (s *count) Finish() (*vec.Vector, error) {
	return &vec.Vector{Type: vec.T(vec.Int8), I64: s.n}, nil
}

// unseen marks the groups without a value as null.
func unseen(seen []bool) vec.Bitmap {
	var out vec.Bitmap
	for g, ok := range seen {
		if !ok {
			if out == nil {
				out = vec.NewBitmap(len(seen))
			}
			out.Set(g)
		}
	}
	return out
}
