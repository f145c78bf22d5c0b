package expr

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/engine/pgerr"
)

// Random is where the random numbers of a session come from: setseed makes them begin anew, the same
// for the same seed. Several goroutines may take numbers; which of them gets which is not known.
// The zero value is ready, and its numbers cannot be foretold.
type Random struct {
	seeded atomic.Pointer[seeded] // nil before the first seed: those numbers need no lock
}

type seeded struct {
	mu     sync.Mutex
	source *rand.Rand
}

func (r *Random) float64() float64 {
	if r == nil {
		return rand.Float64()
	}
	s := r.seeded.Load()
	if s == nil {
		return rand.Float64()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source.Float64()
}

func (r *Random) seed(seed float64) {
	if r != nil {
		r.seeded.Store(&seeded{source: rand.New(rand.NewPCG(math.Float64bits(seed), 0))})
	}
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
