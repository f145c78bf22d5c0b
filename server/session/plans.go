package session

import (
	"container/list"
	"slices"
	"sync"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/parse"
	"github.com/prickledb/prickle/storage/memory"
)

const (
	// maxPlans is how many plans are kept, and likewise how many texts with their statements.
	maxPlans = 1000
	// maxPlanText is how long a text may be whose statements and plans are kept, in bytes.
	maxPlanText = 4 << 10
	// maxPlanBytes is how much plans take, and likewise statements: less where the memory of queries is
	// less than poolShare times as much.
	maxPlanBytes = 8 << 20
	poolShare    = 64
	// Statements take parsedShare bytes for each of their text, and plans plannedShare: TestPlanBytes measures them.
	parsedShare  = 14
	plannedShare = 36
)

// Plans keeps what queries mean, so that one that comes again, in this session or in another, is not
// parsed and bound once more: it holds the last that were asked, by all that their meaning depends
// on. A plan for other tables, cohorts or roles than there are now is made anew. A query whose plan holds the
// time, a parameter or anything else of an execution is not kept. The zero value is usable; nil
// keeps nothing.
type Plans struct {
	// Memory is what they are counted in; nil: nowhere. It is set before the first use.
	Memory *memory.Pool

	mu    sync.Mutex
	texts recent[string, []parse.Statement]
	plans recent[planKey, keptPlan]
	// used is told of each plan that is kept, or was and comes again; nil but in tests, which compare
	// it with another.
	used func(within sql.CompileContext, p *Prepared, kept *sql.Statement, again bool)
}

// planKey is what the meaning of a query depends on, but for the state of the catalog.
type planKey struct {
	project              uint32
	database, user, role string
	text                 string
	at                   ast.Pos // the statement's place in text
	types                string  // of parameters
	path, zone, disabled string
	style                expr.Style
}

// keptPlan is a query that was compiled in a state of the catalog.
type keptPlan struct {
	state any
	query *sql.Statement
}

// parsed is the statements of a text; false if they are not known.
func (p *Plans) parsed(text string) ([]parse.Statement, bool) {
	if p == nil || len(text) > maxPlanText {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.texts.get(text)
}

// keepParsed keeps the statements of a text, if all of them are queries: others may hold a password.
func (p *Plans) keepParsed(text string, stmts []parse.Statement) {
	if p == nil || len(text) > maxPlanText || slices.ContainsFunc(stmts, func(s parse.Statement) bool { return !isQuery(s.Stmt) }) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Memory.Add(p.texts.put(text, stmts, parsedShare*int64(len(text)), p.limit()))
}

// limit is how many bytes plans may take, and likewise statements.
func (p *Plans) limit() int64 {
	if p.Memory == nil {
		return maxPlanBytes
	}
	return min(maxPlanBytes, p.Memory.Size()/poolShare)
}

// compile is sql.Compile for a statement that may have been compiled before.
func (s *Session) compile(within sql.CompileContext, prepared *Prepared) (*sql.Statement, error) {
	plans, state := s.config.Plans, within.Catalog.State
	if plans == nil || state == nil || s.writes != nil || s.temp != nil || len(prepared.Text) > maxPlanText || !isQuery(prepared.Stmt) {
		return sql.Compile(within, prepared.Stmt, prepared.Text)
	}
	key := s.planKey(within, prepared)
	plans.mu.Lock()
	kept, ok := plans.plans.get(key)
	plans.mu.Unlock()
	if ok && kept.state == state {
		return plans.fresh(within, prepared, kept.query, true), nil
	}
	asked := false
	within.Expr.Asked = &asked
	st, err := sql.Compile(within, prepared.Stmt, prepared.Text)
	within.Expr.Asked = nil
	if err != nil || asked || len(st.Params) > len(within.Expr.Params) || st.Kind != sql.Query || st.Warning != nil || readsOutside(st.Plan) {
		return st, err
	}
	plans.mu.Lock()
	plans.Memory.Add(plans.plans.put(key, keptPlan{state, st}, plannedShare*int64(len(key.text)), plans.limit()))
	plans.mu.Unlock()
	return plans.fresh(within, prepared, st, false), nil
}

// fresh is a kept query for one execution.
func (p *Plans) fresh(within sql.CompileContext, prepared *Prepared, kept *sql.Statement, again bool) *sql.Statement {
	if p.used != nil {
		p.used(within, prepared, kept, again)
	}
	st := *kept
	st.Plan = plan.Fresh(kept.Plan)
	return &st
}

func isQuery(stmt ast.Stmt) bool {
	switch stmt.(type) {
	case ast.Query, *ast.Shorthand:
		return true
	}
	return false
}

func (s *Session) planKey(within sql.CompileContext, prepared *Prepared) planKey {
	var types []byte
	for _, t := range prepared.Params {
		types = append(types, t.String()...)
		types = append(types, ',')
	}
	return planKey{project: s.config.Project, database: s.config.Database, user: s.config.User, role: s.role(),
		text: prepared.Text, at: prepared.Stmt.Pos(), types: string(types),
		path: s.value("search_path"), zone: s.value("TimeZone"), disabled: s.value("disabled_rules"), style: within.Expr.Style}
}

// readsOutside says whether a plan reads what the catalog does not know: files, whose columns may have
// changed, or what the client sends.
func readsOutside(n plan.Node) bool {
	if _, ok := n.(*plan.Read); ok {
		return true
	}
	for _, in := range n.Inputs() {
		if readsOutside(in) {
			return true
		}
	}
	return false
}

// recent is a map that forgets what was not used for the longest time. The zero value is usable.
type recent[K comparable, V any] struct {
	byKey map[K]*list.Element
	order list.List // of *recentEntry, the last used first
	bytes int64     // of all entries
}

type recentEntry[K comparable, V any] struct {
	key   K
	value V
	bytes int64
}

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	e := r.byKey[key]
	if e == nil {
		return value, false
	}
	r.order.MoveToFront(e)
	return e.Value.(*recentEntry[K, V]).value, true
}

// put keeps a value of so many bytes, which are always the same for a key, and forgets others until all take at most
// limit. It gives how many bytes there are more than before.
func (r *recent[K, V]) put(key K, value V, bytes, limit int64) int64 {
	if e := r.byKey[key]; e != nil {
		e.Value.(*recentEntry[K, V]).value = value
		r.order.MoveToFront(e)
		return 0
	}
	if r.byKey == nil {
		r.byKey = map[K]*list.Element{}
	}
	before := r.bytes
	r.byKey[key] = r.order.PushFront(&recentEntry[K, V]{key, value, bytes})
	for r.bytes += bytes; len(r.byKey) > maxPlans || r.bytes > limit; {
		last := r.order.Remove(r.order.Back()).(*recentEntry[K, V])
		delete(r.byKey, last.key)
		r.bytes -= last.bytes
	}
	return r.bytes - before
}
