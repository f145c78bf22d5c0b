package capture

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// Manner is how far the server goes in making sense of an event.
type Manner uint8

const (
	// Capture is for live events: clocks are corrected, persons updated, and what a
	// client library says about its browser is copied to the person.
	Capture Manner = iota
	// Typed takes events as they are written: they touch no person, and no time is corrected.
	Typed
	// File updates persons, as Capture does, but corrects no times and copies nothing.
	File
)

// maxID is how many characters of an event's name or a distinct id are kept.
const maxID = 200

// role is what a member of an event's root object means.
type role uint8

const (
	roleOther role = iota
	roleEvent
	roleDistinctID
	roleUUID
	roleTime
	roleProperties
	roleSet // the next two follow it
	roleSetOnce
	roleUnset
	roleOffset
	roleToken
	roleSentAt
	roleType
	roleElements
	roleParent // an object in which a mapped column lies
)

var personKeys = [3][]byte{[]byte("$set"), []byte("$set_once"), []byte("$unset")}

// liveRoles are the members of a live event; others are ignored.
var liveRoles = map[string]role{
	"event": roleEvent, "distinct_id": roleDistinctID, "$distinct_id": roleDistinctID, "uuid": roleUUID,
	"timestamp": roleTime, "offset": roleOffset, "properties": roleProperties, "sent_at": roleSentAt,
	"$set": roleSet, "$set_once": roleSetOnce, "$unset": roleUnset,
	"token": roleToken, "api_key": roleToken, "$token": roleToken,
}

// typedRoles are the members of a typed event line; others are refused.
var typedRoles = map[string]role{
	"type": roleType, "event": roleEvent, "distinct_id": roleDistinctID, "uuid": roleUUID,
	"timestamp": roleTime, "properties": roleProperties, "elements": roleElements,
}

// value is a value of a row that is being read. Its text is lent, as the scanner's is.
type value struct {
	kind event.Kind
	set  bool
	text []byte
}

// row is what has a meaning of its own in the event that is being read. All else went to
// the builder already.
type row struct {
	event, distinctID, uuid, time value
	micros                        int64 // the time, if it came as a number of µs
	microsSet                     bool
	id                            vec.UUIDValue // the uuid, if it came as bytes, or is one as it is written mostly
	idSet                         bool
	unknown                       []byte // a member of a typed line that has no meaning
	// marked says that there may be marks; most events have none.
	marked bool
	marks
}

// marks are what few events have.
type marks struct {
	offset, token, sentAt, kind, elements value
	sets                                  [3]value // $set, $set_once, $unset of the root
	// Of the properties:
	propSets                                 [3]value
	propDistinctID, propToken, anonID, alias value
	process, ignoreSentAt, ip, lib, isServer value
	groupType, groupKey                      value
	groupSets                                [3]value // $group_set, $group_set_once, $group_unset
}

// bad says why an event is refused. The zero value is an event that is not.
type bad struct {
	kind   string // one of the Bad constants
	detail string
}

// The kinds of refusal, worded to follow a count of rows.
const (
	BadJSON     = "that are not valid JSON"
	BadShape    = "that are not events"
	BadEvent    = "without an event name"
	BadID       = `without a distinct id`
	BadNoTime   = "without a time"
	BadTime     = "with a time that cannot be read"
	BadEarly    = "with a time before 1970"
	BadLate     = "with a time after 9999"
	BadTooLarge = "that are too large"
)

// decoder turns events into rows of a builder. It is for one goroutine.
type decoder struct {
	manner  Manner
	s       scanner // of the events
	o       scanner // of objects that are put together
	b       *event.Builder
	row     row
	roles   map[string]role
	other   role      // of a member that roles does not name
	order   []rootKey // members of the previous event: the next one's are mostly the same
	mapped  []mapped  // columns that lie inside others
	clock   clock
	ip      []byte // of the client, in Capture
	name    []byte // of an event that has none, if not empty
	raw     []byte // the bytes of the row, for a uuid made from them
	derived []uint32
	fresh   bool // an event of the request got a uuid that nobody gave it, in Capture
	// warnings counts events by what was wrong with them, and was accepted.
	warnings map[string]int
	made     []byte // canonical objects, as long as the row lasts
	// sentAtText is the text of the time sentAtOf.
	sentAtText []byte
	sentAtOf   int64
	// copying marks rows of b that copy properties to their persons: those of browsers and
	// apps, and those of servers.
	copying [2]vec.Bitmap
}

type rootKey struct {
	key  []byte // nil if it is written with escapes
	role role
}

// mapped is a column at a path inside the member of a root object.
type mapped struct {
	parent string
	path   []string
	role   role
}

func newDecoder(m Manner) *decoder {
	d := &decoder{manner: m, b: event.NewBuilder(), roles: liveRoles, warnings: map[string]int{}}
	if m == Typed {
		d.roles = typedRoles
	}
	d.s.lenient = m == Capture
	return d
}

func (d *decoder) warn(kind string) { d.warnings[kind]++ }

func (d *decoder) begin() {
	d.b.Begin(vec.UUIDValue{}, 0)
	w := &d.row
	w.event, w.distinctID, w.uuid, w.time = value{}, value{}, value{}, value{}
	w.microsSet, w.idSet, w.unknown = false, false, nil
	if w.marked {
		w.marked, w.marks = false, marks{}
	}
	d.made = d.made[:0]
	d.o.arena, d.o.made, d.o.members = d.o.arena[:0], d.o.made[:0], d.o.members[:0]
}

// object reads the event that starts at the scanner's position into the row and the
// builder. If it returns false, the text is not JSON and the row is still to be aborted.
func (d *decoder) object() bool {
	s := &d.s
	i := 0
	for more := s.open('}'); more; i++ {
		var key []byte
		var r role
		var ok bool
		if i < len(d.order) && s.name(d.order[i].key) {
			key, r = d.order[i].key, d.order[i].role
		} else {
			if key, ok = s.key(); !ok {
				return false
			}
			r = d.learn(i, key)
		}
		switch {
		case r == roleProperties && s.next() == '{':
			ok = d.properties()
		case r == roleUUID && d.plainUUID():
			ok = true
		default:
			var v value
			v.set = true
			if v.kind, v.text, ok = s.value(); ok {
				d.take(r, key, v)
			}
		}
		if !ok {
			return false
		}
		if more, ok = s.more('}'); !ok {
			return false
		}
	}
	return true
}

// plainUUID reads the uuid that comes next, if it is written as it mostly is.
func (d *decoder) plainUUID() (ok bool) {
	const size = len(`"019b76da-a800-7137-a894-cbac52abf6e5"`)
	s, w := &d.s, &d.row
	if len(s.src)-s.pos < size || s.src[s.pos] != '"' || s.src[s.pos+size-1] != '"' {
		return false
	}
	if w.id, ok = parseUUID(s.src[s.pos+1 : s.pos+size-1]); ok {
		w.idSet = true
		s.pos += size
	}
	return ok
}

// learn finds the role of a key and remembers it for the next event.
func (d *decoder) learn(i int, key []byte) role {
	r, found := d.roles[string(key)]
	if !found {
		r = d.other
	}
	if i < 256 {
		for len(d.order) <= i {
			d.order = append(d.order, rootKey{})
		}
		d.order[i] = rootKey{nil, r}
		if event.PlainEnd(key, 0) == len(key) {
			d.order[i].key = bytes.Clone(key)
		}
	}
	return r
}

// take gives a value of the root object its meaning.
func (d *decoder) take(r role, key []byte, v value) {
	w := &d.row
	w.marked = w.marked || r >= roleSet && r < roleParent
	switch r {
	case roleEvent:
		w.event = v
	case roleDistinctID:
		w.distinctID = v
	case roleUUID:
		w.uuid, w.idSet = v, false
	case roleTime:
		w.time = v
	case roleProperties:
		d.embedded(v)
	case roleSet, roleSetOnce, roleUnset:
		w.sets[r-roleSet] = v
	case roleOffset:
		w.offset = v
	case roleToken:
		w.token = v
	case roleSentAt:
		w.sentAt = v
	case roleType:
		w.kind = v
	case roleElements:
		w.elements = v
	case roleParent:
		d.b.Property(key, v.kind, v.text)
		for _, m := range d.mapped {
			if m.parent == string(key) {
				if found := d.dig(v, m.path); found.set {
					d.take(m.role, nil, found)
				}
			}
		}
	default:
		switch d.manner {
		case File:
			what := d.special(key, &v)
			w.marked = w.marked || what >= noted
			if what != taken {
				d.b.Property(key, v.kind, v.text)
			}
		case Typed:
			w.unknown = key
		}
	}
}

// embedded takes properties that are not an object of the event itself: some exports hold
// them as a string of JSON.
func (d *decoder) embedded(v value) {
	if v.kind == event.Null {
		return
	}
	if v.kind == event.Text || v.kind == event.JSON {
		outer := d.s
		d.s.src, d.s.pos, d.s.err = v.text, 0, nil
		ok := d.s.next() == '{'
		if ok {
			// Looked through first: properties are not taken by half.
			start := d.s.pos
			_, ok = d.s.skip(0)
			ok = ok && d.s.end()
			d.s.pos = start
		}
		if ok {
			d.properties()
		}
		d.s.src, d.s.pos, d.s.err = outer.src, outer.pos, outer.err
		if ok {
			return
		}
	}
	if d.manner == Typed {
		d.row.unknown = []byte("properties")
		return
	}
	if d.manner == File {
		d.b.Property([]byte("properties"), v.kind, v.text)
	}
}

// dig finds what lies at a path inside a canonical object.
func (d *decoder) dig(v value, path []string) value {
	for _, step := range path {
		if v.kind != event.JSON || v.text[0] != '{' {
			return value{}
		}
		var found value
		d.o.src, d.o.pos = v.text, 0
		for more := d.o.open('}'); more; {
			key, _ := d.o.key()
			kind, text, ok := d.o.value()
			if !ok {
				return value{}
			}
			if string(key) == step {
				found = value{kind, true, text}
			}
			more, _ = d.o.more('}')
		}
		v = found
	}
	return v
}

// properties reads the object of properties that starts here. What the event before had as well,
// byte for byte, is not read.
func (d *decoder) properties() bool {
	s := &d.s
	for more := s.open('}'); more; {
		if size := d.b.Repeat(s.src[s.pos:]); size > 0 {
			s.pos += size
			if s.src[s.pos-1] == '}' {
				return true
			}
		}
		ok := true
		if more, ok = d.property(); !ok {
			return false
		}
	}
	return true
}

// property reads the property that comes next, and what stands behind it.
func (d *decoder) property() (more, ok bool) {
	s, b := &d.s, d.b
	start, what := s.pos, ordinary
	v := value{set: true}
	if s.name(b.ExpectedKey()) {
		if v.kind, v.text, ok = s.value(); !ok {
			return false, false
		}
		b.Next(v.kind, v.text)
	} else {
		var key []byte
		if key, ok = s.key(); !ok {
			return false, false
		}
		if v.kind, v.text, ok = s.value(); !ok {
			return false, false
		}
		if d.manner != Typed {
			what = d.special(key, &v)
			d.row.marked = d.row.marked || what >= noted
		}
		switch what {
		case ordinary:
			b.Member(key, v.kind, v.text)
			b.OnlyStored()
		case plain:
			b.Member(key, v.kind, v.text)
		case noted:
			b.Property(key, v.kind, v.text)
		}
	}
	if more, ok = s.more('}'); more {
		s.next()
	}
	if what <= plain {
		b.Written(s.src[start:s.pos])
	}
	return more, ok
}

// meaning is what a property means to the event or its person.
type meaning uint8

const (
	ordinary meaning = iota // nothing, whatever its value is
	plain                   // nothing, with this value
	noted                   // something, and it is stored as well
	taken                   // something, and it is not stored, or not yet
)

// special keeps a property that means something. It may give another value to be stored.
func (d *decoder) special(key []byte, v *value) meaning {
	w := &d.row
	for i := range d.mapped {
		if m := &d.mapped[i]; m.parent == "properties" && m.path[0] == string(key) {
			if len(m.path) > 1 {
				if found := d.dig(*v, m.path[1:]); found.set {
					d.take(m.role, nil, found)
				}
				return noted
			}
			d.take(m.role, nil, *v)
			return taken
		}
	}
	switch string(key) {
	case "$set":
		w.propSets[0] = *v
	case "$set_once":
		w.propSets[1] = *v
	case "$unset":
		w.propSets[2] = *v
	case "$process_person_profile":
		w.process = *v
	case "$session_id":
		if v.kind != event.Text || len(v.text) != 36 {
			return noted
		}
		if _, ok := parseUUID(v.text); ok { // some phones write it in capitals
			lower := len(d.made)
			d.made = append(d.made, v.text...)
			for i, c := range d.made[lower:] {
				if c >= 'A' && c <= 'F' {
					d.made[lower+i] = c + 'a' - 'A'
				}
			}
			v.text = d.made[lower:]
		}
		return plain
	case "$anon_distinct_id":
		w.anonID = *v
		return noted
	case "alias":
		w.alias = *v
		return noted
	case "distinct_id":
		w.propDistinctID = *v
		return noted
	case "token":
		return d.live(&w.propToken, v)
	case "$ignore_sent_at":
		return d.live(&w.ignoreSentAt, v)
	case "$ip":
		return d.live(&w.ip, v)
	case "$lib":
		return d.live(&w.lib, v)
	case "$is_server":
		return d.live(&w.isServer, v)
	case "$group_type":
		w.groupType = *v
		return noted
	case "$group_key":
		w.groupKey = *v
		return noted
	case "$group_set":
		w.groupSets[0] = *v
		return noted
	case "$group_set_once":
		w.groupSets[1] = *v
		return noted
	case "$group_unset":
		w.groupSets[2] = *v
		return noted
	case "$elements":
		if d.manner != Capture || v.kind != event.JSON || v.text[0] != '[' {
			return noted
		}
		if chain := elementsChain(*v); len(chain) > 0 {
			d.b.Property([]byte("$elements_chain"), event.Text, chain)
		}
	default:
		return ordinary
	}
	return taken
}

// live keeps a property that means something to a live event.
func (d *decoder) live(to, v *value) meaning {
	if d.manner != Capture {
		return ordinary
	}
	*to = *v
	return noted
}

// idText is an id or name as text: strings as they are, everything else as JSON.
func idText(v value) []byte {
	if !v.set || v.kind == event.Null {
		return nil
	}
	text := v.text
	if len(text) > maxID {
		n, at := 0, 0
		for at < len(text) && n < maxID {
			_, size := utf8.DecodeRune(text[at:])
			at += size
			n++
		}
		text = text[:at]
	}
	return text
}

// finish completes the row that was read, or drops it and says why.
func (d *decoder) finish() bad {
	reason := d.complete()
	if reason.kind != "" {
		d.b.Abort()
	} else {
		d.b.End()
	}
	return reason
}

func (d *decoder) complete() bad {
	w, b := &d.row, d.b
	id := idText(w.distinctID)
	if len(id) == 0 {
		id = idText(w.propDistinctID)
	}
	name := idText(w.event)
	if len(name) == 0 && !w.event.set {
		name = d.name
	}
	switch {
	case w.unknown != nil:
		return bad{BadShape, "member " + strconv.Quote(clip(w.unknown)) + " has no meaning in an event line, or not this value"}
	case len(name) == 0, d.manner != File && w.event.set && w.event.kind != event.Text:
		return bad{BadEvent, "no event name"}
	case len(id) == 0:
		return bad{BadID, "no distinct id"}
	}
	if reason := d.setTime(); reason.kind != "" {
		return reason
	}
	d.setUUID()
	b.SetName(name)
	b.SetDistinctID(id)
	if d.manner == Typed {
		b.Personless()
		if w.elements.set {
			if chain := elementsChain(w.elements); len(chain) > 0 {
				b.Property([]byte("$elements_chain"), event.Text, chain)
			}
		}
		return bad{}
	}
	if d.manner == Capture {
		if !w.ip.set && len(d.ip) > 0 {
			b.Property([]byte("$ip"), event.Text, d.ip)
		}
	}
	d.person(name, id)
	return bad{}
}

func clip(b []byte) string { return string(b[:min(len(b), 100)]) }

// setTime settles when the event happened.
func (d *decoder) setTime() bad {
	w := &d.row
	t, told := w.micros, w.microsSet
	if !told && w.time.set && w.time.kind != event.Null && len(w.time.text) > 0 {
		t, told = parseTime(w.time.text)
		if !told {
			if d.manner != Capture {
				return bad{BadTime, "the time " + strconv.Quote(clip(w.time.text)) + " cannot be read"}
			}
			d.warn("ignored_invalid_timestamp")
		}
	}
	if d.manner == Capture {
		c := d.clock
		if !c.sentAtSet && w.sentAt.set && w.sentAt.kind != event.Null {
			c.sentAt, c.sentAtSet = parseTime(w.sentAt.text)
		}
		var offset int64
		offsetSet := false
		if w.offset.set {
			// A larger one than a thousand years is no offset; it would also overflow.
			v, err := strconv.ParseInt(string(w.offset.text), 10, 64)
			offset, offsetSet = v, err == nil && v < 1e14 && v > -1e14
		}
		ignore := w.ignoreSentAt.set && w.ignoreSentAt.kind == event.Bool && w.ignoreSentAt.text[0] == 't'
		d.b.SetTime(c.eventTime(t, told, offset, offsetSet, ignore))
		if c.sentAtSet && !ignore {
			if len(d.sentAtText) == 0 || d.sentAtOf != c.sentAt {
				d.sentAtOf, d.sentAtText = c.sentAt, appendTime(d.sentAtText[:0], c.sentAt)
			}
			d.b.Property([]byte("$sent_at"), event.Text, d.sentAtText)
		}
		return bad{}
	}
	switch {
	case !told:
		return bad{BadNoTime, "no time"}
	case d.manner == File && t < minFileTime:
		return bad{BadEarly, "the time " + string(appendTime(nil, t)) + " is before 1970"}
	case d.manner == File && t > maxFileTime:
		return bad{BadLate, "the time is after 9999"}
	}
	d.b.SetTime(t)
	return bad{}
}

// setUUID settles the event's id.
func (d *decoder) setUUID() {
	w := &d.row
	if w.idSet {
		d.b.SetUUID(w.id)
		return
	}
	text := w.uuid.text
	if !w.uuid.set || w.uuid.kind == event.Null {
		text = nil
	}
	if len(text) > 0 {
		if id, ok := parseUUID(text); ok {
			d.b.SetUUID(id)
			return
		}
		if d.manner == Capture {
			d.b.Property([]byte("$original_uuid"), w.uuid.kind, text)
			d.warn("invalid_event_uuid")
		} else {
			// Some other id, then: the same one gives the same uuid.
			d.b.SetUUID(hashUUID(xxh3.Hash128Seed(text, 1)))
			return
		}
	}
	if d.manner == Capture {
		d.fresh = true
		d.b.SetUUID(freshUUID(d.clock.now))
		return
	}
	d.derived = append(d.derived, uint32(d.b.Rows()))
	d.b.SetUUID(hashUUID(xxh3.Hash128(d.raw)))
}

// parseUUID reads a uuid in its usual form, or in one of the others that are about.
func parseUUID(text []byte) (id vec.UUIDValue, ok bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		if len(text) != 32 && len(text) != 38 && len(text) != 45 {
			return id, false
		}
		u, err := uuid.ParseBytes(text)
		return u, err == nil
	}
	le := binary.LittleEndian
	a, ok1 := hex8(le.Uint64(text))
	b, ok2 := hex8(uint64(le.Uint32(text[9:])) | uint64(le.Uint32(text[14:]))<<32)
	c, ok3 := hex8(uint64(le.Uint32(text[19:])) | uint64(le.Uint32(text[24:]))<<32)
	e, ok4 := hex8(le.Uint64(text[28:]))
	le.PutUint64(id[:], uint64(a)|uint64(b)<<32)
	le.PutUint64(id[8:], uint64(c)|uint64(e)<<32)
	return id, ok1 && ok2 && ok3 && ok4
}

// hex8 is the four bytes that eight hexadecimal digits write. Both are in the order of memory, the
// first the lowest.
func hex8(x uint64) (bytes uint32, ok bool) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	// The top bits say which bytes are out of '0' to '9', and out of 'a' to 'f' in either case. A
	// byte beyond ASCII may carry into the next.
	digit := x ^ ones*'0'
	letter := (x | ones*0x20) ^ ones*0x60
	ok = x&tops == 0 && (digit+ones*(0x80-10))&((letter+ones*(0x80-7))|^(letter+ones*0x7f))&tops == 0
	x = x&(ones*15) + x>>6&ones*9
	x = (x<<4 | x>>8) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16), ok
}

// freshUUID is a new uuid of version 7.
func freshUUID(now int64) (id vec.UUIDValue) {
	ms := uint64(now / 1000)
	hi, lo := rand.Uint64(), rand.Uint64()
	putUUID(&id, ms<<16|hi&0xfff|0x7000, lo)
	return id
}

// hashUUID is the uuid, of version 8, that a hash makes.
func hashUUID(h xxh3.Uint128) (id vec.UUIDValue) {
	putUUID(&id, h.Hi&^0xf000|0x8000, h.Lo)
	return id
}

func putUUID(id *vec.UUIDValue, hi, lo uint64) {
	lo = lo&^(3<<62) | 1<<63 // the variant
	for i := range 8 {
		id[i] = byte(hi >> (56 - 8*i))
		id[8+i] = byte(lo >> (56 - 8*i))
	}
}
