package session_test

import "github.com/prickledb/prickle/storage/vec"

// Whoever looks at the memory of a batch that is gone sees it.
func init() { vec.SpoilArenas = true }
