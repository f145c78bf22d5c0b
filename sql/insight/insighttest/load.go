package insighttest

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
)

// Settings is the body that creates the data's project.
func (d *Data) Settings(name string) map[string]any {
	out := object{"name": name, "timezone": d.Timezone, "week_start_day": d.WeekStart}
	if d.TestFilters != nil {
		out["test_account_filters"] = d.TestFilters
	}
	if d.Cleaning != nil {
		out["path_cleaning_filters"] = d.Cleaning
	}
	return out
}

// Lines are the data as typed lines of an import. Cohorts come last, after their members.
func (d *Data) Lines() []string {
	var out []string
	add := func(kind string, v any) {
		line := object{}
		raw, err := json.Marshal(v)
		if err == nil {
			err = json.Unmarshal(raw, &line)
		}
		if err != nil {
			panic(err)
		}
		line["type"] = kind
		if kind == "group" {
			line["group_type_index"] = line["type_index"]
			delete(line, "type_index")
		}
		raw, _ = json.Marshal(line)
		out = append(out, string(raw))
	}
	for _, p := range d.Persons {
		add("person", p)
	}
	for _, g := range d.Groups {
		add("group", g)
	}
	for _, a := range d.Actions {
		add("action", a)
	}
	for _, def := range d.Definitions {
		add("property_definition", object{"definition": def})
	}
	for _, e := range d.Events {
		add("event", e)
	}
	for _, c := range d.Cohorts {
		add("cohort", c)
	}
	return out
}

// Merge makes one person of two and gives the line of an import that does the same, or of a
// person as it is if there are not two.
func (d *Data) Merge(rng *rand.Rand) string {
	i, j := rng.IntN(len(d.Persons)), rng.IntN(len(d.Persons))
	into := d.Persons[i]
	if i != j {
		from := d.Persons[j]
		into.DistinctIDs = slices.Concat(into.DistinctIDs, from.DistinctIDs)
		all := maps.Clone(from.Properties)
		maps.Copy(all, into.Properties)
		into.Properties = all
		into.CreatedAt = min(into.CreatedAt, from.CreatedAt)
		d.Persons[i] = into
		d.Persons = slices.Delete(d.Persons, j, j+1)
	}
	line, err := json.Marshal(object{"type": "person", "distinct_ids": into.DistinctIDs, "properties": object{}, "created_at": into.CreatedAt})
	if err != nil {
		panic(err)
	}
	return string(line)
}
