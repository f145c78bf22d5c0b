package expr

import (
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Process is the session that a statement runs in, among those of the server.
type Process interface {
	// PID is the number that others know the session by; 0 for none.
	PID() uint32
	// Sleep waits, or fails when the statement is cancelled.
	Sleep(time.Duration) error
	// Signal cancels what another session of the project runs, or ends that session. It is
	// false if there is none of that number.
	Signal(pid uint32, end bool) bool
	// Set changes a setting, and gives the value that it has now.
	Set(name, value string, local bool) (string, error)
}

var tVoid = vec.T(vec.Void)

func init() {
	defineSession("pg_backend_pid", tInt4, nil, map0(func(c *Context) (int64, error) {
		if c.Process == nil {
			return 0, nil
		}
		return int64(c.Process.PID()), nil
	}))
	// A void has no value to give: the kernels only wait.
	define("pg_sleep", tVoid, types(vec.T(vec.Float8)), waits(func(seconds float64) (time.Duration, error) {
		return time.Duration(min(max(seconds, 0), maxSleep) * float64(time.Second)), nil
	})).Volatile = true
	define("pg_sleep_for", tVoid, types(tIvl), waits(func(v vec.IntervalValue) (time.Duration, error) {
		days := float64(v.Months)*30 + float64(v.Days)
		return time.Duration(min(max(days*86_400+float64(v.Micros)/1e6, 0), maxSleep) * float64(time.Second)), nil
	})).Volatile = true
	define("set_config", tText, types(tText, tText, tBool), text3(func(c *Context, dst []byte, name, value string, local bool) ([]byte, error) {
		if c.Process == nil {
			return dst, pgerr.Unsupported("set_config outside of a session")
		}
		now, err := c.Process.Set(name, value, local)
		return append(dst, now...), err
	})).Volatile = true
	for name, end := range map[string]bool{"pg_cancel_backend": false, "pg_terminate_backend": true} {
		signal := func(c *Context, pid int64) (bool, error) {
			return c.Process != nil && pid > 0 && c.Process.Signal(uint32(pid), end), nil
		}
		define(name, tBool, types(tInt4), map1(signal)).Volatile = true
		if end {
			define(name, tBool, types(tInt4, tInt8), map2(func(c *Context, pid, _ int64) (bool, error) { return signal(c, pid) })).Volatile = true
		}
	}
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
			if f.ctx.Process == nil {
				return pgerr.Unsupported("waiting outside of a session")
			}
			return f.ctx.Process.Sleep(d)
		})
	}
}
