package properties

import (
	"maps"
	"testing"

	"github.com/prickledb/prickle/storage/event"
)

// An object may come in any order and spacing; what is kept is jsonb's text.
func TestUpdate(t *testing.T) {
	var o Merger
	for _, c := range []struct{ old, set, once, want string }{
		{"", `{"bb":[1,2],"a":{"y":1,"x":2}}`, "", `{"a": {"x": 2, "y": 1}, "bb": [1, 2]}`},
		{"", `{"\u0061":"\u00e9\n"}`, "", `{"a": "é\n"}`},
		{"", `{"a":1,"a":2}`, "", `{"a": 2}`},
		{`{"a": 1}`, `{"a":1 "b":2}`, "", `{"a": 1}`},
		{`{"a": 1}`, `{"a":bogus}`, "", `{"a": 1}`},
		{`{"a": 1}`, `[1]`, `"x"`, `{"a": 1}`},
		{`{"a": 1}`, `{"b":null}`, `{"a":2,"c":3,"d":null}`, `{"a": 1, "b": null, "c": 3}`},
		{`{"a": "}, \" {", "c": [{"x": ","}]}`, `{"b":1.50}`, "", `{"a": "}, \" {", "b": 1.50, "c": [{"x": ","}]}`},
	} {
		if got, _ := o.Update([]byte(c.old), []byte(c.set), []byte(c.once), nil); string(got) != c.want {
			t.Errorf("update(%s, %s, %s) = %s, want %s", c.old, c.set, c.once, got, c.want)
		}
	}
	got, changed := o.Update([]byte(`{"a": 1, "b": 2}`), []byte(`{"a": 3}`), nil, []string{"a", "x"})
	if string(got) != `{"b": 2}` || !changed {
		t.Errorf("$unset a: %s, changed %v", got, changed)
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add(`{"a":[1,{"b":"\ud83d\ude00"}]}`, `{"a":null}`)
	f.Fuzz(func(t *testing.T, set, once string) {
		var o Merger
		one, _ := o.Update(nil, []byte(set), []byte(once), nil)
		// What was written is read back as it is.
		again, _ := o.Update(nil, one, nil, nil)
		if string(again) != string(one) {
			t.Errorf("%q, read again %q", one, again)
		}
	})
}

func TestValueAndKinds(t *testing.T) {
	object := []byte(`{"a": 1, "b": "x, \"y\"", "q\"": true, "bb": [1, {"a": 2}], "nul": null, "obj": {"c": 1}}`)
	for name, want := range map[string]string{"a": "1", "b": `"x, \"y\""`, `q"`: "true", "bb": `[1, {"a": 2}]`, "nul": "null", "obj": `{"c": 1}`} {
		if got, ok := Value(object, []byte(name)); string(got) != want || !ok {
			t.Errorf("Value(%q) = %s, %v, want %s", name, got, ok, want)
		}
	}
	for _, text := range []string{"", "{}", `{"x": 1}`, `{"`, `{"c`, `{"c"`, `{"c":`, `{"c": `} {
		if got, ok := Value([]byte(text), []byte("c")); ok {
			t.Errorf("Value(%s, c) = %s", text, got)
		}
	}
	seen := Seen{}
	seen.Add(object)
	seen.Add([]byte(`{"a": "1", "nul": -2}`))
	if want := (Seen{"a": Number | Text, "b": Text, `q"`: Bool, "bb": JSON, "nul": Number, "obj": JSON}); !maps.Equal(seen, want) {
		t.Errorf("Seen = %v, want %v", seen, want)
	}
	if OfEvent(event.Null) != 0 || OfEvent(event.Float)|OfEvent(event.Int) != Number {
		t.Error("kinds of events")
	}
}
