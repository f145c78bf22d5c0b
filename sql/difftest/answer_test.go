package difftest

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// answer is rows of one column, of which "-" is NULL.
func answer(oid uint32, values ...string) *Answer {
	a := &Answer{Columns: []Column{{Name: "v", OID: oid, Mod: -1}}}
	for _, v := range values {
		row := []*string{&v}
		if v == "-" {
			row[0] = nil
		}
		a.Rows = append(a.Rows, row)
	}
	return a
}

func failure(code string) *Answer { return &Answer{Err: &pgconn.PgError{Code: code, Message: "no"}} }

func TestCompare(t *testing.T) {
	const oidText = 25
	ordered, strict, loose := Query{Ordered: true}, Query{Strict: true}, Query{Loose: true}
	for _, c := range []struct {
		q         Query
		want, got *Answer
		different string
		excused   bool
	}{
		{Query{}, answer(oidText, "a", "b", "-"), answer(oidText, "-", "b", "a"), "", false},
		{Query{}, answer(oidText, "a", "a", "b"), answer(oidText, "a", "b", "b"), `row 1, column v: "b", want "a"`, false},
		{Query{}, answer(oidText, "a"), answer(oidText, "a", "b"), "2 rows, want 1", false},
		{Query{SQL: "SELECT k FROM a LEFT JOIN b ON false WHERE (b.v = ANY ('{}'::int[])) <= true"}, answer(oidText), answer(oidText, "a"), "", true},
		{Query{SQL: "SELECT k FROM a WHERE v = ANY ('{}'::int[])"}, answer(oidText), answer(oidText, "a"), "1 rows, want 0", false},
		{Query{}, answer(oidText, "1"), answer(oidNumeric, "1"), "columns [{v 1700 -1}], want [{v 25 -1}]", false},
		{ordered, answer(oidText, "a", "b"), answer(oidText, "b", "a"), `row 0, column v: "b", want "a"`, false},
		{ordered, answer(oidText, "-"), answer(oidText, "a"), `row 0, column v: "a", want NULL`, false},
		{Query{}, answer(oidFloat8, "0.1", "2"), answer(oidFloat8, "2", "0.10000000000000002"), "", false},
		{Query{}, answer(oidNumeric, "1.0"), answer(oidNumeric, "1.00"), `row 0, column v: "1.00", want "1.0"`, false},
		{loose, answer(oidNumeric, "1.0"), answer(oidNumeric, "1.00"), "", false},
		{ordered, answer(oidInterval, "1 mon", "30 days"), answer(oidInterval, "30 days", "1 mon"), "", true},
		{ordered, answer(oidInterval, "1 mon", "30 days"), answer(oidInterval, "1 mon", "31 days"), `row 1, column v: "31 days", want "30 days"`, false},
		{strict, failure("22012"), failure("22012"), "", false},
		{strict, failure("22012"), answer(oidText, "a"), "no error, want 22012: no", false},
		{Query{}, failure("22012"), answer(oidText, "a"), "", true},
		{Query{}, failure("42703"), answer(oidText, "a"), "no error, want 42703: no", false},
		{Query{}, answer(oidText, "a"), failure("XX000"), "error XX000: no", false},
		{Query{}, answer(oidText, "a"), failure("57014"), "error 57014: no", false},
		{Query{}, failure("57014"), answer(oidText, "a"), "", true},
		{strict, failure("22012"), failure("22003"), "", true},
		{Query{}, failure("42803"), failure("42703"), "error 42703: no, want 42803: no", false},
	} {
		if v := Compare(c.q, c.want, c.got); v.Different != c.different || (v.Excuse != "") != c.excused {
			t.Errorf("Compare(%+v, %v, %v) = %+v, want %q, excused %v", c.q, c.want, c.got, v, c.different, c.excused)
		}
	}
}
