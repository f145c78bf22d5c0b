package gen

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestColumnsHoldTheSameEvents holds a file with a column for each property against the lines: in
// two parts, with profiles and merges.
func TestColumnsHoldTheSameEvents(t *testing.T) {
	oneGoroutine(t)
	c := Config{Events: 12_000, Merges: true, Profiles: true}
	m := New(c)
	var rows []columnRow
	half := m.Sessions() / 2
	for _, part := range [][2]uint64{{0, half}, {half, m.Sessions()}} {
		var file bytes.Buffer
		if err := m.WriteColumns(t.Context(), &file, part[0], part[1]); err != nil {
			t.Fatal(err)
		}
		some, err := parquet.Read[columnRow](bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, some...)
	}
	want := lines(t, c)
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	columns := map[string]func(*columnRow) any{
		"$browser": func(r *columnRow) any { return r.Browser }, "$browser_version": func(r *columnRow) any { return r.BrowserVersion },
		"$os": func(r *columnRow) any { return r.OS }, "$device_type": func(r *columnRow) any { return r.DeviceType },
		"$current_url": func(r *columnRow) any { return r.CurrentURL }, "$pathname": func(r *columnRow) any { return r.Pathname },
		"$referrer": func(r *columnRow) any { return r.Referrer }, "$referring_domain": func(r *columnRow) any { return r.ReferringDomain },
		"utm_source": func(r *columnRow) any { return r.UTMSource }, "utm_medium": func(r *columnRow) any { return r.UTMMedium }, "utm_campaign": func(r *columnRow) any { return r.UTMCampaign },
		"plan": func(r *columnRow) any { return r.Plan }, "price": func(r *columnRow) any { return r.Price }, "quantity": func(r *columnRow) any { return r.Quantity },
		"product_id": func(r *columnRow) any { return r.ProductID }, "$session_id": func(r *columnRow) any { return r.SessionID },
		"$feature/checkout-flow": func(r *columnRow) any { return r.Variant }, "$screen_width": func(r *columnRow) any { return r.ScreenWidth }, "$screen_height": func(r *columnRow) any { return r.ScreenHeight },
		"$geoip_country_code": func(r *columnRow) any { return r.Country }, "$geoip_city_name": func(r *columnRow) any { return r.City }, "$lib": func(r *columnRow) any { return r.Lib },
		"search_query": func(r *columnRow) any { return r.SearchQuery }, "is_logged_in": func(r *columnRow) any { return r.LoggedIn },
	}
	for i, l := range want {
		r := &rows[i]
		if l.UUID != r.UUID || l.Event != r.Event || l.DistinctID != r.DistinctID || l.Timestamp.UnixMilli() != r.Timestamp {
			t.Fatalf("row %d is %+v, want %+v", i, r, l)
		}
		for name, v := range l.Properties {
			if name == "$set" || name == "$anon_distinct_id" {
				continue // they say who is who, which the columns know
			}
			if columns[name] == nil || fmt.Sprint(columns[name](r)) != fmt.Sprint(v) {
				t.Fatalf("row %d: %s is not %v in %+v", i, name, v, r)
			}
		}
		for name, column := range columns {
			if v := fmt.Sprint(column(r)); l.Properties[name] == nil && v != "" && v != "0" {
				t.Fatalf("row %d: %s is %s and should not be there", i, name, v)
			}
		}
	}
}

// TestProfiles finds that every distinct id says at its first event who the person is, that
// the file of persons says the same, and that nothing else changes.
func TestProfiles(t *testing.T) {
	c := Config{Events: 12_000, Merges: true}
	plain := lines(t, c)
	c.Profiles = true
	m := New(c)
	var file bytes.Buffer
	if err := m.WritePersons(&file); err != nil {
		t.Fatal(err)
	}
	persons, err := parquet.Read[personRow](bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(persons)) != m.Persons() {
		t.Fatalf("%d persons, want %d", len(persons), m.Persons())
	}
	seen := map[string]bool{}
	i := 0
	for e := range m.All() {
		text := string(e.AppendProperties(nil))
		p := persons[e.Person]
		set := fmt.Sprintf(`"$set":{"plan":"%s","country":"%s","company_size":%d},`, p.Plan, p.Country, p.CompanySize)
		if has := strings.Contains(text, set); has == seen[e.DistinctID] {
			t.Fatalf("event %d under %s, seen before %v: %s, want %s", i, e.DistinctID, seen[e.DistinctID], text, set)
		}
		seen[e.DistinctID] = true
		if l := plain[i]; e.Name != l.Event || e.DistinctID != l.DistinctID || e.UnixMilli != l.Timestamp.UnixMilli() {
			t.Fatalf("event %d is %s of %s, want %s of %s", i, e.Name, e.DistinctID, l.Event, l.DistinctID)
		}
		i++
	}
}
