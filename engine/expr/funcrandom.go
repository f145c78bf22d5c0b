package expr

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/prickledb/prickle/engine/pgerr"
)

// Random is where the random numbers of a session come from: setseed makes them begin anew, the same
// for the same seed. Several goroutines may take numbers; which of them gets which is not known.
// The zero value is ready, and its numbers cannot be foretold.
type Random struct {
	mu     sync.Mutex
	source *rand.Rand // nil before the first seed
}

func (r *Random) float64() float64 {
	if r == nil {
		return rand.Float64()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.source == nil {
		return rand.Float64()
	}
	return r.source.Float64()
}

func (r *Random) seed(seed float64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.source = rand.New(rand.NewPCG(math.Float64bits(seed), 0))
	r.mu.Unlock()
}

func init() {
	define("random", tFloat8, nil, map0(func(ctx *Context) (float64, error) { return ctx.Random.float64(), nil })).Volatile = true
	define("setseed", tVoid, types(tFloat8), func(f *frame) error {
		seeds := viewOf[float64](f, 0)
		return tryEach(f, func(i int) error {
			seed := seeds.at(i)
			if !(seed >= -1 && seed <= 1) {
				return pgerr.New(pgerr.InvalidParameterValue, "setseed parameter %s is out of allowed range [-1,1]",
					strconv.FormatFloat(seed, 'g', -1, 64))
			}
			f.ctx.Random.seed(seed)
			return nil
		})
	}).Volatile = true
}
