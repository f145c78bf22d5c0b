package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/server/session/sessiontest"
)

// history is a log whose state grows with each write, and an engine that reads it.
type history struct {
	sessiontest.Engine
	index   uint64
	rounds  int             // of ReadIndex
	bounds  []time.Duration // of ReadBounded
	err     error
	release map[uint64]int // releases by index
}

type state struct {
	h     *history
	index uint64
	bytes int64
}

func (s state) Index() uint64    { return s.index }
func (s state) HeldBytes() int64 { return s.bytes }
func (s state) Release()         { s.h.release[s.index]++ }

func (h *history) Pin(uint32) (session.Pin, error) { return state{h, h.index, 10}, nil }

func (h *history) Await(_ context.Context, t cluster.Token) error {
	if t.Index > h.index+10 {
		return fmt.Errorf("%w: it names entry %d", cluster.ErrBadToken, t.Index)
	}
	if h.err != nil {
		return h.err
	}
	h.index = max(h.index, t.Index)
	return nil
}

func (h *history) ReadIndex(context.Context) (uint64, error) {
	h.rounds++
	return h.index, h.err
}

func (h *history) ReadBounded(_ context.Context, maxAge time.Duration) error {
	h.bounds = append(h.bounds, maxAge)
	return h.err
}

func openHistory(t *testing.T) (*history, *fixture, *session.Cuts) {
	t.Helper()
	h := &history{index: 5, release: map[uint64]int{}}
	cuts := &session.Cuts{}
	s, err := session.New(t.Context(), session.Config{Engine: h, Project: 1, Database: "prickle", Log: h, Cuts: cuts, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	return h, &fixture{Session: s, engine: &h.Engine, t: t}, cuts
}

func (f *fixture) index(text string) uint64 {
	f.t.Helper()
	if _, err := f.run(text); err != nil {
		f.t.Fatal(text, err)
	}
	cut, ok := f.Cut()
	if !ok {
		f.t.Fatal(text, "read nothing")
	}
	return cut.Index
}

func TestConsistency(t *testing.T) {
	h, f, _ := openHistory(t)
	const ask = "select n from one"
	if got := f.index(ask); got != 5 {
		t.Errorf("without a token: entry %d, want 5", got)
	}
	if got := f.index("set prickle.token = 'v1.0:8'; " + ask); got != 8 {
		t.Errorf("with a token of entry 8: entry %d", got)
	}
	if h.rounds != 0 {
		t.Error("level session asked for a round")
	}
	if got := f.index("set prickle.consistency = local; set prickle.token = 'v1.0:12'; " + ask); got != 8 {
		t.Errorf("level local waited: entry %d", got)
	}
	if f.index("set prickle.consistency = linearizable; " + ask); h.rounds != 1 {
		t.Errorf("level linearizable asked for %d rounds", h.rounds)
	}
	f.index("set prickle.consistency = bounded; " + ask)
	f.index("set prickle.max_age = '1min'; " + ask)
	f.index("set prickle.max_age = 1500; " + ask)
	if want := []time.Duration{5 * time.Second, time.Minute, 1500 * time.Millisecond}; !slices.Equal(h.bounds, want) || h.rounds != 1 {
		t.Errorf("level bounded asked for states of %v, want %v; %d rounds", h.bounds, want, h.rounds)
	}
	h.err = cluster.ErrBehind
	if _, err := f.run(ask); pgerr.Code(err) != pgerr.CannotConnectNow || !errors.Is(err, cluster.ErrBehind) {
		t.Errorf("a bounded read that is behind: %v", err)
	}
	h.err = nil
	for _, c := range []struct {
		set, code string
		err       error
	}{
		{"set prickle.token = 'v1.0:1000'", pgerr.InvalidParameterValue, cluster.ErrBadToken},
		{"set prickle.token = 'nonsense'", pgerr.InvalidParameterValue, cluster.ErrBadToken},
		{"set prickle.at = 'v1.0:3'", pgerr.ObjectNotInState, session.ErrCutGone},
		{"set prickle.at = 'nonsense'", pgerr.InvalidParameterValue, cluster.ErrBadToken},
	} {
		f.run("reset all")
		if _, err := f.run(c.set); err != nil {
			t.Fatal(c.set, err)
		}
		if _, err := f.run(ask); pgerr.Code(err) != c.code || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %s", c.set, err, c.code)
		}
	}
	f.run("reset all")
	if _, err := f.run("set prickle.consistency = eventual"); pgerr.Code(err) != pgerr.InvalidParameterValue {
		t.Errorf("an unknown level: %v", err)
	}
	h.err = fmt.Errorf("%w: entry 9", cluster.ErrBehind)
	f.run("set prickle.token = 'v1.0:9'")
	if _, err := f.run(ask); pgerr.Code(err) != pgerr.CannotConnectNow || !errors.Is(err, cluster.ErrBehind) {
		t.Errorf("behind: %v", err)
	}
}

// A state that was read is read again by its token, until ten minutes have passed; then
// the error names the oldest that is left.
func TestCuts(t *testing.T) {
	h, f, cuts := openHistory(t)
	const ask = "select n from one"
	f.index(ask)
	f.index(ask) // the same state is kept once
	h.index = 6
	f.index(ask)
	if got := f.index("set prickle.at = 'v1.0:5'; " + ask); got != 5 {
		t.Errorf("at entry 5: entry %d", got)
	}
	if n := h.release[5]; n != 1 {
		t.Errorf("entry 5 was released %d times, want once: the second of two equal ones", n)
	}
	cuts.Expire(time.Now().Add(9 * time.Minute))
	f.index(ask)
	h.index = 7
	f.index("reset prickle.at; " + ask)
	cuts.Expire(time.Now().Add(11 * time.Minute))
	_, err := f.run("set prickle.at = 'v1.0:5'; " + ask)
	if !errors.Is(err, session.ErrCutGone) {
		t.Errorf("after eleven minutes: %v", err)
	}
	f.run("reset prickle.at")
	for range 200 { // no more than 64 are kept
		h.index++
		f.index(ask)
	}
	_, err = f.run("set prickle.at = 'v1.0:8'; " + ask)
	if want := "cut_gone: the state v1.0:8 is not kept; the oldest that is kept is v1.0:144"; err == nil || err.Error() != want {
		t.Errorf("beyond 64: %v, want %s", err, want)
	}
	f.run("reset prickle.at")
	cuts.Bytes = 25 // of 10 each
	h.index++
	f.index(ask)
	if _, err = f.run(fmt.Sprintf("set prickle.at = 'v1.0:%d'; %s", h.index-2, ask)); !errors.Is(err, session.ErrCutGone) {
		t.Errorf("beyond the memory: %v", err)
	}
	// What is being read stays until it is read.
	f.run("reset prickle.at")
	pin, err := cuts.Pin(1, h.index)
	if err != nil {
		t.Fatal(err)
	}
	cuts.Clear()
	if h.release[h.index] != 0 {
		t.Error("a state was released while it is read")
	}
	pin.Release()
	pin.Release()
	for index := uint64(5); index <= h.index; index++ {
		if h.release[index] == 0 {
			t.Errorf("entry %d was never released", index)
		}
	}
}
