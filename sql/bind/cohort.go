package bind

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage/vec"
)

// cohortKey is a set that the statement needs: what it says, what is looked up in it, and
// what names of WITH it sees.
type cohortKey struct {
	text string
	x    vec.Type // of what is looked up; unknown for what takes any type
	path bool     // that is a path, which takes the type that paths have beside others
	ctes *cteScope
}

// cohortSlot is where the set is kept, and of which type its members are.
type cohortSlot struct {
	slot int
	t    vec.Type
}

// definition is a cohort or a view whose definition is being bound. Errors in it stand where
// the statement names the first of them.
type definition struct {
	what string // with its name, as messages call it
	pos  ast.Pos
}

// inside binds a definition with the rights of its owner. Names in it mean nothing of what is
// around it, nor, unless it is temporary itself, a temporary table.
func (b *binder) inside(what string, pos ast.Pos, owner string, temp bool, bind func()) {
	outside := *b
	if owner != "" && b.env.Catalog.Roles.Find(owner) == nil {
		owner = role.Public // a role that is gone has no rights left
	}
	b.defining = append(b.defining[:len(b.defining):len(b.defining)], definition{what, pos})
	b.ctes, b.outer, b.before, b.reads, b.as, b.lasting, b.env = nil, nil, nil, nil, &owner, !temp, public(b.env)
	bind()
	b.defining, b.ctes, b.outer, b.before, b.reads, b.as, b.lasting, b.env =
		outside.defining, outside.ctes, outside.outer, outside.before, outside.reads, outside.as, outside.lasting, outside.env
}

// circular says whether a definition is being bound already, and fails if it is.
func (b *binder) circular(what string, pos ast.Pos) bool {
	if !slices.ContainsFunc(b.defining, func(d definition) bool { return d.what == what }) {
		return false
	}
	b.fail(pgerr.New(pgerr.InvalidRecursion, "%s is defined by itself", what), pos)
	return true
}

// inCohort is x [NOT] IN COHORT set. The set is computed once, before the statement.
func (b *binder) inCohort(e *ast.InCohort, sc *scope) expr.Expr {
	x := b.expr(e.X, sc)
	if b.err != nil {
		return boolConst(true)
	}
	path, isPath := x.(*pathRef)
	t := x.Type()
	if isPath {
		t = vec.T(vec.Unknown)
	}
	kept := b.cohortSet(e.Set, t, isPath)
	if b.err != nil {
		return boolConst(true)
	}
	if isPath {
		x = b.resolve(path, kept.t)
	}
	if t.Kind == vec.Unknown && !t.Array || t != vec.T(vec.UUID) && kept.t != vec.T(vec.UUID) {
		x = b.coerce(x, kept.t, e.X.Pos())
	}
	if b.err == nil && x.Type() != kept.t {
		b.fail(pgerr.New(pgerr.DatatypeMismatch, "IN COHORT types %s and %s cannot be matched", x.Type(), kept.t), e.X.Pos())
	}
	return &expr.InSet{E: x, Slot: kept.slot, Not: e.Not}
}

// cohortSet has a set computed that values of a type, or those at a path, are looked up in.
func (b *binder) cohortSet(set ast.CohortSet, x vec.Type, path bool) cohortSlot {
	if n, ok := set.(*ast.CohortName); ok {
		return b.namedCohort(n)
	}
	key := cohortKey{ast.Format(set), x, path, b.ctes}
	if kept, ok := b.cohorts[key]; ok {
		return kept
	}
	return b.keepSet(key, b.members(set))
}

// keepSet has a set computed.
func (b *binder) keepSet(key cohortKey, of *memberSet) cohortSlot {
	t := of.memberType(b, key.x, key.path)
	node := of.node(b, t)
	if b.err != nil {
		return cohortSlot{t: t}
	}
	if c, ok := node.(*plan.Cohort); ok {
		return cohortSlot{c.Slot, t}
	}
	b.sub(node, plan.SetSub, t)
	kept := cohortSlot{len(b.subs) - 1, t}
	if b.cohorts == nil {
		b.cohorts = map[cohortKey]cohortSlot{}
	}
	b.cohorts[key] = kept
	return kept
}

// dropSubs forgets subqueries, from one on.
func (b *binder) dropSubs(from int) {
	if n := len(b.parts); n > 0 && b.parts[n-1].Slot >= from {
		return // what writes must run
	}
	b.subs = b.subs[:from]
	for key, kept := range b.cohorts {
		if kept.slot >= from {
			delete(b.cohorts, key)
		}
	}
}

// memberSet is a set being bound: a query, or two sets put together.
type memberSet struct {
	pos         ast.Pos
	query       plan.Node
	op          expr.SetOp
	left, right *memberSet
}

// members binds the queries of a set.
func (b *binder) members(set ast.CohortSet) *memberSet {
	if !b.enter(set.Pos()) {
		return &memberSet{query: &plan.Values{}}
	}
	defer b.leave()
	switch set := set.(type) {
	case *ast.CohortName:
		kept := b.namedCohort(set)
		return &memberSet{pos: set.Pos(), query: &plan.Cohort{Slot: kept.slot, Name: cohortName(set)}}
	case *ast.CohortQuery:
		return b.membersOf(set.Query)
	case *ast.CohortOp:
		return &memberSet{pos: set.Pos(), op: expr.SetOp(set.Op), left: b.members(set.Left), right: b.members(set.Right)}
	}
	b.unsupported("this cohort", set.Pos())
	return &memberSet{query: &plan.Values{}}
}

// membersOf binds a query whose rows are members. UNION and its like, where they tell equal
// rows apart no more than a set does, are put together as sets are.
func (b *binder) membersOf(q ast.Query) *memberSet {
	if op, ok := q.(*ast.SetOp); ok && !op.ByName && (!op.All || op.Op == ast.Union) && plainTail(op.Tail()) {
		if !b.enter(q.Pos()) {
			return &memberSet{query: &plan.Values{}}
		}
		defer b.leave()
		return &memberSet{pos: q.Pos(), op: expr.SetOp(op.Op), left: b.membersOf(op.Left), right: b.membersOf(op.Right)}
	}
	node := b.queryIn(q, nil) // it is computed once, so it reads nothing of what is around it
	if b.err == nil && len(node.Schema()) != 1 {
		b.fail(pgerr.New(pgerr.SyntaxError, "a cohort has one column, and the query gives %d", len(node.Schema())), q.Pos())
	}
	return &memberSet{pos: q.Pos(), query: node}
}

// plainTail says whether a query has nothing beside its body.
func plainTail(t *ast.QueryTail) bool {
	return t.With == nil && len(t.OrderBy) == 0 && t.Limit == nil && t.Offset == nil && t.Locking == nil
}

// each visits the queries.
func (m *memberSet) each(visit func(*memberSet)) {
	if m.query != nil {
		visit(m)
		return
	}
	m.left.each(visit)
	m.right.each(visit)
}

func (m *memberSet) queryType() vec.Type { return m.query.Schema()[0].Type }

// memberType is the type of the members: that of persons if they are looked up, or if one
// query gives them, and otherwise the common one of the queries and of what is looked up.
func (m *memberSet) memberType(b *binder, x vec.Type, path bool) vec.Type {
	if b.err != nil {
		return vec.T(vec.Text)
	}
	uuid := vec.T(vec.UUID)
	types, persons := []vec.Type{x}, x == uuid
	m.each(func(m *memberSet) {
		types = append(types, m.queryType())
		persons = persons || m.queryType() == uuid
	})
	if !persons {
		t, err := expr.CommonType(types)
		if err != nil {
			b.failErr(b.mismatch("IN COHORT", types, err), m.pos)
		}
		if t.Kind == vec.Unknown {
			t = vec.T(vec.Text)
		}
		if path {
			t = beside("=", t)
		}
		return t
	}
	m.each(func(m *memberSet) {
		if t := m.queryType(); t != uuid && !isDistinctID(t) {
			b.fail(pgerr.New(pgerr.DatatypeMismatch, "the members of a cohort of persons must be uuid, or text for distinct ids, and not %s", t), m.pos)
		}
	})
	return uuid
}

func isDistinctID(t vec.Type) bool { return t.IsText() || t.Kind == vec.Unknown && !t.Array }

// node is the set as a plan of members of one type.
func (m *memberSet) node(b *binder, t vec.Type) plan.Node {
	if b.err != nil {
		return &plan.Values{}
	}
	if m.query == nil {
		return &plan.Combine{Op: m.op, Left: m.left.node(b, t), Right: m.right.node(b, t)}
	}
	want, from := t, m.queryType()
	distinctIDs := t == vec.T(vec.UUID) && isDistinctID(from)
	if distinctIDs {
		want = vec.T(vec.Text)
	}
	node := m.query
	if from != want {
		c := &expr.Column{T: from, Name: node.Schema()[0].Name}
		node = &plan.Project{Input: node, Exprs: []expr.Expr{b.coerce(c, want, m.pos)}, Names: []string{c.Name}}
	}
	if distinctIDs {
		node = &plan.PersonsOf{Input: node}
	}
	return node
}

// cohortName is what a cohort is called in messages and plans.
func cohortName(n *ast.CohortName) string {
	switch {
	case n.Param != nil:
		return ast.Format(n)
	case n.ID > 0:
		return strconv.Itoa(n.ID)
	}
	return ast.QuoteIdent(n.Name)
}

// namedCohort has the set of a cohort of the catalog computed. Its members are persons.
func (b *binder) namedCohort(n *ast.CohortName) cohortSlot {
	none := cohortSlot{t: vec.T(vec.UUID)}
	if n.Param != nil {
		if n = b.cohortOf(n.Param); b.err != nil {
			return none
		}
	}
	if *n == (ast.CohortName{Place: n.Place}) { // of a parameter without a value
		return b.keepSet(cohortKey{x: none.t}, &memberSet{pos: n.Pos(), query: &plan.Values{Columns: vec.Schema{{Name: "actor", Type: none.t}}}})
	}
	key := cohortKey{text: cohortName(n), x: none.t}
	if n.ID > 0 {
		key.text = "#" + key.text // no name begins with it unquoted
	}
	if kept, ok := b.cohorts[key]; ok {
		return kept
	}
	set := b.define(n)
	if b.err != nil {
		return none
	}
	var kept cohortSlot
	b.inside("cohort "+cohortName(n), n.Pos(), "", false, func() { kept = b.keepSet(key, b.members(set)) })
	if b.err == nil && b.cohorts != nil {
		b.cohorts[key] = kept
	}
	return kept
}

// cohortOf is the cohort that a parameter names: by its number, if it is an integer, and else by
// its name. Where the parameter has no value, as in a statement that is described, it names none.
func (b *binder) cohortOf(p *ast.Param) *ast.CohortName {
	n := &ast.CohortName{Place: p.Place}
	x, ok := b.param(p).(*expr.Param)
	if !ok {
		return n
	}
	if x.T.Kind == vec.Unknown && !x.T.Array {
		b.setParam(x, vec.T(vec.Text))
	}
	if x.T.Array || !x.T.IsText() && x.T.Kind != vec.Int2 && x.T.Kind != vec.Int4 && x.T.Kind != vec.Int8 {
		b.fail(pgerr.New(pgerr.DatatypeMismatch, "a cohort is named by text or by an integer, not by type %s", x.T), p.Pos())
		return n
	}
	v := b.env.Expr.Param(x.Index)
	if v == nil {
		return n
	}
	if v.IsNull(0) {
		b.fail(pgerr.New(pgerr.NullNotAllowed, "the name of a cohort must not be null"), p.Pos())
		return n
	}
	v, at := v.At(0)
	var called string
	if x.T.IsText() {
		n.Name = string(v.Str.At(at))
		called = ast.QuoteIdent(n.Name)
	} else {
		n.ID = int(v.I64[at])
		called = strconv.Itoa(n.ID)
	}
	if n.Name == "" && n.ID < 1 {
		b.fail(pgerr.New(pgerr.UnknownCohort, "cohort %s does not exist", called), p.Pos())
	}
	return n
}

// define finds and parses the definition of a cohort.
func (b *binder) define(n *ast.CohortName) ast.CohortSet {
	name := cohortName(n)
	if b.circular("cohort "+name, n.Pos()) || !b.may("SELECT", b.env.Catalog.In("public", "persons"), n.Pos()) {
		return nil
	}
	hook := b.env.Catalog.Cohort
	if hook == nil {
		hook = func(string, int64) (string, bool, error) { return "", false, nil }
	}
	text, ok, err := hook(n.Name, int64(n.ID))
	if err != nil {
		b.failErr(err, n.Pos())
		return nil
	}
	if !ok {
		b.fail(pgerr.New(pgerr.UnknownCohort, "cohort %s does not exist", name), n.Pos())
		return nil
	}
	// A definition is what may stand in parentheses behind IN COHORT.
	e, err := parse.Expr("x IN COHORT (" + text + "\n)")
	if in, ok := e.(*ast.InCohort); err == nil && ok {
		return in.Set
	} else if err == nil {
		err = pgerr.New(pgerr.SyntaxError, "it is neither a query nor sets put together")
	}
	problem := pgerr.From(err)
	b.fail(pgerr.New(problem.Code, "the definition of cohort %s cannot be read: %s", name, problem.Message), n.Pos())
	return nil
}

// cohortTable is COHORT c in FROM.
func (b *binder) cohortTable(t *ast.CohortTable) *relation {
	kept := b.namedCohort(&t.Cohort)
	if b.err != nil {
		return &relation{node: &plan.Values{}}
	}
	alias := t.Cohort.Name
	if alias == "" {
		alias = "cohort"
	}
	return b.derived(&plan.Cohort{Slot: kept.slot, Name: cohortName(&t.Cohort)}, alias, t.Alias)
}

// cohortList is the rows of the table cohorts, as they are when the statement is bound.
func (b *binder) cohortList(pos ast.Pos) plan.Node {
	n := &plan.Values{Columns: catalog.CohortColumns()}
	if b.env.Catalog.Cohorts == nil {
		return n
	}
	rows, err := b.env.Catalog.Cohorts()
	if err != nil {
		b.failErr(err, pos)
		return n
	}
	for i := range rows.Rows {
		row := make([]expr.Expr, len(rows.Cols))
		for c, v := range rows.Cols {
			one := vec.NewBuilder(v.Type)
			one.AppendFrom(v, i)
			one.V.Form = vec.Const
			row[c] = &expr.Const{Value: one.V}
		}
		n.Rows = append(n.Rows, row)
	}
	return n
}

// inDefinition is an error in a definition, as one of the statement that names it.
func (b *binder) inDefinition(e *pgerr.Error) {
	outer, inner := b.defining[0], b.defining[len(b.defining)-1]
	e.Message = fmt.Sprintf("%s: %s", inner.what, e.Message)
	e.Position = ast.CharPosition(b.env.Text, outer.pos)
}
