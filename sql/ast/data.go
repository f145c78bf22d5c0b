package ast

// ColumnSpec is a column of CREATE TABLE and of ADD COLUMN.
type ColumnSpec struct {
	Place
	Name     Ident
	Type     TypeName
	NotNull  bool
	Default  Expr      // nil when not given
	Identity *Identity // GENERATED … AS IDENTITY, nil when not given
	// Constraints are the others: PRIMARY KEY, UNIQUE, CHECK and REFERENCES, of this column.
	Constraints []Constraint
}

// Identity is GENERATED ALWAYS or BY DEFAULT AS IDENTITY, or what ALTER COLUMN changes of it.
type Identity struct {
	Place
	Kind     string // a is always, d by default; of ALTER COLUMN empty when not given
	Sequence *Ident // its name, nil when not given
	Start    *int64 // nil when not given
	Restart  bool   // of ALTER COLUMN: go on with With
	With     *int64 // nil is Start
}

// ConstraintKind is what a Constraint says.
type ConstraintKind uint8

// The constraints.
const (
	PrimaryKey ConstraintKind = iota
	Unique
	Check      // Expr
	References // Table, Of
)

// Constraint is a constraint of a table, or of a column of it.
type Constraint struct {
	Place
	Kind    ConstraintKind
	Name    *Ident  // nil when not given
	Columns []Ident // nil behind a column, which it is about
	Expr    Expr
	Table   *TableName
	Of      []Ident // columns of Table; nil is its primary key
	// OnUpdate and OnDelete are as pg_constraint has them; empty when not given.
	OnUpdate, OnDelete   string
	Deferrable, Deferred bool
}

// CreateTable is CREATE TABLE name (columns and constraints).
type CreateTable struct {
	Place
	Temp        bool
	OnCommit    OnCommit
	IfNotExists bool
	Name        []Ident
	Columns     []ColumnSpec
	Constraints []Constraint
	Options     []TableOption
}

// TableOption is name = value in WITH of CREATE TABLE.
type TableOption struct {
	Place
	Name  string
	Value string
}

// CreateSchema is CREATE SCHEMA name.
type CreateSchema struct {
	Place
	IfNotExists bool
	Name        *Ident // nil: that of Owner
	Owner       *Ident // AUTHORIZATION; nil when not given
	// Elements are the tables and views that are made in it.
	Elements []Stmt
}

// AlterSchema is ALTER SCHEMA name RENAME TO name, or OWNER TO role.
type AlterSchema struct {
	Place
	Name  Ident
	To    Ident
	Owner *Ident // nil when it is renamed
}

// CreateSequence is CREATE TEMP SEQUENCE name; others belong to columns.
type CreateSequence struct {
	Place
	IfNotExists bool
	Name        []Ident
	Start       int64
}

// AlterSequence is ALTER SEQUENCE name: what it says of the numbers, and the column that has it.
type AlterSequence struct {
	Place
	IfExists bool
	Name     []Ident
	Numbers  Identity
	OwnedBy  []Ident // nil when not given
}

// DropSequence is DROP SEQUENCE names.
type DropSequence struct {
	Place
	IfExists bool
	Names    [][]Ident
}

// DropSchema is DROP SCHEMA names.
type DropSchema struct {
	Place
	IfExists bool
	Names    []Ident
	Cascade  bool
}

// Comment is COMMENT ON What name IS text.
type Comment struct {
	Place
	What string // TABLE, VIEW, COLUMN, SEQUENCE, SCHEMA or DATABASE
	Name []Ident
	Text string // empty is NULL
}

// CreateTableAs is CREATE TABLE name AS query.
type CreateTableAs struct {
	Place
	Temp        bool
	OnCommit    OnCommit
	IfNotExists bool
	Name        []Ident
	Columns     []Ident // names for the query's columns, perhaps fewer
	Options     []TableOption
	Query       Query
	NoData      bool // WITH NO DATA
}

// CreateView is CREATE VIEW name AS query.
type CreateView struct {
	Place
	Temp    bool
	Replace bool
	Name    []Ident
	Columns []Ident // names for the query's columns, perhaps fewer
	Query   Query
}

// OnCommit is what becomes of a temporary table at the end of a transaction.
type OnCommit uint8

// What ON COMMIT says.
const (
	PreserveRows OnCommit = iota // also if nothing is said
	DeleteRows
	DropAll
)

// AlterKind is what an AlterTable does.
type AlterKind uint8

// The actions of ALTER TABLE.
const (
	AddColumn      AlterKind = iota // Column; Exists is IF NOT EXISTS
	DropColumn                      // Name; Exists is IF EXISTS
	RenameColumn                    // Name, To
	RenameTable                     // To
	SetSchema                       // To
	SetDefault                      // Name, Default
	DropDefault                     // Name
	SetNotNull                      // Name
	DropNotNull                     // Name
	SetType                         // Name, Type, Using
	AddConstraint                   // Constraint
	DropConstraint                  // Name; Exists is IF EXISTS
	SetOwner                        // To
	AddIdentity                     // Name, Identity
	SetIdentity                     // Name, Identity
	DropIdentity                    // Name; Exists is IF EXISTS
)

// AlterTable is ALTER TABLE or ALTER VIEW name with its actions; the renaming ones stand
// alone, and a view has no others.
type AlterTable struct {
	Place
	View     bool
	IfExists bool
	Name     []Ident
	Actions  []AlterAction
}

// AlterAction is one action of ALTER TABLE.
type AlterAction struct {
	Place
	Kind    AlterKind
	Exists  bool
	Cascade bool // of DropColumn and DropConstraint
	Column  *ColumnSpec
	Default Expr
	Type    *TypeName
	Using   Expr // nil when not given

	Identity   *Identity
	Constraint *Constraint
	Name       Ident
	To         Ident
}

// DropTable is DROP TABLE or DROP VIEW names.
type DropTable struct {
	Place
	View     bool
	IfExists bool
	Names    [][]Ident
	Cascade  bool
}

// Truncate is TRUNCATE [TABLE] names.
type Truncate struct {
	Place
	Names   [][]Ident
	Restart bool // RESTART IDENTITY
}

// Overriding is whose values an INSERT gives identity columns.
type Overriding uint8

// What there is.
const (
	NotOverriding    Overriding = iota
	OverridingSystem            // the given ones
	OverridingUser              // those of the sequence
)

// Insert is INSERT INTO table.
type Insert struct {
	Place
	With      *With // nil when there is none
	Table     *TableName
	Columns   []Ident
	Override  Overriding
	Query     Query // nil for DEFAULT VALUES
	Returning []SelectItem
}

// Update is UPDATE table SET.
type Update struct {
	Place
	With      *With // nil when there is none
	Table     *TableName
	Set       []Assignment
	From      []TableExpr
	Where     Expr
	Returning []SelectItem
}

// Assignment is column = value in UPDATE. Of (a, b) = (x, y) there are two.
type Assignment struct {
	Place
	Column Ident
	Field  *Ident // of the column, nil for the whole column
	Value  Expr
}

// Delete is DELETE FROM table.
type Delete struct {
	Place
	With      *With // nil when there is none
	Table     *TableName
	Using     []TableExpr
	Where     Expr
	Returning []SelectItem
}

// Copy is COPY: rows of a table or a query go to a file or the client, or rows come from there
// into a table.
type Copy struct {
	Place
	From    bool       // into the table; else out of it
	Table   *TableName // nil for a query
	Columns []Ident    // of the table; nil for all
	Query   Query
	File    *String // a path or URL; nil for STDIN and STDOUT
	Options []CopyOption
	Where   Expr // of the rows that come in; nil for all
}

// CopyOption is one option of COPY, in the form of WITH (…): the old words mean the same.
type CopyOption struct {
	Place
	Name    string  // lower case: format, force_quote
	Value   string  // empty when none was given
	Quoted  bool    // Value is a literal
	All     bool    // FORCE_QUOTE *
	Columns []Ident // FORCE_QUOTE (…)
}

func (*Copy) stmt()           {}
func (*CreateTable) stmt()    {}
func (*CreateTableAs) stmt()  {}
func (*CreateView) stmt()     {}
func (*CreateSchema) stmt()   {}
func (*AlterSchema) stmt()    {}
func (*CreateSequence) stmt() {}
func (*AlterSequence) stmt()  {}
func (*DropSequence) stmt()   {}
func (*DropSchema) stmt()     {}
func (*Comment) stmt()        {}
func (*AlterTable) stmt()     {}
func (*DropTable) stmt()      {}
func (*Truncate) stmt()       {}
func (*Insert) stmt()         {}
func (*Update) stmt()         {}
func (*Delete) stmt()         {}
