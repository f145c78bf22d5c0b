package insighttest

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// Random questions are ones the model answers, and most answers say something.
func TestRandomQuestions(t *testing.T) {
	kinds, full, beyond := map[string]int{}, map[string]int{}, map[string]int{}
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 1))
		d := Random(rng)
		d.Sampled = func(_ float64, id string) bool { return !strings.HasSuffix(id, "0") }
		q := RandomQuery(rng, d)
		kind := textOf(q, "kind")
		kinds[kind]++
		answer, err := Answer(d, q)
		var u Unsupported
		if errors.As(err, &u) {
			beyond[u.What]++
			continue
		}
		if err != nil {
			beyond[err.Error()]++
			continue
		}
		if says(answer["results"]) {
			full[kind]++
		}
		again, _ := Answer(d, q)
		if diffs := Differences(q, answer, again); len(diffs) > 0 {
			t.Fatalf("seed %d: two answers to %v differ: %v", seed, q, diffs)
		}
		if _, err := json.Marshal(answer); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("asked %v, answered with a number %v, not answered %v", kinds, full, beyond)
	for kind, n := range kinds {
		if full[kind]*8 < n {
			t.Errorf("%d of %d answers to a %s say something, want an eighth of them", full[kind], n, kind)
		}
	}
}

// says is whether there is a number other than 0 under a key that counts.
func says(v any) bool {
	switch v := v.(type) {
	case object:
		for k, x := range v {
			if k != "order" && k != "action" && k != "days" && says(x) {
				return true
			}
		}
	case []any:
		for _, x := range v {
			if says(x) {
				return true
			}
		}
	case float64:
		return v != 0
	}
	return false
}
