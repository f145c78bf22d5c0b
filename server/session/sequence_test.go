package session_test

import (
	"fmt"
	"sync"
	"testing"
)

// TestSequenceShared has sessions insert at the same time: no number is given out twice.
func TestSequenceShared(t *testing.T) {
	tb := newTables(t)
	if _, err := tb.client("main").run("CREATE TABLE t (id serial, who int)"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		c := tb.client(fmt.Sprint("client", i))
		wg.Go(func() {
			for n := range 8 {
				sql := fmt.Sprintf("INSERT INTO t (who) SELECT %d FROM generate_series(1, %d)", i, 1+n*n)
				if _, err := c.run(sql); err != nil {
					t.Errorf("%s: %v", sql, err)
				}
			}
		})
	}
	wg.Wait()
	r, err := tb.client("main").run("SELECT count(*), count(DISTINCT id), min(id) FROM t")
	if err != nil {
		t.Fatal(err)
	}
	if got := *r.Rows[0][0] + " " + *r.Rows[0][1] + " " + *r.Rows[0][2]; got != "592 592 1" {
		t.Errorf("rows, different numbers, the first: %s, want 592 592 1", got)
	}
}
