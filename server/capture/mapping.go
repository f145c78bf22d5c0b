package capture

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/prickledb/prickle/storage/event"
)

// Mapping says which columns of a file are what. A name with a dot in it is a path: the
// column "id" of the object "user" is "user.id". An empty name is a column that is not there.
type Mapping struct {
	Event, Time, Person, ID, Properties string

	literal []string // names whose dot is part of the name
}

// Sample is a column of a file and one of its values, for Detect.
type Sample struct {
	Name string
	Kind event.Kind
	Text []byte
}

// MappingError says which column was looked for in vain.
type MappingError struct {
	What    string // what no column looks like: "a time"
	Field   string // its name in --map: "time"
	Columns []string
}

// Error implements error.
func (e *MappingError) Error() string {
	return fmt.Sprintf("no column looks like %s (columns: %s)", e.What, strings.Join(e.Columns, ", "))
}

// UnknownColumnError says that a mapping names a column that is not there.
type UnknownColumnError struct {
	Field, Column string
	Columns       []string
}

// Error implements error.
func (e *UnknownColumnError) Error() string {
	return fmt.Sprintf("%s is mapped to %q, and there is no such column (columns: %s)", e.Field, e.Column, strings.Join(e.Columns, ", "))
}

// The names that are looked for, best first.
var (
	timeNames   = []string{"timestamp", "time", "ts", "event_time", "occurred_at", "created_at", "datetime", "date_time", "@timestamp", "properties.time", "properties.timestamp"}
	personNames = []string{"distinct_id", "$distinct_id", "user_id", "userid", "person_id", "properties.distinct_id", "anonymous_id", "device_id", "person"}
	eventNames  = []string{"event", "event_name", "event_type", "eventname"}
	idNames     = []string{"uuid", "event_id", "insert_id", "$insert_id", "message_id", "messageid", "properties.$insert_id"}
)

// Detect finds out what the columns of a file are. Fields of given that are set stay.
func Detect(columns []Sample, given Mapping) (Mapping, error) {
	m := given
	names := make([]string, 0, len(columns))
	for _, c := range columns {
		if !strings.HasPrefix(c.Name, "properties.") {
			names = append(names, c.Name)
		}
	}
	m.literal = names
	has := func(name string) bool {
		return slices.ContainsFunc(columns, func(c Sample) bool { return c.Name == name })
	}
	for _, f := range []struct {
		field, what string
		column      *string
		candidates  []string
		needed      bool
	}{
		{"properties", "properties", &m.Properties, []string{"properties", "event_properties"}, false},
		{"time", "a time", &m.Time, timeNames, true},
		{"person", "a person's id", &m.Person, personNames, true},
		{"event", "an event's name", &m.Event, eventNames, true},
		{"id", "an id", &m.ID, idNames, false},
	} {
		if *f.column != "" {
			if parent, _, _ := strings.Cut(*f.column, "."); !has(*f.column) && !has(parent) {
				return m, &UnknownColumnError{f.field, *f.column, names}
			}
			continue
		}
		for _, candidate := range f.candidates {
			for _, c := range columns {
				if *f.column == "" && strings.EqualFold(c.Name, candidate) {
					*f.column = c.Name
				}
			}
		}
		if *f.column == "" && f.needed {
			return m, &MappingError{f.what, f.field, names}
		}
	}
	return m, nil
}

// SampleJSON reads the columns of the first lines of newline-delimited JSON: those of the
// root, and as "properties.x" those of its properties. A last line without its end is
// left out, unless it is the only one. It returns nil if no line is a JSON object.
func SampleJSON(head []byte) []Sample {
	var out []Sample
	at := map[string]int{}
	add := func(name string, kind event.Kind, text []byte) {
		i, found := at[name]
		if !found {
			i = len(out)
			at[name] = i
			out = append(out, Sample{Name: name})
		}
		if out[i].Text == nil && kind != event.Null {
			out[i].Kind, out[i].Text = kind, bytes.Clone(text)
		}
	}
	var s scanner
	for line := 0; line < 100 && len(head) > 0; line++ {
		text, rest, whole := bytes.Cut(head, []byte("\n"))
		if !whole && line > 0 {
			break
		}
		head = rest
		if s.reset(bytes.TrimPrefix(text, []byte("\ufeff"))); !s.valid() || s.next() != '{' {
			continue
		}
		for more := s.open('}'); more; {
			key, ok := s.key()
			if !ok {
				break
			}
			kind, value, ok := s.value()
			if !ok {
				break
			}
			add(string(key), kind, value)
			if string(key) == "properties" && kind == event.JSON && value[0] == '{' {
				p := scanner{src: value}
				for inner := p.open('}'); inner; {
					key, _ := p.key()
					kind, value, ok := p.value()
					if !ok {
						break
					}
					add("properties."+string(key), kind, value)
					inner, _ = p.more('}')
				}
			}
			more, _ = s.more('}')
		}
	}
	return out
}

// Columns is how many columns there are, without what lies inside the properties.
func Columns(samples []Sample) (n int) {
	for _, c := range samples {
		if !strings.HasPrefix(c.Name, "properties.") {
			n++
		}
	}
	return n
}

// ReadAs describes the mapping in a line for the person who imports.
func (m Mapping) ReadAs(columns []Sample) string {
	var b strings.Builder
	field := func(name, column, note string) {
		if column == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteString("   ")
		}
		fmt.Fprintf(&b, "%s ← %q", name, column)
		if note != "" {
			fmt.Fprintf(&b, " (%s)", note)
		}
	}
	field("event", m.Event, "")
	form := ""
	for _, c := range columns {
		if c.Name == m.Time {
			form = timeForm(c)
		}
	}
	field("time", m.Time, form)
	field("person", m.Person, "")
	field("id", m.ID, "")
	b.WriteString("   the rest → properties")
	return b.String()
}

// timeForm names the form of a time.
func timeForm(c Sample) string {
	text := bytes.TrimSpace(c.Text)
	if len(text) == 0 {
		return ""
	}
	if _, ok := parseTime(text); !ok {
		return "cannot be read: " + clip(text)
	}
	if t, ok := parseEpoch(text); ok {
		switch v, _, _ := strings.Cut(strings.TrimPrefix(string(text), "-"), "."); {
		case len(v) <= 11 && t != 0:
			return "Unix seconds"
		case len(v) <= 14:
			return "Unix milliseconds"
		case len(v) <= 17:
			return "Unix microseconds"
		}
		return "Unix nanoseconds"
	}
	switch {
	case len(text) == 10:
		return "date"
	case len(text) > 10 && (text[10] == 'T' || text[10] == 't'):
		return "RFC 3339"
	case len(text) > 10 && text[10] == ' ':
		return "date and time"
	}
	return ""
}
