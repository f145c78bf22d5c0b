package exec

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// turnSlice is how long a goroutine runs before it asks whether others come first: long
	// enough that a change costs next to nothing, short enough that a person does not
	// notice one.
	turnSlice = 10 * time.Millisecond
	// lead is how far a query is ahead of all others at most, in time used: what runs for
	// less than that overtakes, what runs for longer shares with those that came before.
	lead = time.Second
	// patience is how long a goroutine waits at most before it has a slice, however many
	// short queries come.
	patience = 100 * time.Millisecond
)

// Scheduler shares the processors among queries. So many goroutines run as there are slots,
// and they are those of the queries that have used least, where time counts less for who has
// more weight: the discipline is weighted fair queueing by time used (Demers, Keshav and
// Shenker, 1989). Nobody is interrupted: a goroutine looks between two morsels whether its
// slice is over and others come first ([yield]). The first slice of a query is not waited for,
// so a short one never waits, and there may be more goroutines than slots for a moment.
//
// Time is shared by project, then by user, then by query. A nil Scheduler lets everything run.
// It may be used by many goroutines.
type Scheduler struct {
	now   func() time.Duration
	slice time.Duration // turnSlice; tests ask more often

	mu       sync.Mutex
	slots    int
	running  int     // turns of which running is set
	turns    []*Turn // those that run or wait, in the order of their numbers
	last     uint64  // number of a turn
	behind   float64 // ns: the least that one of the queries that run has used, weighted; it grows
	projects map[uint32]*payingProject
}

// payingProject is a project with open shares, and payingUser a user of one.
type payingProject struct {
	number uint32
	weight int64
	users  map[string]*payingUser
	active int64 // weights of the users who have queries that run
}

type payingUser struct {
	project *payingProject
	name    string
	weight  int64
	open    int // shares
	active  int // shares with turns
}

// Payer is on whose account a query runs. A weight is relative to those of others; 0 means
// DefaultWeight.
type Payer struct {
	Project       uint32
	ProjectWeight int64
	User          string
	UserWeight    int64 // beside the project's other users; that of the user's last query counts
}

// DefaultWeight is the weight of a project, and of a user in it.
const DefaultWeight = 100

// NewScheduler shares so many processors.
func NewScheduler(slots int) *Scheduler {
	start := time.Now()
	return &Scheduler{slots: max(1, slots), slice: turnSlice, now: func() time.Duration { return time.Since(start) }, projects: map[uint32]*payingProject{}}
}

// SetSlots changes how many goroutines of queries run at once. Those beyond it stop at the
// end of their slices.
func (s *Scheduler) SetSlots(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots = max(1, n)
	s.grant(s.now())
}

// Slots is how many goroutines of queries run at once.
func (s *Scheduler) Slots() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slots
}

// Waiting is how many goroutines wait for their turn.
func (s *Scheduler) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.turns) - s.running
}

// Share is what one query has of the processors. A nil one has them all.
type Share struct {
	of   *Scheduler
	user *payingUser
	used *atomic.Int64 // ns

	// Guarded by of.mu.
	weighted float64 // ns used, by weight
	turns    int     // that run or wait
}

// Open lets a query take part; what its goroutines use is added to used, in ns. The caller
// closes the share when none of them runs any more.
func (s *Scheduler) Open(p Payer, used *atomic.Int64) *Share {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	project := s.projects[p.Project]
	if project == nil {
		project = &payingProject{number: p.Project, users: map[string]*payingUser{}}
		s.projects[p.Project] = project
	}
	project.weight = weight(p.ProjectWeight)
	user := project.users[p.User]
	if user == nil {
		user = &payingUser{project: project, name: p.User}
		project.users[p.User] = user
	}
	if user.active > 0 {
		project.active += weight(p.UserWeight) - user.weight
	}
	user.weight = weight(p.UserWeight)
	user.open++
	return &Share{of: s, user: user, used: used}
}

func weight(w int64) int64 {
	if w <= 0 {
		return DefaultWeight
	}
	return w
}

// Close ends the share.
func (sh *Share) Close() {
	if sh == nil {
		return
	}
	s := sh.of
	s.mu.Lock()
	defer s.mu.Unlock()
	user := sh.user
	if user.open--; user.open == 0 {
		delete(user.project.users, user.name)
		if len(user.project.users) == 0 {
			delete(s.projects, user.project.number)
		}
	}
}

// rate is by how much the weighted time of the share grows with its time. A query that is
// alone pays what it uses; of two users with one query each, each pays twice.
func (sh *Share) rate() float64 {
	u := sh.user
	return DefaultWeight / float64(u.project.weight) * float64(u.project.active) / float64(u.weight) * float64(u.active)
}

// Turn is one goroutine of a query, and the context of what it does. Its fields are guarded
// by the scheduler's mu, but for left and since, which are the goroutine's own while it runs.
type Turn struct {
	context.Context
	share  *Share
	number uint64

	left    time.Duration // of the slice
	since   time.Duration // when the scheduler's clock was looked at last
	present bool          // it runs or waits
	running bool
	parked  time.Duration // when it began to wait
	ready   chan struct{} // closed when it may run; nil unless it waits
}

type turnKey struct{}

// Value implements context.Context.
func (t *Turn) Value(key any) any {
	if key == (turnKey{}) {
		return t
	}
	return t.Context.Value(key)
}

// turnOf is the turn that a goroutine runs in, or nil.
func turnOf(ctx context.Context) *Turn {
	if t, ok := ctx.(*Turn); ok {
		return t
	}
	t, _ := ctx.Value(turnKey{}).(*Turn)
	return t
}

// Begin makes the turn of a goroutine, which runs between Resume and Pause.
func (sh *Share) Begin() *Turn {
	if sh == nil {
		return nil
	}
	return &Turn{share: sh, left: sh.of.slice}
}

// Resume gives the context to run in until Pause is called.
func (t *Turn) Resume(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	t.Context = ctx
	t.back()
	return t
}

// Pause ends what Resume began.
func (t *Turn) Pause() { t.away() }

// begin makes a turn for a goroutine that a query has started, and waits until it may run;
// the caller pauses it at the end. Without a scheduler there is none.
func begin(ctx context.Context) (context.Context, *Turn) {
	parent := turnOf(ctx)
	if parent == nil {
		return ctx, nil
	}
	t := parent.share.Begin()
	ctx = t.Resume(ctx)
	if time.Duration(t.share.used.Load()) >= t.share.of.slice {
		t.left = 0
		_ = t.yield() // whoever does something in the context is told that it has ended
	}
	return ctx, t
}

// yield is to be called between two morsels: it waits if the slice of the goroutine is over
// and others come first. It gives the error of the context if that has ended, so it stands
// where that would be asked for. The caller holds no lock that others wait for without
// saying so with [away].
func yield(ctx context.Context) error {
	if t := turnOf(ctx); t != nil {
		if err := t.yield(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (t *Turn) yield() error {
	s := t.share.of
	now := s.now()
	if now-t.since < t.left {
		return nil
	}
	s.mu.Lock()
	t.charge(now)
	t.left = s.slice
	if s.rank(t, now) < s.slots {
		s.mu.Unlock()
		return nil
	}
	t.running, t.parked, t.ready = false, now, make(chan struct{})
	s.running--
	s.grant(now)
	ready := t.ready
	s.mu.Unlock()
	if ready == nil {
		return nil
	}
	select {
	case <-ready:
		return nil
	case <-t.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.running { // it will not run for long
		s.run(t, s.now())
	}
	return t.Err()
}

// away says that the goroutine in ctx is about to wait for something else than its turn, and
// gives what is to be called afterwards.
func away(ctx context.Context) (back func()) {
	t := turnOf(ctx)
	t.away()
	return t.back
}

// aside is the context for a goroutine that takes no turns, since it hardly computes.
func aside(ctx context.Context) context.Context {
	return context.WithValue(ctx, turnKey{}, (*Turn)(nil))
}

// receive receives from a channel that may have nothing for long.
func receive[T any](ctx context.Context, from <-chan T) (value T, ok bool) {
	select {
	case value, ok = <-from:
	default:
		back := away(ctx)
		value, ok = <-from
		back()
	}
	return value, ok
}

// lock locks mu, which may be held for long.
func lock(ctx context.Context, mu *sync.Mutex) {
	if !mu.TryLock() {
		back := away(ctx)
		mu.Lock()
		back()
	}
}

// away gives the slot of a goroutine that does not run to the next.
func (t *Turn) away() {
	if t == nil {
		return
	}
	s := t.share.of
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.present {
		return
	}
	t.charge(now)
	t.present, t.running = false, false
	s.running--
	s.turns = slices.DeleteFunc(s.turns, func(other *Turn) bool { return other == t })
	if t.share.turns--; t.share.turns == 0 {
		u := t.share.user
		if u.active--; u.active == 0 {
			u.project.active -= u.weight
		}
	}
	s.grant(now)
}

// back takes a goroutine in again. It waits, if need be, at the end of its slice.
func (t *Turn) back() {
	if t == nil {
		return
	}
	s := t.share.of
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.present {
		return
	}
	s.last++
	t.number, t.present = s.last, true
	if t.share.turns++; t.share.turns == 1 {
		u := t.share.user
		if u.active++; u.active == 1 {
			u.project.active += u.weight
		}
		t.share.weighted = max(t.share.weighted, s.behind-float64(lead))
	}
	s.turns = append(s.turns, t)
	s.run(t, now)
}

// run notes that a turn runs. The caller holds mu.
func (s *Scheduler) run(t *Turn, now time.Duration) {
	t.running, t.ready, t.since = true, nil, now
	s.running++
}

// charge adds what a turn has used since the last time. The caller holds mu.
func (t *Turn) charge(now time.Duration) {
	s, used := t.share.of, now-t.since
	t.since, t.left = now, t.left-used
	t.share.used.Add(int64(used))
	t.share.weighted += float64(used) * t.share.rate()
	least := math.Inf(1)
	for _, other := range s.turns {
		least = min(least, other.share.weighted)
	}
	if least > s.behind && !math.IsInf(least, 1) {
		s.behind = least
	}
}

// rank is how many turns come before t. The caller holds mu.
func (s *Scheduler) rank(t *Turn, now time.Duration) int {
	n := 0
	for _, other := range s.turns {
		if other != t && other.before(t, now) {
			n++
		}
	}
	return n
}

// before says which of two turns a slot belongs to: to who has lost patience, then to who
// has used less, then to who was there before.
func (t *Turn) before(other *Turn, now time.Duration) bool {
	if a, b := t.starves(now), other.starves(now); a || b {
		return a && (!b || t.parked < other.parked)
	}
	if a, b := t.share.weighted, other.share.weighted; a != b {
		return a < b
	}
	return t.number < other.number
}

func (t *Turn) starves(now time.Duration) bool { return !t.running && now-t.parked >= patience }

// grant gives free slots to those who wait. The caller holds mu.
func (s *Scheduler) grant(now time.Duration) {
	for s.running < s.slots && s.running < len(s.turns) {
		var next *Turn
		for _, t := range s.turns {
			if !t.running && (next == nil || t.before(next, now)) {
				next = t
			}
		}
		ready := next.ready
		s.run(next, now)
		close(ready)
	}
}
