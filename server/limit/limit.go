package limit

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
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
	// DefaultFreeQueue is how many there are at most when one comes that holds nothing: it takes a
	// goroutine. Clients that are refused ask again, which costs more: 64 of them on two processors
	// had 25 % more answers for the same time of processors when all could wait.
	DefaultFreeQueue = 256
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
	UserQueue    Reason = "user_queries"
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
	// otherwise; 0 is half the processors, and at least 2. UserQueries is how many of them
	// may be those of one user, likewise; 0 is all of them. Queue and QueueWait are for
	// those that come meanwhile; 0 is the default. Queue counts those that hold a snapshot,
	// and FreeQueue all, when one comes that holds none.
	Queries, UserQueries, Queue, FreeQueue int
	QueueWait                              time.Duration
	// Waited is told of each question that has to wait, and why; it may be nil.
	Waited func(Reason)

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
	users   map[string]int // of running, those of each user
	waiting []*waiting     // first come, first served, but for users who have their number

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

// waiting is a question in the queue.
type waiting struct {
	user     string
	holds    bool          // a state that it is to read
	mostUser int           // places that the user may have
	ready    chan struct{} // closed when it has its place
}

// Query takes a place for a question of a user, waiting for one if need be. Holds is whether it has a
// snapshot already, which is kept while it waits. The caller calls release, once, with the time of
// processors that the question used.
func (l *Limiter) Query(ctx context.Context, of storage.Project, user string, holds bool) (release func(used time.Duration), err error) {
	l.mu.Lock()
	p := l.of(of.ID)
	if hour := l.now().Truncate(time.Hour); !hour.Equal(p.hour) {
		p.hour, p.spent = hour, 0
	}
	if most := time.Duration(of.Limits.QuerySecondsPerHour) * time.Second; most > 0 && p.spent >= most {
		wait := p.hour.Add(time.Hour).Sub(l.now())
		l.mu.Unlock()
		return nil, &Exceeded{Reason: QuerySeconds, RetryAfter: seconds(wait.Seconds()),
			Detail: fmt.Sprintf("the project's queries have used %d seconds of processors in this hour", of.Limits.QuerySecondsPerHour)}
	}
	release = func(used time.Duration) { l.release(p, user, used) }
	most, mostUser := l.most(of)
	if p.running < most && p.users[user] < mostUser {
		p.enter(user)
		l.mu.Unlock()
		return release, nil
	}
	reason, busy := QueryQueue, fmt.Sprintf("%d queries of the project", most)
	if p.running < most {
		reason, busy = UserQueue, fmt.Sprintf("%d queries of the user", mostUser)
	}
	queue := cmp.Or(l.Queue, DefaultQueue)
	if !holds {
		queue = cmp.Or(l.FreeQueue, DefaultFreeQueue)
	}
	if n := p.queued(holds); n >= queue {
		l.mu.Unlock()
		return nil, &Exceeded{Reason: reason, RetryAfter: time.Second, Detail: fmt.Sprintf("%s are running, and %d of the project are waiting", busy, n)}
	}
	me := &waiting{user, holds, mostUser, make(chan struct{})}
	p.waiting = append(p.waiting, me)
	l.mu.Unlock()
	if l.Waited != nil {
		l.Waited(reason)
	}

	wait := l.QueueWait
	if wait == 0 {
		wait = DefaultQueueWait
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-me.ready:
		return release, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = &Exceeded{Reason: reason, RetryAfter: time.Second, Detail: fmt.Sprintf("the query waited for %v while %s were running", wait, busy)}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(p.waiting, me); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return nil, err
	}
	p.leave(user) // the place came in the same moment
	return nil, err
}

// queued is how many questions wait, or of those that hold something, only these. The caller holds mu.
func (p *project) queued(holds bool) (n int) {
	for _, w := range p.waiting {
		if w.holds || !holds {
			n++
		}
	}
	return n
}

// Busy says whether a question of a user would have to wait for a place now.
func (l *Limiter) Busy(of storage.Project, user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, found := l.projects[of.ID]
	if !found {
		return false
	}
	most, mostUser := l.most(of)
	return p.running >= most || p.users[user] >= mostUser
}

// most is how many questions of a project run at once, and of one of its users.
func (l *Limiter) most(of storage.Project) (project, user int) {
	project = max(2, runtime.GOMAXPROCS(0)/2)
	if n := of.Limits.Queries; n > 0 {
		project = int(min(n, math.MaxInt32))
	} else if l.Queries > 0 {
		project = l.Queries
	}
	user = project
	if n := of.Limits.UserQueries; n > 0 {
		user = int(min(n, math.MaxInt32))
	} else if l.UserQueries > 0 {
		user = l.UserQueries
	}
	return project, user
}

func (l *Limiter) release(p *project, user string, used time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.spent += used
	p.leave(user)
}

// enter takes a place. The caller holds mu, as for leave.
func (p *project) enter(user string) {
	if p.users == nil {
		p.users = map[string]int{}
	}
	p.running++
	p.users[user]++
}

// leave gives the place of a user to whoever waits longest and may have it.
func (p *project) leave(user string) {
	p.running--
	if p.users[user]--; p.users[user] == 0 {
		delete(p.users, user)
	}
	for i, w := range p.waiting {
		if p.users[w.user] < w.mostUser {
			p.waiting = slices.Delete(p.waiting, i, i+1)
			p.enter(w.user)
			close(w.ready)
			return
		}
	}
}

// Forget drops the counters of a project that is gone.
func (l *Limiter) Forget(id uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.projects[id]; p != nil && p.running == 0 {
		delete(l.projects, id)
	}
}
