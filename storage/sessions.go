package storage

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/session"
	"github.com/prickledb/prickle/storage/vec"
)

// Sessions is the sessions of a snapshot. What it says of a session it says of all its
// events that count, whatever segment they lie in. It may be used by many goroutines.
type Sessions struct {
	segments []*Segment
	at       map[*derived]int
	ids      []*session.IDs
	joined   *session.Joined

	mu     sync.Mutex
	counts map[uint32][3]uint32        // by joint number
	edges  map[string]map[uint32]edges // by property, likewise
	urls   map[uint32]int64            // how many there are, likewise

	jointMu sync.Mutex
	joint   [][]jointTime // by segment
}

// sessionList is what the snapshots of a project share: the last one's joined sessions, of
// which the next one needs most; nil if the cache had no room for them.
type sessionList struct {
	joined atomic.Pointer[session.Joined]
}

// snapshotSessions makes the sessions of a snapshot once.
type snapshotSessions struct {
	segments []*Segment

	mu   sync.Mutex
	made *Sessions
}

// SessionCount is about how many sessions the snapshot has, as far as segments say.
func (sn *Snapshot) SessionCount() int {
	n := 0
	for _, s := range sn.segments {
		n += s.SessionCount()
	}
	return n
}

// Sessions is the sessions of the snapshot. They are made at the first call, and shared.
// Hold is asked for the memory that making them takes, and told with a negative number when
// it is given back.
func (sn *Snapshot) Sessions(ctx context.Context, hold func(ctx context.Context, bytes int64) error) (*Sessions, error) {
	sn.sessions.mu.Lock()
	defer sn.sessions.mu.Unlock()
	if sn.sessions.made != nil {
		return sn.sessions.made, nil
	}
	segments := sn.sessions.segments
	x := &Sessions{segments: segments, at: map[*derived]int{},
		counts: map[uint32][3]uint32{}, joint: make([][]jointTime, len(segments)), edges: map[string]map[uint32]edges{}, urls: map[uint32]int64{}}
	var numbered []session.Numbered
	for i, s := range segments {
		ids, err := s.sessionIDs(ctx)
		if err != nil {
			return nil, err
		}
		x.at[s.derived] = i
		x.ids = append(x.ids, ids)
		numbered = append(numbered, session.Numbered{Reader: s.Reader, IDs: ids})
	}
	var err error
	if x.joined, err = sn.list.join(ctx, sn.store.cache, numbered, hold); err != nil {
		return nil, err
	}
	sn.sessions.made = x
	return x, nil
}

// join finds the sessions that are in several segments, from what the last snapshot knew.
func (l *sessionList) join(ctx context.Context, cache *memory.Cache, segments []session.Numbered, hold func(context.Context, int64) error) (*session.Joined, error) {
	was := l.joined.Load()
	j, err := session.Join(ctx, segments, was, hold)
	if err != nil || j == was {
		return j, err
	}
	l.joined.Store(j)
	cache.Forget(l)
	cache.Add(&memory.Entry{}, l, j.Bytes(), func() { l.joined.CompareAndSwap(j, nil) })
	return j, nil
}

func (s *Segment) sessionIDs(ctx context.Context) (*session.IDs, error) {
	return s.derived.ids.get(s, nil, func() (*session.IDs, error) { return session.ReadIDs(ctx, s.Reader) })
}

// sessionRows is the rows of a segment that count, and the rules they count by.
func (x *Sessions) sessionRows(i int) (*session.Rows, *liveness, error) {
	s := x.segments[i]
	l, err := s.live()
	if err != nil {
		return nil, nil, err
	}
	return &session.Rows{Reader: s.Reader, IDs: x.ids[i], Dead: l.dead}, l, nil
}

// sessionPart is a part of the i-th segment.
func sessionPart[T interface{ Bytes() int64 }](x *Sessions, i int, p *derivation[T], read func(*session.Rows) (T, error)) (T, error) {
	rows, l, err := x.sessionRows(i)
	if err != nil {
		var none T
		return none, err
	}
	return p.get(x.segments[i], l, func() (T, error) { return read(rows) })
}

// find is the position of a segment of the snapshot.
func (x *Sessions) find(s *Segment) (int, error) {
	i, ok := x.at[s.derived]
	if !ok {
		return 0, fmt.Errorf("sessions: the segment is not of this snapshot")
	}
	return i, nil
}

// Len is how many sessions a segment has; they have numbers below that.
func (x *Sessions) Len(s *Segment) int { return x.ids[x.at[s.derived]].Len() }

// Numbers is the sessions of rows [lo, hi) of a stretch of a segment; Len for a row without.
func (x *Sessions) Numbers(s *Segment, g *segment.Stretch, lo, hi int) ([]uint32, error) {
	i, err := x.find(s)
	if err != nil {
		return nil, err
	}
	return x.ids[i].Numbers(g, lo, hi)
}

// eachJoint calls put for the sessions of a segment that are in others too, with what all
// of them say together, which combine finds out unless it is known. The caller gives what
// is known already.
func eachJoint[T any](ctx context.Context, x *Sessions, i int, known map[uint32]T, combine func(members []session.Member) (T, error), put func(number uint32, v T)) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for number, joint := range x.joined.Of(i) {
		v, ok := known[joint]
		if !ok {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			if v, err = combine(x.joined.Sessions()[joint]); err != nil {
				return err
			}
			known[joint] = v
		}
		put(number, v)
	}
	return nil
}

// Times is when the sessions of a segment begin and end, by number. Do not modify it.
func (x *Sessions) Times(ctx context.Context, s *Segment) (*session.Times, error) {
	_, own, joint, err := x.timesIn(ctx, s)
	if err != nil || len(joint) == 0 {
		return own, err
	}
	out := &session.Times{Start: slices.Clone(own.Start), End: slices.Clone(own.End)}
	for _, j := range joint {
		out.Start[j.number], out.End[j.number] = j.start, j.end
	}
	return out, nil
}

// TimesOf is when the sessions of a segment with some numbers, which ascend, begin and end.
func (x *Sessions) TimesOf(ctx context.Context, s *Segment, numbers []uint32) (*session.Times, error) {
	_, own, joint, err := x.timesIn(ctx, s)
	if err != nil {
		return nil, err
	}
	out := &session.Times{Start: make([]int64, len(numbers)), End: make([]int64, len(numbers))}
	for at, n := range numbers {
		out.Start[at], out.End[at] = own.Start[n], own.End[n]
	}
	if len(numbers) > 0 {
		joint = fromNumber(joint, numbers[0])
	}
	for at := 0; at < len(numbers) && len(joint) > 0; joint = joint[1:] {
		n, found := slices.BinarySearch(numbers[at:], joint[0].number)
		if at += n; found {
			out.Start[at], out.End[at] = joint[0].start, joint[0].end
		}
	}
	return out, nil
}

// timesIn is the number of a segment, when its sessions begin and end in it, and when those do as a whole
// that are in others too.
func (x *Sessions) timesIn(ctx context.Context, s *Segment) (i int, own *session.Times, joint []jointTime, err error) {
	if i, err = x.find(s); err != nil {
		return 0, nil, nil, err
	}
	if own, err = x.ownTimes(ctx, i); err != nil {
		return 0, nil, nil, err
	}
	joint, err = x.jointTimes(ctx, i)
	return i, own, joint, err
}

// jointTime is when a session begins and ends that is in several segments.
type jointTime struct {
	number     uint32 // in one of them
	start, end int64
	elsewhere  bool // it is listed with another
}

// jointTimes is the times of those sessions of a segment that are in others too, by number.
func (x *Sessions) jointTimes(ctx context.Context, i int) ([]jointTime, error) {
	if len(x.joined.Of(i)) == 0 {
		return nil, nil
	}
	x.jointMu.Lock()
	defer x.jointMu.Unlock()
	if x.joint[i] != nil {
		return x.joint[i], nil
	}
	var out []jointTime
	for number, joint := range x.joined.Of(i) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		members := x.joined.Sessions()[joint]
		j := jointTime{number, math.MaxInt64, math.MinInt64, members[0] != session.Member{Segment: i, Number: number}}
		for _, m := range members {
			t, err := x.ownTimes(ctx, m.Segment)
			if err != nil {
				return nil, err
			}
			j.start, j.end = min(j.start, t.Start[m.Number]), max(j.end, t.End[m.Number])
		}
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b jointTime) int { return cmp.Compare(a.number, b.number) })
	x.joint[i] = out
	return out, nil
}

// fromNumber is the sessions with at least a number.
func fromNumber(joint []jointTime, number uint32) []jointTime {
	at, _ := slices.BinarySearchFunc(joint, number, func(j jointTime, n uint32) int { return cmp.Compare(j.number, n) })
	return joint[at:]
}

func (x *Sessions) ownTimes(ctx context.Context, i int) (*session.Times, error) {
	return sessionPart(x, i, &x.segments[i].derived.times, func(r *session.Rows) (*session.Times, error) { return session.ReadTimes(ctx, r) })
}

// Counts is how many events of some names the sessions of a segment have, by number. Do not
// modify it.
func (x *Sessions) Counts(ctx context.Context, s *Segment) (*session.Counts, error) {
	i, err := x.find(s)
	if err != nil {
		return nil, err
	}
	own, err := x.ownCounts(ctx, i)
	if err != nil || len(x.joined.Of(i)) == 0 {
		return own, err
	}
	out := &session.Counts{}
	for what := range own {
		out[what] = slices.Clone(own[what])
	}
	err = eachJoint(ctx, x, i, x.counts, func(members []session.Member) (all [3]uint32, err error) {
		for _, m := range members {
			c, err := x.ownCounts(ctx, m.Segment)
			if err != nil {
				return all, err
			}
			for what := range all {
				all[what] += c[what][m.Number]
			}
		}
		return all, nil
	}, func(number uint32, all [3]uint32) {
		for what := range all {
			out[what][number] = all[what]
		}
	})
	return out, err
}

func (x *Sessions) ownCounts(ctx context.Context, i int) (*session.Counts, error) {
	return sessionPart(x, i, &x.segments[i].derived.counts, func(r *session.Rows) (*session.Counts, error) { return session.ReadCounts(ctx, r) })
}

// The properties that sessions have edges of.
const (
	sessionURL      = "$current_url"
	sessionPathname = "$pathname"
)

// edges is the first and last text of a joint session; nil for none.
type edges struct{ first, last []byte }

// SessionEdges is the first and the last text of sessions, by number: positions in Dict,
// whose last value is null.
type SessionEdges struct {
	First, Last []uint32
	Dict        *vec.Vector
}

// URLs is the first and last $current_url of a segment's sessions.
func (x *Sessions) URLs(ctx context.Context, s *Segment) (*SessionEdges, error) {
	return x.edgesOf(ctx, s, sessionURL)
}

// Pathnames is the first and last $pathname of a segment's sessions.
func (x *Sessions) Pathnames(ctx context.Context, s *Segment) (*SessionEdges, error) {
	return x.edgesOf(ctx, s, sessionPathname)
}

func (x *Sessions) edgesOf(ctx context.Context, s *Segment, property string) (*SessionEdges, error) {
	i, err := x.find(s)
	if err != nil {
		return nil, err
	}
	own, err := x.ownEdges(ctx, i, property)
	if err != nil {
		return nil, err
	}
	// What the joint sessions say comes after the texts of the segment.
	texts := vec.MakeStrings(own.Texts.Len(), len(own.Texts.Bytes))
	for t := range own.Texts.Len() {
		texts.Append(own.Texts.At(t))
	}
	out := &SessionEdges{First: make([]uint32, len(own.First)), Last: make([]uint32, len(own.Last))}
	for n := range own.First {
		out.First[n], out.Last[n] = own.First[n].Text, own.Last[n].Text
	}
	more := map[string]uint32{}
	number := func(text []byte) uint32 {
		if text == nil {
			return session.NoText
		}
		n, ok := more[string(text)]
		if !ok {
			n = uint32(texts.Len())
			texts.Append(text)
			more[string(text)] = n
		}
		return n
	}
	known := x.edgesKnown(property)
	err = eachJoint(ctx, x, i, known, func(members []session.Member) (edges, error) {
		return x.joinEdges(ctx, members, property)
	}, func(n uint32, all edges) { out.First[n], out.Last[n] = number(all.first), number(all.last) })
	if err != nil {
		return nil, err
	}
	if len(texts.Bytes) > math.MaxUint32 {
		return nil, fmt.Errorf("sessions: the values of %q take %d bytes in a segment, at most %d are possible", property, len(texts.Bytes), uint32(math.MaxUint32))
	}
	null := uint32(texts.Len())
	texts.Append(nil)
	for n := range out.First {
		if out.First[n] == session.NoText {
			out.First[n], out.Last[n] = null, null
		}
	}
	nulls := vec.NewBitmap(texts.Len())
	nulls.Set(int(null))
	out.Dict = &vec.Vector{Type: vec.T(vec.Text), Str: texts, Nulls: nulls}
	return out, nil
}

func (x *Sessions) edgesKnown(property string) map[uint32]edges {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.edges[property] == nil {
		x.edges[property] = map[uint32]edges{}
	}
	return x.edges[property]
}

func (x *Sessions) joinEdges(ctx context.Context, members []session.Member, property string) (all edges, err error) {
	var first, last session.Edge
	var firstOf, lastOf *segment.Reader // nil: no member has a text so far
	for _, m := range members {
		e, err := x.ownEdges(ctx, m.Segment, property)
		if err != nil {
			return all, err
		}
		a, b, r := e.First[m.Number], e.Last[m.Number], x.segments[m.Segment].Reader
		if a.Text == session.NoText {
			continue
		}
		sooner, later := true, true
		if firstOf != nil {
			if sooner, err = session.Before(a, r, first, firstOf); err != nil {
				return all, err
			}
			if later, err = session.Before(last, lastOf, b, r); err != nil {
				return all, err
			}
		}
		if sooner {
			first, firstOf, all.first = a, r, e.Texts.At(int(a.Text))
		}
		if later {
			last, lastOf, all.last = b, r, e.Texts.At(int(b.Text))
		}
	}
	return all, nil
}

func (x *Sessions) ownEdges(ctx context.Context, i int, property string) (*session.Edges, error) {
	p := &x.segments[i].derived.urls
	if property == sessionPathname {
		p = &x.segments[i].derived.paths
	}
	return sessionPart(x, i, p, func(r *session.Rows) (*session.Edges, error) { return session.ReadEdges(ctx, r, property) })
}

// DistinctURLs is how many different $current_url the sessions of a segment have, by number.
func (x *Sessions) DistinctURLs(ctx context.Context, s *Segment) ([]int64, error) {
	i, err := x.find(s)
	if err != nil {
		return nil, err
	}
	own, err := x.ownURLs(ctx, i)
	if err != nil {
		return nil, err
	}
	out := make([]int64, x.ids[i].Len())
	for n := range out {
		out[n] = int64(own.Count(uint32(n)))
	}
	err = eachJoint(ctx, x, i, x.urls, func(members []session.Member) (int64, error) {
		all := map[string]struct{}{}
		for _, m := range members {
			d, err := x.ownURLs(ctx, m.Segment)
			if err != nil {
				return 0, err
			}
			d.Each(m.Number, func(text []byte) { all[string(text)] = struct{}{} })
		}
		return int64(len(all)), nil
	}, func(number uint32, n int64) { out[number] = n })
	return out, err
}

func (x *Sessions) ownURLs(ctx context.Context, i int) (*session.Distinct, error) {
	return sessionPart(x, i, &x.segments[i].derived.distinct, func(r *session.Rows) (*session.Distinct, error) {
		defer x.segments[i].memory.Borrow(12 * int64(r.Rows()))() // a session and a code of each row, and the codes in order
		return session.ReadDistinct(ctx, r, sessionURL)
	})
}

// IDs is the session ids of a segment by number: texts without a double.
func (x *Sessions) IDs(s *Segment) (*vec.Vector, error) {
	i, err := x.find(s)
	if err != nil {
		return nil, err
	}
	return x.ids[i].Vector(s.Reader)
}

// List is which of the numbers [lo, hi), as far as there are so many, are of sessions that are to be listed
// with a segment: each session with events that count is listed with one segment.
func (x *Sessions) List(ctx context.Context, s *Segment, lo, hi int) ([]uint32, error) {
	i, own, joint, err := x.timesIn(ctx, s)
	if err != nil {
		return nil, err
	}
	joint = fromNumber(joint, uint32(lo))
	hi = min(hi, len(own.Start))
	out := make([]uint32, 0, max(0, hi-lo))
	for n := uint32(lo); int(n) < hi; n++ {
		listed := own.Start[n] <= own.End[n]
		if len(joint) > 0 && joint[0].number == n {
			listed = joint[0].start <= joint[0].end && !joint[0].elsewhere
			joint = joint[1:]
		}
		if listed && !x.ids[i].IsEmpty(n) {
			out = append(out, n)
		}
	}
	return out, nil
}

// Owners is whose sessions of a segment are: the distinct ids and the ordinals of their first
// events that count.
func (x *Sessions) Owners(ctx context.Context, s *Segment, numbers []uint32) (*vec.Vector, []uint32, error) {
	i, err := x.find(s)
	if err != nil {
		return nil, nil, err
	}
	own, err := x.ownOwners(ctx, i)
	if err != nil {
		return nil, nil, err
	}
	joints := x.joined.Of(i)
	dicts := map[int]*vec.Vector{}
	ids := &vec.Vector{Type: vec.T(vec.Text), Str: vec.MakeStrings(len(numbers), 16*len(numbers))}
	ordinals := make([]uint32, len(numbers))
	for at, n := range numbers {
		in, owners := i, own
		if joint, ok := joints[n]; ok {
			m, err := x.firstOf(ctx, x.joined.Sessions()[joint])
			if err != nil {
				return nil, nil, err
			}
			in, n = m.Segment, m.Number
			if owners, err = x.ownOwners(ctx, in); err != nil {
				return nil, nil, err
			}
		}
		if dicts[in] == nil {
			v, err := x.segments[in].DistinctIDs(0, 0)
			if err != nil {
				return nil, nil, err
			}
			dicts[in] = v.Dict
		}
		ids.Str.Append(dicts[in].Str.At(int(owners.First[n].Text)))
		ordinals[at] = owners.Ordinals[n]
	}
	return ids, ordinals, nil
}

// firstOf is the member that has the first event of a session which counts.
func (x *Sessions) firstOf(ctx context.Context, members []session.Member) (session.Member, error) {
	var best session.Member
	var first session.Edge
	var of *segment.Reader
	for _, m := range members {
		o, err := x.ownOwners(ctx, m.Segment)
		if err != nil {
			return best, err
		}
		e, r := o.First[m.Number], x.segments[m.Segment].Reader
		if e.Text == session.NoText {
			continue
		}
		sooner := of == nil
		if !sooner {
			if sooner, err = session.Before(e, r, first, of); err != nil {
				return best, err
			}
		}
		if sooner {
			best, first, of = m, e, r
		}
	}
	if of == nil {
		return best, fmt.Errorf("sessions: none of %d members has an event", len(members))
	}
	return best, nil
}

func (x *Sessions) ownOwners(ctx context.Context, i int) (*session.Owners, error) {
	return sessionPart(x, i, &x.segments[i].derived.owners, func(r *session.Rows) (*session.Owners, error) {
		return session.ReadOwners(ctx, r, x.segments[i].Ordinals)
	})
}
