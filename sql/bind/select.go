package bind

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// maxColumns is how many columns a result may have, as in PostgreSQL.
const maxColumns = 1664

// query binds a query to a plan. After an error the plan is empty but not nil.
func (b *binder) query(q ast.Query) plan.Node {
	empty := &plan.Values{}
	if b.err != nil || !b.enter(q.Pos()) {
		return empty
	}
	defer b.leave()
	tail := q.Tail()
	if tail.With != nil {
		defer b.with(tail.With)()
	}
	if tail.Locking != nil {
		b.unsupported("FOR "+tail.Locking.Strength, tail.Locking.Pos())
	}
	if b.err != nil {
		return empty
	}
	switch q := q.(type) {
	case *ast.Select:
		return b.selectOf(q)
	case *ast.Values:
		return b.valuesQuery(q)
	case *ast.SetOp:
		return b.setOp(q)
	default:
		b.unsupported("this query", q.Pos())
	}
	return empty
}

// valuesQuery is VALUES with its ORDER BY and LIMIT, which see column1, column2, …
func (b *binder) valuesQuery(q *ast.Values) plan.Node {
	v := b.values(q)
	return b.tail(v, &q.QueryTail, q.Pos())
}

// tail is ORDER BY and LIMIT over the result of a query.
func (b *binder) tail(node plan.Node, tail *ast.QueryTail, pos ast.Pos) plan.Node {
	if len(tail.OrderBy) == 0 && tail.Limit == nil && tail.Offset == nil {
		return node
	}
	rel := &relation{node: node, fields: node.Schema()}
	s := &selection{b: b, q: &ast.Select{QueryTail: *tail}, sc: &scope{rel: rel, outer: b.outer}}
	s.addStar(&ast.Star{Place: ast.At(pos)})
	return s.finish()
}

func (b *binder) values(q *ast.Values) *plan.Values {
	out := &plan.Values{Rows: make([][]expr.Expr, len(q.Rows))}
	if len(q.Rows) == 0 {
		return out
	}
	sc := &scope{clause: "VALUES", outer: b.outer}
	for i, row := range q.Rows {
		if len(row) != len(q.Rows[0]) {
			b.fail(pgerr.New(pgerr.SyntaxError, "VALUES lists must all be the same length"), row[0].Pos())
			return out
		}
		for _, e := range row {
			out.Rows[i] = append(out.Rows[i], b.expr(e, sc))
		}
	}
	for c := range q.Rows[0] {
		list := make([]expr.Expr, len(q.Rows))
		places := make([]ast.Pos, len(q.Rows))
		for i, row := range out.Rows {
			list[i], places[i] = row[c], q.Rows[i][c].Pos()
		}
		list, t := b.common("VALUES", list, places)
		for i := range list {
			out.Rows[i][c] = list[i]
		}
		out.Columns = append(out.Columns, vec.Field{Name: "column" + strconv.Itoa(c+1), Type: t})
	}
	return out
}

// selection is one SELECT being bound.
type selection struct {
	b    *binder
	q    *ast.Select
	sc   *scope
	aggs aggregates
	// placed moves columns to where they are once FROM is sealed
	placed placement

	where      expr.Expr
	attached   []*attached
	subqueries []boundSubquery

	items  []item
	shown  int // how many of items are the result; the rest are sort keys
	keys   []expr.Expr
	keyAst []ast.Expr
	// groupings are the grouping sets, as keys; nil stands for one of all keys.
	groupings [][]int
	having    expr.Expr

	windows  windows
	windowAt []int // where the column of each window call is
	sets     sets

	groupingCalls []groupingCall
	qualify       expr.Expr
	order         []plan.SortKey // Expr is nil: see orderAt
	at            []int          // per order key: the item it sorts by
	on            []int          // DISTINCT ON: items
}

// item is one output column.
type item struct {
	e    expr.Expr
	name string
	ast  ast.Expr // nil for columns of a star
	pos  ast.Pos
}

func (b *binder) selectOf(q *ast.Select) plan.Node {
	switch {
	case q.Into != nil:
		b.unsupported("SELECT INTO", q.Into.Pos())
	}
	if b.err != nil {
		return &plan.Values{}
	}
	s := &selection{b: b, q: q, sc: &scope{aliases: map[string]ast.Expr{}, outer: b.outer}}
	s.sc.host = s
	if s.sc.rel = b.from(q.From); b.err != nil {
		return &plan.Values{}
	}
	b.setBase(s.sc.rel)
	for _, it := range q.Items {
		if it.Alias != nil {
			if _, ok := s.sc.aliases[it.Alias.Name]; !ok {
				s.sc.aliases[it.Alias.Name] = it.Expr
			}
		}
	}
	if q.Where != nil {
		s.bindWhere()
	}
	s.nameWindows()
	s.bindItems()
	s.bindGroups()
	if q.Having != nil {
		s.having = b.condition(b.expr(q.Having, s.sc.in("HAVING", &s.aggs)), "HAVING", q.Having.Pos())
	}
	if q.Qualify != nil {
		s.qualify = b.condition(b.expr(q.Qualify, s.result("QUALIFY")), "QUALIFY", q.Qualify.Pos())
	}
	return s.finish()
}

// result is the scope of what is computed of groups, and of windows over them.
func (s *selection) result(clause string) *scope {
	sc := s.sc.in(clause, &s.aggs)
	sc.windows = &s.windows
	if clause != "QUALIFY" {
		sc.sets = &s.sets
	}
	return sc
}

// nameWindows makes the windows of the WINDOW clause known.
func (s *selection) nameWindows() {
	for i, w := range s.q.Windows {
		for _, o := range s.q.Windows[:i] {
			if o.Name.Name == w.Name.Name {
				s.b.fail(pgerr.New(pgerr.WindowingError, `window "%s" is already defined`, w.Name.Name), w.Name.Pos())
			}
		}
		s.b.windowSpec(w.Spec, &windows{named: s.q.Windows[:i]})
	}
	s.windows.named = s.q.Windows
}

// finish binds ORDER BY and LIMIT and builds the plan.
func (s *selection) finish() plan.Node {
	b := s.b
	s.shown = len(s.items)
	sources := s.sources()
	s.bindOrder()
	s.bindDistinctOn()
	if len(s.aggs.calls) > 0 && s.sc.rel.itself() {
		b.fail(pgerr.New(pgerr.InvalidRecursion, "aggregate functions are not allowed in a recursive query's recursive term"), s.q.Pos())
	}
	limit, offset := b.limit(s.q.Limit, "LIMIT"), b.limit(s.q.Offset, "OFFSET")
	if b.err != nil {
		return &plan.Values{}
	}
	var node plan.Node
	node, s.placed = b.seal(s.sc.rel)
	grouped := s.q.GroupBy != nil || len(s.aggs.calls)+len(s.groupingCalls) > 0 || s.having != nil
	for i, a := range slices.Backward(s.attached) {
		a.above = grouped && !s.readBelow(a, s.attached[i+1:])
	}
	node = s.filtered(node)
	move := func(e expr.Expr, _ ast.Pos) expr.Expr { return s.placed.one(e) }
	if grouped {
		node = s.grouped(node)
		move = func(e expr.Expr, _ ast.Pos) expr.Expr { return e } // grouped has moved them
		if b.err != nil {
			return &plan.Values{}
		}
	} else {
		for i := range s.items {
			s.items[i].e = s.placed.one(s.items[i].e)
		}
		s.qualify = s.placed.one(s.qualify)
	}
	node = s.windowed(node, move)
	if s.qualify != nil {
		node = &plan.Filter{Input: node, Cond: s.qualify}
	}
	node = s.expanded(node, move)
	if len(s.items) > maxColumns {
		b.fail(pgerr.New(pgerr.TooManyColumns, "target lists can have at most %d entries", maxColumns), ast.NoPos)
		return &plan.Values{}
	}
	node = s.project(node)
	if s.q.Distinct && len(s.on) == 0 {
		node = &plan.Distinct{Input: node}
	}
	if len(s.order) > 0 { // the window of WITH TIES sorts, too, but may be gone when the limit is NULL
		node = &plan.Sort{Input: node, Keys: s.order}
	}
	if len(s.on) > 0 {
		node = s.distinctOn(node)
	}
	switch {
	case s.q.WithTies && limit != nil:
		node = s.withTies(node, limit, offset)
	case limit != nil || offset != nil:
		node = &plan.Limit{Input: node, Limit: limit, Offset: offset}
	}
	if len(s.items) > s.shown {
		node = firstColumns(node, s.shown)
	}
	if sources != nil {
		b.shown[node] = sources
	}
	return node
}

// sources are the columns of tables that the items are; nil for none.
func (s *selection) sources() []Source {
	var list []Source
	for i, it := range s.items {
		c, _ := it.e.(*expr.Column)
		if from, ok := s.b.sources[c]; ok {
			if list == nil {
				list = make([]Source, len(s.items))
			}
			list[i] = from
		}
	}
	return list
}

// withTies is FETCH FIRST n ROWS WITH TIES: the rows up to the n-th, and those that ORDER BY
// does not tell from it.
func (s *selection) withTies(node plan.Node, limit, offset expr.Expr) plan.Node {
	b, pos := s.b, s.q.Limit.Pos()
	width := len(node.Schema())
	for i := range s.order {
		if s.at[i] >= width {
			b.unsupported("WITH TIES of DISTINCT ON by a column that is not shown", pos)
			return node
		}
	}
	if len(s.order) == 0 {
		b.fail(pgerr.New(pgerr.SyntaxError, "WITH TIES cannot be specified without ORDER BY clause"), pos)
		return node
	}
	bigint := vec.T(vec.Int8)
	last := limit
	if offset != nil {
		last = b.call("+", []expr.Expr{limit, offset}, pos)
	}
	n := &plan.Window{Input: node, Order: s.order, Calls: []plan.WindowCall{{Name: "rank", T: bigint}, {Name: "row_number", T: bigint}},
		Names: []string{"rank", "row_number"}}
	cond := b.call("<=", []expr.Expr{&expr.Column{Index: width, T: bigint, Name: "rank"}, last}, pos)
	if offset != nil {
		row := &expr.Column{Index: width + 1, T: bigint, Name: "row_number"}
		cond = &expr.And{Args: []expr.Expr{cond, b.call(">", []expr.Expr{row, offset}, pos)}}
	}
	return firstColumns(&plan.Filter{Input: n, Cond: cond}, width)
}

// project computes the items. Sorting by a column that is not shown needs it, too.
func (s *selection) project(node plan.Node) plan.Node {
	p := &plan.Project{Input: node}
	for i := range s.items {
		p.Exprs = append(p.Exprs, s.items[i].e)
		p.Names = append(p.Names, s.items[i].name)
	}
	for i := range s.order {
		it := &s.items[s.at[i]]
		s.order[i].Expr = &expr.Column{Index: s.at[i], T: it.e.Type(), Name: it.name}
	}
	return p
}

func firstColumns(node plan.Node, n int) plan.Node {
	p := &plan.Project{Input: node}
	for i, f := range node.Schema()[:n] {
		p.Exprs = append(p.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name})
		p.Names = append(p.Names, f.Name)
	}
	return p
}

// distinctOn moves the columns of DISTINCT ON to the front, where the node wants them.
// Rows are sorted already.
func (s *selection) distinctOn(node plan.Node) plan.Node {
	schema := node.Schema()
	front := &plan.Project{Input: node}
	add := func(p *plan.Project, i int, f vec.Field) {
		p.Exprs = append(p.Exprs, &expr.Column{Index: i, T: f.Type, Name: f.Name})
		p.Names = append(p.Names, f.Name)
	}
	for _, i := range s.on {
		add(front, i, schema[i])
	}
	for i := range s.shown {
		add(front, i, schema[i])
	}
	back := &plan.Project{Input: &plan.Distinct{Input: front, On: len(s.on)}}
	for i := range s.shown {
		add(back, len(s.on)+i, schema[i])
	}
	s.items = s.items[:s.shown]
	return back
}

// bindItems binds the select list.
func (s *selection) bindItems() {
	b := s.b
	sc := s.result("SELECT")
	for i := range s.q.Items {
		it := &s.q.Items[i]
		switch e := it.Expr.(type) {
		case *ast.Star:
			s.addStar(e)
			continue
		case *ast.Columns:
			s.addMatching(e)
			continue
		case *ast.Field:
			if e.Star && s.addFields(e, sc) {
				continue
			}
		}
		// An item sees the aliases of those before it: x + 1 AS x is an error or a column.
		inner := *sc
		inner.busy = nil
		for _, later := range s.q.Items[i:] {
			if later.Alias != nil && s.sc.aliases[later.Alias.Name] == later.Expr {
				inner.busy = &busyAlias{later.Alias.Name, inner.busy}
			}
		}
		e := b.settle(b.expr(it.Expr, &inner))
		if p, ok := e.(*expr.Param); !ok || p.T.Kind != vec.Unknown || s.q != b.open {
			e = b.coerce(e, firstKnown(e.Type()), it.Expr.Pos())
		}
		name := columnName(it.Expr)
		if it.Alias != nil {
			name = it.Alias.Name
		}
		s.items = append(s.items, item{e, name, it.Expr, it.Expr.Pos()})
		if b.err != nil {
			return
		}
	}
}

// addFields adds the columns of (row).*; it is false if the value is no row that is known.
func (s *selection) addFields(e *ast.Field, sc *scope) bool {
	b := s.b
	if n, ok := e.X.(*ast.Name); ok && b.rowNamed(n, sc) != nil {
		s.addStar(&ast.Star{Place: e.Place, Table: n.Parts})
		return true
	}
	if _, ok := e.X.(*ast.Call); ok { // of a function that gives rows
		return false
	}
	row := b.expr(e.X, sc)
	if b.err != nil || !isRow(row) {
		return b.err != nil
	}
	for i, f := range b.fields(row, e.Pos()) {
		s.items = append(s.items, item{b.coerce(f, firstKnown(f.Type()), e.Pos()), b.shapes[row.Type().Mod-1][i].Name, e, e.Pos()})
	}
	return true
}

// addStar adds the columns of *, with EXCLUDE and REPLACE.
func (s *selection) addStar(e *ast.Star) {
	b, rel := s.b, s.sc.rel
	if len(e.Table) > 0 {
		if rel = b.starred(e, s.sc); rel == nil {
			return
		}
	}
	if rel == nil {
		b.fail(pgerr.New(pgerr.SyntaxError, "SELECT * with no tables specified is not valid"), e.Pos())
		return
	}
	skip := map[string]bool{}
	for _, x := range e.Exclude {
		if rel.find(x.Name) == -1 {
			b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" does not exist`, x.Name), x.Pos())
		}
		skip[x.Name] = true
	}
	replace := map[string]ast.Expr{}
	for _, x := range e.Replace {
		if rel.find(x.Alias.Name) == -1 {
			b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" does not exist`, x.Alias.Name), x.Alias.Pos())
		}
		replace[x.Alias.Name] = x.Expr
	}
	for i, f := range rel.fields {
		if skip[f.Name] {
			continue
		}
		if x, ok := replace[f.Name]; ok {
			v := b.value(x, s.result("SELECT"))
			s.items = append(s.items, item{b.coerce(v, firstKnown(v.Type()), x.Pos()), f.Name, x, x.Pos()})
			b.noteStar(e, x, &ast.Ident{Name: f.Name})
			continue
		}
		s.items = append(s.items, item{b.column(rel, i, e.Pos()), f.Name, nil, e.Pos()})
		b.noteStar(e, rel.written(i), nil)
	}
}

func (s *selection) addMatching(e *ast.Columns) {
	re, err := regexp.Compile(e.Regex)
	if err != nil {
		s.b.fail(pgerr.New(pgerr.InvalidRegexp, "invalid regular expression: %s", err), e.Pos())
		return
	}
	n := len(s.items)
	for i, name := range s.sc.rel.names() {
		if re.MatchString(name) {
			s.items = append(s.items, item{s.b.column(s.sc.rel, i, e.Pos()), name, nil, e.Pos()})
			s.b.noteStar(e, s.sc.rel.written(i), nil)
		}
	}
	if len(s.items) == n {
		s.b.fail(pgerr.New(pgerr.UndefinedColumn, `no column matches the pattern "%s"`, e.Regex), e.Pos())
	}
}

// bindGroups binds GROUP BY: a column of the input, a number, an alias, an expression.
func (s *selection) bindGroups() {
	g := s.q.GroupBy
	if g == nil || s.b.err != nil {
		return
	}
	if g.All {
		for _, it := range s.items {
			if !hasAggregate(it.e) {
				s.addKey(it.e, it.ast)
			}
		}
		return
	}
	s.groupings = [][]int{{}}
	for i := range g.Items {
		sets := s.groupSets(&g.Items[i])
		if len(s.groupings)*len(sets) > maxGroupingSets {
			s.b.fail(pgerr.New(pgerr.StatementTooComplex, "too many grouping sets present (maximum %d)", maxGroupingSets), g.Items[i].Pos())
			return
		}
		s.groupings = crossed(s.groupings, sets)
	}
	if g.Distinct {
		s.groupings = distinctSets(s.groupings)
	}
}

// ordinal is the item that a number in GROUP BY or ORDER BY means, or -1.
func (s *selection) ordinal(n *ast.Number, clause string) int {
	if !n.Integer() {
		s.b.fail(pgerr.New(pgerr.SyntaxError, "non-integer constant in %s", clause), n.Pos())
		return -1
	}
	i, err := strconv.Atoi(n.Text)
	count := len(s.items)
	if s.shown > 0 {
		count = s.shown
	}
	if err != nil || i < 1 || i > count {
		s.b.fail(pgerr.New(pgerr.InvalidColumnReference, "%s position %s is not in select list", clause, n.Text), n.Pos())
		return -1
	}
	return i - 1
}

func isConstantAst(e ast.Expr) bool {
	switch e.(type) {
	case *ast.String, *ast.Null, *ast.Bool, *ast.Number:
		return true
	}
	return false
}

func hasAggregate(e expr.Expr) bool {
	found := false
	expr.Walk(e, func(x expr.Expr) bool {
		switch x.(type) {
		case *aggRef, *windowRef, *groupingRef:
			found = true
		}
		return !found
	})
	return found
}

// bindOrder binds ORDER BY: an output name, a number, an expression over the input.
func (s *selection) bindOrder() {
	b := s.b
	for i := range s.q.OrderBy {
		o := &s.q.OrderBy[i]
		if b.err != nil {
			return
		}
		if o.All {
			for j := range s.shown {
				s.orderBy(j, o)
			}
			continue
		}
		if n, ok := o.Expr.(*ast.Number); ok {
			if j := s.ordinal(n, "ORDER BY"); j >= 0 {
				s.orderBy(j, o)
			}
			continue
		}
		if isConstantAst(o.Expr) {
			b.fail(pgerr.New(pgerr.SyntaxError, "non-integer constant in ORDER BY"), o.Expr.Pos())
			return
		}
		if j := s.output(o.Expr); j >= 0 {
			s.orderBy(j, o)
			continue
		}
		if b.err != nil {
			return
		}
		e := b.sortedBy(o.Expr, s.result("ORDER BY"))
		j := s.place(b.coerce(e, firstKnown(e.Type()), o.Expr.Pos()), o.Expr)
		if j >= s.shown && s.q.Distinct && len(s.q.DistinctOn) == 0 {
			b.fail(pgerr.New(pgerr.InvalidColumnReference,
				"for SELECT DISTINCT, ORDER BY expressions must appear in select list"), o.Expr.Pos())
			return
		}
		s.orderBy(j, o)
	}
}

func (s *selection) orderBy(i int, o *ast.OrderItem) {
	if it := s.items[i]; s.b.err == nil && isRow(it.e) && !s.q.Distinct {
		// A row is ordered by its fields, one after the other.
		for _, f := range s.b.fields(it.e, it.pos) {
			s.orderBy(s.place(f, it.ast), o)
		}
		return
	}
	s.order, s.at = append(s.order, sortKey(nil, o)), append(s.at, i)
}

// output is the item that a bare name in ORDER BY means, or -1.
func (s *selection) output(e ast.Expr) int {
	n, ok := e.(*ast.Name)
	if !ok || len(n.Parts) != 1 {
		return -1
	}
	at := -1
	for i := range s.shown {
		if s.items[i].name != n.Parts[0].Name {
			continue
		}
		if at >= 0 && !expr.Same(s.items[at].e, s.items[i].e) {
			s.b.fail(pgerr.New(pgerr.AmbiguousColumn, `ORDER BY "%s" is ambiguous`, n.Parts[0].Name), n.Pos())
			return -1
		}
		if at < 0 {
			at = i
		}
	}
	return at
}

// place is the item that computes e, a hidden one if the select list has none.
func (s *selection) place(e expr.Expr, a ast.Expr) int {
	for i := range s.items {
		if expr.Same(s.items[i].e, e) {
			return i
		}
	}
	s.items = append(s.items, item{e, columnName(a), a, a.Pos()})
	return len(s.items) - 1
}

func (s *selection) bindDistinctOn() {
	b := s.b
	for _, a := range s.q.DistinctOn {
		if b.err != nil {
			return
		}
		if n, ok := a.(*ast.Number); ok {
			if i := s.ordinal(n, "SELECT DISTINCT ON"); i >= 0 {
				s.on = append(s.on, i)
			}
			continue
		}
		if i := s.output(a); i >= 0 {
			s.on = append(s.on, i)
			continue
		}
		e := b.value(a, s.result("DISTINCT ON"))
		s.on = append(s.on, s.place(b.coerce(e, firstKnown(e.Type()), a.Pos()), a))
	}
	// ORDER BY must begin with the same expressions, in any order.
	for i := 0; i < len(s.at) && i < len(s.on); i++ {
		found := false
		for _, o := range s.on {
			found = found || o == s.at[i]
		}
		if !found {
			b.fail(pgerr.New(pgerr.InvalidColumnReference,
				"SELECT DISTINCT ON expressions must match initial ORDER BY expressions"), s.q.DistinctOn[i].Pos())
			return
		}
	}
}

// limit binds LIMIT or OFFSET to a constant bigint, nil for none.
func (b *binder) limit(e ast.Expr, clause string) expr.Expr {
	if e == nil || b.err != nil {
		return nil
	}
	x := b.expr(e, &scope{clause: clause, rel: nil})
	if b.err != nil {
		if _, ok := e.(*ast.Name); ok && b.err.Code == pgerr.UndefinedColumn {
			b.err = nil
			b.fail(pgerr.New(pgerr.InvalidColumnReference, "argument of %s must not contain variables", clause), e.Pos())
		}
		return nil
	}
	if t := x.Type(); t.Kind != vec.Unknown && !t.IsNumber() {
		b.fail(pgerr.New(pgerr.DatatypeMismatch, "argument of %s must be type bigint, not type %s", clause, t), e.Pos())
		return nil
	}
	x = b.fold(b.coerceTo(x, vec.T(vec.Int8), e.Pos(), true))
	c, ok := x.(*expr.Const)
	if !ok {
		return x
	}
	if c.Value.IsNull(0) {
		return nil
	}
	if c.Value.I64[0] < 0 {
		code := pgerr.InvalidLimit
		if clause == "OFFSET" {
			code = pgerr.InvalidOffset
		}
		b.fail(pgerr.New(code, "%s must not be negative", clause), e.Pos())
	}
	return x
}
