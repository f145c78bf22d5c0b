package ask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/saved"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql"
	"github.com/prickledb/prickle/sql/ast"
	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// CohortStore is where cohorts are kept.
type CohortStore interface {
	Objects(project uint32) *object.Table
	EditObjects(ctx context.Context, project uint32, edits []object.Edit) ([]*object.Object, cluster.Receipt, error)
	EditMembers(ctx context.Context, project uint32, edit storage.MemberEdit) (storage.MemberResult, cluster.Receipt, error)
}

// Cohorts are the cohorts of projects as sessions see them.
type Cohorts struct {
	Store  CohortStore // nil: they can only be read
	Saving *sync.Mutex // held while cohorts change, so that together they make no cycle
}

// Definition implements session.Cohorts.
func (*Cohorts) Definition(ctx context.Context, pin session.Pin, at *expr.Context, name string, id int64) (definition string, ok bool, err error) {
	snapshot, ok := pin.(*storage.Snapshot)
	if !ok {
		return "", false, nil
	}
	if name != "" {
		o := saved.CohortNamed(snapshot.Objects(), name)
		if o == nil {
			return "", false, nil
		}
		id = o.ID
	}
	p := projectAt(snapshot, at)
	if _, ok := p.Cohort(id); !ok {
		return "", false, nil
	}
	definition, err = insight.CohortSQL(ctx, p, time.UnixMicro(at.Now).UTC(), id)
	if err != nil {
		err = pgerr.New(pgerr.InvalidParameterValue, "cohort %d cannot be computed: %v", id, err)
	}
	return definition, err == nil, err
}

func projectAt(snapshot *storage.Snapshot, at *expr.Context) *project {
	p := &project{snapshot: snapshot, zone: at.Location}
	if p.zone == nil {
		p.zone = time.UTC
	}
	return p
}

// sqlCohort is what the body of a cohort holds for statements, besides what queries read.
type sqlCohort struct {
	Size      *int64    `json:"size"`         // when it was refreshed last
	Refreshed int64     `json:"refreshed_at"` // then, µs; 0 for never
	Every     *interval `json:"refresh"`
}

// interval is an interval in a body.
type interval struct {
	Months int32 `json:"months"`
	Days   int32 `json:"days"`
	Micros int64 `json:"micros"`
}

// next is when the cohort is to be refreshed again, in µs; false if it is not by itself.
func (c *sqlCohort) next(zone *time.Location) (int64, bool) {
	if c.Every == nil {
		return 0, false
	}
	return time.UnixMicro(c.Refreshed).In(zone).AddDate(0, int(c.Every.Months), int(c.Every.Days)).UnixMicro() + c.Every.Micros, true
}

// DueCohorts are the names of the cohorts of a project that are to be refreshed by now.
func DueCohorts(t *object.Table, zone *time.Location, now time.Time) (names []string) {
	for _, o := range t.List(object.Cohort) {
		if !strings.Contains(string(o.Body), `"refresh"`) {
			continue
		}
		b := saved.Read(o)
		var more sqlCohort
		if b.Deleted() || json.Unmarshal(o.Body, &more) != nil {
			continue
		}
		if at, ok := more.next(zone); ok && at <= now.UnixMicro() && saved.CohortNamed(t, b.Text("name")) == o {
			names = append(names, b.Text("name"))
		}
	}
	return names
}

// List implements session.Cohorts. A cohort that was made of conditions has the definition
// that they are compiled to, and a list of persons none.
func (*Cohorts) List(ctx context.Context, pin session.Pin, at *expr.Context) (*vec.Batch, error) {
	schema := catalog.CohortColumns()
	builders := make([]*vec.Builder, len(schema))
	for i, f := range schema {
		builders[i] = vec.NewBuilder(f.Type)
	}
	out := &vec.Batch{}
	snapshot, ok := pin.(*storage.Snapshot)
	if ok {
		p := projectAt(snapshot, at)
		for _, o := range snapshot.Objects().List(object.Cohort) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			k, ok := p.Cohort(o.ID)
			if !ok {
				continue
			}
			listCohort(ctx, builders, p, k, o, time.UnixMicro(at.Now).UTC())
			out.Rows++
		}
	}
	for _, b := range builders {
		out.Cols = append(out.Cols, b.V)
	}
	return out, nil
}

// listCohort adds the row of a cohort.
func listCohort(ctx context.Context, to []*vec.Builder, p *project, k *insight.Cohort, o *object.Object, now time.Time) {
	var more sqlCohort
	_ = json.Unmarshal(o.Body, &more) // nothing then
	int8 := func(i int, v *int64) {
		if v == nil {
			to[i].AppendNull()
		} else {
			to[i].V.I64 = append(to[i].V.I64, *v)
		}
	}
	text := func(i int, s string) {
		if s == "" {
			to[i].AppendNull()
		} else {
			to[i].V.Str.AppendString(s)
		}
	}
	if k.Static {
		n := int64(0)
		if members := p.snapshot.StaticMembers(k.ID); members != nil {
			n = int64(members.GetCardinality())
		}
		more.Size = &n
	}
	definition := k.SQL
	if definition != "" {
		definition = saved.ByName(p.snapshot.Objects(), definition)
	} else if !k.Static {
		definition, _ = insight.CohortSQL(ctx, p, now, k.ID) // one that cannot be computed has none
	}
	var refreshed, next *int64
	if more.Refreshed != 0 {
		refreshed = &more.Refreshed
		if at, ok := more.next(p.zone); ok {
			next = &at
		}
	}
	int8(0, &k.ID)
	to[1].V.Str.AppendString(k.Name)
	int8(2, more.Size)
	text(3, definition)
	int8(4, refreshed)
	int8(5, next)
	to[6].V.Bools = append(to[6].V.Bools, k.Static)
}

const (
	// membersAtOnce is how many members go through the log in one piece.
	membersAtOnce = 20_000
	// maxTries is how often a change is made again that met another one.
	maxTries = 5
)

// Change implements session.Cohorts.
func (k *Cohorts) Change(ctx context.Context, pin session.Pin, project uint32, c *session.CohortChange) (index uint64, notice *pgerr.Error, err error) {
	snapshot, ok := pin.(*storage.Snapshot)
	if k.Store == nil || !ok {
		return 0, nil, pgerr.Unsupported("changing cohorts without a store")
	}
	k.Saving.Lock()
	defer k.Saving.Unlock()
	for try := 1; ; try++ {
		w := &cohortWrite{Cohorts: k, CohortChange: c, project: project, objects: k.Store.Objects(project)}
		err := w.run(ctx, snapshot.Project())
		var conflict *object.ConflictError
		if errors.As(err, &conflict) && try < maxTries {
			continue
		}
		return w.index, w.notice, worded(err)
	}
}

// Lock implements session.Cohorts.
func (k *Cohorts) Lock() (unlock func()) {
	k.Saving.Lock()
	return k.Saving.Unlock
}

// Plan implements session.Cohorts.
func (k *Cohorts) Plan(pin session.Pin, changes []*session.CohortChange) (out *storage.Commit, notice *pgerr.Error, err error) {
	snapshot, ok := pin.(*storage.Snapshot)
	if k.Store == nil || !ok {
		return nil, nil, pgerr.Unsupported("changing cohorts without a store")
	}
	out = &storage.Commit{Tables: &table.WriteSet{}}
	objects := snapshot.Objects()
	for _, c := range changes {
		if c.Planned.Done && c.Planned.Number == 0 {
			continue
		}
		w := &cohortWrite{Cohorts: k, CohortChange: c, objects: objects}
		to, err := w.plan(snapshot.Project())
		notice = w.notice
		planned := session.CohortPlan{Done: true}
		var edit object.Edit
		if to != nil {
			edit = to.edit()
			if to.old == nil {
				edit.ID = objects.Next(object.Cohort)
			}
			planned.Number, planned.Version = edit.ID, edit.Version
		}
		if c.Planned.Done && (err != nil || c.Planned != planned) {
			return nil, nil, session.Conflict(fmt.Errorf("cohort %s was changed by another transaction", ast.QuoteIdent(c.Name)))
		}
		if err != nil {
			return nil, nil, worded(err)
		}
		if c.Planned = planned; to == nil {
			continue
		}
		if objects, err = objects.After([]object.Edit{edit}); err != nil {
			return nil, nil, worded(err)
		}
		out.Objects = append(out.Objects, edit)
		if to.fill {
			out.Members = append(out.Members, storage.MemberEdit{Cohort: edit.ID, Persons: c.Members, Replace: true})
		}
	}
	return out, notice, nil
}

// worded puts what is wrong with a body into the words of SQL.
func worded(err error) error {
	var problem *saved.Problem
	var limit *object.LimitError
	switch {
	case errors.As(err, &problem) && problem.Code == "cohort_cycle":
		return pgerr.New(pgerr.InvalidRecursion, "%s", problem.Detail)
	case errors.As(err, &problem):
		return pgerr.New(pgerr.InvalidParameterValue, "%s", problem.Detail)
	case errors.As(err, &limit):
		return pgerr.New(pgerr.ProgramLimitExceeded, "%s", limit.Detail)
	}
	return err
}

// cohortWrite is a statement about a cohort being carried out.
type cohortWrite struct {
	*Cohorts
	*session.CohortChange
	project uint32
	objects *object.Table
	index   uint64
	notice  *pgerr.Error
}

// run carries out the statement. A static cohort that is new is shown when it has all its members.
func (w *cohortWrite) run(ctx context.Context, p storage.Project) error {
	to, err := w.plan(p)
	if err != nil || to == nil {
		return err
	}
	o, b := to.old, to.body
	if to.fill {
		if o == nil {
			b["deleted"] = json.RawMessage("true")
			if o, err = w.store(ctx, nil, b); err != nil {
				return err
			}
			delete(b, "deleted")
		}
		if err := w.fill(ctx, o.ID); err != nil {
			return err
		}
	}
	_, err = w.store(ctx, o, b)
	return err
}

// cohortEdit is what a statement about a cohort comes to.
type cohortEdit struct {
	old  *object.Object // nil: it makes one
	body saved.Body
	fill bool // the persons that were found are its members
}

func (e *cohortEdit) edit() object.Edit {
	edit := object.Edit{Kind: object.Cohort, Body: e.body.JSON()}
	if e.old != nil {
		edit.ID, edit.Key, edit.Version = e.old.ID, e.old.Key, e.old.Version
	}
	return edit
}

// plan is what the statement comes to; nil for nothing.
func (w *cohortWrite) plan(p storage.Project) (*cohortEdit, error) {
	o := saved.CohortNamed(w.objects, w.Name)
	name := ast.QuoteIdent(w.Name)
	switch w.Kind {
	case sql.CreateCohort:
		if o != nil && !w.Replace {
			return nil, pgerr.New(pgerr.DuplicateObject, "cohort %s already exists", name).At(w.Position).
				WithHint("CREATE OR REPLACE COHORT puts another definition in its place.")
		}
		return w.create(o)
	case sql.DropCohort:
		if o == nil && w.IfExists {
			w.notice = pgerr.New("00000", "cohort %s does not exist, skipping", name)
			return nil, nil
		}
	}
	if o == nil {
		return nil, pgerr.New(pgerr.UnknownCohort, "cohort %s does not exist", name).At(w.Position)
	}
	b := saved.Read(o)
	switch w.Kind {
	case sql.RefreshCohort:
		if string(b["is_static"]) == "true" {
			return nil, pgerr.New(pgerr.WrongObjectType, "cohort %s is static: its members do not change", name).At(w.Position).
				WithHint("CREATE OR REPLACE COHORT puts other members in their place.")
		}
		w.measured(b)
	case sql.RenameCohort:
		if other := saved.CohortNamed(w.objects, w.To); other != nil && other != o {
			return nil, pgerr.New(pgerr.DuplicateObject, "cohort %s already exists", ast.QuoteIdent(w.To))
		}
		b.SetText("name", w.To)
	case sql.DropCohort:
		if users := saved.Users(w.objects, p, saved.Ref{Kind: object.Cohort, ID: o.ID}); len(users) > 0 {
			return nil, pgerr.New(pgerr.DependentObjects, "cannot drop cohort %s because other objects use it", name).At(w.Position).
				WithDetail("It is used by %s.", saved.ListUsers(users)).WithHint("Take it out there first.")
		}
		b["deleted"] = json.RawMessage("true")
	}
	return &cohortEdit{old: o, body: b}, nil
}

// measured notes in a body what the query of the statement found.
func (w *cohortWrite) measured(b saved.Body) {
	b["size"], b["refreshed_at"] = number(w.Size), number(w.At)
}

func number(n int64) json.RawMessage { return strconv.AppendInt(nil, n, 10) }

// create makes a cohort, or puts another definition into an old one.
func (w *cohortWrite) create(o *object.Object) (*cohortEdit, error) {
	query, err := saved.ByNumber(w.objects, w.Query)
	if err != nil {
		return nil, err
	}
	b := saved.Body{}
	ref := saved.Ref{Kind: object.Cohort}
	if o != nil {
		b, ref.ID = saved.Read(o), o.ID
		for _, part := range []string{"filters", "groups", "query", "refresh"} {
			delete(b, part)
		}
	}
	b.SetText("name", w.Name)
	b.SetText("sql", query)
	b["is_static"] = json.RawMessage(strconv.FormatBool(w.Static))
	w.measured(b)
	if e := w.Every; e != nil {
		if b["refresh"], err = json.Marshal(interval{e.Months, e.Days, e.Micros}); err != nil {
			return nil, err
		}
	}
	if err := saved.CheckCohort(b); err != nil {
		return nil, err
	}
	if o != nil {
		if err := saved.Cycle(w.objects, map[saved.Ref]json.RawMessage{ref: b.JSON()}); err != nil {
			return nil, err
		}
	}
	return &cohortEdit{old: o, body: b, fill: w.Static}, nil
}

// fill makes the persons that were found the members of a static cohort.
func (w *cohortWrite) fill(ctx context.Context, cohort int64) error {
	for first, rest := true, w.Members; first || len(rest) > 0; first = false {
		n := min(len(rest), membersAtOnce)
		_, r, err := w.Store.EditMembers(ctx, w.project, storage.MemberEdit{Cohort: cohort, Persons: rest[:n], Replace: first})
		if err != nil {
			return err
		}
		w.index, rest = r.Index, rest[n:]
	}
	return nil
}

// store writes the body of a cohort; nil is one that is new.
func (w *cohortWrite) store(ctx context.Context, o *object.Object, b saved.Body) (*object.Object, error) {
	done, r, err := w.Store.EditObjects(ctx, w.project, []object.Edit{(&cohortEdit{old: o, body: b}).edit()})
	if err != nil {
		return nil, err
	}
	w.index = r.Index
	return done[0], nil
}
