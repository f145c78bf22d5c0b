package insighttest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// random makes data and questions out of a source of chance.
type random struct {
	*rand.Rand
	d     *Data
	zone  *time.Location
	now   time.Time
	scale time.Duration // how far apart events are
}

func pick[T any](r *random, from ...T) T { return from[r.IntN(len(from))] }

// chance is true once in n times.
func (r *random) chance(n int) bool { return r.IntN(n) == 0 }

var zones = []string{"UTC", "UTC", "US/Pacific", "Europe/Berlin", "Asia/Kolkata", "Africa/Cairo", "Pacific/Auckland"}

// Random is a small project in which much happens at the same time, near the ends of days and
// windows, and with properties that are missing or written in several ways.
func Random(rng *rand.Rand) *Data {
	r := &random{Rand: rng}
	d := &Data{Timezone: pick(r, zones...), WeekStart: r.IntN(2)}
	r.d = d
	r.zone, _ = time.LoadLocation(d.Timezone)
	// Days around which clocks change somewhere, months end, or nothing happens.
	day := pick(r, "2024-03-14", "2024-04-02", "2024-05-06", "2024-11-04", "2025-01-02", "2024-02-29", "2024-07-17", "2024-10-29")
	start, _ := time.ParseInLocation("2006-01-02", day, r.zone)
	r.now = start.Add(time.Duration(8*3600+r.IntN(14*3600)) * time.Second)
	d.Now = r.now.UTC().Format(time.RFC3339)
	r.scale = pick(r, time.Minute, time.Hour, 8*time.Hour, 24*time.Hour, 24*time.Hour, 5*24*time.Hour)
	r.persons()
	r.groupsAndMore()
	r.events()
	return d
}

func (r *random) at(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z") }

func (r *random) persons() {
	for i := range 1 + r.IntN(5) {
		p := Person{Properties: object{}}
		for j := range 1 + r.IntN(3) {
			p.DistinctIDs = append(p.DistinctIDs, fmt.Sprintf("p%d.%d", i, j))
		}
		if !r.chance(4) {
			p.Properties["plan"] = pick[any](r, "free", "pro", "pro", "", nil)
		}
		if !r.chance(4) {
			p.Properties["age"] = float64(pick(r, 18, 20, 20, 41))
		}
		if r.chance(2) {
			p.Properties["email"] = pick(r, "a@x.com", "b@y.org", "B@X.com")
		}
		p.CreatedAt = r.at(r.now.Add(-time.Duration(r.IntN(20)) * r.scale))
		r.d.Persons = append(r.d.Persons, p)
	}
}

// anyID is the distinct id of a person, or now and then of nobody.
func (r *random) anyID() string {
	if len(r.d.Persons) == 0 || r.chance(8) {
		return pick(r, "nobody", "stranger")
	}
	return pick(r, pick(r, r.d.Persons...).DistinctIDs...)
}

func (r *random) groupsAndMore() {
	for i := range r.IntN(3) {
		g := Group{TypeIndex: 0, Key: fmt.Sprintf("g%d", i), Properties: object{"kind": pick(r, "small", "big", "")}}
		if r.chance(2) {
			g.CreatedAt = r.at(r.now.Add(-time.Duration(r.IntN(20)) * r.scale))
		}
		r.d.Groups = append(r.d.Groups, g)
	}
	members := []any{}
	for range r.IntN(4) {
		members = append(members, pick(r, pick(r, r.d.Persons...).DistinctIDs...))
	}
	condition := func(values ...any) object {
		return object{"properties": object{"type": "OR", "values": []any{object{"type": "AND", "values": values}}}}
	}
	r.d.Cohorts = []object{
		{"id": 1.0, "name": "chosen", "is_static": true, "members": members},
		{"id": 2.0, "name": "by plan", "filters": condition(object{"type": "person", "key": "plan", "operator": "exact", "value": []any{"pro"}})},
		{"id": 3.0, "name": "active", "filters": condition(object{"type": "behavioral", "event_type": "events", "key": pick(r, "a", "b", "$pageview"),
			"value": pick(r, "performed_event", "performed_event_first_time"), "time_value": float64(1 + r.IntN(10)), "time_interval": "day"})},
		{"id": 4.0, "name": "others", "filters": condition(object{"type": "person", "key": "age", "operator": "gt", "value": 19.0},
			object{"type": "cohort", "value": 1.0, "negation": true})},
	}
	r.d.Actions = []object{
		{"id": 1.0, "name": "a or paid b", "steps": []any{object{"event": "a"},
			object{"event": "b", "properties": []any{object{"type": "event", "key": "n", "operator": "is_set", "value": "is_set"}}}}},
		{"id": 2.0, "name": "home", "steps": []any{object{"event": "$pageview", "url": "/home", "url_matching": pick(r, "contains", "exact")}}},
	}
	r.d.TestFilters = []any{object{"type": "person", "key": "email", "operator": "not_icontains", "value": "@x.com"}}
	if r.chance(3) {
		r.d.TestFilters = []any{object{"type": "event", "key": "color", "operator": "is_not", "value": []any{"red"}}}
	}
	r.d.Cleaning = []object{{"regex": `\d+`, "alias": "<id>"}}
	if r.chance(2) {
		r.d.Definitions = []object{{"name": "n", "type": "event", "property_type": "Numeric"}}
	}
}

var eventNames = []string{"a", "a", "b", "b", "c", "$pageview", "$pageview", "$screen"}

func (r *random) events() {
	n := 5 + r.IntN(56)
	order := r.Perm(n)
	whole := time.Duration(5+r.IntN(15)) * r.scale
	at := r.now.Add(-whole).Truncate(time.Second)
	step := max(2*whole/time.Duration(n), time.Second)
	for i := range n {
		switch r.IntN(15) {
		case 0, 1: // the same instant
		case 2:
			at = at.Add(pick(r, 10*time.Millisecond, 40*time.Millisecond, 60*time.Millisecond, time.Second))
		case 3, 12, 13, 14:
			at = at.Add(pick(r, time.Minute, 30*time.Minute, 10*time.Minute))
		case 4: // the first instant of a day, or the last one before
			local := at.In(r.zone)
			at = time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, r.zone).Add(pick(r, 0, -time.Microsecond, -time.Second, time.Second))
		case 5:
			at = at.Add(r.scale)
		case 6:
			at = at.Add(-r.scale)
		default:
			at = at.Add(time.Duration(r.Int64N(int64(step))).Truncate(time.Millisecond))
		}
		id := r.anyID()
		if i > 0 && r.chance(3) {
			id = r.d.Events[i-1].DistinctID
		}
		e := Event{Event: pick(r, eventNames...), DistinctID: id, Timestamp: r.at(at), Properties: r.properties(),
			UUID: fmt.Sprintf("%08x-0000-7000-8000-%012x", 1+order[i], r.Uint32())}
		r.d.Events = append(r.d.Events, e)
	}
}

func (r *random) properties() object {
	p := object{}
	if !r.chance(4) {
		p["n"] = pick[any](r, 1.0, 2.0, 2.0, 10.0, 17.5, "9", "2", "many", nil)
	}
	if !r.chance(4) {
		p["amount"] = pick(r, 1.0, 2.0, 5.0, 7.5, 40.0, -3.0)
	}
	if !r.chance(5) {
		p["color"] = pick[any](r, "red", "green", "Red", "", nil, true, 3.0)
	}
	if r.chance(2) {
		p["flag"] = r.chance(2)
	}
	if r.chance(2) {
		p["$session_id"] = pick(r, "s1", "s2", "s3")
	}
	if !r.chance(3) {
		p["$group_0"] = pick(r, "g0", "g1", "g2", "")
	}
	if !r.chance(3) {
		p["$current_url"] = pick(r, "/", "/home", "/home/", "/item/1", "/item/22?x", "https://x.com/home")
	}
	if r.chance(3) {
		p["$screen_name"] = pick(r, "main", "settings")
	}
	return p
}

// plain is o as JSON makes it, so that numbers are float64 everywhere.
func plainJSON(o object) object {
	raw, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	var out object
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return out
}
