package event

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestPlainNumbers(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"10", "10"}, {"10.0", "10"}, {"1e2", "100"}, {"17.50", "17.5"}, {"0.1", "0.1"}, {"-0", "0"}, {"-0.0", "0"}, {"0e5", "0"},
		{"1E-7", "0.0000001"}, {"1e20", "100000000000000000000"}, {"1e21", "1e+21"}, {"-1.5e300", "-1.5e+300"},
		{"9007199254740993", "9007199254740993"}, {"12345678901234567890", "12345678901234567890"},
		{"1000000000000000000000000000000", "1e+30"}, {"1e999", "1e999"},
	} {
		if got := string(AppendPlainNumber([]byte("a"), []byte(c.in))); got != "a"+c.want {
			t.Errorf("AppendPlainNumber(%s) = %s, want %s", c.in, got[1:], c.want)
		}
	}
	if got := string(AppendPlain(nil, math.Copysign(0, -1))); got != "0" {
		t.Errorf("AppendPlain(-0) = %s", got)
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		in, text string
		kind     Kind
	}{
		{"", "", Null}, {"null", "", Null}, {"true", "true", Bool}, {"-1.50", "-1.50", Number}, {"[1]", "[1]", JSON}, {"{}", "{}", JSON},
		{`""`, "", Text}, {`"a b"`, "a b", Text}, {`"\"\\\n\u0001é"`, "\"\\\n\x01é", Text},
	} {
		kind, text := KindOf([]byte(c.in))
		if kind != c.kind || string(text) != c.text {
			t.Errorf("KindOf(%s) = %d %q, want %d %q", c.in, kind, text, c.kind, c.text)
		}
		if kind == Text {
			if back := string(AppendJSONString(nil, text)); back != c.in {
				t.Errorf("AppendJSONString(%q) = %s, want %s", text, back, c.in)
			}
		}
	}
}

func TestParseTimeInZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in   string
		zone *time.Location
		want string // empty: not an instant
	}{
		{"2026-01-05", nil, "2026-01-05T00:00:00Z"},
		{"2026-01-05", berlin, "2026-01-04T23:00:00Z"},
		{"2026-07-05 12:30", berlin, "2026-07-05T10:30:00Z"},
		{"2026-07-05T12:30:01.5", berlin, "2026-07-05T10:30:01.5Z"},
		{"2026-07-05T12:30Z", berlin, "2026-07-05T12:30:00Z"},
		{"2026-07-05T12:30-01:00", berlin, "2026-07-05T13:30:00Z"},
		{"2026-03-29 02:30", berlin, "2026-03-29T01:30:00Z"}, // skipped: an hour later
		{"2026-10-25 02:30", berlin, "2026-10-25T01:30:00Z"}, // twice: standard time
		{"2026-13-05", berlin, ""}, {"tomorrow", nil, ""}, {"2026-01-05 25:00", nil, ""},
	} {
		got, ok := ParseTime([]byte(c.in), c.zone)
		text := ""
		if ok {
			text = time.UnixMicro(got).UTC().Format(time.RFC3339Nano)
		}
		if text != c.want {
			t.Errorf("ParseTime(%s, %v) = %q, want %q", c.in, c.zone, text, c.want)
		}
	}
}

// TestNumberReadings reads values as numbers, and as casts of their texts.
func TestNumberReadings(t *testing.T) {
	none := math.MaxFloat64
	for _, c := range []struct {
		kind        Kind
		text        string
		float, cast float64
	}{
		{Number, "1.50", 1.5, 1.5},
		{Number, "1e999", none, none},
		{Number, "12345678901234567890123", 12345678901234567890123, 12345678901234567890123},
		{Text, "1.50", 1.5, 1.5},
		{Text, " 5\t", 5, 5},
		{Text, "+1E3", 1000, 1000},
		{Text, "1e999", none, none},
		{Text, "-1e-999", math.Copysign(0, -1), math.Copysign(0, -1)},
		{Text, " NaN ", none, math.NaN()},
		{Text, "-inf", none, math.Inf(-1)},
		{Text, "Infinity", none, math.Inf(1)},
		{Text, "0x10", none, none},
		{Text, "1_0", none, none},
		{Text, "1-2", none, none},
		{Text, "", none, none},
		{Text, "true", none, none},
		{JSON, "[1]", none, none},
		{Null, "", none, none},
	} {
		for as, want := range map[Reading]float64{ReadFloat: c.float, ReadCast: c.cast} {
			r := NewReader(as, nil, 1)
			r.Text(c.kind, []byte(c.text))
			got := none
			if !r.V.IsNull(0) {
				got = r.V.F64[0]
			}
			if r.V.Len() != 1 || math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%q of kind %d as %d is %v, want %v", c.text, c.kind, as, got, want)
			}
		}
	}
	r := NewReader(ReadCast, nil, 3)
	r.Int(7)
	r.Float(-0.5)
	r.Bool(true)
	if got := fmt.Sprint(r.V.F64[:2], r.V.IsNull(2), r.V.Len()); got != "[7 -0.5] true 3" {
		t.Errorf("7, -0.5 and true are %s", got)
	}
}
