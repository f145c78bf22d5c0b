package insight

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

const stamp = "2006-01-02 15:04:05.999999 MST"

// TestReadDate reads every form of a date text.
func TestReadDate(t *testing.T) {
	utc, berlin := zone(t, "UTC"), zone(t, "Europe/Berlin")
	now := time.Date(2020, 3, 31, 10, 20, 30, 0, time.UTC)
	for _, c := range []struct {
		zone *time.Location
		text string
		want string
	}{
		{utc, "2020-6-7", "2020-06-07 00:00:00 UTC"},
		{utc, "2020-01-09 13:05", "2020-01-09 13:05:00 UTC"},
		{utc, "2020-01-09T13:05:06.25Z", "2020-01-09 13:05:06.25 UTC"},
		{berlin, "2020-01-09", "2020-01-09 00:00:00 CET"},
		{berlin, "2020-01-09T13:05:06Z", "2020-01-09 14:05:06 CET"},
		{berlin, "2020-01-09T13:05:06-02:30", "2020-01-09 16:35:06 CET"},
		{utc, "-7d", "2020-03-24 10:20:30 UTC"},
		{utc, "7d", "2020-03-24 10:20:30 UTC"},
		{utc, "-1m", "2020-02-29 10:20:30 UTC"},
		{utc, "-1y", "2019-03-31 10:20:30 UTC"},
		{utc, "-1q", "2019-12-31 10:20:30 UTC"},
		{utc, "-2w", "2020-03-17 10:20:30 UTC"},
		{utc, "-24h", "2020-03-30 10:20:30 UTC"},
		{berlin, "-72h", "2020-03-28 12:20:30 CET"}, // the wall clock, over a change of offset
		{utc, "-90M", "2020-03-31 08:50:30 UTC"},
		{utc, "-10s", "2020-03-31 10:20:20 UTC"},
		{utc, "dStart", "2020-03-31 00:00:00 UTC"},
		{utc, "-1dEnd", "2020-03-30 23:59:59.999999 UTC"},
		{utc, "hStart", "2020-03-31 10:00:00 UTC"},
		{utc, "-1hEnd", "2020-03-31 09:59:59.999999 UTC"},
		{utc, "mStart", "2020-03-01 10:20:30 UTC"},
		{utc, "-1mEnd", "2020-02-29 10:20:30 UTC"},
		{utc, "yStart", "2020-01-01 10:20:30 UTC"},
		{utc, "yEnd", "2020-03-31 10:20:30 UTC"}, // the month stays
		{utc, "wStart", "2020-03-31 10:20:30 UTC"},
		{utc, "now", "2020-03-31 10:20:30 UTC"},
		{utc, "2020-02-30", "2020-03-31 10:20:30 UTC"}, // no date
		{utc, "???", "2020-03-31 10:20:30 UTC"},
	} {
		if got := (clock{zone: c.zone}).readDate(c.text, now).t.Format(stamp); got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.text, c.zone, got, c.want)
		}
	}
}

func textPtr(s string) *string { return &s }

// TestSpan resolves ranges: their ends, where the scan starts, the period before, buckets.
func TestSpan(t *testing.T) {
	now := time.Date(2020, 1, 24, 12, 30, 40, 0, time.UTC)
	const short = "2006-01-02 15:04:05"
	for _, c := range []struct {
		name     string
		from, to string
		u        unit
		explicit bool
		exact    bool
		want     string // from, to, scan, previous from and to
		buckets  int
	}{
		{"default", "", "", day, false, false, "2020-01-17 00:00:00|2020-01-24 23:59:59|2020-01-17 00:00:00|2020-01-10 00:00:00|2020-01-17 23:59:59", 8},
		{"seven days", "-7d", "", day, false, false, "2020-01-17 00:00:00|2020-01-24 23:59:59|2020-01-17 00:00:00|2020-01-10 00:00:00|2020-01-17 23:59:59", 8},
		{"six days", "-6d", "", day, false, false, "2020-01-18 00:00:00|2020-01-24 23:59:59|2020-01-18 00:00:00|2020-01-11 00:00:00|2020-01-17 23:59:59", 7},
		{"one hour bucket", "2020-01-09", "2020-01-09", hour, false, false, "2020-01-09 00:00:00|2020-01-09 00:00:00|2020-01-09 00:00:00|2020-01-09 00:00:00|2020-01-09 00:00:00", 1},
		{"a day of hours by day", "-24h", "", day, false, false, "2020-01-23 12:00:00|2020-01-24 23:59:59|2020-01-23 12:00:00|2020-01-22 12:00:00|2020-01-23 23:59:59", 2},
		{"a day of hours by hour", "-24h", "", hour, false, false, "2020-01-23 12:00:00|2020-01-24 12:59:59|2020-01-23 12:00:00|2020-01-22 12:00:00|2020-01-23 12:59:59", 25},
		{"yesterday by hour", "-1d", "", hour, false, false, "2020-01-23 00:00:00|2020-01-24 12:59:59|2020-01-23 00:00:00|2020-01-21 00:00:00|2020-01-22 12:59:59", 37},
		{"weeks are clipped", "2020-01-08", "2020-01-21", week, false, false, "2020-01-08 00:00:00|2020-01-21 23:59:59|2020-01-08 00:00:00||", 3},
		{"months are whole", "2020-01-08", "2020-01-21", month, false, false, "2020-01-08 00:00:00|2020-01-21 23:59:59|2020-01-01 00:00:00||", 1},
		{"exact", "-7d", "", day, false, true, "2020-01-17 12:30:40|2020-01-24 12:30:40|2020-01-17 12:30:40||", 8},
		{"explicit", "2020-01-08 05:00", "2020-01-09 07:00", day, true, false, "2020-01-08 05:00:00|2020-01-09 07:00:00|2020-01-08 05:00:00||", 2},
	} {
		d := dateRange{Explicit: c.explicit}
		if c.from != "" {
			d.From = textPtr(c.from)
		}
		if c.to != "" {
			d.To = textPtr(c.to)
		}
		s, err := clock{zone: time.UTC}.span(d, c.u, now, rangeRules{exact: c.exact}, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := strings.Join([]string{s.from.Format(short), s.to.Format(short), s.scanFrom().Format(short)}, "|")
		if !strings.HasSuffix(c.want, "||") {
			p := s.previous(nil, now)
			got += "|" + p.from.Format(short) + "|" + p.to.Format(short)
		} else {
			got += "||"
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if n := len(s.buckets()); n != c.buckets {
			t.Errorf("%s: %d buckets, want %d", c.name, n, c.buckets)
		}
	}
	var r *Refused
	if _, err := (clock{zone: time.UTC}).span(dateRange{From: textPtr("-100y")}, hour, now, rangeRules{}, nil); !errors.As(err, &r) || r.Attr != "dateRange" {
		t.Errorf("a range with too many buckets: %v", err)
	}
}

// TestDaylightSaving counts the hours of a day on which the clock is set back.
func TestDaylightSaving(t *testing.T) {
	c := clock{zone: zone(t, "Europe/Berlin")}
	s, err := c.span(dateRange{From: textPtr("2020-10-25"), To: textPtr("2020-10-25 23:00")}, hour, time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC), rangeRules{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := s.buckets()
	if len(b) != 25 {
		t.Fatalf("%d hours, want 25", len(b))
	}
	if x, y := s.label(b[2]), s.label(b[3]); x != "25-Oct 02:00" || y != x || b[2].Equal(b[3]) {
		t.Errorf("the hour that comes twice: %s at %v, %s at %v", x, b[2], y, b[3])
	}
}
