package person

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
)

// Ids are found as in a map, whatever was added and removed before, and what readers got
// stays as it was.
func TestIDsModel(t *testing.T) {
	for seed := range int64(20) {
		r := rand.New(rand.NewSource(seed))
		var all ids
		model := map[string]uint32{}
		var order []string
		type copied struct {
			list idList
			ids  []string
		}
		var copies []copied
		name := func() string {
			switch r.Intn(50) {
			case 0:
				return ""
			case 1:
				return strings.Repeat("long ", 1+r.Intn(mostPage/4)) + fmt.Sprint(r.Intn(3))
			}
			return fmt.Sprint("person ", r.Intn(2000))
		}
		for step := range 3000 {
			id := name()
			want, seen := model[id]
			if got, ok := all.get(id); ok != seen || got != want {
				t.Fatalf("seed %d step %d: %.20q is %d, %v, want %d, %v", seed, step, id, got, ok, want, seen)
			}
			switch {
			case !seen:
				all.add(id, uint32(step))
				model[id] = uint32(step)
				order = append(order, id)
			case r.Intn(3) > 0:
				i, ok := all.remove(id)
				if !ok || all.idText(i) != id || all.owner(i) != want {
					t.Fatalf("seed %d step %d: %.20q is removed at %d, %v", seed, step, id, i, ok)
				}
				delete(model, id)
			}
			if all.found != len(model) {
				t.Fatalf("seed %d step %d: %d are found, want %d", seed, step, all.found, len(model))
			}
			if step%500 == 0 {
				copies = append(copies, copied{all.prefix(), order[:len(order):len(order)]})
			}
		}
		for id, want := range model {
			if got, ok := all.get(id); !ok || got != want {
				t.Fatalf("seed %d: %.20q is %d, %v, want %d", seed, id, got, ok, want)
			}
		}
		for _, c := range append(copies, copied{all.idList, order}) {
			if c.list.len() != len(c.ids) {
				t.Fatalf("seed %d: %d ids, want %d", seed, c.list.len(), len(c.ids))
			}
			for i, want := range c.ids {
				if got := c.list.idText(i); got != want {
					t.Fatalf("seed %d: id %d is %.20q, want %.20q", seed, i, got, want)
				}
			}
		}
	}
}

// A reader's list is not written to while more ids are added.
func TestIDsWhileAdding(t *testing.T) {
	var all ids
	for i := range 1000 {
		all.add(fmt.Sprint(i), uint32(i))
	}
	list := all.prefix()
	done := make(chan string)
	go func() {
		for i := range list.len() {
			if got := list.idText(i); got != fmt.Sprint(i) || list.owner(i) != uint32(i) {
				done <- fmt.Sprintf("id %d is %q of %d", i, got, list.owner(i))
				return
			}
		}
		done <- ""
	}()
	for i := range 20_000 {
		all.add(fmt.Sprint("more ", i), 0)
	}
	if said := <-done; said != "" {
		t.Error(said)
	}
}
