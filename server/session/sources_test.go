package session_test

import (
	"fmt"
	"testing"

	"github.com/prickledb/prickle/sql/bind"
)

// Columns that show those of a table say so, as JDBC and others ask for.
func TestSources(t *testing.T) {
	f := stored(t)
	for _, s := range []string{"CREATE TABLE a (x int, y int, z int)", "ALTER TABLE a DROP COLUMN y"} {
		if _, err := f.text(s); err != nil {
			t.Fatal(err)
		}
	}
	table, err := f.text("SELECT 'a'::regclass::oid")
	if err != nil {
		t.Fatal(err)
	}
	var a uint32
	fmt.Sscan(table, &a)
	none := bind.Source{}
	x, z := bind.Source{Table: a, Column: 1}, bind.Source{Table: a, Column: 3}
	for sql, want := range map[string][]bind.Source{
		"SELECT * FROM a": {x, z},
		"SELECT z AS x, x + 1, b.x, 1 FROM a AS b WHERE z > 0":               {z, none, x, none},
		"SELECT l.x, r.z FROM a l LEFT JOIN a r USING (x) ORDER BY z":        {x, z},
		"SELECT z, count(*) FROM a GROUP BY z":                               {z, none},
		"SELECT DISTINCT event, properties FROM events":                      {{Table: 16384, Column: 2}, {Table: 16384, Column: 8}},
		"SELECT relname FROM pg_class":                                       {{Table: 1259, Column: 2}},
		"SELECT y, s.n FROM (SELECT z, x, x + 1 FROM a) s (n, y)":            {x, z},
		"SELECT x + 1, x FROM (SELECT x FROM a) s":                           {none, x},
		"WITH c AS MATERIALIZED (SELECT z FROM a) SELECT c.z FROM c":         {z},
		"SELECT v.x FROM a v JOIN (SELECT DISTINCT z FROM a) w ON v.z = w.z": {x},
		"INSERT INTO a VALUES (1, 2) RETURNING z, x + 1, x":                  {z, none, x},
		"UPDATE a SET x = 1 RETURNING *":                                     {x, z},
		"DELETE FROM a RETURNING a.z":                                        {z},
	} {
		p, err := f.Prepare("", sql, nil)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if fmt.Sprint(p.Sources) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", sql, p.Sources, want)
		}
		f.CloseStatement("")
	}
	if p, err := f.Prepare("", "SELECT x FROM a UNION SELECT z FROM a", nil); err != nil || p.Sources != nil {
		t.Errorf("UNION: %v, %v", p, err)
	}
}
