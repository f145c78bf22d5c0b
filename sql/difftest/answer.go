package difftest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Column is a name and a type of an answer.
type Column struct {
	Name string
	OID  uint32
	Mod  int32
}

// Answer is what a server says to a statement: rows as text, or an error.
type Answer struct {
	Columns []Column
	Rows    [][]*string
	Err     *pgconn.PgError
}

// Ask runs one statement. An error is one of the connection.
func Ask(ctx context.Context, c *pgconn.PgConn, sql string) (*Answer, error) {
	var a *Answer
	results := c.Exec(ctx, sql)
	for results.NextResult() {
		r := results.ResultReader()
		a = &Answer{}
		for _, f := range r.FieldDescriptions() {
			a.Columns = append(a.Columns, Column{f.Name, f.DataTypeOID, f.TypeModifier})
		}
		for r.NextRow() {
			row := make([]*string, len(a.Columns))
			for i, v := range r.Values() {
				if v != nil {
					s := string(v)
					row[i] = &s
				}
			}
			a.Rows = append(a.Rows, row)
		}
	}
	var refused *pgconn.PgError
	switch err := results.Close(); {
	case errors.As(err, &refused):
		return &Answer{Err: refused}, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", sql, err)
	}
	return a, nil
}

// Verdict is how two answers compare.
type Verdict struct {
	// Different says what is different; empty if nothing is.
	Different string
	// Excuse is why something else than the same is right; empty if it is the same.
	Excuse string
}

// Compare holds an answer against the one of PostgreSQL.
func Compare(q Query, want, got *Answer) Verdict {
	if want.Err != nil || got.Err != nil {
		return compareErrors(q, want.Err, got.Err)
	}
	if !slices.EqualFunc(want.Columns, got.Columns, sameColumn) {
		return Verdict{Different: fmt.Sprintf("columns %v, want %v", got.Columns, want.Columns)}
	}
	if len(want.Rows) != len(got.Rows) && anyOfNone.MatchString(q.SQL) {
		return Verdict{Excuse: "PostgreSQL takes = ANY ('{}') of NULL for NULL where it turns outer joins into inner ones, and for false elsewhere"}
	}
	if len(want.Rows) != len(got.Rows) {
		return Verdict{Different: fmt.Sprintf("%d rows, want %d", len(got.Rows), len(want.Rows))}
	}
	bags := func() string { return unlike(want.Columns, q.Loose, want.sorted(), got.sorted()) }
	if !q.Ordered {
		return Verdict{Different: bags()}
	}
	different := unlike(want.Columns, q.Loose, want.Rows, got.Rows)
	if different != "" && slices.ContainsFunc(want.Columns, func(c Column) bool { return c.OID == oidInterval }) && bags() == "" {
		return Verdict{Excuse: "intervals that are equal, as a month and 30 days, in another order"}
	}
	return Verdict{Different: different}
}

// anyOfNone finds an outer join and a comparison with an empty array.
var anyOfNone = regexp.MustCompile(`(LEFT|RIGHT|FULL) JOIN.* = ANY \('{}'`)

// unlike says where rows are not alike first; nothing if they are.
func unlike(columns []Column, loose bool, want, got [][]*string) string {
	for i := range want {
		for k, c := range columns {
			if w, g := want[i][k], got[i][k]; !alike(c.OID, loose, w, g) {
				return fmt.Sprintf("row %d, column %s: %s, want %s", i, c.Name, quoted(g), quoted(w))
			}
		}
	}
	return ""
}

// sameColumn says whether two columns are called and typed the same. What folding constants
// leaves may have a modifier that the expression has not.
func sameColumn(a, b Column) bool {
	return a.Name == b.Name && a.OID == b.OID && (a.Mod == b.Mod || a.Mod < 0 || b.Mod < 0)
}

func compareErrors(q Query, want, got *pgconn.PgError) Verdict {
	switch {
	case want != nil && got != nil && want.Code == got.Code:
		return Verdict{}
	case got != nil && got.Code == "22003" && strings.Contains(got.Message, "numeric"):
		return Verdict{Excuse: "a numeric of more than 38 digits"}
	case got != nil && got.Code == "2201B":
		return Verdict{Excuse: "regular expressions are RE2"}
	case want != nil && want.Code == "57014":
		return Verdict{Excuse: "PostgreSQL takes too long"}
	case got != nil && got.Code == "0A000":
		return Verdict{Different: got.Message}
	// Which rows an expression is computed for depends on the plan.
	case !q.Strict && (want == nil || ofData(want.Code)) && (got == nil || ofData(got.Code)):
		return Verdict{Excuse: "an error of a value in one plan only"}
	case want == nil:
		return Verdict{Different: "error " + got.Code + ": " + got.Message}
	case got == nil:
		return Verdict{Different: "no error, want " + want.Code + ": " + want.Message}
	// Of several errors either may come first.
	case ofData(want.Code) && ofData(got.Code):
		return Verdict{Excuse: "another of several errors"}
	}
	return Verdict{Different: fmt.Sprintf("error %s: %s, want %s: %s", got.Code, got.Message, want.Code, want.Message)}
}

// ofData says whether an error is one of the values of a row.
func ofData(code string) bool { return strings.HasPrefix(code, "22") || code == "21000" }

func quoted(v *string) string {
	if v == nil {
		return "NULL"
	}
	return strconv.Quote(*v)
}

// The object ids of types that have more than one way to write a value.
const (
	oidFloat8   = 701
	oidInterval = 1186
	oidNumeric  = 1700
)

// sorted is the rows as a bag: in one order, by what does not depend on the last digits.
func (a *Answer) sorted() [][]*string {
	keys := make(map[*[]*string]string, len(a.Rows))
	rows := make([]*[]*string, len(a.Rows))
	for i := range a.Rows {
		row := &a.Rows[i]
		var key, floats strings.Builder
		for k, v := range *row {
			switch {
			case v == nil:
				key.WriteString("\x00N")
			case a.Columns[k].OID == oidFloat8:
				f, _ := strconv.ParseFloat(*v, 64)
				if math.Abs(f) < 1e-9 {
					f = 0 // of either sign, and what is left of sums of nothing
				}
				floats.WriteString(strconv.FormatFloat(f, 'e', 6, 64) + "\x00")
			case a.Columns[k].OID == oidNumeric:
				key.WriteString(trimmed(*v))
			default:
				key.WriteString(*v)
			}
			key.WriteByte(0)
		}
		key.WriteString(floats.String())
		key.WriteByte(0) // rows that are equal so far go by their digits
		for _, v := range *row {
			if v != nil {
				key.WriteString(*v)
			}
		}
		keys[row], rows[i] = key.String(), row
	}
	slices.SortStableFunc(rows, func(x, y *[]*string) int { return strings.Compare(keys[x], keys[y]) })
	out := make([][]*string, len(rows))
	for i, r := range rows {
		out[i] = *r
	}
	return out
}

// trimmed is a number without the zeroes at its end.
func trimmed(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func alike(oid uint32, loose bool, want, got *string) bool {
	if want == nil || got == nil {
		return want == got
	}
	w, g := *want, *got
	switch {
	case w == g:
		return true
	case oid == oidFloat8:
		x, err1 := strconv.ParseFloat(w, 64)
		y, err2 := strconv.ParseFloat(g, 64)
		return err1 == nil && err2 == nil && (x == y || math.Abs(x-y) <= 1e-9*max(math.Abs(x), math.Abs(y), 1))
	case oid == oidNumeric && len(w) > 39: // more digits than there are in prickle
		return len(g) > 16 && strings.HasPrefix(w, g[:len(g)-1])
	case loose && oid == oidNumeric:
		x, ok1 := new(big.Rat).SetString(w)
		y, ok2 := new(big.Rat).SetString(g)
		return ok1 && ok2 && x.Cmp(y) == 0
	}
	return false
}
