package gen

import (
	"strconv"
	"sync"
)

// A stream makes the events of one session after the other, in order of their numbers. It is used by one goroutine.
type stream struct {
	*Model
	event  Event
	lives  *lives // nil without merges and profiles
	hour   int
	start  int64 // of the session, in milliseconds since the start of the stream
	now    int64 // of the event
	length uint64
	known  bool   // whether the session is under the user id from its first event on
	traits uint64 // hash of the session
	buyer  uint64 // hash of the person
	shop   shopping
	// identifyAt is the slot of the event that merges; -1 if none does.
	identifyAt int
	signUpAt   int // slot of the event that says so; -1
	pays       bool
	choose     func(slot uint64, choice, detail uint64)
}

func (m *Model) newStream() *stream {
	s := &stream{Model: m}
	s.event.names = m.config.Names
	if m.config.Merges || m.config.Profiles {
		s.lives = m.lives()
	}
	s.choose = s.chooseShop
	if m.config.Names == Product {
		s.choose = s.chooseProduct
	}
	return s
}

// open starts a session: whose it is, under which id, on which device, from where.
func (s *stream) open(session uint64) {
	e := &s.event
	p := s.personOf(session)
	e.Session, e.Person = session, p
	s.start = s.startOf(session, &s.hour)
	s.now = s.start
	s.length = s.fullLength(session)
	s.traits, s.buyer = s.hash(session, sessionTraits), s.hash(p, personTraits)
	s.shop = shopping{}

	s.identifyAt, s.signUpAt, s.pays = -1, -1, false
	if !s.config.Merges {
		_, s.known = s.idsIn(nil, session, p, s.start)
	} else {
		s.known = s.lives.user[p] != 0 && uint64(s.lives.user[p]-1) <= session
		if s.known && uint64(s.lives.user[p]-1) == session && s.kindOf(p) == startsAnonymous {
			s.identifyAt = int(s.identifySlot(session))
			s.known = s.identifyAt == 0
		}
		if s.config.Names == Product {
			s.pays = s.lives.paysIn(session)
			if s.identifyAt >= 0 {
				s.signUpAt = s.identifyAt + 1
			}
		}
	}
	s.setID(s.known)

	// One session in eight is on the person's other device.
	machine := s.buyer
	if s.traits&7 == 0 {
		machine = s.hash(p, secondDevice)
	}
	e.device = deviceOf(machine)
	e.source = sourceOf(s.traits)
	country := s.countryNumber(p)
	e.Country = countries[country]
	if s.config.Names == Product {
		s.openProduct(session)
	} else {
		s.openShop(session, p, machine, country)
	}
}

// setID switches to the anonymous or the user id.
func (s *stream) setID(known bool) {
	e := &s.event
	e.Known = known
	if known {
		e.DistinctID = s.userID(e.Person)
	} else {
		e.DistinctID = s.anonID(e.Person)
	}
	if s.config.Names == Product {
		e.Plan = ""
		if !known {
			return
		}
	}
	e.Plan = s.planOf(e.Person)
}

// fill makes the event in one slot of the open session, which is the index-th of the stream.
func (s *stream) fill(index, slot uint64) {
	e := &s.event
	key := e.Session*64 + slot
	choice, detail := s.hash(key, eventChoice), s.hash(key, eventDetail)
	if slot > 0 {
		s.now += pauseOf(choice)
	}
	e.UnixMilli = s.Model.start + s.now
	e.setUUID(uuid4(s.hash(index, eventUUIDHigh), s.hash(index, eventUUIDLow)))
	e.ProductID, e.PriceCents, e.Quantity, e.SearchQuery, e.AmountCents = "", 0, 0, "", 0
	s.choose(slot, choice, detail)

	e.query = query{}
	if slot == 0 && e.source.utmSource != "" {
		e.query.campaign = true
	} else if detail>>52&15 == 0 {
		e.query.hasTab, e.query.tab = true, pick(detail>>12, 500, 2)
	}
	e.AnonID, e.identity = "", ""
	if slot == 0 && s.config.Profiles && s.isFirst() {
		e.identity = s.identity(e)
	}
	if int(slot) == s.identifyAt {
		s.setID(true)
		e.Name = identify
		e.AnonID = s.anonID(e.Person)
		e.identity = s.identity(e)
	}
}

const identify = "$identify"

// pause returns the milliseconds between the event in a slot and the one before it.
func (m *Model) pause(session, slot uint64) int64 {
	return pauseOf(m.hash(session*64+slot, eventChoice))
}

func pauseOf(choice uint64) int64 { return int64(200 + pick(choice>>40, 75_000, 3)) }

// plan is one of four that persons have.
type plan struct {
	name string
	upTo uint64 // of 100 persons, counted with the plans before
}

// countryNumber returns which of the countries a person is from.
func (m *Model) countryNumber(p uint64) uint64 {
	return pick(m.hash(p, personTraits)>>3, uint64(len(countries)), 3)
}

// companySizes are how many people work where a person does.
var companySizes = [...]uint64{1, 5, 20, 50, 200, 1000, 5000}

func (m *Model) companySizeOf(p uint64) uint64 {
	return companySizes[pick(m.hash(p, companySize), uint64(len(companySizes)), 2)]
}

// planOf returns the plan of a person who has one.
func (m *Model) planOf(p uint64) string {
	plans := &shopPlans
	if m.config.Names == Product {
		plans = &productPlans
	}
	h, i := m.hash(p, personPlan)%100, 0
	for plans[i].upTo <= h {
		i++
	}
	return plans[i].name
}

// identifySlot returns which event of a session, if it merges, does so.
func (m *Model) identifySlot(session uint64) uint64 {
	if m.config.Names == Shop {
		return 0
	}
	// A visit, a look at the prices, perhaps more; then signing up, which takes two events.
	return 2 + m.hash(session, signUpSlot)%(m.fullLength(session)-3)
}

// isFirst returns whether the open session begins with the first event under an id.
func (s *stream) isFirst() bool {
	number, p := uint32(s.event.Session+1), s.event.Person
	return s.lives.anon[p] == number || s.lives.user[p] == number
}

// identity returns what an event says about the person.
func (s *stream) identity(e *Event) string {
	b := append([]byte(nil), '{')
	if s.config.Names == Product {
		b = appendText(b, "email", e.DistinctID)
	}
	b = appendText(b, "plan", e.Plan)
	b = appendText(b, "country", e.Country)
	if s.config.Profiles {
		b = appendNumber(b, "company_size", s.companySizeOf(e.Person))
	}
	b[len(b)-1] = '}'
	return string(b)
}

// paths holds the strings of all pages and products, which every stream shares.
var paths = sync.OnceValue(func() *pathTable {
	t := &pathTable{}
	t.pages[0] = "/"
	for i := 1; i < len(t.pages); i++ {
		t.pages[i] = "/" + sections[i%len(sections)] + "/" + strconv.Itoa(i)
	}
	for i := range t.products {
		t.ids[i] = "sku-" + strconv.Itoa(i)
		t.products[i] = "/product/" + t.ids[i]
	}
	for i, name := range shopNames {
		t.checkout[i] = "/checkout/" + name
	}
	return t
})

type pathTable struct {
	pages    [3000]string
	products [10000]string // page of a product
	ids      [10000]string
	checkout [len(shopNames)]string
}
