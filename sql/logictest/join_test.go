package logictest

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine"
	"github.com/prickledb/prickle/storage/vfs"
)

// TestJoinsApart runs joins with one goroutine and with several, in memory and from disk:
// all must agree.
func TestJoinsApart(t *testing.T) {
	d := generated(t, 5_000, false)
	disk := &countingFS{Mem: vfs.NewMem()}
	dir, err := engine.OpenSpillDir(disk, "spill", math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`SELECT e.event, count(*), count(DISTINCT p.id) FROM events e JOIN persons p ON p.id = e.person_id GROUP BY 1`,
		`SELECT e.uuid, p.id FROM events e RIGHT JOIN persons p ON p.id = e.person_id AND e.event = 'purchase'`,
		`SELECT e.uuid, p.id FROM events e FULL JOIN (SELECT * FROM persons WHERE id::text < '8') p ON p.id = e.person_id AND e.event = 'purchase'`,
		`SELECT count(*), min(uuid::text) FROM events WHERE person_id IN (SELECT person_id FROM events WHERE event = 'purchase')`,
		`SELECT count(*), min(uuid::text) FROM events WHERE person_id NOT IN (SELECT person_id FROM events WHERE event = 'purchase')`,
		`SELECT a.uuid, b.uuid FROM events a JOIN events b ON a.person_id = b.person_id AND a.timestamp < b.timestamp WHERE a.event = '$pageview' AND b.event = 'purchase'`,
		`SELECT e.event, p.id, q.n FROM events e JOIN persons p ON p.id = e.person_id
			LEFT JOIN (SELECT person_id, count(*) AS n FROM events WHERE event = 'purchase' GROUP BY 1) q ON q.person_id = p.id WHERE e.event <> '$pageview'`,
	} {
		var want string
		for i, mode := range []struct {
			threads int
			spill   *engine.SpillDir
		}{{1, nil}, {8, nil}, {1, dir}, {8, dir}} {
			d.threads, d.spill = mode.threads, mode.spill
			r, err := d.Run(t, q)
			if err != nil {
				t.Fatalf("%s: %v", q, err)
			}
			got := strings.Split(lines(r.Rows), "\n")
			slices.Sort(got)
			text := strings.Join(got, "\n")
			if i == 0 {
				want = text
				if len(r.Rows) == 0 {
					t.Fatalf("%s gives no rows", q)
				}
			} else if text != want {
				t.Fatalf("%s, mode %d =\n%.500s\nwant\n%.500s", q, i, text, want)
			}
		}
	}
	if used := dir.Used(); used != 0 || disk.created.Load() < 50 {
		t.Errorf("%d spill files were made, %d bytes are left", disk.created.Load(), used)
	}
}

// BenchmarkJoin compares a property of persons that a join finds with the one that the scan
// knows.
func BenchmarkJoin(b *testing.B) {
	d := generated(b, 1_000_000, true)
	for _, c := range [][2]string{
		{"scan", `SELECT person.properties.plan AS plan, count(*) FROM events GROUP BY 1`},
		{"join", `SELECT p.properties.plan AS plan, count(*) FROM events e JOIN persons p ON p.id = e.person_id GROUP BY 1`},
	} {
		b.Run(c[0], func(b *testing.B) {
			for range b.N {
				if _, err := d.Run(nil, c[1]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
