package exec

import (
	"context"
	"sync/atomic"

	"github.com/prickledb/prickle/storage/vec"
)

// answered is what native operators have in common: they make the whole answer when its first
// batch is pulled, hand it out in batches, and account for what they hold until they are
// closed.
type answered struct {
	env    *Env
	spills spills       // what they have in files until then; without a node where that is nothing
	held   atomic.Int64 // bytes accounted for
	cols   []*vec.Vector
	rows   int
	at     int // next row to hand out
	done   bool
}

// next gives the next batch of the answer, which run makes.
func (a *answered) next(ctx context.Context, run func(context.Context) error) (*vec.Batch, error) {
	if !a.done {
		if err := run(ctx); err != nil {
			return nil, err
		}
		a.done = true
	}
	return slice(a.cols, a.rows, &a.at), nil
}

func (a *answered) Close() error {
	a.env.release(a.held.Load())
	return a.spills.close()
}

// merger is what a goroutine has added up for one breakdown value.
type merger[T any] interface {
	*T
	merge(*T)
}

// mergeValues adds what one goroutine has added up, by breakdown value, to the sum of all.
func mergeValues[T any, P merger[T]](sum, part []*T) {
	for v, p := range part {
		switch {
		case p == nil:
		case sum[v] == nil:
			sum[v] = p
		default:
			P(sum[v]).merge(p)
		}
	}
}
