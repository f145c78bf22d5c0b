package load

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are at most 1/64 wide of what they hold. The
// zero value is empty. It is for one goroutine.
type histogram struct {
	counts []int64
	n      int64
	max    time.Duration
}

const (
	stepBits = 6 // 64 buckets each power of two
	steps    = 1 << stepBits
)

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-stepBits-1, 0)
	return shift*steps + int(v>>shift)
}

// bucketEnd is the largest duration of a bucket.
func bucketEnd(bucket int) time.Duration {
	shift := max(bucket/steps-1, 0)
	return time.Duration((uint64(bucket-shift*steps)+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	at := bucketOf(d)
	if at >= len(h.counts) {
		h.counts = append(h.counts, make([]int64, at+1-len(h.counts))...)
	}
	h.counts[at]++
	h.n++
	h.max = max(h.max, d)
}

// merge adds what another one counted.
func (h *histogram) merge(o *histogram) {
	if len(o.counts) > len(h.counts) {
		h.counts = append(h.counts, make([]int64, len(o.counts)-len(h.counts))...)
	}
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// quantile is the least duration, as far as buckets know, that the share q of all do not
// exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(int64(q*float64(h.n)+0.999999), 1)
	for i, n := range h.counts {
		if rank -= n; rank <= 0 {
			return min(bucketEnd(i), h.max)
		}
	}
	return h.max
}
