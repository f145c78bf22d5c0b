package capture

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// groupsOf is the keys of the groups of each row: "a" of type 0 and "b" of type 2 are a--b.
func groupsOf(b *event.Batch) string {
	var out []string
	for row := range b.Rows {
		var keys []string
		for _, key := range groupKeys {
			text := ""
			if at, found := b.Find(key); found {
				if c := b.Props[at].Codes.At(row); c != 0 {
					text = b.Props[at].Values.Str(int(c - 1))
				}
			}
			keys = append(keys, text)
		}
		out = append(out, strings.TrimRight(strings.Join(keys, "-"), "-"))
	}
	return strings.Join(out, " ")
}

func TestNameGroups(t *testing.T) {
	b := event.NewBuilder()
	long := strings.Repeat("é", 401)
	for i, groups := range []string{`{"team": "t1", "company": 5}`, ``, `{"company": "5"}`, `{"team": ""}`, `{"": "x"}`, `"text"`, `[1]`,
		`{"a": "1", "b": "2", "c": "3", "d": "4"}`, `{"team": "` + long + `"}`, `{"company": "new"}`, `{"team": null}`} {
		b.Begin(vec.UUIDValue{15: byte(i)}, 1)
		b.SetName([]byte("e"))
		b.SetDistinctID([]byte("u"))
		if groups != "" {
			kind := event.JSON
			if groups[0] == '"' {
				kind = event.Text
			}
			b.Property([]byte("$groups"), kind, []byte(groups))
		}
		if i == 1 || i == 9 {
			b.Property([]byte("$group_1"), event.Text, []byte("kept"))
		}
		b.Property([]byte("zz"), event.Int, []byte("1"))
		b.End()
	}
	batch := b.Finish()
	m := &memory{types: []string{"", "company"}}
	ignored, err := nameGroups(batch, func(types []string) ([]string, error) { return m.NameGroups(t.Context(), 1, types) })
	if err != nil || !slices.Equal(ignored, []string{"d", "team"}) {
		t.Errorf("ignored %q, %v", ignored, err)
	}
	want := "-5 -kept -5     --1-2-3  -new "
	if got := groupsOf(batch); got != want {
		t.Errorf("keys are %q, want %q", got, want)
	}
	// It is a batch that can be written.
	again, err := event.Decode(event.Append(nil, batch))
	if err != nil || groupsOf(again) != want {
		t.Errorf("read again: %q, %v", groupsOf(again), err)
	}
	m.err = errors.New("no room")
	if _, err := nameGroups(batch, func(types []string) ([]string, error) { return m.NameGroups(t.Context(), 1, types) }); err == nil {
		t.Error("an error of the store is lost")
	}
	if text := string(groupKey(value{event.Text, true, []byte(long)})); text != long[:800] {
		t.Errorf("a long key has %d bytes", len(text))
	}
}

// Events name their groups by capture; the sixth type is ignored, and told of.
func TestCaptureGroups(t *testing.T) {
	m := &memory{}
	var events []string
	for i := range 6 {
		events = append(events, fmt.Sprintf(`{"event":"e","distinct_id":"u","properties":{"$groups":{"type%d":"k%d"}}}`, i, i))
	}
	warned := map[string]int{}
	h := handler(m).(*Handler)
	h.Warn = func(_ uint32, kind, _ string, n int) { warned[kind] += n }
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/batch/", strings.NewReader(`{"api_key":"k","batch":[`+strings.Join(events, ",")+`]}`)))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got, want := groupsOf(m.batches[0]), "k0 -k1 --k2 ---k3 ----k4 "; got != want {
		t.Errorf("keys are %q, want %q", got, want)
	}
	if warned["too_many_group_types"] != 1 || len(warned) != 1 {
		t.Errorf("warnings %v", warned)
	}
}
