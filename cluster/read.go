package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Token names a state of the group: everything up to an entry of its log. Clients get one
// with every write and every answer and hand it back; what is inside is not for them.
type Token struct{ Index uint64 }

// tokenPrefix is the version and the number of the one group there is.
const tokenPrefix = "v1.0:"

// String is the token as clients see it.
func (t Token) String() string { return tokenPrefix + strconv.FormatUint(t.Index, 10) }

// ErrBadToken is wrapped by errors about a token that this group did not give.
var ErrBadToken = errors.New("token is not one of this server's")

// ParseToken reads what String wrote.
func ParseToken(s string) (Token, error) {
	digits, ok := strings.CutPrefix(s, tokenPrefix)
	index, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || s != (Token{index}).String() {
		return Token{}, fmt.Errorf("%w: %q, want the form v1.0:123", ErrBadToken, s[:min(len(s), 100)])
	}
	return Token{index}, nil
}

// ErrBehind is wrapped by the error of a read whose state has not been applied yet.
var ErrBehind = errors.New("behind")

// sessionWait is how long a read waits for the state that its token names.
const sessionWait = 2 * time.Second

// Await returns when everything that the token names is applied. It fails with ErrBehind
// if that takes longer than two seconds, and with ErrBadToken if the log does not reach
// as far: the token is another server's, or older than a restored backup.
func (n *Node) Await(ctx context.Context, t Token) error {
	if t.Index <= n.fsm.applied.load() {
		return nil
	}
	if last := n.raft.LastIndex(); t.Index > last {
		return fmt.Errorf("%w: it names entry %d, and the log ends at %d", ErrBadToken, t.Index, last)
	}
	wait, cancel := context.WithTimeout(ctx, sessionWait)
	defer cancel()
	if err := n.waitApplied(wait, t.Index); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: entry %d is not applied, the store is at %d", ErrBehind, t.Index, n.fsm.applied.load())
	}
	return nil
}

const (
	// clockSkew is how far clocks of nodes may be apart without a bounded read noticing.
	clockSkew = 250 * time.Millisecond
	// tickEvery is between two ticks, and ticksAfter how long they go on after a bounded read.
	tickEvery  = time.Second
	ticksAfter = 10 * time.Second
)

// ReadBounded returns when the state is at most so old: when an entry is applied that is not
// older than now - maxAge. Where nothing is written, ticks tell that the state is the newest:
// entries of the node's own, one a second as long as somebody reads like this. It fails with
// ErrBehind after two seconds.
func (n *Node) ReadBounded(ctx context.Context, maxAge time.Duration) error {
	least := n.cfg.Clock().Add(-maxAge - clockSkew).UnixMicro()
	n.ticks.ask(n.cfg.Clock())
	if least <= 0 || n.fsm.fresh.load() >= uint64(least) {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, sessionWait)
	defer cancel()
	if err := n.fsm.fresh.wait(wait, uint64(least)); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: the newest entry that is applied is of %s, wanted is one of the last %s", ErrBehind,
			time.UnixMicro(int64(n.fsm.fresh.load())).UTC().Format(time.RFC3339), maxAge)
	}
	return n.fsm.err()
}

// ticks is who wants to know that time passes.
type ticks struct {
	asked  atomic.Int64  // when a bounded read last began, ns since 1970
	wanted chan struct{} // holds one token: there was one since tick last looked
}

func (t *ticks) ask(now time.Time) {
	t.asked.Store(now.UnixNano())
	select {
	case t.wanted <- struct{}{}:
	default:
	}
}

// tick proposes ticks until ctx ends: while there are bounded reads, and no other entry came
// in the last second.
func (n *Node) tick(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-n.ticks.wanted:
		case <-ctx.Done():
			return
		}
		for {
			now := n.cfg.Clock()
			if now.Sub(time.Unix(0, n.ticks.asked.Load())) > ticksAfter {
				break
			}
			if now.Sub(time.UnixMicro(int64(n.fsm.fresh.load()))) >= tickEvery {
				if _, err := n.submitPayload(ctx, kindTick, header{}, nil); err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
					n.cfg.Logger.Error("tick", "error", err)
				}
			}
			pause.Reset(tickEvery)
			select {
			case <-pause.C:
			case <-ctx.Done():
				return
			}
		}
	}
}

// ReadIndex returns when everything is applied that was acknowledged, by whatever leader,
// before it was called, and gives the index up to which that is. A read that begins
// afterwards is linearizable.
//
// Calls at the same time share a round, but never one that began before the call: what
// such a round found out may be older than the call.
func (n *Node) ReadIndex(ctx context.Context) (uint64, error) {
	round := n.reads.join(n.readRound)
	select {
	case <-round.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if round.err != nil {
		return 0, round.err
	}
	return round.index, n.waitApplied(ctx, round.index)
}

// readRound finds out up to where the log is committed, and that this was still so after
// the call: no lease is believed, since a process may be paused for longer than one.
func (n *Node) readRound() (uint64, error) {
	term := n.raft.CurrentTerm()
	if n.reads.term != term {
		// Until an entry of its own term is committed, a leader does not know how far the
		// log of its predecessors is.
		if err := n.raft.Barrier(sessionWait).Error(); err != nil {
			return 0, fmt.Errorf("linearizable read: %w", err)
		}
		term = n.raft.CurrentTerm()
	}
	index := n.raft.CommitIndex()
	if err := n.raft.VerifyLeader().Error(); err != nil {
		return 0, fmt.Errorf("linearizable read: %w", err)
	}
	if now := n.raft.CurrentTerm(); now != term {
		return 0, fmt.Errorf("linearizable read: the term changed from %d to %d; ask again", term, now)
	}
	n.reads.term = term
	return index, nil
}

// readRounds lets calls share rounds, one after the other.
type readRounds struct {
	mu      sync.Mutex
	next    *readRound // begins when the one that runs ends; nil if nobody waits for it
	running bool
	term    uint64 // in which an entry is known to be committed; the running round's own
}

type readRound struct {
	done  chan struct{} // closed when index and err are set
	index uint64
	err   error
}

// join gives a round that begins after the call.
func (r *readRounds) join(run func() (uint64, error)) *readRound {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &readRound{done: make(chan struct{})}
	}
	round := r.next
	if !r.running {
		r.running = true
		go r.rounds(run) // it ends when nobody waits, and within Raft's own time
	}
	return round
}

func (r *readRounds) rounds(run func() (uint64, error)) {
	for {
		r.mu.Lock()
		round := r.next
		r.next = nil
		r.running = round != nil
		r.mu.Unlock()
		if round == nil {
			return
		}
		round.index, round.err = run()
		close(round.done)
	}
}

// waitApplied returns when the store holds everything up to an index that is committed, or
// is about to be.
func (n *Node) waitApplied(ctx context.Context, index uint64) error {
	// Entries of Raft's own never reach the state machine: what has to be waited for is the
	// last one before them that does.
	want := index
	for want > n.fsm.applied.load() {
		var l raft.Log
		err := n.log.GetLog(want, &l)
		if errors.Is(err, raft.ErrLogNotFound) {
			break // let go of, so it was applied; or not written yet
		}
		if err != nil {
			return fmt.Errorf("raft log: entry %d: %w", want, err)
		}
		if l.Type == raft.LogCommand || l.Type == raft.LogConfiguration {
			break
		}
		want--
	}
	if first, err := n.log.FirstIndex(); err == nil && want < first {
		want = 0
	}
	if err := n.fsm.applied.wait(ctx, want); err != nil {
		return err
	}
	if err := n.fsm.err(); err != nil {
		return err
	}
	if index <= n.raft.CommitIndex() { // so nothing else can take the place of the entries in between
		n.fsm.applied.raise(index)
	}
	return nil
}

// watermark is an index that only grows, and that can be waited for.
type watermark struct {
	mu      sync.Mutex
	at      uint64
	waiting []waterWaiter
}

type waterWaiter struct {
	index uint64
	ready chan struct{}
}

func (w *watermark) load() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *watermark) raise(index uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = max(w.at, index)
	rest := w.waiting[:0]
	for _, one := range w.waiting {
		if one.index <= w.at {
			close(one.ready)
		} else {
			rest = append(rest, one)
		}
	}
	w.waiting = rest
}

// wait returns when the watermark has reached an index.
func (w *watermark) wait(ctx context.Context, index uint64) error {
	w.mu.Lock()
	if index <= w.at {
		w.mu.Unlock()
		return nil
	}
	one := waterWaiter{index, make(chan struct{})}
	w.waiting = append(w.waiting, one)
	w.mu.Unlock()
	select {
	case <-one.ready:
		return nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.waiting {
		if w.waiting[i].ready == one.ready {
			w.waiting = append(w.waiting[:i], w.waiting[i+1:]...)
			break
		}
	}
	return ctx.Err()
}

// Replay tells how far the start of a node has come with its log. It may be read while
// Open runs; the zero value is usable.
type Replay struct{ from, at, to atomic.Uint64 }

// begin notes what will be replayed: entries above from, up to to.
func (r *Replay) begin(from, to uint64) {
	if r != nil {
		r.from.Store(from)
		r.at.Store(from)
		r.to.Store(to)
	}
}

func (r *Replay) reach(index uint64) {
	if r != nil {
		r.at.Store(index)
	}
}

// Percent is the part of the log that was replayed; false before that has begun, and when
// there is nothing to replay.
func (r *Replay) Percent() (int, bool) {
	from, at, to := r.from.Load(), r.at.Load(), r.to.Load()
	if to <= from {
		return 0, false
	}
	return int(min(max(at, from)-from, to-from) * 100 / (to - from)), true
}
