package exec

import "github.com/prickledb/prickle/engine/pgerr"

// hold accounts for bytes that an operator keeps. It fails when the statement would hold
// more than it may.
func (env *Env) hold(bytes int64) error {
	held := env.held.Add(bytes)
	if env.Memory > 0 && held > env.Memory {
		return pgerr.New("53200", "out of memory: the query needs more than %d MB", env.Memory>>20).
			WithHint("Narrow the time range, group by fewer values, or raise work_mem.")
	}
	return nil
}

// release gives back bytes that hold accounted for.
func (env *Env) release(bytes int64) { env.held.Add(-bytes) }
