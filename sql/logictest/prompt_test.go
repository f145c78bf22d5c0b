//go:build !race

package logictest

import "time"

// promptly is how much more work a cancelled statement may be, on two threads.
const promptly = 200 * time.Millisecond
