package insighttest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
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

// Some zones whose offset is not a whole number of hours, changes by half an hour, or changes
// at midnight, so that a day has no 00:00.
var zones = []string{"UTC", "UTC", "US/Pacific", "Europe/Berlin", "Asia/Kolkata", "Africa/Cairo", "Pacific/Auckland",
	"Australia/Lord_Howe", "America/St_Johns", "America/Santiago", "Asia/Kathmandu"}

// Random is a small project in which much happens at the same time, near the ends of days and
// windows, and with properties that are missing or written in several ways.
func Random(rng *rand.Rand) *Data {
	r := &random{Rand: rng}
	d := &Data{Timezone: pick(r, zones...), WeekStart: r.IntN(2)}
	r.d = d
	r.zone, _ = time.LoadLocation(d.Timezone)
	// Days around which clocks change somewhere, months end, or nothing happens.
	day := pick(r, "2024-03-14", "2024-04-02", "2024-05-06", "2024-11-04", "2025-01-02", "2024-02-29", "2024-07-17", "2024-10-29", "2024-04-09", "2024-09-09", "2024-10-08")
	start, _ := time.ParseInLocation("2006-01-02", day, r.zone)
	r.now = start.Add(time.Duration(8*3600+r.IntN(14*3600)) * time.Second)
	d.Now = r.now.UTC().Format(time.RFC3339)
	r.scale = pick(r, time.Minute, time.Hour, 8*time.Hour, 24*time.Hour, 24*time.Hour, 5*24*time.Hour)
	r.persons()
	r.groupsAndMore()
	r.events()
	for _, list := range [][]object{d.Cohorts, d.Actions} {
		for i, o := range list {
			list[i] = plainJSON(o)
		}
	}
	return d
}

func (r *random) at(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z") }

func (r *random) persons() {
	for i := range pick(r, 1, 2, 3, 4, 5, 8, 8) {
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
			p.Properties["joined"] = r.date()
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
			g.Properties["seats"] = pick(r, 1.0, 5.0, 20.0)
		}
		if r.chance(3) { // the second type has some of the same keys
			g.TypeIndex = 1
		}
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
		{"id": 5.0, "name": "doers", "filters": condition(r.behaviour())},
		{"id": 6.0, "name": "some doers", "filters": condition(r.behaviour(), r.membership())},
		{"id": 7.0, "name": "either", "groups": []any{object{"properties": []any{r.behaviour()}}, object{"properties": []any{r.membership()}}}},
	}
	r.d.Actions = []object{
		{"id": 1.0, "name": "a or paid b", "steps": []any{object{"event": "a"},
			object{"event": "b", "properties": []any{object{"type": "event", "key": "n", "operator": "is_set", "value": "is_set"}}}}},
		{"id": 2.0, "name": "home", "steps": []any{object{"event": "$pageview", "url": "/home", "url_matching": pick(r, "contains", "exact")}}},
		{"id": 3.0, "name": "clicked", "steps": []any{r.clickStep()}},
	}
	r.d.TestFilters = []any{object{"type": "person", "key": "email", "operator": "not_icontains", "value": "@x.com"}}
	if r.chance(3) {
		r.d.TestFilters = []any{object{"type": "event", "key": "color", "operator": "is_not", "value": []any{"red"}}}
	}
	r.d.Cleaning = []object{{"regex": `\d+`, "alias": "<id>"}}
	r.d.Definitions = []object{{"name": "when", "type": "event", "property_type": "DateTime"}, {"name": "joined", "type": "person", "property_type": "DateTime"}}
	if r.chance(2) {
		r.d.Definitions = append(r.d.Definitions, object{"name": "n", "type": "event", "property_type": "Numeric"})
	}
}

var eventNames = []string{"a", "a", "a", "b", "b", "b", "c", "$pageview", "$pageview", "$pageview", "$screen", "$autocapture"}

func (r *random) events() {
	if r.chance(40) {
		return // nothing has happened yet
	}
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
		if i > 0 && r.IntN(5) < 2 {
			id = r.d.Events[i-1].DistinctID
		}
		e := Event{Event: pick(r, eventNames...), DistinctID: id, Timestamp: r.at(at), Properties: r.properties(),
			UUID: fmt.Sprintf("%08x-0000-7000-8000-%012x", 1+order[i], r.Uint32())}
		if e.Event == "$autocapture" {
			e.Elements = r.elements()
		}
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
	if r.chance(3) {
		p["$group_1"] = pick[any](r, "g0", "g1", "", nil)
	}
	if r.chance(2) {
		p["version"] = pick(r, versions...)
	}
	if r.chance(3) {
		p["when"] = r.date()
	}
	if r.chance(20) {
		p["$process_person_profile"] = pick[any](r, false, true, "false")
	}
	if !r.chance(3) {
		url := pick(r, "/", "/home", "/home/", "/item/1", "/item/22?x", "https://x.com/home")
		path, _, _ := strings.Cut(strings.TrimPrefix(url, "https://x.com"), "?")
		p["$current_url"], p["$pathname"] = url, path
	}
	if r.chance(3) {
		p["$screen_name"] = pick(r, "main", "settings")
	}
	return p
}

var versions = []any{"1.2.3", "1.2.10", "1.2", "v1.3.0", "2.0.0-beta.1", "0.2.3", "0.2.9", "0.0.3", "1", "latest", "", 2.0}

// date is a text that a property may hold, near now, in one of several forms.
func (r *random) date() string {
	at := r.now.Add(-time.Duration(r.Int64N(int64(20 * r.scale)))).Truncate(time.Second)
	switch r.IntN(6) {
	case 0:
		return r.now.AddDate(0, 0, -r.IntN(4)).Format("2006-01-02")
	case 1:
		return at.Format("2006-01-02 15:04:05")
	case 2:
		return at.Format("2006-01-02T15:04:05.250Z07:00")
	case 3:
		return "soon"
	}
	return at.UTC().Format("2006-01-02T15:04:05Z")
}

// elements is a chain of what was clicked and what it lies in.
func (r *random) elements() []object {
	var out []object
	for range r.IntN(4) {
		el := object{"tag_name": pick(r, "a", "button", "div"), "nth_child": 1 + r.IntN(2), "nth_of_type": 1 + r.IntN(2)}
		if r.chance(2) {
			el["text"] = pick(r, "Docs", "Sign up", "docs; \"now\"", "a\\b")
		}
		if r.chance(3) {
			el["href"] = pick(r, "/docs", "/pricing", "https://x.com/docs")
		}
		if r.chance(3) {
			el["attr_id"] = pick(r, "cta", "nav")
		}
		if r.chance(2) {
			el["attr_class"] = pick(r, []any{"big"}, []any{"big", "cta"}, []any{"menu"})
		}
		if r.chance(3) {
			el["attributes"] = object{"attr__data-x": pick(r, "1", "2", "a b")}
		}
		out = append(out, plainJSON(el))
	}
	return out
}

var selectors = []any{"a", "div a", "div > a", "a.big", ".menu button", "#cta", "div > *", "[data-x]", "button[data-x=\"1\"]", "a:nth-child(1)", ".big.cta", "div div", "div:nth-of-type(2) > .big"}

// clickStep is a step of an action by elements.
func (r *random) clickStep() object {
	s := object{"event": "$autocapture"}
	switch r.IntN(4) {
	case 0:
		s["tag_name"] = pick(r, "a", "button")
	case 1:
		s["text"], s["text_matching"] = pick(r, "docs", "Docs"), pick(r, "exact", "contains", "regex")
	case 2:
		s["href"], s["href_matching"] = pick(r, "/docs", "/pricing"), pick(r, "exact", "contains", "regex")
	default:
		s["selector"] = pick(r, selectors...)
	}
	if r.chance(4) {
		s["tag_name"] = "div"
	}
	return s
}

// membership is a leaf of a cohort that names another, a person's property, or a group of both.
func (r *random) membership() object {
	switch r.IntN(4) {
	case 0:
		return object{"type": "cohort", "value": 1 + r.IntN(5)}
	case 1:
		return object{"type": "OR", "values": []any{object{"type": "cohort", "value": 5, "negation": true}, object{"type": "person", "key": "plan", "operator": "exact", "value": "pro"}}}
	case 2:
		return object{"type": "person", "key": "joined", "operator": pick(r, "is_date_after", "is_date_before"), "value": pick(r, "-3d", "-12h", "-1w")}
	}
	return object{"type": "person", "key": "plan", "operator": pick(r, "is_set", "is_not_set"), "value": "is_set"}
}

// behaviour is a leaf of a cohort about what persons did.
func (r *random) behaviour() object {
	f := object{"type": "behavioral", "event_type": "events", "key": pick(r, "a", "b", "$pageview"), "time_value": 1 + r.IntN(14), "time_interval": pick(r, "day", "day", "day", "week", "month", "hour")}
	if r.chance(5) {
		f["event_type"], f["key"] = "actions", 1+r.IntN(2)
	}
	if r.chance(6) {
		f["event_filters"] = []any{object{"type": "event", "key": "amount", "operator": "gt", "value": 2}}
	}
	value := pick(r, "performed_event", "performed_event_first_time", "performed_event_multiple", "performed_event_multiple", "stopped_performing_event",
		"restarted_performing_event", "performed_event_sequence", "performed_event_regularly")
	f["value"] = value
	switch value {
	case "performed_event", "performed_event_first_time":
		if r.chance(4) {
			r.explicitly(f)
		}
	case "performed_event_multiple":
		if r.chance(5) {
			r.explicitly(f)
		}
		f["operator"], f["operator_value"] = pick(r, "gte", "lte", "gt", "lt", "exact"), 1+r.IntN(4)
	case "stopped_performing_event", "restarted_performing_event":
		f["time_value"], f["time_interval"] = 3+r.IntN(12), pick(r, "day", "day", "week")
		f["seq_time_value"], f["seq_time_interval"] = 1+r.IntN(2), "day"
	case "performed_event_sequence":
		delete(f, "event_filters") // whether they hold for the second event is not written
		f["seq_event_type"], f["seq_event"] = "events", pick(r, "a", "b", "c")
		f["seq_time_value"], f["seq_time_interval"] = 1+r.IntN(5), pick(r, "hour", "day", "week", "month")
	case "performed_event_regularly":
		f["time_interval"] = pick(r, "day", "day", "week", "month")
		f["time_value"], f["total_periods"], f["min_periods"] = 1+r.IntN(3), 2+r.IntN(4), 1+r.IntN(2)
		f["operator"], f["operator_value"] = pick(r, "gte", "lte", "exact"), 1+r.IntN(2)
	}
	return plainJSON(f)
}

// explicitly gives a behaviour dates in place of a time before now.
func (r *random) explicitly(f object) {
	from := time.Duration(1+r.IntN(10)) * r.scale
	f["explicit_datetime"] = pick(r, "-10d", "-2w", "-30h", r.now.Add(-from).Format("2006-01-02"), r.now.Add(-from).Format("2006-01-02 15:04:05"))
	if r.chance(2) {
		f["explicit_datetime_to"] = pick(r, "-1d", "-3h", r.now.Add(-r.scale).Format("2006-01-02"), r.now.Add(-r.scale).Format("2006-01-02 15:04:05"))
	}
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
