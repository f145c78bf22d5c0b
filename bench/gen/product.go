package gen

import "strconv"

const (
	viewedPage    = "viewed page"
	viewedPricing = "viewed pricing"
	signedUp      = "signed up"
	paid          = "paid"
)

// What visitors and customers of a product do besides viewing pages, the most frequent first.
var (
	visitorNames  = [...]string{"clicked link", "searched docs", "watched demo", "submitted form", "started chat", "subscribed to newsletter"}
	customerNames = [...]string{
		"ran query", "opened dashboard", "saved insight", "logged in", "created dashboard", "exported report", "searched docs",
		"invited teammate", "created project", "changed settings", "connected source", "shared dashboard", "created api key",
		"hit error", "contacted support", "upgraded plan", "left feedback", "cancelled plan",
	}
	productNames = productNameList()
)

func productNameList() []string {
	names := []string{viewedPage, viewedPricing, signedUp, paid}
	names = append(names, visitorNames[:]...)
	for _, name := range customerNames {
		if name != "searched docs" { // visitors do that as well
			names = append(names, name)
		}
	}
	return names
}

// Plans of a product and what a month of each costs, in cents.
var (
	productPlans = [4]plan{{"free", 55}, {"team", 85}, {"business", 96}, {"enterprise", 100}}
	planCents    = map[string]uint64{"team": 2900, "business": 9900, "enterprise": 49_900}
)

// openProduct renders what all events of the session have in common.
func (s *stream) openProduct(session uint64) {
	e := &s.event
	b := append(e.head[:0], '{')
	b = appendText(b, "$browser", e.device.browser)
	b = appendText(b, "$os", e.device.os)
	e.head = appendText(b, "$device_type", e.device.kind)
	e.tail = appendText(s.appendSource(e.tail[:0], session), "country", e.Country)
}

func (s *stream) chooseProduct(slot uint64, choice, detail uint64) {
	e := &s.event
	e.Name, e.Path = s.productEvent(slot, choice)
	if e.Path == "" {
		e.Path = paths().pages[pick(choice>>20, uint64(len(paths().pages)), 4)]
	}
	switch e.Name {
	case paid:
		e.AmountCents = planCents[e.Plan]
	case "searched docs":
		e.SearchQuery = "query " + strconv.FormatUint(pick(detail>>8, 20_000, 3), 10)
	}
}

// productEvent returns the name for a slot, and the path if the name settles it.
func (s *stream) productEvent(slot uint64, choice uint64) (name, path string) {
	h := choice & 0x3FF
	switch {
	case int(slot) == s.signUpAt || int(slot) == s.identifyAt:
		return signedUp, "/signup"
	case s.signUpAt >= 0 && slot == 1:
		return viewedPricing, "/pricing"
	case s.pays && slot == s.length-1:
		return paid, "/billing"
	case slot == 0 && h < 960:
		return viewedPage, ""
	case s.event.Known:
		switch {
		case h < 480:
			return viewedPage, ""
		case h < 540:
			return viewedPricing, "/pricing"
		}
		return customerNames[pick(choice>>10, uint64(len(customerNames)), 2)], ""
	case h < 520:
		return viewedPage, ""
	case h < 860:
		return viewedPricing, "/pricing"
	}
	return visitorNames[pick(choice>>10, uint64(len(visitorNames)), 2)], ""
}

// canSignUp reports whether a session has room for a visit, a look at the prices,
// signing up and being told about it.
func (m *Model) canSignUp(session uint64) bool {
	return m.fullLength(session) >= 4 && session != m.sessions-1 // the last one is cut off
}

// canPay reports whether a session has room for a payment by somebody whose plan costs
// something. In the session of the sign-up it comes after it.
func (m *Model) canPay(session, p uint64, signsUp bool) bool {
	first := uint64(1)
	if signsUp {
		first = m.identifySlot(session) + 2
	}
	return first < m.fullLength(session) && session != m.sessions-1 && m.planOf(p) != productPlans[0].name
}

// firstPaymentDue returns since when a person is ready to pay whose first session with a user
// id starts at known: at once or within 12 days of signing up, and any time within a
// month if they had signed up long ago.
func (m *Model) firstPaymentDue(p uint64, known int64) int64 {
	h := m.hash(p, firstPayment)
	if m.kindOf(p) == startsKnown {
		return known + int64(h%(30*dayMillis))
	}
	if h>>62 == 0 {
		return known
	}
	return known + int64(pick(h, 12*dayMillis, 2))
}

var (
	firstNames = [...]string{"ana", "ben", "chloe", "dev", "elif", "femi", "greta", "hugo", "ines", "jonas", "kai", "lena", "mei", "nora", "omar", "priya", "quinn", "rosa", "sven", "tara", "uma", "victor", "wanda", "yusuf", "zoe"}
	lastNames  = [...]string{"ruiz", "okafor", "meyer", "tanaka", "silva", "novak", "khan", "rossi", "larsen", "moreau", "smith", "kaya", "patel", "jensen", "costa", "popescu", "kim", "haddad", "olsen", "weber", "nguyen", "garcia", "ivanova", "brown", "mensah"}
	companies  = [...]string{"acme", "globex", "initech", "umbrella", "hooli", "wayne", "stark", "wonka", "tyrell", "soylent", "aperture", "cyberdyne", "vandelay", "dunder", "pied-piper"}
)

// email returns the user id of a person; their number makes it theirs alone.
func (m *Model) email(p uint64) string {
	return firstNames[m.hash(p, personFirstName)%uint64(len(firstNames))] + "." +
		lastNames[m.hash(p, personLastName)%uint64(len(lastNames))] + "." +
		strconv.FormatUint(p, 36) + "@" +
		companies[pick(m.hash(p, personCompany), uint64(len(companies)), 2)] + ".example"
}
