//go:build !race

package logictest

import "time"

// promptly is how soon a cancelled statement ends.
const promptly = 100 * time.Millisecond
