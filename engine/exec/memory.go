package exec

import (
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

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

// bytesOf is how much memory the values of a flat vector take.
func bytesOf(v *vec.Vector) int64 {
	n := len(v.Bools) + 8*len(v.I64) + 8*len(v.F64) + 16*len(v.UUIDs) + 16*len(v.Ivl) + 24*len(v.Dec) + 8*len(v.Nulls)
	if v.Elem != nil {
		n += int(bytesOf(v.Elem))
	}
	return int64(n + len(v.Str.Bytes) + 4*len(v.Str.Offs) + 4*len(v.Offs))
}
