package session_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// shadow is tables as a map keeps them: by name, and then by key.
type shadow map[string]map[int]int

func (s shadow) clone() shadow {
	out := shadow{}
	for name, rows := range s {
		out[name] = maps.Clone(rows)
	}
	return out
}

func (s shadow) lines() string {
	var out []string
	for name, rows := range s {
		for k, v := range rows {
			out = append(out, fmt.Sprintf("%s %d %d", name, k, v))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// Random statements in random transactions, with savepoints and flushes, give what maps give: to the transaction at once, to others at its end.
func TestRandomTransactions(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomTransactions(t, seed) })
	}
}

func randomTransactions(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 11))
	tb := newTables(t)
	committed := shadow{}
	var own shadow // in a block: what it sees; otherwise nil
	type saved struct {
		name  string
		state shadow
	}
	var saves []saved
	names, key := 0, 0
	check := func(session, what string, want shadow) {
		t.Helper()
		var got []string
		for _, name := range slices.Sorted(maps.Keys(want)) {
			for _, row := range tb.must(session, "SELECT k, v FROM "+name).Rows {
				got = append(got, fmt.Sprintf("%s %s %s", name, *row[0], *row[1]))
			}
		}
		slices.Sort(got)
		if text := strings.Join(got, "\n"); text != want.lines() {
			t.Fatalf("seed %d, after %s: session %s sees\n%s\nwant\n%s", seed, what, session, text, want.lines())
		}
	}
	for range 150 {
		now := own
		if now == nil {
			now = committed
		}
		name := ""
		if list := slices.Sorted(maps.Keys(now)); len(list) > 0 {
			name = list[rng.IntN(len(list))]
		}
		sql := ""
		switch n := rng.IntN(20); {
		case n == 0 || name == "":
			names++
			name = fmt.Sprintf("t%d", names)
			sql = "CREATE TABLE " + name + " (k int, v int)"
			now[name] = map[int]int{}
		case n < 6:
			var values []string
			for range 1 + rng.IntN(4) {
				key++
				v := rng.IntN(100)
				now[name][key] = v
				values = append(values, fmt.Sprintf("(%d, %d)", key, v))
			}
			sql = "INSERT INTO " + name + " VALUES " + strings.Join(values, ", ")
		case n < 9:
			m, r := 2+rng.IntN(3), rng.IntN(2)
			for k, v := range now[name] {
				if k%m == r {
					now[name][k] = v + 1
				}
			}
			sql = fmt.Sprintf("UPDATE %s SET v = v + 1 WHERE k %% %d = %d", name, m, r)
		case n < 11:
			m, r := 2+rng.IntN(3), rng.IntN(2)
			maps.DeleteFunc(now[name], func(k, _ int) bool { return k%m == r })
			sql = fmt.Sprintf("DELETE FROM %s WHERE k %% %d = %d", name, m, r)
		case n == 11 && rng.IntN(2) == 0:
			now[name] = map[int]int{}
			sql = "TRUNCATE " + name
		case n == 12 && rng.IntN(3) == 0:
			delete(now, name)
			sql = "DROP TABLE " + name
		case n < 15:
			if own != nil {
				sql = fmt.Sprintf("SAVEPOINT s%d", rng.IntN(2))
				saves = append(saves, saved{sql[10:], own.clone()})
				break
			}
			sql, own, saves = "BEGIN ISOLATION LEVEL REPEATABLE READ", committed.clone(), nil
		case n == 15 && own != nil && len(saves) > 0:
			s := saves[rng.IntN(len(saves))].name
			for saves[len(saves)-1].name != s {
				saves = saves[:len(saves)-1]
			}
			sql, own = "ROLLBACK TO "+s, saves[len(saves)-1].state.clone()
		case n < 18 && own != nil:
			sql, committed, own = "COMMIT", own, nil
		case n == 18 && own != nil:
			sql, own = "ROLLBACK", nil
		default:
			if err := tb.store.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		tb.must("a", sql)
		if own != nil {
			check("a", sql, own)
		}
		check("b", sql, committed)
	}
}
