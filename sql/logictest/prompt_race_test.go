//go:build race

package logictest

import "time"

// promptly is longer under the race detector, where a batch takes ten times as long.
const promptly = 4 * time.Second
