package gen

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"sort"
	"sync"
	"time"
)

const (
	hourMillis = 3_600_000
	dayMillis  = 24 * hourMillis
)

// Relative traffic by hour of the day and by day of the week, Sunday first.
var (
	hourWeights    = [24]uint64{30, 22, 18, 16, 16, 20, 32, 52, 80, 104, 116, 118, 112, 114, 118, 116, 110, 102, 92, 84, 76, 66, 52, 40}
	weekdayWeights = [7]uint64{71, 110, 115, 115, 112, 105, 72}
)

// A Model knows every session, person and event of one [Config]. It does not change
// after [New] and may be used from several goroutines.
type Model struct {
	hasher
	config   Config
	start    int64 // Unix milliseconds
	persons  uint64
	sessions uint64

	// weights[i] is the traffic of all hours before hour i, so that the start of a
	// session is a position on this scale.
	weights []uint64
	// marks[i] is the number of events before session i*markEvery.
	marks []uint64
	lives func() *lives
}

// markEvery bounds the sessions to count when looking for the first event of one.
const markEvery = 4096

// New prepares the stream of c, which must be valid (see [Config.Validate]). It takes about
// a nanosecond per event, and 8 bytes per person when there are merges.
func New(c Config) *Model {
	if err := c.Validate(); err != nil {
		panic("gen: " + err.Error())
	}
	c = c.withDefaults()
	m := &Model{
		hasher:  newHasher(c.Seed),
		config:  c,
		start:   c.Start.UnixMilli(),
		persons: c.Events / c.EventsPerPerson,
		weights: hourScale(c),
	}
	for events := uint64(0); events < c.Events; m.sessions++ {
		if m.sessions%markEvery == 0 {
			m.marks = append(m.marks, events)
		}
		events += m.fullLength(m.sessions)
	}
	m.lives = sync.OnceValue(m.followLives)
	return m
}

// hourScale returns the cumulated weights of the hours of c. Traffic grows by a half within 90 days.
func hourScale(c Config) []uint64 {
	// A session lasts 50 minutes at most. Nothing starts in the last hours, so that
	// nothing runs past the end.
	quiet := 2
	if c.Names == Product {
		quiet = 1
	}
	first, hours := c.Start.Hour(), c.Days*24
	scale := make([]uint64, hours+1)
	for i := range hours {
		weekday := (int(c.Start.Weekday()) + (first+i)/24) % 7
		weight := hourWeights[(first+i)%24] * weekdayWeights[weekday] * uint64(180+i/24)
		if i >= hours-quiet {
			weight = 0
		}
		scale[i+1] = scale[i] + weight
	}
	return scale
}

// Config returns what the model was made from, with the defaults filled in.
func (m *Model) Config() Config { return m.config }

// Events returns how many events the stream has.
func (m *Model) Events() uint64 { return m.config.Events }

// Sessions returns how many sessions the stream has; they are numbered from 0.
func (m *Model) Sessions() uint64 { return m.sessions }

// End returns the moment before which every event lies.
func (m *Model) End() time.Time { return m.config.Start.AddDate(0, 0, m.config.Days) }

// FirstEvent returns the index, within the stream, of the first event of a session.
func (m *Model) FirstEvent(session uint64) uint64 {
	if session >= m.sessions {
		return m.config.Events
	}
	mark := session / markEvery
	events := m.marks[mark]
	for s := mark * markEvery; s < session; s++ {
		events += m.fullLength(s)
	}
	return events
}

// SessionOf returns the session that the index-th event of the stream is in.
func (m *Model) SessionOf(index uint64) uint64 {
	mark := uint64(sort.Search(len(m.marks), func(i int) bool { return m.marks[i] > index })) - 1
	session, events := mark*markEvery, m.marks[mark]
	for session < m.sessions {
		events += m.fullLength(session)
		if events > index {
			break
		}
		session++
	}
	return session
}

// fullLength returns the number of events of a session: 1 to 40, about 11 on average. The last session of
// the stream is cut off where the events asked for are reached.
func (m *Model) fullLength(session uint64) uint64 {
	u := m.hash(session, sessionLength) & 0xFFFF
	return 1 + (40*u*u*u)>>48
}

// startOf returns when a session starts, in milliseconds since the start of the stream. The hour
// is where to begin looking, and is moved on: sessions in order need no search.
func (m *Model) startOf(session uint64, hour *int) int64 {
	high, low := bits.Mul64(session, m.weights[len(m.weights)-1])
	at, _ := bits.Div64(high, low, m.sessions)
	for m.weights[*hour+1] <= at {
		*hour++
	}
	before, after := m.weights[*hour], m.weights[*hour+1]
	return int64(*hour)*hourMillis + int64((at-before)*hourMillis/(after-before))
}

// personOf returns who a session belongs to, among the persons that have arrived by then.
func (m *Model) personOf(session uint64) uint64 {
	present := m.persons*3/10 + (m.persons*7/10)*session/m.sessions + 1
	h := m.hash(session, sessionPerson)
	switch kind := h >> 61; {
	case kind == 0: // one of the newest
		return present - 1 - pick(h, present/32+1, 2)
	case kind <= 2:
		return pick(h, present, 3)
	default:
		return pick(h, present, 2)
	}
}

// Each calls f for every event of the sessions from, from+1, … to-1, and stops at the first
// error. The event is lent: f must copy what it keeps, strings excepted.
func (m *Model) Each(from, to uint64, f func(*Event) error) error {
	to = min(to, m.sessions)
	if from >= to {
		return nil
	}
	index := m.FirstEvent(from)
	s := m.newStream()
	for session := from; session < to; session++ {
		s.open(session)
		for slot := range s.length {
			if index == m.config.Events {
				return nil
			}
			s.fill(index, slot)
			if err := f(&s.event); err != nil {
				return err
			}
			index++
		}
	}
	return nil
}

// All returns every event of the stream, in order. Events are lent as by [Model.Each].
func (m *Model) All() iter.Seq[*Event] {
	return func(yield func(*Event) bool) {
		stop := fmt.Errorf("stopped")
		// The only error Each can return is the one that ends the iteration.
		_ = m.Each(0, m.sessions, func(e *Event) error {
			if !yield(e) {
				return stop
			}
			return nil
		})
	}
}

// Names returns the event names of the stream, sorted.
func (m *Model) Names() []string {
	names := shopNames[:]
	if m.config.Names == Product {
		names = append([]string{identify}, productNames...)
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}
