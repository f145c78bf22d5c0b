package capture

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/prickledb/prickle/storage/event"
)

// copiedKeys are the properties that a live event also sets on its person. $os_name is
// another name of $os, which counts if an event has both.
var copiedKeys = strings.Fields(`$app_build $app_name $app_namespace $app_version $browser $browser_version
	$device_type $current_url $pathname $os_name $os $os_version $referring_domain $referrer
	$screen_height $screen_width $viewport_height $viewport_width $raw_user_agent
	utm_source utm_medium utm_campaign utm_content utm_name utm_term gclid gad_source gclsrc dclid gbraid
	wbraid fbclid msclkid twclid li_fat_id mc_cid igshid ttclid rdt_cid irclid _kx epik qclid sccid`)

// serverLibs are the libraries whose $os is that of a server, not of a person.
var serverLibs = []string{"posthog-python", "posthog-node", "posthog-edge", "posthog-go", "posthog-ruby", "posthog-php",
	"posthog-java", "posthog-dotnet", "posthog-elixir", "posthog-rs"}

// person settles what the event does to persons.
func (d *decoder) person(name, id []byte) {
	w, b := &d.row, d.b
	if w.process.set {
		if w.process.kind == event.Bool && w.process.text[0] == 'f' {
			switch string(name) {
			case "$identify", "$create_alias", "$merge_dangerously", "$groupidentify":
				d.warn("invalid_event_when_process_person_profile_is_false")
			}
			b.Property([]byte("$process_person_profile"), event.Bool, falseText)
			b.Personless()
			return
		}
		if w.process.kind != event.Bool {
			d.warn("invalid_process_person_profile")
		}
	}
	var sets [2]value
	var unset value
	if w.marked {
		for i := range sets {
			sets[i] = d.both(i)
			if sets[i].set {
				b.Property(personKeys[i], sets[i].kind, sets[i].text)
			}
		}
		unset = w.sets[2]
		if !unset.set {
			unset = w.propSets[2]
		}
		if unset.set {
			b.Property(personKeys[2], unset.kind, unset.text)
		}
	}
	switch string(name) {
	case "$groupidentify": // its id is made up by the library
		b.Personless()
		d.group()
		return
	case "$exception", "$$heatmap":
		return
	}
	if d.manner == Capture {
		d.copies()
	}
	if !w.marked {
		return
	}
	var op event.PersonOp
	if isObject(sets[0]) && len(sets[0].text) > 2 {
		op.Set = bytes.Clone(sets[0].text)
	}
	if isObject(sets[1]) && len(sets[1].text) > 2 {
		op.SetOnce = d.withoutNulls(sets[1].text)
	}
	op.Unset = d.unset(unset)
	var other value
	switch string(name) {
	case "$identify":
		op.Kind, other = event.OpIdentify, w.anonID
	case "$create_alias":
		op.Kind, other = event.OpAlias, w.alias
	case "$merge_dangerously":
		op.Kind, other = event.OpMergeDangerously, w.alias
	}
	if op.Kind != event.OpSet {
		from := idText(other)
		switch {
		case len(from) == 0 || string(from) == string(id):
			op.Kind = event.OpSet
		case illegalID(from) || illegalID(id):
			op.Kind = event.OpSet
			d.warn("cannot_merge_with_illegal_distinct_id")
		default:
			op.Other = string(from)
		}
	}
	if op.Kind != event.OpSet || op.Set != nil || op.SetOnce != nil || op.Unset != nil {
		b.Op(op)
	}
}

func isObject(v value) bool { return v.set && v.kind == event.JSON && v.text[0] == '{' }

// both is one of the objects for the person, of the root and the properties together.
// Where both have a key, the root's counts.
func (d *decoder) both(i int) value {
	root, prop := d.row.sets[i], d.row.propSets[i]
	switch {
	case !isObject(root) && prop.set:
		return d.objectOf(prop)
	case !isObject(prop):
		return d.objectOf(root)
	}
	m := d.newObject()
	m.addAll(prop.text, false)
	m.addAll(root.text, false)
	return m.value()
}

// objectOf reads a string that holds a JSON object, as some exports have it.
func (d *decoder) objectOf(v value) value {
	if d.manner != File || v.kind != event.Text || len(v.text) == 0 || v.text[0] != '{' {
		return v
	}
	d.o.src, d.o.pos, d.o.err = v.text, 0, nil
	kind, text, ok := d.o.value()
	if !ok || !d.o.end() {
		return v
	}
	return value{kind, true, text}
}

// copies marks the row as one that copies properties to its person.
func (d *decoder) copies() {
	w := &d.row
	from := &d.copying[0]
	if w.isServer.set && w.isServer.kind == event.Bool && w.isServer.text[0] == 't' ||
		w.lib.set && slices.Contains(serverLibs, string(w.lib.text)) {
		from = &d.copying[1]
	}
	*from = from.Grow(d.b.Rows() + 1)
	from.Set(d.b.Rows())
}

// finishCopies says what the rows copy that were marked.
func (d *decoder) finishCopies(b *event.Batch) {
	for i := range d.copying {
		rows := d.copying[i]
		d.copying[i] = nil
		if !rows.Any() {
			continue
		}
		c := event.Copy{Rows: rows.Grow(b.Rows)}
		for _, key := range copiedKeys {
			if i == 1 && strings.HasPrefix(key, "$os") {
				continue
			}
			if _, found := b.Find(key); found {
				to := key
				if key == "$os_name" {
					to = "$os"
				}
				c.Props = append(c.Props, event.CopiedProp{From: key, To: to})
			}
		}
		if len(c.Props) > 0 {
			b.Copies = append(b.Copies, c)
		}
	}
}

// withoutNulls is a copy of an object without its null members: a null that is set once
// must not keep a later value out.
func (d *decoder) withoutNulls(object []byte) []byte {
	if !bytes.Contains(object, nullText) {
		return bytes.Clone(object)
	}
	m := d.newObject()
	m.addAll(object, true)
	text := m.value().text
	if len(text) == 2 {
		return nil
	}
	return bytes.Clone(text)
}

// unset lists the keys to remove from the person: those of an array, or of an object.
func (d *decoder) unset(v value) (keys []string) {
	if !v.set || v.kind != event.JSON {
		return nil
	}
	d.o.src, d.o.pos = v.text, 0
	object := v.text[0] == '{'
	end := v.text[0] + 2
	for more := d.o.open(end); more; {
		if object {
			key, _ := d.o.key()
			keys = append(keys, string(key))
		}
		kind, text, ok := d.o.value()
		if !ok {
			return keys
		}
		if !object && kind == event.Text {
			keys = append(keys, string(text))
		}
		more, _ = d.o.more(end)
	}
	return keys
}

// objectWriter is a JSON object that is put together from canonical pieces. Of two members
// with the same key the later counts.
type objectWriter struct {
	d    *decoder
	from int // of its text in d.made
	base int // of its members in d.o.members
}

func (d *decoder) newObject() objectWriter {
	m := objectWriter{d, len(d.made), len(d.o.members)}
	d.made = append(d.made, '{')
	return m
}

func (m objectWriter) member(key []byte) (from int) {
	d := m.d
	if len(d.o.members) > m.base {
		d.made = append(d.made, ", "...)
	}
	from = len(d.made)
	d.made = append(event.AppendJSONString(d.made, key), ": "...)
	return from
}

func (m objectWriter) addAll(text []byte, dropNulls bool) {
	o := &m.d.o
	o.src, o.pos = text, 0
	for more := o.open('}'); more; {
		key, ok := o.key()
		keep := len(o.arena)
		raw, fine := o.skip(1)
		o.arena = o.arena[:keep]
		if !ok || !fine {
			return
		}
		if !dropNulls || string(raw) != "null" {
			from := m.member(key)
			m.d.made = append(m.d.made, raw...)
			o.members = append(o.members, member{key, from, len(m.d.made)})
		}
		more, _ = o.more('}')
	}
}

func (m objectWriter) value() value {
	d := m.d
	d.made = append(d.o.order(d.made, m.from+1, d.o.members[m.base:]), '}')
	d.o.members = d.o.members[:m.base]
	return value{event.JSON, true, d.made[m.from:len(d.made):len(d.made)]}
}

var (
	illegalFolded = strings.Fields("anonymous guest distinctid distinct_id id not_authenticated email undefined true false")
	illegalExact  = []string{"[object Object]", "NaN", "None", "none", "null", "0", "undefined"}
)

// illegalID says whether an id is one that many people share by mistake. Merging with it
// would make all of them one.
func illegalID(id []byte) bool {
	s := strings.TrimSpace(string(id))
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		s = s[1 : len(s)-1]
	}
	return strings.TrimSpace(s) == "" || slices.Contains(illegalExact, s) || slices.Contains(illegalFolded, strings.ToLower(s))
}

func appendTime(dst []byte, micros int64) []byte {
	return time.UnixMicro(micros).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999Z")
}
