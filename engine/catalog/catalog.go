package catalog

import (
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/format"
	"github.com/prickledb/prickle/engine/role"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vec"
)

// Column is one column of a table.
type Column struct {
	Name string
	Type vec.Type
}

// Table is a relation that a statement can read. Actor, Time and Event name the columns
// that the native operators use by default; they are empty where there is none.
type Table struct {
	OID                uint32
	Name               string
	Columns            []Column
	Actor, Time, Event string
	// Schema is what a table that a user made looks like, as of the read point; nil for
	// the tables that every project has. Rows is how many rows it has there.
	Schema *table.Schema
	Rows   int64
	// System is the schema of a table that is made of the catalog itself: pg_catalog or
	// information_schema. It is empty for all others.
	System string
	// Space is the schema that a table is in which a user made, nil for public.
	Space *Namespace
	// Hidden says of a table that every project has that a user has made one of its name,
	// which is now what the name means: this one is then in the schema prickle alone.
	Hidden bool
}

// TempSchema is the schema of a session's temporary tables. Statements may call it pg_temp.
const TempSchema = "pg_temp_1"

// Namespace is the schema that the table is in.
func (t *Table) Namespace() string {
	switch {
	case t.Hidden:
		return "prickle"
	case t.System != "":
		return t.System
	case t.Temp():
		return TempSchema
	case t.Space != nil:
		return t.Space.Name
	}
	return Public
}

// InSchema says whether the table is in the schema of that name.
func (t *Table) InSchema(name string) bool {
	return name == t.Namespace() || name == "pg_temp" && t.Temp()
}

// Temp says whether the table is a session's own.
func (t *Table) Temp() bool { return t.Schema != nil && t.Schema.Temp }

// View is the query, as SQL, of a view that a user made; empty for all others.
func (t *Table) View() string {
	if t.Schema == nil {
		return ""
	}
	return t.Schema.View
}

// Owner is the role that the table belongs to, empty for nobody.
func (t *Table) Owner() string {
	if t.Schema == nil {
		return ""
	}
	return t.Schema.Owner
}

// IsEvents says whether the table is that of the events, and not one of a user that is called so.
func (t *Table) IsEvents() bool { return t.Schema == nil && t.System == "" && t.Name == "events" }

// IsCohorts says whether the table is that of the cohorts.
func (t *Table) IsCohorts() bool { return t.Schema == nil && t.System == "" && t.Name == "cohorts" }

// Column finds a column by name, or answers nil.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// Public is the schema that every project has.
const Public = "public"

// Namespace is what SQL calls a schema, one that a user has made. Schema is its record.
type Namespace struct {
	OID    uint32
	Name   string
	Schema *table.Schema
}

// Catalog is the tables of one project, and what the binder needs to know of it.
type Catalog struct {
	Project  uint32
	Database string // the project's database name
	// State is comparable, and equal only for catalogs that a statement means the same in, apart from what
	// belongs to a session: Path, Role, and its own tables. Nil is equal to none.
	State  any
	Tables []*Table
	// Namespaces are the schemas that users made.
	Namespaces []*Namespace
	// Next is the number of the next table or schema that is made.
	Next uint32
	// Sequences are the session's own, which belong to no table.
	Sequences []*table.Schema
	// Notes keep the comments of what every project has, by their names: see NoteOf.
	Notes map[string]*table.Schema
	// Path is the schemas in which a name is looked up that has none, as search_path lists them:
	// those that do not exist are not there. Nil is public alone.
	Path []string
	// Sunday is true if the project's weeks start on Sunday.
	Sunday bool
	// Properties lists known event property names. It is called for the hint of an error,
	// and not before: collecting names costs more than binding a statement. It may list
	// only some of them; nil is none.
	Properties func() []string
	// Reads lists the tables that a view reads itself. It is called for what shows what depends on
	// what, and not before: it binds the view. Nil lists none.
	Reads func(view *Table) []*Table
	// ViewText is the query of a view as people read it. Nil shows it as it is kept.
	ViewText func(view *Table) string
	// FullText is an expression that a table keeps with all its parentheses. Nil shows it as it is
	// kept.
	FullText func(text string) string
	// Roles are the roles of the project, nil for none, and Role the one whose rights count.
	// RolesErr is why the roles could not be read: then nobody may do anything.
	Roles    *role.Set
	RolesErr error
	Role     string
	// Cohort is the definition of a cohort, by its name or by its number, which is from 1:
	// SQL that may stand in parentheses behind IN COHORT. It says false if there is none.
	// Nil knows no cohort.
	Cohort func(name string, id int64) (definition string, ok bool, err error)
	// Files finds the columns of files by what is in the first of them, and what the options
	// leave open; headerGiven says that a header was asked for or forbidden.
	Files func(pattern string, o format.Options, headerGiven bool) (format.Options, []format.Column, error)
	// Cohorts is the rows of the table cohorts. Nil is none.
	Cohorts func() (*vec.Batch, error)
}

// OID is the number that clients know the project's database by. Databases are numbered among
// themselves, beside the tables.
func (c *Catalog) OID() uint32 { return DatabaseOID(c.Project) }

// DatabaseOID is OID for a project.
func DatabaseOID(project uint32) uint32 { return 16387 + project }

// CohortColumns are the columns of the table cohorts.
func CohortColumns() vec.Schema {
	text, tz, int8 := vec.T(vec.Text), vec.T(vec.TimestampTZ), vec.T(vec.Int8)
	return vec.Schema{{Name: "id", Type: int8}, {Name: "name", Type: text}, {Name: "size", Type: int8}, {Name: "definition", Type: text},
		{Name: "refreshed_at", Type: tz}, {Name: "next_refresh", Type: tz}, {Name: "is_static", Type: vec.T(vec.Bool)}}
}

// Table finds a table by name, or answers nil. Temporary tables hide others.
func (c *Catalog) Table(name string) *Table {
	for _, schema := range c.Searched() {
		if t := c.In(schema, name); t != nil {
			return t
		}
	}
	return nil
}

// tempAlias is what the schema of temporary tables is called, whichever it is.
const tempAlias = "pg_temp"

// explicit is the schemas of Path that there are, and which the role may use, each once. "$user" is
// a schema of the role's name that was made: a role called prickle does not work in ours.
func (c *Catalog) explicit() []string {
	if c.Path == nil {
		return []string{Public}
	}
	var out []string
	for _, name := range c.Path {
		if name == "$user" {
			if name = c.Role; c.Namespace(name) == nil {
				continue
			}
		}
		if name == TempSchema {
			name = tempAlias
		}
		if !slices.Contains(out, name) && (name == tempAlias || c.SchemaOID(name) != 0) && c.MayUse(c.Role, name) {
			out = append(out, name)
		}
	}
	return out
}

// Searched is the schemas in which a name without one is looked up, in order: that of temporary
// tables and pg_catalog come first where Path does not say otherwise.
func (c *Catalog) Searched() []string {
	out := c.explicit()
	for _, first := range []string{"pg_catalog", tempAlias} {
		if !slices.Contains(out, first) {
			out = append([]string{first}, out...)
		}
	}
	return out
}

// Shown is the schemas that current_schemas shows: those that Searched adds only if implicit is
// true.
func (c *Catalog) Shown(implicit bool) []string {
	out := c.explicit()
	if implicit && !slices.Contains(out, "pg_catalog") {
		out = append([]string{"pg_catalog"}, out...)
	}
	hasTemp := slices.ContainsFunc(c.Tables, (*Table).Temp)
	if i := slices.Index(out, tempAlias); i >= 0 && hasTemp {
		out[i] = TempSchema
	} else if i >= 0 {
		out = slices.Delete(out, i, i+1)
	} else if implicit && hasTemp {
		out = append([]string{TempSchema}, out...)
	}
	return out
}

// Creating is the schema that something is made in which is given none; empty if there is none.
func (c *Catalog) Creating() string {
	for _, name := range c.explicit() {
		return name
	}
	return ""
}

// Namespace finds a schema that a user has made, or answers nil.
func (c *Catalog) Namespace(name string) *Namespace {
	for _, n := range c.Namespaces {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// The object ids of the schemas that every project has.
var fixedSchemas = map[string]uint32{"pg_catalog": 11, Public: role.PublicSchema, "information_schema": 13000, "prickle": 13001, "system": 13002, TempSchema: 13003}

// FixedSchemas lists the schemas that every project has.
func FixedSchemas() []string {
	return []string{"pg_catalog", Public, "information_schema", "prickle", "system", TempSchema}
}

// SchemaOID is the object id of a schema, 0 if there is none of that name.
func (c *Catalog) SchemaOID(name string) uint32 {
	if oid := fixedSchemas[name]; oid != 0 {
		return oid
	}
	if n := c.Namespace(name); n != nil {
		return n.OID
	}
	return 0
}

// SchemaName is the name of a schema, empty if there is none of that object id.
func (c *Catalog) SchemaName(oid uint32) string {
	for name, fixed := range fixedSchemas {
		if fixed == oid {
			return name
		}
	}
	for _, n := range c.Namespaces {
		if n.OID == oid {
			return n.Name
		}
	}
	return ""
}

// MayUse says whether a role may use what is in a schema.
func (c *Catalog) MayUse(who, schema string) bool {
	n := c.Namespace(schema)
	return n == nil || c.Roles.May(who, "USAGE", role.Schema, n.OID, n.Schema.Owner, false)
}

// The names of notes: of a table that every project has, of a schema, of the database.
const (
	NoteDatabase = "database"
	noteTable    = "table "
	noteSchema   = "schema "
)

// NoteOf is the name of the note about a table that every project has, NoteOfSchema that of one
// about a schema.
func NoteOf(table string) string        { return noteTable + table }
func NoteOfSchema(schema string) string { return noteSchema + schema }

// SchemaOfNote is the schema that a note is about, if it is about one.
func SchemaOfNote(note string) (schema string, ok bool) { return strings.CutPrefix(note, noteSchema) }

// In finds a table of a schema by name, or answers nil.
func (c *Catalog) In(schema, name string) *Table {
	for _, t := range c.Tables {
		if t.Name == name && t.InSchema(schema) {
			return t
		}
	}
	return nil
}

// Builtin finds a table that every project has by name, hidden or not, or answers nil.
func (c *Catalog) Builtin(name string) *Table {
	for _, t := range c.Tables {
		if t.Name == name && t.Schema == nil {
			return t
		}
	}
	return nil
}

// The numbers that clients know the first table of users and the first temporary one by.
const (
	firstOID  = 20000
	firstTemp = 1 << 18
)

func oidOf(id uint32) uint32 {
	if table.IsTemp(id) {
		return firstTemp + id - table.TempBase
	}
	return firstOID + id
}

// NamespacesOf is the schemas that users made.
func NamespacesOf(tables *table.Tables) []*Namespace {
	var out []*Namespace
	for _, v := range tables.Of(table.Namespace) {
		out = append(out, &Namespace{OID: oidOf(v.Schema.Table), Name: v.Schema.Name, Schema: v.Schema})
	}
	return out
}

// NotesOf is the comments of what every project has.
func NotesOf(tables *table.Tables) map[string]*table.Schema {
	out := map[string]*table.Schema{}
	for _, v := range tables.Of(table.Note) {
		out[v.Schema.Name] = v.Schema
	}
	return out
}

func tableOf(s *table.Schema, in *Namespace) *Table {
	t := &Table{OID: oidOf(s.Table), Name: s.Name, Schema: s, Space: in, Actor: s.NameOf(s.Actor), Time: s.NameOf(s.Time), Event: s.NameOf(s.Event)}
	for _, c := range s.Columns {
		t.Columns = append(t.Columns, Column{Name: c.Name, Type: c.Type})
	}
	return t
}

// Add gives the schema the next number, and has it in the catalog as if it were made.
func (c *Catalog) Add(s *table.Schema) {
	made := s.Clone()
	made.Table = c.Next
	c.Next++
	if s.Kind == table.Namespace {
		c.Namespaces = append(slices.Clip(c.Namespaces), &Namespace{OID: oidOf(made.Table), Name: made.Name, Schema: made})
		return
	}
	var in *Namespace
	for _, n := range c.Namespaces {
		if n.Schema.Table == made.In {
			in = n
		}
	}
	c.Tables = append(slices.Clip(c.Tables), tableOf(made, in))
}

// SequencesOf is the temporary sequences of a session.
func SequencesOf(tables *table.Tables) []*table.Schema {
	var out []*table.Schema
	for _, v := range tables.Of(table.Sequence) {
		out = append(out, v.Schema)
	}
	return out
}

// SequenceTables is the session's own sequences, as if they were tables of one column.
func (c *Catalog) SequenceTables() []*Table {
	var out []*Table
	for _, s := range c.Sequences {
		out = append(out, tableOf(s, nil))
	}
	return out
}

// With is the built-in tables and those that users made.
func With(builtin []*Table, tables *table.Tables) []*Table {
	out := slices.Clone(builtin)
	spaces := map[uint32]*Namespace{}
	for _, n := range NamespacesOf(tables) {
		spaces[n.Schema.Table] = n
	}
	for _, v := range tables.List() {
		t := tableOf(v.Schema, spaces[v.Schema.In])
		t.Rows = v.Live()
		if at := slices.IndexFunc(out, func(b *Table) bool { return b.Name == t.Name && b.Schema == nil && !t.Temp() && t.Space == nil }); at >= 0 {
			hidden := *out[at]
			hidden.Hidden = true
			out[at] = &hidden
		}
		out = append(out, t)
	}
	return out
}

// Builtin is the tables that every project has.
func Builtin() []*Table {
	text, tz, uuid, jsonb := vec.T(vec.Text), vec.T(vec.TimestampTZ), vec.T(vec.UUID), vec.T(vec.JSONB)
	cohorts := &Table{OID: 16390, Name: "cohorts"}
	for _, f := range CohortColumns() {
		cohorts.Columns = append(cohorts.Columns, Column{f.Name, f.Type})
	}
	return []*Table{
		{OID: 16384, Name: "events", Actor: "person_id", Time: "timestamp", Event: "event", Columns: []Column{
			{"uuid", uuid}, {"event", text}, {"timestamp", tz}, {"distinct_id", text}, {"person_id", uuid},
			{"session_id", text}, {"window_id", text}, {"properties", jsonb},
			{"group_0", text}, {"group_1", text}, {"group_2", text}, {"group_3", text}, {"group_4", text},
			{"elements_chain", text}, {"created_at", tz}}},
		{OID: 16385, Name: "persons", Columns: []Column{
			{"id", uuid}, {"created_at", tz}, {"properties", jsonb}, {"is_identified", vec.T(vec.Bool)}}},
		{OID: 16386, Name: "person_distinct_ids", Columns: []Column{
			{"distinct_id", text}, {"person_id", uuid}}},
		{OID: 16387, Name: "groups", Columns: []Column{
			{"group_type_index", vec.T(vec.Int4)}, {"key", text}, {"created_at", tz}, {"properties", jsonb}}},
		{OID: 16388, Name: "cohort_members", Columns: []Column{
			{"cohort_id", vec.T(vec.Int8)}, {"person_id", uuid}}},
		{OID: 16389, Name: "sessions", Columns: []Column{
			{"session_id", text}, {"distinct_id", text}, {"person_id", uuid}, {"start_timestamp", tz}, {"end_timestamp", tz},
			{"duration", vec.T(vec.Float8)}, {"entry_url", text}, {"end_url", text}, {"entry_pathname", text}, {"end_pathname", text},
			{"pageview_count", vec.T(vec.Int8)}, {"autocapture_count", vec.T(vec.Int8)}, {"screen_count", vec.T(vec.Int8)},
			{"num_uniq_urls", vec.T(vec.Int8)}}},
		cohorts,
	}
}
