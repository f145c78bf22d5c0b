package insighttest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// object is a JSON object.
type object = map[string]any

// Data is a project: what the cases of the insights describe, in their format.
type Data struct {
	Now         string   `json:"now"`
	Timezone    string   `json:"timezone"`
	WeekStart   int      `json:"week_start"`
	Persons     []Person `json:"persons"`
	Groups      []Group  `json:"groups"`
	Cohorts     []object `json:"cohorts"`
	Actions     []object `json:"actions"`
	Events      []Event  `json:"events"`
	Definitions []object `json:"property_definitions,omitempty"`
	TestFilters []any    `json:"test_account_filters,omitempty"`
	Cleaning    []object `json:"path_cleaning_filters,omitempty"`

	// Sampled says whether the events of a distinct id are read with a samplingFactor. The
	// hash that decides is the engine's choice, so it is the engine that tells.
	Sampled func(factor float64, id string) bool `json:"-"`
}

// Person is a set of distinct ids. CreatedAt may be empty: the time of its first event.
type Person struct {
	DistinctIDs []string `json:"distinct_ids"`
	Properties  object   `json:"properties"`
	CreatedAt   string   `json:"created_at,omitempty"`
}

// Group is one group of a type.
type Group struct {
	TypeIndex  int    `json:"type_index"`
	Key        string `json:"key"`
	Properties object `json:"properties"`
	CreatedAt  string `json:"created_at,omitempty"`
}

// Event is one event. Events of one instant are ordered by UUID, and without one by their
// place in the list.
type Event struct {
	Event      string   `json:"event"`
	DistinctID string   `json:"distinct_id"`
	Timestamp  string   `json:"timestamp"`
	UUID       string   `json:"uuid,omitempty"`
	Properties object   `json:"properties"`
	Elements   []object `json:"elements,omitempty"`
}

// refusal is an answer that consists in an error for the client.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

func refuse(format string, args ...any) { panic(refusal{fmt.Sprintf(format, args...)}) }

// Unsupported is what Answer returns for a question the model does not cover.
type Unsupported struct{ What string }

func (u Unsupported) Error() string { return "the model does not know " + u.What }

func unsupported(format string, args ...any) { panic(Unsupported{fmt.Sprintf(format, args...)}) }

// Answer answers an insight. The answer has the form of what encoding/json makes of it.
func Answer(d *Data, query map[string]any) (answer map[string]any, err error) {
	defer recoverRefusal(&err)
	m := newModel(d)
	m.sample(query)
	out, err := json.Marshal(m.answer(query))
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(out, &answer)
	return answer, err
}

func recoverRefusal(err *error) {
	switch r := recover().(type) {
	case nil:
	case refusal:
		*err = r
	case Unsupported:
		*err = r
	default:
		panic(r)
	}
}

func (m *model) answer(query object) object {
	switch kind := textOf(query, "kind"); kind {
	case "TrendsQuery":
		return m.trends(query)
	case "StickinessQuery":
		return object{"results": m.stickiness(query)}
	case "LifecycleQuery":
		return object{"results": m.lifecycle(query)}
	case "FunnelsQuery":
		return object{"results": m.funnel(query)}
	case "RetentionQuery":
		return object{"results": m.retention(query)}
	case "PathsQuery":
		return object{"results": m.paths(query)}
	case "FunnelCorrelationQuery":
		return object{"results": m.correlation(query)}
	default:
		unsupported("the kind %q", kind)
		return nil
	}
}

// person is an actor: the owner of distinct ids.
type person struct {
	ids     []string
	props   object
	created time.Time
	events  []*event // in order of time
	bare    bool     // without a profile
}

func (p *person) name() string { return p.ids[0] }

type group struct {
	props   object
	created time.Time
}

// event is an event with its owner.
type event struct {
	name, distinctID, uuid string
	time                   time.Time
	props                  object
	elements               []object
	person                 *person
	unread                 bool // not of the sample
}

// group is the key of the event's group of a type, "" if it has none.
func (e *event) group(index int) string {
	s, _ := asText(e.props[fmt.Sprintf("$group_%d", index)])
	return s
}

// groupOf names one group.
type groupOf struct {
	index int
	key   string
}

// model is a project, ready to be asked.
type model struct {
	data      *Data
	now       time.Time
	zone      *time.Location
	weekStart int
	events    []*event // in order of time
	read      []*event // those that queries read: all, or a sample
	persons   []*person
	byID      map[string]*person
	groups    map[groupOf]*group
	days      map[time.Time]time.Time // starts of days, as they are slow to find
	types     map[source]string       // of properties, likewise
	factor    float64                 // of a sample, 1 without
}

func newModel(d *Data) *model {
	m := &model{data: d, weekStart: d.WeekStart, byID: map[string]*person{}, groups: map[groupOf]*group{}, days: map[time.Time]time.Time{}, types: map[source]string{}, factor: 1}
	var err error
	if m.zone, err = time.LoadLocation(d.Timezone); err != nil {
		panic(err)
	}
	m.now = utc(d.Now).In(m.zone)
	for _, p := range d.Persons {
		one := &person{ids: p.DistinctIDs, props: p.Properties}
		if p.CreatedAt != "" {
			one.created = utc(p.CreatedAt)
		}
		m.persons = append(m.persons, one)
		for _, id := range p.DistinctIDs {
			m.byID[id] = one
		}
	}
	for _, g := range d.Groups {
		created := time.Unix(0, 0)
		if g.CreatedAt != "" {
			created = utc(g.CreatedAt)
		}
		m.groups[groupOf{g.TypeIndex, g.Key}] = &group{g.Properties, created}
	}
	for _, e := range d.Events {
		owner := m.byID[e.DistinctID]
		if owner == nil {
			owner = &person{ids: []string{e.DistinctID}, bare: true}
			m.byID[e.DistinctID] = owner
			m.persons = append(m.persons, owner)
		}
		m.events = append(m.events, &event{e.Event, e.DistinctID, e.UUID, utc(e.Timestamp), e.Properties, e.Elements, owner, false})
	}
	slices.SortStableFunc(m.events, func(a, b *event) int {
		return cmp.Or(a.time.Compare(b.time), strings.Compare(a.uuid, b.uuid))
	})
	m.read = m.events
	for _, e := range m.events {
		e.person.events = append(e.person.events, e)
		if e.person.created.IsZero() {
			e.person.created = e.time
		}
	}
	return m
}

// sample marks the events that a query with a samplingFactor does not read. Sessions, cohorts
// and the types of properties are those of all events.
func (m *model) sample(query object) {
	f, ok := get(query, "samplingFactor").(float64)
	if !ok || f == 1 {
		return
	}
	if m.data.Sampled == nil {
		unsupported("a sample")
	}
	m.factor = f
	for _, e := range m.events {
		e.unread = !m.data.Sampled(f, e.distinctID)
	}
	m.read = slices.DeleteFunc(slices.Clone(m.events), func(e *event) bool { return e.unread })
}

// scaled is a count of a sample as one of everything.
func (m *model) scaled(n float64) float64 {
	if m.factor == 1 {
		return n
	}
	return math.RoundToEven(n / m.factor)
}

// utc reads the instant of a datum, which is in UTC if it does not say.
func utc(s string) time.Time {
	t, ok := absolute(s, time.UTC)
	if !ok {
		panic(fmt.Sprintf("%q is not an instant", s))
	}
	return t
}
