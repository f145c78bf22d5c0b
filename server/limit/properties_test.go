package limit

import (
	"fmt"
	"testing"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
)

func props(keys ...string) *event.Batch {
	b := &event.Batch{Rows: 1}
	for _, k := range keys {
		b.Props = append(b.Props, event.Prop{Key: k})
	}
	return b
}

func keys(b *event.Batch) string {
	out := ""
	for _, p := range b.Props {
		out += p.Key
	}
	return out
}

// Names beyond the limit are left away, whenever they come; those known stay.
func TestProperties(t *testing.T) {
	l := &Limiter{}
	p := project1(storage.Limits{Properties: 3})
	for _, c := range []struct {
		sent    *event.Batch
		kept    string
		removed int
		first   bool
	}{
		{props("a", "b"), "ab", 0, false},
		{props("b", "c", "d"), "bc", 1, true},
		{props("a", "d", "e"), "a", 2, false},
		{props("c"), "c", 0, false},
		{props(), "", 0, false},
	} {
		before := keys(c.sent)
		removed, first := l.Properties(p, c.sent)
		if removed != c.removed || first != c.first || keys(c.sent) != c.kept {
			t.Errorf("Properties(%s) = %d, %v, kept %s, want %d, %v, %s", before, removed, first, keys(c.sent), c.removed, c.first, c.kept)
		}
	}
	many := &event.Batch{}
	for i := range DefaultProperties + 5 {
		many.Props = append(many.Props, event.Prop{Key: fmt.Sprint(i)})
	}
	if removed, _ := l.Properties(storage.Project{ID: 2}, many); removed != 5 {
		t.Errorf("%d of %d names removed without a limit of the project's own", removed, DefaultProperties+5)
	}
}

// What was stored before counts, once it is known.
func TestLearn(t *testing.T) {
	l := &Limiter{}
	p := project1(storage.Limits{Properties: 2})
	asked := 0
	names := func(uint32) []string { asked++; return []string{"x", "y"} }
	l.Learn(names) // nothing was sent yet
	l.Properties(p, props("x"))
	l.Learn(names)
	l.Learn(names)
	if removed, _ := l.Properties(p, props("x", "z")); removed != 1 || asked != 1 {
		t.Errorf("%d names removed, asked %d times, want 1 and 1", removed, asked)
	}
}
