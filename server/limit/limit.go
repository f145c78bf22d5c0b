package limit

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/prickledb/prickle/storage"
)

const (
	// burst is how many seconds' worth of events may come at once.
	burst = 10
	// usageAge is how old the answer of Limiter.Usage may be.
	usageAge = time.Second
	// DefaultQueue and DefaultQueueWait are how many questions of a project wait for
	// others of it, and for how long.
	DefaultQueue     = 32
	DefaultQueueWait = 10 * time.Second
)

// Reason says what was exceeded.
type Reason string

// The reasons.
const (
	EventRate    Reason = "events_per_second"
	MonthEvents  Reason = "events_per_month"
	StoredBytes  Reason = "stored_bytes"
	QuerySeconds Reason = "query_seconds_per_hour"
	QueryQueue   Reason = "queries"
)

// Exceeded is the error of what a limit refuses.
type Exceeded struct {
	Reason     Reason
	Detail     string
	RetryAfter time.Duration // 0 where coming again is of no use: a quota
}

// Error implements error.
func (e *Exceeded) Error() string { return e.Detail }

// Quota says that the limit is a quota: it lasts, and SDKs have a word for it.
func (e *Exceeded) Quota() bool { return e.Reason == MonthEvents || e.Reason == StoredBytes }

// Limiter decides. Its exported fields are set before it is used.
type Limiter struct {
	// Usage gives what a project has used until now.
	Usage func(project uint32, at time.Time) storage.Usage
	Now   func() time.Time // nil: time.Now
	// Queries is how many questions of a project run at once unless its limits say
	// otherwise; 0 is half the processors, and at least 2. Queue and QueueWait are for
	// those that come meanwhile; 0 is the default.
	Queries, Queue int
	QueueWait      time.Duration

	mu       sync.Mutex
	projects map[uint32]*project
}

// project is the counters of one.
type project struct {
	tokens float64 // of the bucket of events; below 0 after a batch larger than it
	filled time.Time

	usage storage.Usage
	asked time.Time

	running int
	waiting []chan struct{} // first come, first served

	names  map[string]struct{} // of event properties; nil until some were sent
	learnt bool                // names holds what was stored before
	told   bool                // that names are beyond the limit

	hour  time.Time     // begin of the hour that spent is of
	spent time.Duration // by questions
}

func (l *Limiter) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// of gives the counters of a project. The caller holds mu.
func (l *Limiter) of(id uint32) *project {
	p := l.projects[id]
	if p == nil {
		if l.projects == nil {
			l.projects = map[uint32]*project{}
		}
		p = &project{tokens: math.Inf(1)}
		l.projects[id] = p
	}
	return p
}

// Events takes n events of a request, or refuses them all.
func (l *Limiter) Events(of storage.Project, n int) error {
	limits := of.Limits
	if limits.EventsPerSecond <= 0 && limits.EventsPerMonth <= 0 && limits.StoredBytes <= 0 {
		return nil
	}
	now := l.now()
	used := l.used(of, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.of(of.ID)
	switch {
	case limits.EventsPerMonth > 0 && used.MonthEvents >= limits.EventsPerMonth:
		return &Exceeded{Reason: MonthEvents, Detail: fmt.Sprintf("the project has stored its %d events of this month", limits.EventsPerMonth)}
	case limits.StoredBytes > 0 && used.Bytes >= limits.StoredBytes:
		return &Exceeded{Reason: StoredBytes, Detail: fmt.Sprintf("the project stores %d bytes, and may store %d", used.Bytes, limits.StoredBytes)}
	}
	if rate := float64(limits.EventsPerSecond); rate > 0 {
		p.tokens = min(p.tokens+now.Sub(p.filled).Seconds()*rate, burst*rate)
		p.filled = now
		// A batch larger than the whole bucket passes when there is anything in it, and is
		// paid for afterwards.
		if p.tokens < min(float64(n), 1) {
			return &Exceeded{Reason: EventRate, RetryAfter: seconds((1 - p.tokens) / rate),
				Detail: fmt.Sprintf("the project sends more than %d events a second", limits.EventsPerSecond)}
		}
		p.tokens -= float64(n)
	}
	// Until Usage is asked again, these count as stored.
	p.usage.MonthEvents += int64(n)
	return nil
}

// seconds rounds up to whole seconds, at least one.
func seconds(s float64) time.Duration {
	return max(time.Second, time.Duration(math.Ceil(min(s, 1e6)))*time.Second)
}

// used is what a project has used, a second ago at most.
func (l *Limiter) used(of storage.Project, now time.Time) storage.Usage {
	if of.Limits.EventsPerMonth <= 0 && of.Limits.StoredBytes <= 0 {
		return storage.Usage{}
	}
	l.mu.Lock()
	p := l.of(of.ID)
	fresh := now.Sub(p.asked) < usageAge && !p.asked.IsZero()
	usage := p.usage
	l.mu.Unlock()
	if fresh {
		return usage
	}
	usage = l.Usage(of.ID, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	p.usage, p.asked = usage, now
	return usage
}

// Query takes a place for a question, waiting for one if need be. The caller calls
// release, once, with the time that the question ran.
func (l *Limiter) Query(ctx context.Context, of storage.Project) (release func(took time.Duration), err error) {
	l.mu.Lock()
	p := l.of(of.ID)
	if hour := l.now().Truncate(time.Hour); !hour.Equal(p.hour) {
		p.hour, p.spent = hour, 0
	}
	if most := time.Duration(of.Limits.QuerySecondsPerHour) * time.Second; most > 0 && p.spent >= most {
		wait := p.hour.Add(time.Hour).Sub(l.now())
		l.mu.Unlock()
		return nil, &Exceeded{Reason: QuerySeconds, RetryAfter: seconds(wait.Seconds()),
			Detail: fmt.Sprintf("the project's queries have run for %d seconds in this hour", of.Limits.QuerySecondsPerHour)}
	}
	release = func(took time.Duration) { l.release(p, took) }
	most := l.most(of)
	if p.running < most && len(p.waiting) == 0 {
		p.running++
		l.mu.Unlock()
		return release, nil
	}
	queue := l.Queue
	if queue == 0 {
		queue = DefaultQueue
	}
	if len(p.waiting) >= queue {
		l.mu.Unlock()
		return nil, &Exceeded{Reason: QueryQueue, RetryAfter: time.Second,
			Detail: fmt.Sprintf("%d queries of the project are running and %d are waiting", most, queue)}
	}
	ready := make(chan struct{})
	p.waiting = append(p.waiting, ready)
	l.mu.Unlock()

	wait := l.QueueWait
	if wait == 0 {
		wait = DefaultQueueWait
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ready:
		return release, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = &Exceeded{Reason: QueryQueue, RetryAfter: time.Second,
			Detail: fmt.Sprintf("the query waited for %v while %d others of the project were running", wait, most)}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range p.waiting {
		if p.waiting[i] == ready {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return nil, err
		}
	}
	l.leave(p) // the place came in the same moment
	return nil, err
}

func (l *Limiter) most(of storage.Project) int {
	if n := of.Limits.Queries; n > 0 {
		return int(min(n, math.MaxInt32))
	}
	if l.Queries > 0 {
		return l.Queries
	}
	return max(2, runtime.GOMAXPROCS(0)/2)
}

func (l *Limiter) release(p *project, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.spent += took
	l.leave(p)
}

// leave gives a place to whoever waits longest. The caller holds mu.
func (l *Limiter) leave(p *project) {
	if len(p.waiting) > 0 {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
		return
	}
	p.running--
}

// Forget drops the counters of a project that is gone.
func (l *Limiter) Forget(id uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.projects[id]; p != nil && p.running == 0 {
		delete(l.projects, id)
	}
}
