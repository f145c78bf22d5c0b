package expr

import (
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

var tVoid = vec.T(vec.Void)

func init() {
	// A void has no value to give: the kernels only wait.
	define("pg_sleep", tVoid, types(vec.T(vec.Float8)), waits(func(seconds float64) (time.Duration, error) {
		return time.Duration(min(max(seconds, 0), maxSleep) * float64(time.Second)), nil
	})).Volatile = true
	define("pg_sleep_for", tVoid, types(tIvl), waits(func(v vec.IntervalValue) (time.Duration, error) {
		days := float64(v.Months)*30 + float64(v.Days)
		return time.Duration(min(max(days*86_400+float64(v.Micros)/1e6, 0), maxSleep) * float64(time.Second)), nil
	})).Volatile = true
}

// maxSleep bounds a sleep, in seconds: statement_timeout ends it long before.
const maxSleep = 1e9

func waits[A any](of func(A) (time.Duration, error)) func(*frame) error {
	return func(f *frame) error {
		a := viewOf[A](f, 0)
		return tryEach(f, func(i int) error {
			d, err := of(a.at(i))
			if err != nil {
				return err
			}
			if f.ctx.Sleep == nil {
				return pgerr.Unsupported("waiting outside of a session")
			}
			return f.ctx.Sleep(d)
		})
	}
}
