package capture

import (
	"bytes"
	"maps"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// maxEvent is how many bytes of JSON one live event may have.
const maxEvent = 1 << 20

// request is what is decoded of one request.
type request struct {
	batches []*event.Batch
	tokens  []string // the different ones that were given
	fixed   bool     // the batch has a token, so those of its events do not matter
	rows    int
	refused []bad // events that are not stored
	dropped int   // events of kinds that are not kept
	// warnings are what was accepted but not as it was meant: how many events by kind.
	warnings map[string]int
}

// envelope is what stands around the events.
type envelope struct {
	token string
	clock clock
	ip    []byte
	name  []byte // of events that have none
}

// decodeRequest decodes an array of events, an object with a batch of them, or one event.
func (d *decoder) decodeRequest(body []byte, env envelope) (*request, error) {
	d.fresh = false
	d.clock, d.ip, d.name = env.clock, env.ip, env.name
	out := &request{}
	clear(d.warnings)
	d.s.reset(body)
	if !d.s.valid() {
		return nil, invalid("invalid_payload", "the body is %v", d.s.err)
	}
	first := d.s.next()
	switch first {
	case '[':
		if err := d.events(out); err != nil {
			return nil, err
		}
	case '{':
		batch, err := d.root(out)
		switch {
		case err != nil:
			return nil, err
		case batch == single:
			d.s.reset(body)
			d.s.next()
			if err := d.event(out); err != nil {
				return nil, err
			}
		case batch != decoded:
			d.s.reset(body)
			d.s.pos = batch
			if err := d.events(out); err != nil {
				return nil, err
			}
			d.s.pos = len(body) // what follows the batch was read before
		}
	default:
		if _, ok := d.s.skip(0); !ok {
			return nil, d.syntax()
		}
		return nil, invalid("invalid_payload", "the body is not an event, an array of events or an object with a batch")
	}
	if !d.s.end() {
		return nil, d.syntax()
	}
	if d.b.Rows() > 0 {
		out.flush(d)
	}
	if len(out.tokens) == 0 && env.token != "" {
		out.tokens = append(out.tokens, env.token)
	}
	out.warnings = maps.Clone(d.warnings)
	return out, nil
}

func (d *decoder) syntax() error {
	return invalid("invalid_payload", "the body is not valid JSON: %v", d.s.err)
}

// What root gives in the place of where the batch starts.
const (
	single  = -1 // the body is one event
	decoded = -2 // the batch was decoded on the way
)

// root looks through the object that is the body. It returns where its batch starts, or what
// the body is otherwise.
func (d *decoder) root(out *request) (batch int, err error) {
	s := &d.s
	batch = single
	token := ""
	for more := s.open('}'); more; {
		key, ok := s.key()
		if !ok {
			return 0, d.syntax()
		}
		if string(key) == "batch" {
			if s.next() == '[' {
				if batch == single && d.guessed(out, token) {
					return decoded, nil
				}
				batch = s.pos
			}
			_, ok = s.skip(0)
		} else {
			token, ok = d.rootMember(key, token)
		}
		if ok {
			more, ok = s.more('}')
		}
		if !ok {
			return 0, d.syntax()
		}
	}
	if !s.end() {
		return 0, d.syntax()
	}
	if batch >= 0 {
		out.fix(token)
	}
	return batch, nil
}

// rootMember reads the value of a member of the root, which has a batch perhaps. It gives the
// token that is known then.
func (d *decoder) rootMember(key []byte, token string) (string, bool) {
	s := &d.s
	var v value
	var ok bool
	switch string(key) {
	case "api_key", "token":
		if v.kind, v.text, ok = s.value(); v.kind == event.Text && token == "" {
			token = string(v.text)
		}
	case "sent_at":
		if v.kind, v.text, ok = s.value(); ok && v.kind != event.Null {
			if t, read := parseTime(v.text); read {
				d.clock.sentAt, d.clock.sentAtSet = t, true
			}
		}
	case "historical_migration":
		v.kind, v.text, ok = s.value()
		d.clock.historical = ok && v.kind == event.Bool && v.text[0] == 't'
	default:
		_, ok = s.skip(0)
	}
	return token, ok
}

// guessed decodes the batch that starts here in one go, where it can: what stands behind it
// counts for its events, so its end is guessed to be the last bracket of the body, and the
// members behind that are read first. If it turns out that the batch ends elsewhere, or
// anything is wrong, it is as if nothing had been read: looking for the end first costs a
// third of all the decoding.
func (d *decoder) guessed(out *request, token string) bool {
	s := &d.s
	start, clock := s.pos, d.clock
	end := bytes.LastIndexByte(s.src, ']') + 1
	s.pos = end
	more, ok := s.more('}')
	for ok && more {
		var key []byte
		if key, ok = s.key(); !ok || string(key) == "batch" {
			ok = false
			break
		}
		if token, ok = d.rootMember(key, token); ok {
			more, ok = s.more('}')
		}
	}
	if ok = ok && s.end(); ok {
		out.fix(token)
		s.pos = start
		ok = d.events(out) == nil && s.pos == end
	}
	if ok {
		s.pos = len(s.src)
		return true
	}
	s.pos, s.err, d.clock = start, nil, clock
	*out = request{}
	d.b, d.copying, d.fresh = event.NewBuilder(), [2]vec.Bitmap{}, false
	clear(d.warnings)
	return false
}

// events reads an array of events.
func (d *decoder) events(out *request) error {
	s := &d.s
	more := s.open(']')
	if !more {
		return invalid("empty_batch", "there is no event in the batch")
	}
	for more {
		// What unescaped strings need does not add up over a batch.
		s.arena, s.made = s.arena[:0], s.made[:0]
		if s.next() == '{' {
			if err := d.event(out); err != nil {
				return err
			}
		} else {
			if _, ok := s.skip(1); !ok {
				return d.syntax()
			}
			out.refused = append(out.refused, bad{BadShape, "not an object"})
		}
		var ok bool
		if more, ok = s.more(']'); !ok {
			return d.syntax()
		}
	}
	return nil
}

// event reads the event that starts here.
func (d *decoder) event(out *request) error {
	start := d.s.pos
	d.begin()
	if !d.object() {
		d.b.Abort()
		return d.syntax()
	}
	w := &d.row
	for _, v := range []value{w.token, w.propToken} {
		if !out.fixed && v.set && v.kind == event.Text && len(v.text) > 0 {
			out.token(string(v.text))
			break
		}
	}
	if w.event.kind == event.Text && string(w.event.text) == "$performance_event" {
		d.b.Abort()
		out.dropped++
		return nil
	}
	if size := d.s.pos - start; size > maxEvent {
		d.b.Abort()
		out.refused = append(out.refused, bad{BadTooLarge, "the event has " + strconv.Itoa(size) + " bytes; the limit is " + strconv.Itoa(maxEvent)})
		return nil
	}
	if reason := d.finish(); reason.kind != "" {
		out.refused = append(out.refused, reason)
		return nil
	}
	out.rows++
	if d.full() {
		out.flush(d)
	}
	return nil
}

func (r *request) flush(d *decoder) {
	b := d.b.Finish()
	b.CreatedAt = d.clock.now
	d.finishCopies(b)
	r.batches = append(r.batches, b)
}

// fix notes the token of the whole batch, if it has one.
func (r *request) fix(token string) {
	if token != "" {
		r.token(token)
		r.fixed = true
	}
}

// token notes a token.
func (r *request) token(token string) {
	token = strings.TrimSpace(token)
	for _, known := range r.tokens {
		if known == token {
			return
		}
	}
	if token != "" && len(r.tokens) < 2 { // two are as wrong as many
		r.tokens = append(r.tokens, token)
	}
}

// checkToken refuses what cannot be a project's token.
func checkToken(tokens []string) (string, error) {
	switch {
	case len(tokens) == 0:
		return "", unauthorized("missing_token", `there is no project token; send it as "api_key" or "token"`)
	case len(tokens) > 1:
		return "", unauthorized("several_tokens", "the request has several different project tokens; send one project's events at a time")
	}
	token := tokens[0]
	switch {
	case strings.HasPrefix(token, "phx_"):
		return "", unauthorized("personal_key", "this is a personal key (phx_…); events are sent with the project's token (phc_…)")
	case len(token) > 64:
		return "", unauthorized("malformed_token", "the project token is longer than 64 bytes")
	}
	for i := range len(token) {
		if token[i] >= 0x80 || token[i] < ' ' {
			return "", unauthorized("malformed_token", "the project token has characters that no token has")
		}
	}
	return token, nil
}
