package sql_test

import (
	"reflect"
	"testing"

	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
)

func TestSettingsFollowTransactions(t *testing.T) {
	s, err := sql.NewSettings(map[string]string{"TimeZone": "europe/berlin"})
	if err != nil {
		t.Fatal(err)
	}
	want := func(name, value string) {
		t.Helper()
		if got, _ := s.Get(name); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
	set := func(name, value string, local bool) {
		t.Helper()
		if _, err := s.Set(name, value, local); err != nil {
			t.Fatal(err)
		}
	}
	want("timezone", "Europe/Berlin")
	set("TimeZone", "America/New_York", false)
	want("TIMEZONE", "America/New_York")

	s.Begin(ast.TransactionModes{Isolation: "serializable"})
	want("transaction_isolation", "serializable")
	set("timezone", "UTC", true)
	set("work_mem", "2048", false)
	want("timezone", "UTC")
	want("work_mem", "2MB")
	s.Savepoint("a")
	set("work_mem", "4GB", false)
	if err := s.RollbackTo("a"); err != nil {
		t.Fatal(err)
	}
	want("work_mem", "2MB")
	if err := s.RollbackTo("b"); err == nil {
		t.Error("RollbackTo(b) = nil, want an error")
	}
	s.Rollback()
	want("timezone", "America/New_York")
	want("work_mem", "1GB")
	want("transaction_isolation", "read committed")

	s.Begin(ast.TransactionModes{})
	set("timezone", "UTC", true)
	set("work_mem", "64kB", false)
	s.Commit()
	want("timezone", "America/New_York")
	want("work_mem", "64kB")

	if w, _ := s.Set("timezone", "UTC", true); w == nil || w.Code != "25P01" {
		t.Errorf("SET LOCAL outside a transaction warns %v, want 25P01", w)
	}
	if err := s.Reset("TimeZone"); err != nil {
		t.Fatal(err)
	}
	want("timezone", "Europe/Berlin")
}

func TestSettingsCheckValues(t *testing.T) {
	cases := []struct{ name, value, shown, code string }{
		{"statement_timeout", "1500", "1500ms", ""},
		{"statement_timeout", "90s", "90s", ""},
		{"statement_timeout", "60000", "1min", ""},
		{"statement_timeout", "0", "0", ""},
		{"statement_timeout", "-1", "", "22023"},
		{"statement_timeout", "1 week", "", "22023"},
		{"bytea_output", "HEX", "hex", ""},
		{"bytea_output", "x", "", "22023"},
		{"timezone", "+05:30", "+05:30", ""},
		{"timezone", "<+05:30>-05:30", "<+05:30>-05:30", ""},
		{"timezone", "america/argentina/buenos_aires", "America/Argentina/Buenos_Aires", ""},
		{"timezone", "-3", "<-03>+03", ""},
		{"timezone", "utc", "UTC", ""},
		{"timezone", "Mars", "", "22023"},
		{"datestyle", "iso, ymd", "ISO, YMD", ""},
		{"client_encoding", "utf-8", "UTF8", ""},
		{"client_encoding", "LATIN1", "UTF8", ""},
		{"client_encoding", "EUC_JP", "", "22023"},
		{"row_security", "on", "", "0A000"},
		{"enable_sort", "of", "off", ""},
		{"enable_sort", "o", "", "22023"},
		{"server_version", "16", "", "55P02"},
		{"no_such_thing", "1", "", "42704"},
		{"my.thing", "anything", "anything", ""},
		{"search_path", `a, "B ""c", public`, `a, "B ""c", public`, ""},
		{"search_path", "a,", "", "22023"},
		{"search_path", `"a`, "", "22023"},
		{"search_path", `"a"b`, "", "22023"},
		{"search_path", "a b", "", "22023"},
	}
	for _, c := range cases {
		s, err := sql.NewSettings(nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Set(c.name, c.value, false)
		code := ""
		if err != nil {
			code = pgCode(err)
		}
		if code != c.code {
			t.Errorf("Set(%s, %q) = %v, want code %q", c.name, c.value, err, c.code)
			continue
		}
		if got, _ := s.Get(c.name); err == nil && got != c.shown {
			t.Errorf("%s after Set(%q) = %q, want %q", c.name, c.value, got, c.shown)
		}
	}
}

// The names of search_path are small unless they are in quotes.
func TestSearchPath(t *testing.T) {
	for value, want := range map[string][]string{
		"": {}, " ": {}, `""`: {""}, "A, b": {"a", "b"}, `"$user",public`: {"$user", "public"}, `"a ""b""" , C`: {`a "b"`, "c"},
	} {
		s, err := sql.NewSettings(map[string]string{"search_path": value})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.SearchPath(); !reflect.DeepEqual(got, want) {
			t.Errorf("SearchPath of %q = %q, want %q", value, got, want)
		}
	}
}
