package capture

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/uuid"

	"github.com/prickledb/prickle/storage/event"
)

// testNow is the instant at which requests of the cases come in.
var testNow = time.Date(2023, 1, 1, 12, 0, 0, 0, time.UTC).UnixMicro()

// show prints the rows of a batch.
func show(b *event.Batch, ids bool) string {
	var out strings.Builder
	for row := range b.Rows {
		out.WriteString(showRow(b, row, ids))
	}
	return out.String()
}

func showRow(b *event.Batch, row int, ids bool) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s %s", b.Name.Values.At(int(b.Name.Codes[row])), b.DistinctID.Values.At(int(b.DistinctID.Codes[row])), appendTime(nil, b.Time[row]))
	if ids {
		fmt.Fprintf(&out, " %s", uuid.UUID(b.UUID[row]))
	}
	if b.Personless != nil && b.Personless.Get(row) {
		out.WriteString(" personless")
	}
	out.WriteString("\n")
	var props []string
	for _, p := range b.Props {
		if c := p.Codes.At(row); c != 0 {
			kind := [...]string{"null", "bool", "int", "float", "number", "text", "json"}[p.Kinds[c-1]]
			props = append(props, fmt.Sprintf("  %s %s %s\n", p.Key, kind, event.AppendJSON(nil, p.Kinds[c-1], p.Values.At(int(c-1)))))
		}
	}
	sort.Strings(props)
	out.WriteString(strings.Join(props, ""))
	for _, op := range b.Ops {
		if int(op.Row) != row {
			continue
		}
		fmt.Fprintf(&out, "  op %s", [...]string{"set", "identify", "alias", "merge"}[op.Kind])
		for _, part := range []struct{ name, text string }{{"other", op.Other}, {"set", string(op.Set)}, {"once", string(op.SetOnce)}, {"unset", strings.Join(op.Unset, ",")}} {
			if part.text != "" {
				fmt.Fprintf(&out, " %s=%s", part.name, part.text)
			}
		}
		out.WriteString("\n")
	}
	for _, c := range b.Copies {
		if c.Rows.Get(row) {
			out.WriteString("  copies")
			for _, p := range c.Props {
				out.WriteString(" " + p.From)
				if p.To != p.From {
					out.WriteString("=" + p.To)
				}
			}
			out.WriteString("\n")
		}
	}
	for _, op := range b.Groups {
		if int(op.Row) == row {
			fmt.Fprintf(&out, "  group %s %s set=%s once=%s unset=%s\n", op.Type, op.Key, op.Set, op.SetOnce, strings.Join(op.Unset, ","))
		}
	}
	return out.String()
}

// TestDecode runs the cases of testdata. The commands are the manners; the input of
// "capture" is a body, that of the others are lines.
func TestDecode(t *testing.T) {
	datadriven.RunTest(t, "testdata/decode", func(t *testing.T, c *datadriven.TestData) string {
		var out strings.Builder
		switch c.Cmd {
		case "capture":
			d := newDecoder(Capture)
			req, err := d.decodeRequest([]byte(c.Input), envelope{clock: clock{now: testNow}})
			if err != nil {
				return "error: " + err.Error() + "\n"
			}
			for _, kind := range slices.Sorted(maps.Keys(req.warnings)) {
				fmt.Fprintf(&out, "%d warning %s\n", req.warnings[kind], kind)
			}
			for _, b := range req.batches {
				out.WriteString(show(b, false))
			}
			for _, r := range req.refused {
				fmt.Fprintf(&out, "refused: %s\n", r.detail)
			}
			if len(req.tokens) > 0 {
				fmt.Fprintf(&out, "tokens: %s\n", strings.Join(req.tokens, " "))
			}
		case "typed":
			im := typed{d: newDecoder(Typed)}
			if err := im.chunk(Chunk{Data: []byte(c.Input), FirstLine: 1}); err != nil {
				return "error: " + err.Error() + "\n"
			}
			im.flush()
			out.WriteString(show(im.batches[0], false))
			for _, p := range im.persons {
				fmt.Fprintf(&out, "person %s %s\n", strings.Join(p.DistinctIDs, ","), p.Properties)
			}
		case "file":
			samples := SampleJSON([]byte(c.Input))
			var given Mapping
			c.MaybeScanArgs(t, "time", &given.Time)
			c.MaybeScanArgs(t, "person", &given.Person)
			m, err := Detect(samples, given)
			if err != nil {
				return "error: " + err.Error() + "\n"
			}
			fmt.Fprintf(&out, "%s\n", m.ReadAs(samples))
			var seen Occurrences
			got := NewDecoder(m).Decode([]byte(c.Input), 1)
			for _, b := range got.Batches {
				seen.Settle(b)
				out.WriteString(show(b.Batch, c.HasArg("ids")))
			}
			for _, r := range got.Rejects {
				fmt.Fprintf(&out, "line %d %s: %s\n", r.Line, r.Kind, r.Detail)
			}
		}
		return out.String()
	})
}

// TestBatchAnywhere has the members of a request in every order: it means the same, wherever
// the batch stands.
func TestBatchAnywhere(t *testing.T) {
	members := []string{`"api_key":"k"`, `"sent_at":"2023-01-01T12:00:10Z"`, `"tags":[1,["x]"]]`,
		`"batch":[{"event":"a","distinct_id":"u","timestamp":"2023-01-01T11:00:00Z","uuid":"?","token":"other","properties":{"x":[1]}},{"event":"b","distinct_id":"v","timestamp":"2023-01-01T11:00:00Z"}]`}
	want := ""
	var permute func(k int)
	permute = func(k int) {
		if k < len(members) {
			for i := k; i < len(members); i++ {
				members[k], members[i] = members[i], members[k]
				permute(k + 1)
				members[k], members[i] = members[i], members[k]
			}
			return
		}
		body := "{" + strings.Join(members, " , ") + "}"
		for _, ending := range []string{"", " \n", "]", "}"} {
			d := newDecoder(Capture)
			got := ""
			switch req, err := d.decodeRequest([]byte(body+ending), envelope{clock: clock{now: testNow}}); {
			case strings.TrimSpace(ending) != "":
				if err == nil {
					t.Errorf("%s is accepted", body+ending)
				}
				continue
			case err != nil:
				got = err.Error()
			default:
				got = show(req.batches[0], false) + fmt.Sprint(req.tokens, req.warnings, req.rows, len(req.batches))
			}
			if want == "" {
				want = got
			}
			if got != want || !strings.Contains(got, "10:59:50") {
				t.Errorf("%s means\n%s\nwant\n%s", body, got, want)
			}
		}
	}
	permute(0)
}

func TestEventTime(t *testing.T) {
	at := func(s string) int64 {
		v, ok := parseTime([]byte(s))
		if !ok {
			t.Fatalf("parseTime(%q) fails", s)
		}
		return v
	}
	const d = "2023-01-01T"
	for _, c := range []struct {
		told, sentAt string
		offset       int64
		ignore       bool
		want         string
	}{
		{"11:00:00", "12:00:10", 0, false, "10:59:50"},
		{"11:00:00", "11:59:50", 0, false, "11:00:10"},
		{"11:59:55", "12:00:05", 0, false, "11:59:50"},
		{"11:00:00", "12:00:10", 0, true, "11:00:00"},
		{"11:00:00", "", 0, false, "11:00:00"},
		{"", "12:00:05", 0, false, "12:00:00"},
		{"11:00:00", "12:00:10", 5000, false, "11:59:55"},
	} {
		k := clock{now: testNow}
		var told int64
		if c.told != "" {
			told = at(d + c.told)
		}
		if c.sentAt != "" {
			k.sentAt, k.sentAtSet = at(d+c.sentAt), true
		}
		if got := k.eventTime(told, c.told != "", c.offset, c.offset != 0, c.ignore); got != at(d+c.want) {
			t.Errorf("eventTime(%+v) = %s", c, appendTime(nil, got))
		}
	}
	k := clock{now: testNow}
	if got := k.eventTime(at("2023-01-03T00:00Z"), true, 0, false, false); got != testNow {
		t.Errorf("a time more than 23 h ahead = %s, want now", appendTime(nil, got))
	}
	if got := k.eventTime(minLiveTime-1, true, 0, false, false); got != 0 {
		t.Errorf("a time before the year 0 = %s, want 1970", appendTime(nil, got))
	}
}

// TestParseUUID has every byte in every place of a uuid.
func TestParseUUID(t *testing.T) {
	const text = "019b76DA-a800-7137-a894-CBAC52abf6e5"
	for at := range len(text) {
		for c := range 256 {
			changed := []byte(text)
			changed[at] = byte(c)
			want, err := uuid.ParseBytes(changed)
			got, ok := parseUUID(changed)
			if ok != (err == nil) || ok && uuid.UUID(got) != want {
				t.Fatalf("parseUUID(%q) = %x, %v, want %x, %v", changed, got, ok, want, err)
			}
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-02T03:04:05Z": "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456789Z": "2026-01-02T03:04:05.123456Z",
		"2026-01-02T03:04:05.5+03": "2026-01-02T00:04:05.5Z", "2026-01-02T03:04:05-0330": "2026-01-02T06:34:05Z",
		"2026-01-02 03:04:05+03:00": "2026-01-02T00:04:05Z", "2026-01-02": "2026-01-02T00:00:00Z", "2026/01/02 03:04": "2026-01-02T03:04:00Z",
		"2026-01-02 03:04:05": "2026-01-02T03:04:05Z", " 2026-01-02T03:04:05 ": "2026-01-02T03:04:05Z", "2026-01-02 03:04:05 UTC": "2026-01-02T03:04:05Z",
		"Fri, 02 Jan 2026 03:04:05 +0100": "2026-01-02T02:04:05Z", "1767323045": "2026-01-02T03:04:05Z", "1767323045678": "2026-01-02T03:04:05.678Z",
		"1767323045.5": "2026-01-02T03:04:05.5Z", "1767323045678901": "2026-01-02T03:04:05.678901Z", "0001-01-01T00:00:00Z": "0001-01-01T00:00:00Z",
		"2024-02-29": "2024-02-29T00:00:00Z", "2026-1-2": "2026-01-02T00:00:00Z", "1969-12-31T23:59:59.9Z": "1969-12-31T23:59:59.9Z", "2026-01-02T24:00:00Z": "2026-01-03T00:00:00Z",
		"not a date": "", "2023-02-29": "", "2023-13-01": "", "2023-01-01T25:00:00Z": "", "": "", "2023-01-01T10:00:00x": "", "NaN": "", "Inf": "", "1e400": "", "2023-04-31": "",
	} {
		got, ok := parseTime([]byte(text))
		if shown := string(appendTime(nil, got)); ok != (want != "") || ok && shown != want {
			t.Errorf("parseTime(%q) = %s, %v, want %q", text, shown, ok, want)
		}
	}
	for y := 0; y <= 9999; y += 7 { // against the standard library
		for _, rest := range []string{"-02-28T23:59:59.000001Z", "-03-01T00:00:00+05:30", "-12-31T12:34:56Z"} {
			text := fmt.Sprintf("%04d%s", y, rest)
			want, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := parseTime([]byte(text)); !ok || got != want.UnixMicro() {
				t.Fatalf("parseTime(%q) = %d, %v, want %d", text, got, ok, want.UnixMicro())
			}
		}
	}
}
