package exec

import (
	"maps"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
)

// mostWhose is how many persons are looked up in each run index at most. The rows of more are found among
// all rows.
const mostWhose = 1000

// whose are persons, whose rows the run indexes find: they have the rows of each of them one after the other.
type whose struct {
	roots    map[uint32]bool // their ordinals
	ordinals []uint32        // those, and of whom was merged with them, ascending
	identity *person.Map
	ids      []string // distinct ids that were asked for and are there; nil if it was for persons

	moved []uint32 // rows of the segment that are theirs, though the run index says otherwise; ascending
}

// findWhose finds the persons of a hint; nil if they are too many to look up, or there is none.
func findWhose(hint *plan.Whose, env *Env) *whose {
	if hint == nil {
		return nil
	}
	w := &whose{roots: map[uint32]bool{}, identity: env.Snapshot.Identity()}
	uuids := map[vec.UUIDValue]bool{}
	for _, e := range hint.Values {
		v, err := e.Eval(env.Expr, &vec.Batch{Rows: 1})
		if err != nil {
			return nil // whoever evaluates the condition says so, if it is for any row
		}
		if v.IsNull(0) {
			continue
		}
		v, lo := v.At(0)
		hi := lo + 1
		if v.Type.Array {
			lo, hi, v = int(v.Offs[lo]), int(v.Offs[lo+1]), v.Elem
		}
		for i := lo; i < hi; i++ {
			if v.IsNull(i) {
				continue
			}
			one, at := v.At(i)
			if one.Type.Kind == vec.UUID {
				uuids[one.UUIDs[at]] = true
			} else if o, ok := env.Snapshot.Seen(string(one.Str.At(at))); ok {
				w.roots[w.identity.Root(o)] = true // all rows of an id are of one person
				w.ids = append(w.ids, string(one.Str.At(at)))
			}
			if len(uuids)+len(w.ids) > mostWhose {
				return nil
			}
		}
	}
	if len(uuids) > 0 {
		few := slices.Collect(maps.Keys(uuids))
		for o, id := range env.Snapshot.Persons().UUIDVector().UUIDs {
			if len(few) <= 8 && !slices.Contains(few, id) || !uuids[id] {
				continue
			}
			if root := uint32(o); w.identity.Root(root) == root { // else it is no row's any more
				w.roots[root] = true
			}
		}
	}
	if len(w.roots) > 0 {
		for it := w.identity.Merged().Iterator(); it.HasNext(); {
			if o := it.Next(); w.roots[w.identity.Root(o)] {
				w.ordinals = append(w.ordinals, o)
			}
		}
	}
	w.ordinals = slices.AppendSeq(w.ordinals, maps.Keys(w.roots))
	if len(w.ordinals) > mostWhose {
		return nil
	}
	slices.Sort(w.ordinals)
	slices.Sort(w.ids)
	w.ids = slices.Compact(w.ids)
	return w
}

// open finds the rows of a segment that run indexes do not know to be theirs.
func (w *whose) open(seg *storage.Segment) error {
	if w == nil {
		return nil
	}
	moved, err := seg.Moved()
	w.moved = w.moved[:0]
	for row, o := range moved {
		if w.roots[w.identity.Root(o)] {
			w.moved = append(w.moved, row)
		}
	}
	slices.Sort(w.moved)
	return err
}

// rows calls each for the rows of a range of the open segment that may be theirs, in order.
func (w *whose) rows(rng *segment.Range, each func(lo, hi int)) error {
	if w == nil {
		each(rng.Lo, rng.Hi)
		return nil
	}
	var runs *segment.Runs
	if len(w.ordinals) > 0 {
		var err error
		if runs, err = rng.Runs(); err != nil {
			return err
		}
	}
	at, _ := slices.BinarySearch(w.moved, uint32(rng.Lo))
	apart := func(before int) { // moved rows that no run gives
		for ; at < len(w.moved) && int(w.moved[at]) < before; at++ {
			each(int(w.moved[at]), int(w.moved[at])+1)
		}
	}
	from := 0
	for _, o := range w.ordinals {
		k := lowerBound(runs.Ordinals[from:], o)
		from += k
		if from == len(runs.Ordinals) {
			break
		}
		if runs.Ordinals[from] != o {
			continue
		}
		lo, hi := int(runs.Starts[from]), int(runs.Starts[from+1])
		apart(lo)
		each(lo, hi)
		for at < len(w.moved) && int(w.moved[at]) < hi {
			at++
		}
	}
	apart(rng.Hi)
	return nil
}

// shareOfWhose is which part of a table's rows a scan is likely to read, where it is for some persons alone.
func shareOfWhose(n *plan.Scan, env *Env) float64 {
	if n.Whose == nil || len(n.Whose.Values) > mostWhose || slices.ContainsFunc(n.Whose.Values, func(e expr.Expr) bool { return e.Type().Array }) {
		return 1
	}
	return min(1, float64(len(n.Whose.Values))/float64(max(1, env.Snapshot.Persons().Len())))
}
