package exec

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/storage/vec"
)

// askWhose asks for the rows of some distinct ids, and of some persons. The columns of the scan begin with
// person_id, timestamp, uuid, event and a plan.
func (m *liveModel) askWhose(scan *plan.Scan, same func(kind string, got, want []string)) {
	m.t.Helper()
	c := *scan
	c.Columns = append(c.Columns[:5:5], plan.ScanColumn{Column: "distinct_id", Type: vec.T(vec.Text), Name: "distinct_id"})
	for _, byPerson := range []bool{false, true} {
		wanted := map[int]bool{}
		column := expr.Expr(&expr.Column{Index: 5, T: vec.T(vec.Text), Name: "distinct_id"})
		if byPerson {
			column = scanColumn(colPerson)
		}
		var list []expr.Expr
		for range 1 + m.r.Intn(3) {
			of := m.r.Intn(liveIDs + 1) // the last of them is nobody's
			wanted[of] = true
			v := &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(fmt.Sprint("u", of))}
			if byPerson {
				v = &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Const, UUIDs: []vec.UUIDValue{personUUID(of)}}
			}
			list = append(list, &expr.Const{Value: v})
		}
		cond := expr.Expr(&expr.InList{E: column, List: list})
		if len(list) == 1 {
			cond = operator(m.t, "=", list[0], column)
		}
		n := plan.Rewrite(&plan.Filter{Input: &c, Cond: cond})
		if n.Inputs()[0].(*plan.Scan).Whose == nil {
			m.t.Fatalf("%s: the scan does not know whose rows are wanted", strings.Join(plan.Explain(n), "\n"))
		}
		var want []string
		for _, w := range m.rows {
			if byPerson && !wanted[w.person.name] || !byPerson && !wanted[w.id] {
				continue
			}
			p := w.plan
			if p == "" {
				p = "-"
			}
			want = append(want, fmt.Sprintf("%d %d %x %s %s u%d ", w.person.name, w.us, w.uuid, w.event, p, w.id))
		}
		sort.Strings(want)
		same("rows where "+strings.Join(plan.Explain(n), "\n"), m.road(n, 2, false), want)
	}
}

// askOfPersons asks for some rows of the tables of persons.
func (m *liveModel) askOfPersons(same func(kind string, got, want []string)) {
	m.t.Helper()
	of := m.r.Intn(liveIDs + 1)
	id := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf(fmt.Sprint("u", of))}}
	uuid := &expr.Const{Value: &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Const, UUIDs: []vec.UUIDValue{personUUID(of)}}}
	ask := func(scan *plan.Scan, column int, is expr.Expr, want map[string]bool) {
		m.t.Helper()
		c := &expr.Column{Index: column, T: scan.Columns[column].Type}
		n := plan.Rewrite(&plan.Filter{Input: scan, Cond: operator(m.t, "=", c, is)})
		if n.Inputs()[0].(*plan.Scan).Whose == nil {
			m.t.Fatalf("%s: the scan does not know whose rows are wanted", strings.Join(plan.Explain(n), "\n"))
		}
		same(strings.Join(plan.Explain(n), "\n"), m.road(n, 1, false), slices.Sorted(maps.Keys(want)))
	}
	persons, ids, theirs := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for x, p := range m.ids {
		row := fmt.Sprintf("u%d %d ", x, p.name)
		if p.profile && p.name == of {
			persons[fmt.Sprint(of, " ")], theirs[row] = true, true
		}
		if p.profile && x == of {
			ids[row] = true
		}
	}
	ask(m.tableScan("persons", "id"), 0, uuid, persons)
	ask(m.tableScan("person_distinct_ids", "distinct_id", "person_id"), 0, id, ids)
	ask(m.tableScan("person_distinct_ids", "distinct_id", "person_id"), 1, uuid, theirs)
}

// A scan for one person reads that person's rows and not those of others.
func TestWhoseRowsAreRead(t *testing.T) {
	m := newLiveModel(t, 7)
	for range 10 {
		m.add(100, 1<<30)
	}
	m.flush()
	theirs := 0
	for _, w := range m.rows {
		if w.id == 3 {
			theirs++
		}
	}
	sn, err := m.st.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	for _, cond := range []expr.Expr{
		operator(t, "=", &expr.Column{Index: 0, T: vec.T(vec.Text)}, &expr.Const{Value: &vec.Vector{Type: vec.T(vec.Text), Form: vec.Const, Str: vec.StringsOf("u3")}}),
		operator(t, "=", &expr.Column{Index: 1, T: vec.T(vec.UUID)}, &expr.Const{Value: &vec.Vector{Type: vec.T(vec.UUID), Form: vec.Const, UUIDs: []vec.UUIDValue{personUUID(3)}}}),
	} {
		scan := eventsScan()
		scan.Columns = []plan.ScanColumn{{Column: "distinct_id", Type: vec.T(vec.Text)}, {Column: "person_id", Type: vec.T(vec.UUID)}}
		env := testEnv(0)
		env.Snapshot = sn
		n := plan.Rewrite(&plan.Filter{Input: scan, Cond: cond})
		env.Stats = NewStats(n)
		op, err := Build(n, env)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(rowsOf(t, op)); got != theirs || theirs < 100 {
			t.Errorf("%s: %d rows, want %d", plan.Explain(n)[0], got, theirs)
		}
		if read := env.Stats.Node(n.Inputs()[0]).RowsRead.Load(); read != int64(theirs) {
			t.Errorf("%s: %d rows were read, want %d", plan.Explain(n)[0], read, theirs)
		}
	}
}
