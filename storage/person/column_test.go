package person

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"sync"
	"testing"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/memory"
	"github.com/prickledb/prickle/storage/vec"
)

// TestColumn changes persons at random, and compares what columns say with the properties
// themselves: of the newest table and of an older one.
func TestColumn(t *testing.T) {
	budget := memory.NewBudget(1 << 20)
	s := NewState(1, memory.NewCache(budget.Pool(memory.Decoded)))
	r := rand.New(rand.NewSource(1))
	values := []string{`"pro"`, `"9"`, `9`, `9.0`, `true`, `"true"`, `null`, `[1, 2]`, `""`, `"q\"\\"`}
	keys := []string{"plan", "n", `we"ird`}
	for i := range 1500 {
		s.Ordinal([]byte(fmt.Sprint("d", i)))
	}
	var old *Table
	for round := range 12 {
		for range r.Intn(200) {
			key, _ := json.Marshal(keys[r.Intn(len(keys))])
			value := values[r.Intn(len(values))]
			if r.Intn(4) == 0 {
				value = fmt.Sprint(round*1000 + r.Intn(1000))
			}
			s.Set(s.Ordinal([]byte(fmt.Sprint("d", r.Intn(1500+50*round)))), &event.PersonOp{Set: fmt.Appendf(nil, "{%s: %s}", key, value)})
		}
		_, now := s.Publish()
		var readers sync.WaitGroup
		for _, table := range []*Table{now, old, now} {
			if table == nil {
				continue
			}
			readers.Add(1)
			go func() {
				defer readers.Done()
				for _, key := range keys {
					for as := range event.Readings {
						checkColumn(t, table, key, as)
					}
				}
			}()
		}
		readers.Wait()
		if round%3 == 0 {
			old = now
		}
	}
}

func checkColumn(t *testing.T, table *Table, key string, as event.Reading) {
	column, err := table.Column(key, as, nil)
	if err != nil {
		t.Error(err)
		return
	}
	for o := range uint32(table.Len()) {
		want := event.NewReader(as, nil, 1)
		var members map[string]json.RawMessage
		if object := table.Properties(o); len(object) > 0 {
			if err := json.Unmarshal(object, &members); err != nil {
				t.Error(err)
				return
			}
		}
		value := members[key]
		switch kind, text := event.KindOf(value); {
		case value == nil:
			want.Null()
		case kind == event.Bool:
			want.Bool(text[0] == 't')
		default:
			want.Text(kind, text)
		}
		code := int(column.Code(o))
		null := want.V.IsNull(0)
		if column.Dict.IsNull(code) != null || !null && vec.Compare(column.Dict, code, want.V, 0) != 0 {
			t.Errorf("%s of %d (%s) read as %d: position %d", key, o, value, as, code)
			return
		}
	}
}
