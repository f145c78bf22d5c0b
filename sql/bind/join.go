package bind

import (
	"maps"
	"slices"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/storage/vec"
)

// joined is two relations that are joined.
type joined struct {
	kind        plan.JoinKind
	left, right *relation
	on          expr.Expr // nil is true
	// attached are subqueries in the condition that read a side of the join, or both.
	attached []*attached
}

// origin is where a field of a join stands: in another relation, or, if USING has merged
// two fields, in both.
type origin struct {
	rel   *relation
	index int
	merge *merged
}

// merged is a column of USING: that of the left side, of the right one, or of whichever is
// not NULL.
type merged struct {
	left, right origin
	kind        plan.JoinKind
}

// leafColumns is how many columns an input of a join may have while it is bound: numbers
// of columns are those of its base and on.
const leafColumns = plan.Outside

// baseOf is the base of the relation that a column number belongs to.
func baseOf(index int) int { return index &^ (leafColumns - 1) }

// named finds the relation that a name of FROM means, or nil.
func (rel *relation) named(alias string) *relation {
	if rel == nil || alias == "" {
		return nil
	}
	if rel.alias == alias {
		return rel
	}
	for _, p := range rel.parts {
		if p.alias == alias {
			return p
		}
	}
	return nil
}

// all is the relation and what can be named in it.
func (rel *relation) all() []*relation {
	if rel == nil {
		return nil
	}
	return append([]*relation{rel}, rel.parts...)
}

// events is the events table among the relations of FROM, or nil.
func (rel *relation) events() *relation {
	for _, r := range rel.all() {
		if r.table != nil && r.table.IsEvents() {
			return r
		}
	}
	return nil
}

// holder is the relation that a column should be qualified with.
func (rel *relation) holder(column string) *relation {
	for _, p := range rel.parts {
		if p.find(column) >= 0 {
			return p
		}
	}
	return rel
}

// shown is how EXPLAIN names a column: with its relation where there are several.
func (rel *relation) shown(column string) string {
	if !rel.inJoin {
		return column
	}
	return rel.qualified(column)
}

// scanned is the column of a scan that a column of FROM is; nil if it is none.
func (rel *relation) scanned(c *expr.Column) *plan.ScanColumn {
	if rel == nil {
		return nil
	}
	if rel.join != nil {
		if sc := rel.join.left.scanned(c); sc != nil {
			return sc
		}
		return rel.join.right.scanned(c)
	}
	if i := c.Index - rel.base; rel.scan != nil && i >= 0 && i < len(rel.scan.Columns) {
		return &rel.scan.Columns[i]
	}
	return nil
}

// origin binds a field of a join.
func (b *binder) origin(o origin, f vec.Field, pos ast.Pos) expr.Expr {
	if o.merge == nil {
		return b.coerce(b.column(o.rel, o.index, pos), f.Type, pos)
	}
	side := func(o origin) expr.Expr {
		var inner vec.Field
		if o.merge == nil {
			inner = o.rel.fields[o.index]
		} else {
			inner = f
		}
		return b.coerce(b.origin(o, inner, pos), f.Type, pos)
	}
	switch o.merge.kind {
	case plan.RightJoin:
		return side(o.merge.right)
	case plan.FullJoin:
		return &expr.Coalesce{Args: []expr.Expr{side(o.merge.left), side(o.merge.right)}, T: f.Type}
	}
	return side(o.merge.left)
}

// from binds FROM: its elements, each with all rows of the others. It is nil without any.
func (b *binder) from(list []ast.TableExpr) *relation {
	var rel *relation
	for i, t := range list {
		next := b.tableAfter(t, rel)
		if i == 0 {
			rel = next
			continue
		}
		if !b.enter(t.Pos()) { // a long list is as deep as joins in each other
			return rel
		}
		defer b.leave()
		rel = b.pair(rel, next, plan.InnerJoin, t.Pos())
	}
	return rel
}

// setBase gives the columns of a relation numbers of their own.
func (b *binder) setBase(rel *relation) {
	if rel != nil && rel.join == nil && rel.base == 0 {
		rel.base = b.base()
	}
}

// base is numbers for columns that no others have.
func (b *binder) base() int {
	b.leaves++
	return b.leaves * leafColumns
}

// owns says whether a column is one of the relation.
func (rel *relation) owns(c *expr.Column) bool { return rel.ownsBase(baseOf(c.Index)) }

// ownsBase says whether the columns of a base are ones of the relation.
func (rel *relation) ownsBase(base int) bool {
	switch {
	case rel == nil:
		return false
	case rel.join != nil:
		return rel.join.left.ownsBase(base) || rel.join.right.ownsBase(base)
	}
	return rel.base == base
}

// pair is the join of two relations, without a condition yet.
func (b *binder) pair(left, right *relation, kind plan.JoinKind, pos ast.Pos) *relation {
	if b.err != nil {
		return left
	}
	for _, r := range []*relation{left, right} {
		b.setBase(r)
		r.inJoin = true
	}
	rel := &relation{join: &joined{kind: kind, left: left, right: right}, origins: []origin{}}
	for _, r := range []*relation{left, right} {
		for _, p := range r.all() {
			if p.alias == "" {
				continue
			}
			if rel.named(p.alias) != nil {
				b.fail(pgerr.New(pgerr.DuplicateAlias, `table name "%s" specified more than once`, p.alias), pos)
				return rel
			}
			rel.parts = append(rel.parts, p)
		}
	}
	for _, r := range []*relation{left, right} {
		for i, f := range r.fields {
			rel.fields = append(rel.fields, f)
			rel.origins = append(rel.origins, origin{rel: r, index: i})
		}
	}
	return rel
}

var joinKinds = map[ast.JoinKind]plan.JoinKind{
	ast.JoinInner: plan.InnerJoin, ast.JoinCross: plan.InnerJoin, ast.JoinLeft: plan.LeftJoin, ast.JoinRight: plan.RightJoin,
	ast.JoinFull: plan.FullJoin, ast.JoinSemi: plan.SemiJoin, ast.JoinAnti: plan.AntiJoin, ast.JoinAsof: plan.AsofJoin, ast.JoinAsofLeft: plan.AsofLeftJoin,
}

// joinOf binds a join.
func (b *binder) joinOf(t *ast.Join) *relation {
	kind := joinKinds[t.Kind]
	left := b.table(t.Left)
	beside := left
	if kind == plan.RightJoin || kind == plan.FullJoin || kind.Asof() {
		beside = nil
	}
	right := b.tableAfter(t.Right, beside)
	rel := b.pair(left, right, kind, t.Right.Pos())
	if b.err != nil {
		return rel
	}
	switch {
	case kind.Asof():
		b.asof(rel, t)
	case t.Natural:
		b.using(rel, commonColumns(left, right, t), nil)
	case t.Using != nil:
		b.using(rel, t.Using, t.UsingAlias)
	case t.On != nil:
		s := &selection{b: b, sc: &scope{rel: rel, clause: "JOIN/ON", outer: b.outer}}
		s.sc.host = s
		rel.join.on, rel.join.attached = b.condition(b.expr(t.On, s.sc), "JOIN/ON", t.On.Pos()), s.attached
	}
	if kind == plan.LeftJoin || kind == plan.FullJoin || kind == plan.AsofLeftJoin {
		right.extend()
	}
	if kind == plan.RightJoin || kind == plan.FullJoin {
		left.extend()
	}
	if kind.LeftOnly() {
		rel.fields, rel.origins = rel.fields[:len(left.fields)], rel.origins[:len(left.fields)]
		rel.parts = rel.parts[:0:0]
		for _, p := range left.all() {
			if p.alias != "" {
				rel.parts = append(rel.parts, p)
			}
		}
	}
	b.rename(rel, t.Alias)
	return rel
}

// extend says of what can be named in a relation that an outer join gives NULLs in its place.
func (rel *relation) extend() {
	for _, r := range rel.all() {
		r.extended = true
	}
}

// tableAfter binds an element of FROM that stands behind others, which it may name if it is
// LATERAL.
func (b *binder) tableAfter(t ast.TableExpr, before *relation) *relation {
	last := b.before
	if before != nil {
		b.setBase(before)
		b.before = &scope{rel: before, clause: "LATERAL", outer: last}
		if last == nil {
			b.before.outer = b.outer
		}
	}
	rel := b.table(t)
	b.before = last
	return rel
}

// commonColumns is the columns of a NATURAL JOIN.
func commonColumns(left, right *relation, t *ast.Join) []ast.Ident {
	var out []ast.Ident
	for _, f := range left.fields {
		if right.find(f.Name) != -1 {
			out = append(out, ast.Ident{Place: t.Place, Name: f.Name})
		}
	}
	return out
}

// using joins on columns of one name, which become one column, in front of the others.
func (b *binder) using(rel *relation, names []ast.Ident, alias *ast.Ident) {
	j := rel.join
	var fields vec.Schema
	var origins []origin
	var conds []expr.Expr
	gone := map[int]bool{}
	for _, id := range names {
		l, r := b.usingColumn(j.left, id, "left"), b.usingColumn(j.right, id, "right")
		if b.err != nil {
			return
		}
		if gone[l] {
			b.fail(pgerr.New(pgerr.DuplicateColumn, `column name "%s" appears more than once in USING clause`, id.Name), id.Pos())
			return
		}
		lo, ro := origin{rel: j.left, index: l}, origin{rel: j.right, index: r}
		conds = append(conds, b.operator("=", b.column(j.left, l, id.Pos()), b.column(j.right, r, id.Pos()), id.Pos()))
		t, err := expr.CommonType([]vec.Type{j.left.fields[l].Type, j.right.fields[r].Type})
		if err != nil {
			b.failErr(err, id.Pos())
			return
		}
		fields = append(fields, vec.Field{Name: id.Name, Type: t})
		origins = append(origins, origin{merge: &merged{lo, ro, j.kind}})
		gone[l], gone[len(j.left.fields)+r] = true, true
	}
	if alias != nil {
		if rel.named(alias.Name) != nil {
			b.fail(pgerr.New(pgerr.DuplicateAlias, `table name "%s" specified more than once`, alias.Name), alias.Pos())
		}
		rel.parts = append(rel.parts, &relation{alias: alias.Name, fields: fields[:len(fields):len(fields)], origins: origins[:len(origins):len(origins)]})
	}
	for i, f := range rel.fields {
		if !gone[i] {
			fields, origins = append(fields, f), append(origins, rel.origins[i])
		}
	}
	if j.kind.LeftOnly() { // nothing is merged
		fields, origins = rel.fields, rel.origins
	}
	rel.fields, rel.origins = fields, origins
	if len(conds) > 0 {
		j.on = allOf(conds)
	}
}

func allOf(list []expr.Expr) expr.Expr {
	if len(list) == 1 {
		return list[0]
	}
	return &expr.And{Args: list}
}

// usingColumn finds a column of USING on one side.
func (b *binder) usingColumn(rel *relation, id ast.Ident, side string) int {
	i := rel.find(id.Name)
	switch i {
	case -1:
		b.fail(pgerr.New(pgerr.UndefinedColumn, `column "%s" specified in USING clause does not exist in %s table`, id.Name, side), id.Pos())
	case -2:
		b.fail(pgerr.New(pgerr.AmbiguousColumn, `common column name "%s" appears more than once in %s table`, id.Name, side), id.Pos())
	}
	return i
}

// placement says where the columns of the inputs of a join are in its result, by their
// bases. While a statement is bound, scans grow by the columns that it names, so the places
// are known only at the end.
type placement map[int]int

// seal gives the plan of FROM once all of a SELECT is bound, and where its columns are.
func (b *binder) seal(rel *relation) (plan.Node, placement) {
	if rel == nil {
		return &plan.Values{Rows: [][]expr.Expr{{}}}, nil
	}
	places := placement{}
	return b.place(places, rel, 0), places
}

// place adds the inputs of a relation whose columns begin at a place.
func (b *binder) place(p placement, rel *relation, at int) plan.Node {
	j := rel.join
	if j == nil {
		p[rel.base] = at
		return rel.node
	}
	left := b.place(p, j.left, at)
	left = b.joinSide(p, left, j.left, j, at)
	width := len(left.Schema())
	here := p.from(at)
	right := b.place(p, j.right, at+width)
	right = b.joinSide(p, right, j.right, j, at+width)
	d := &plan.Dependent{Kind: j.kind, Left: left, Right: right}
	if len(j.attached) == 0 {
		d.On = p.from(at).one(j.on)
		return b.dependent(d, here)
	}
	// What is left reads both sides. The condition belongs to one of them, then, and reads the
	// other from there.
	switch j.kind {
	case plan.InnerJoin, plan.LeftJoin, plan.SemiJoin, plan.AntiJoin:
		d.Right = b.sideWhere(p, right, j, at+width, j.right)
		return b.dependent(d, here)
	case plan.RightJoin:
		n := len(right.Schema())
		there := p.from(at + width)
		d := &plan.Dependent{Kind: plan.LeftJoin, Left: right, Right: b.sideWhere(p, left, j, at, j.left)}
		node := b.dependent(d, there)
		back := &plan.Project{Input: node}
		schema := node.Schema()
		for i := range schema {
			k := (i + n) % len(schema)
			if i >= len(schema)-n {
				k = i - (len(schema) - n)
			}
			back.Exprs, back.Names = append(back.Exprs, &expr.Column{Index: k, T: schema[k].Type, Name: schema[k].Name}), append(back.Names, schema[k].Name)
		}
		if grown := len(schema) - n - width; grown > 0 {
			for base, place := range p {
				if j.right.ownsBase(base) {
					p[base] = place + grown
				}
			}
		}
		return back
	}
	return b.fullWhere(p, left, right, j, at)
}

// fullWhere is a full join whose condition has subqueries that read both sides: what a left join
// gives, and the rows of the right side that no row of the left one goes with.
func (b *binder) fullWhere(p placement, left, right plan.Node, j *joined, at int) plan.Node {
	left, right = b.twice(left), b.twice(right)
	l, r := len(left.Schema()), len(right.Schema())
	here, there := p.from(at), p.from(at+l)
	alone := b.dependent(&plan.Dependent{Kind: plan.AntiJoin, Left: right, Right: b.sideWhere(maps.Clone(p), left, j, at, j.left)}, there)
	pairs := b.dependent(&plan.Dependent{Kind: plan.LeftJoin, Left: left, Right: b.sideWhere(p, right, j, at+l, j.right)}, here)
	rest := &plan.Project{Input: alone}
	for i, f := range pairs.Schema() {
		var e expr.Expr = null(f.Type)
		if i >= l && i < l+r {
			e = &expr.Column{Index: i - l, T: f.Type, Name: f.Name}
		}
		rest.Exprs, rest.Names = append(rest.Exprs, e), append(rest.Names, f.Name)
	}
	return &plan.Union{Of: []plan.Node{pairs, rest}}
}

// twice is a plan that stands in two places, which give the same rows: they are computed once,
// unless they depend on what is around the query.
func (b *binder) twice(n plan.Node) plan.Node {
	if _, ok := n.(*plan.Scan); ok || b.err != nil || b.depends(n) {
		return n
	}
	return b.spool(n, plan.TableSub, "side of a join")
}

// sideWhere filters a side of a join by the condition, with the subqueries in it. What it
// reads of the other side are columns outside.
func (b *binder) sideWhere(p placement, node plan.Node, j *joined, at int, side *relation) plan.Node {
	own := placement{}
	for base, place := range p {
		if side.ownsBase(base) {
			own[base] = place - at
		}
	}
	for _, a := range j.attached {
		node = b.joinSub(own, node, a, 0)
		p[a.base] = at + own[a.base]
	}
	return &plan.Filter{Input: node, Cond: own.one(j.on)}
}

// joinSide joins a side of a join with those subqueries of the condition that read nothing of
// the other side.
func (b *binder) joinSide(p placement, node plan.Node, side *relation, j *joined, at int) plan.Node {
	var rest []*attached
	for _, a := range j.attached {
		other := j.left
		if side == j.left {
			other = j.right
		}
		if slices.ContainsFunc(a.reads, other.owns) {
			rest = append(rest, a)
			continue
		}
		node = b.joinSub(p, node, a, at)
	}
	j.attached = rest
	return node
}

// joinSub joins a subquery with a plan whose columns begin at a place.
func (b *binder) joinSub(p placement, node plan.Node, a *attached, at int) plan.Node {
	here := p.from(at)
	p[a.base] = at + len(node.Schema())
	return b.dependent(&plan.Dependent{Kind: a.kind, Left: node, Right: a.node, On: p.from(at).one(a.on), Sparse: a.sparse}, here)
}

// dependent joins two inputs, of which the right one may read columns of the left one, whose
// places are known.
func (b *binder) dependent(d *plan.Dependent, p placement) plan.Node {
	d.Place = func(c *expr.Column) (int, bool) {
		base := baseOf(c.Index)
		at, ok := p[base]
		return at + c.Index - base, ok
	}
	node, err := d.Unnest()
	if err != nil {
		b.failErr(err, ast.NoPos)
		return d.Left
	}
	return node
}

// from is the placement counted from a column on.
func (p placement) from(at int) placement {
	out := make(placement, len(p))
	for base, place := range p {
		out[base] = place - at
	}
	return out
}

// one is an expression over the columns where they are.
func (p placement) one(e expr.Expr) expr.Expr {
	if len(p) == 0 || e == nil {
		return e
	}
	return expr.Map(e, func(x expr.Expr) expr.Expr {
		c, ok := x.(*expr.Column)
		if !ok {
			return x
		}
		base := baseOf(c.Index)
		at, ok := p[base]
		if at += c.Index - base; !ok || at == c.Index {
			return x // or it is a column of what is around the query
		}
		return &expr.Column{Index: at, T: c.T, Name: c.Name}
	})
}

func (p placement) list(in []expr.Expr) []expr.Expr {
	out := make([]expr.Expr, len(in))
	for i, e := range in {
		out[i] = p.one(e)
	}
	return out
}

func (p placement) call(c plan.AggCall) plan.AggCall {
	c.Args, c.Filter = p.list(c.Args), p.one(c.Filter)
	keys := make([]plan.SortKey, len(c.OrderBy))
	for i, k := range c.OrderBy {
		k.Expr = p.one(k.Expr)
		keys[i] = k
	}
	c.OrderBy = keys
	return c
}

// whole makes a join a relation with a node of its own, for what reads one input: all
// fields are computed, and may be named as before.
func (b *binder) whole(rel *relation) *relation {
	if rel.join == nil || b.err != nil {
		return rel
	}
	out := &relation{alias: rel.alias, fields: rel.fields}
	p := &plan.Project{}
	add := func(r *relation, i int, pos ast.Pos) int {
		e := b.column(r, i, pos)
		for k := range p.Exprs {
			if expr.Same(p.Exprs[k], e) {
				return k
			}
		}
		p.Exprs, p.Names = append(p.Exprs, e), append(p.Names, r.fields[i].Name)
		return len(p.Exprs) - 1
	}
	base := &relation{}
	view := func(r *relation) []origin {
		origins := make([]origin, len(r.fields))
		for i := range r.fields {
			origins[i] = origin{rel: base, index: add(r, i, ast.NoPos)}
		}
		return origins
	}
	out.origins = view(rel)
	for _, part := range rel.parts {
		out.parts = append(out.parts, &relation{alias: part.alias, table: part.table, fields: part.fields, origins: view(part)})
	}
	node, places := b.seal(rel)
	p.Input, p.Exprs = node, places.list(p.Exprs)
	out.node, base.node, base.fields = p, p, p.Schema()
	return out
}
