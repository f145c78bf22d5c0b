package gen

import (
	"math/bits"
	"strconv"
	"time"
)

// A Person is what is true about one person of the stream, whatever a database makes of it.
type Person struct {
	Number uint64
	// The distinct ids that occur in the stream for this person; empty if none of that kind does.
	AnonID, UserID string
	// Merged is whether an event says that both ids are one person; MergedAt is when.
	Merged   bool
	MergedAt time.Time
}

// Persons returns how many person numbers there are, counted from 0. Some have no event; see [Model.Seen].
func (m *Model) Persons() uint64 { return max(1, m.persons) }

// Seen returns how many persons have an event: what a database must count that has
// merged what the stream says is to be merged.
func (m *Model) Seen() uint64 {
	if m.config.Merges {
		return m.lives().persons
	}
	return m.lives().ids
}

// DistinctIDs returns how many distinct ids have an event.
func (m *Model) DistinctIDs() uint64 { return m.lives().ids }

// Person returns the truth about person p. The first call takes a pass over all sessions.
func (m *Model) Person(p uint64) Person {
	l := m.lives()
	person := Person{Number: p}
	if l.anon[p] != 0 {
		person.AnonID = m.anonID(p)
	}
	if l.user[p] == 0 {
		return person
	}
	person.UserID = m.userID(p)
	if m.config.Merges && m.kindOf(p) == startsAnonymous {
		hour := 0
		session := uint64(l.user[p] - 1)
		at := m.startOf(session, &hour)
		for slot := uint64(1); slot <= m.identifySlot(session); slot++ {
			at += m.pause(session, slot)
		}
		person.AnonID = m.anonID(p)
		person.Merged, person.MergedAt = true, time.UnixMilli(m.start+at).UTC()
	}
	return person
}

type kind uint8

const (
	startsAnonymous kind = iota // and gets a user id later
	staysAnonymous
	startsKnown
)

func (m *Model) kindOf(p uint64) kind {
	h := m.hash(p, personKind) % 25
	if m.config.Names == Product { // most visitors leave as they came, and few were there before
		switch {
		case h < 12:
			return startsAnonymous
		case h < 23:
			return staysAnonymous
		}
		return startsKnown
	}
	switch {
	case h < 5:
		return startsAnonymous
	case h < 13:
		return staysAnonymous
	}
	return startsKnown
}

// arrival returns the first moment at which a person can have a session.
func (m *Model) arrival(p uint64) int64 {
	there := m.persons * 3 / 10
	if p < there {
		return 0
	}
	high, low := bits.Mul64(p-there, uint64(m.config.Days)*dayMillis)
	at, _ := bits.Div64(high, low, m.persons*7/10+1)
	return int64(at)
}

// identifyFrom returns since when a person that starts anonymous is ready to be known.
func (m *Model) identifyFrom(p uint64) int64 {
	within := max(1, uint64(m.config.Days)/3) * dayMillis
	return m.arrival(p) + int64(m.hash(p, personIdentify)%within)
}

func (m *Model) anonID(p uint64) string {
	high, low := uuid4(m.hash(p, anonIDHigh), m.hash(p, anonIDLow))
	return string(appendUUID(nil, high, low))
}

func (m *Model) userID(p uint64) string {
	if m.config.Names == Product {
		return m.email(p)
	}
	return "user_" + strconv.FormatUint(p*7919%1000003+p*1000003, 36)
}

// lives is what only following the sessions in order can tell.
type lives struct {
	// By person: the number plus one of the first session with an event under the
	// anonymous id and under the user id; 0 if there is none.
	anon, user []uint32
	// pays has a bit for each session with a payment; nil unless the names have one.
	pays         []uint64
	persons, ids uint64
}

func (l *lives) paysIn(session uint64) bool { return l.pays[session/64]>>(session%64)&1 != 0 }

func (m *Model) followLives() *lives {
	l := &lives{anon: make([]uint32, m.Persons()), user: make([]uint32, m.Persons())}
	var due []int64 // by person: when the next payment is
	if m.config.Names == Product {
		l.pays = make([]uint64, m.sessions/64+1)
		due = make([]int64, m.Persons())
	}
	hour := 0
	for session := range m.sessions {
		p, start := m.personOf(session), m.startOf(session, &hour)
		anonymous, known := m.idsIn(l, session, p, start)
		number := uint32(session + 1)
		if anonymous && l.anon[p] == 0 {
			l.anon[p] = number
			l.ids++
			if l.user[p] == 0 {
				l.persons++
			}
		}
		if known && l.user[p] == 0 {
			l.user[p] = number
			l.ids++
			if l.anon[p] == 0 {
				l.persons++
			}
			if due != nil {
				due[p] = m.firstPaymentDue(p, start)
			}
		}
		if due != nil && l.user[p] != 0 && start >= due[p] && m.canPay(session, p, anonymous) {
			l.pays[session/64] |= 1 << (session % 64)
			due[p] = start + 30*dayMillis
		}
	}
	return l
}

// idsIn returns under which ids a session has events. In a shop it is one of them;
// a sign-up to a product has both.
func (m *Model) idsIn(l *lives, session, p uint64, start int64) (anonymous, known bool) {
	switch m.kindOf(p) {
	case staysAnonymous:
		return true, false
	case startsKnown:
		return false, true
	}
	if start < m.identifyFrom(p) {
		return true, false
	}
	if m.config.Names == Shop || l.user[p] != 0 && uint64(l.user[p]-1) < session {
		return false, true
	}
	return true, m.canSignUp(session)
}
