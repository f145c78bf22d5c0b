package insighttest

import (
	"fmt"
	"slices"
	"time"
)

// stickiness counts how many were active in exactly n intervals.
func (m *model) stickiness(query object) []object {
	interval := intervalOf(query)
	nodes := nodesOf(query)
	current := m.resolve(query, interval, false, m.firstOf(nodes))
	out := []object{}
	periods := []span{current.seconds()}
	if isTrue(query, "compareFilter", "compare") {
		periods = append(periods, m.previous(query, current, interval).seconds())
	}
	for i, s := range periods {
		for order, node := range nodes {
			if isAction(node) && m.actionOf(node) == nil {
				continue
			}
			o := m.stickinessOf(query, node, s, current.seconds().to)
			name := m.nodeName(node)
			o["label"] = name
			action := object{"order": order, "type": "events", "name": name, "id": name}
			if name == "" {
				o["label"], action["name"], action["id"] = "All events", "All events", nil
			}
			o["action"] = action
			if len(periods) > 1 {
				o["compare"], o["compare_label"] = true, []string{"current", "previous"}[i]
			}
			out = append(out, o)
		}
	}
	return out
}

// sticky are the numbers of kept buckets of each target.
func (m *model) sticky(query object, node any, s span, currentTo time.Time) map[string]int {
	count := intOf(query, 0, "intervalCount")
	events := map[string]map[string]int{} // by target and bucket
	for _, e := range m.within(m.scanFrom(s), s.to) {
		if !m.matches(query, node, e) {
			continue
		}
		target, ok := e.person.name(), true
		switch textOf(node, "math") {
		case "unique_group":
			target = e.group(intOf(node, 0, "math_group_type_index"))
			ok = target != ""
		case "hogql":
			target, ok = m.plain(m.expression(textOf(node, "math_hogql"), e))
			ok = ok && target != "" // an empty text is no actor, in no kind
		}
		if !ok {
			continue
		}
		bucket := m.startOf(s.interval, e.time).UTC().String()
		if count > 0 {
			bucket = fmt.Sprint(m.age(s.interval, e.time, currentTo) / count)
		}
		if events[target] == nil {
			events[target] = map[string]int{}
		}
		events[target][bucket]++
	}
	out := map[string]int{}
	criteria := get(query, "stickinessFilter", "stickinessCriteria")
	for target, buckets := range events {
		for _, n := range buckets {
			if criteria == nil || satisfies(n, textOf(criteria, "operator"), intOf(criteria, 1, "value")) {
				out[target]++
			}
		}
	}
	return out
}

// age is how many whole intervals passed from t to the end.
func (m *model) age(interval string, t, end time.Time) int {
	unit := map[string]string{"minute": "M", "hour": "h", "day": "d", "week": "w", "month": "m"}[interval]
	n := 0
	for !m.back(end, n+1, unit).Before(t) {
		n++
	}
	return n
}

func (m *model) stickinessOf(query object, node any, s span, currentTo time.Time) object {
	kept := m.sticky(query, node, s, currentTo)
	count := max(1, intOf(query, 1, "intervalCount"))
	slots := (len(m.axis(s)) + count - 1) / count
	for _, n := range kept {
		slots = max(slots, n)
	}
	data := make([]int, slots)
	total := 0
	for _, n := range kept {
		data[n-1]++
		total++
	}
	cumulative := textOf(query, "stickinessFilter", "computedAs") == "cumulative"
	labels, days := []string{}, []int{}
	for i := range data {
		label := fmt.Sprintf("%d %ss", i+1, s.interval)
		if i == 0 {
			label = "1 " + s.interval
		}
		if cumulative {
			label += " or more"
		}
		labels, days = append(labels, label), append(days, i+1)
	}
	if cumulative {
		for i := range slices.Backward(data[:max(0, len(data)-1)]) {
			data[i] += data[i+1]
		}
	}
	return object{"count": total, "data": data, "days": days, "labels": labels}
}
