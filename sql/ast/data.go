package ast

// ColumnSpec is a column of CREATE TABLE and of ADD COLUMN.
type ColumnSpec struct {
	Place
	Name    Ident
	Type    TypeName
	NotNull bool
	Default Expr // nil when not given
	Primary bool // PRIMARY KEY behind the column
	Unique  bool
}

// TableKey is PRIMARY KEY (…) or UNIQUE (…) of a table.
type TableKey struct {
	Place
	Primary bool
	Columns []Ident
}

// CreateTable is CREATE TABLE name (columns and keys).
type CreateTable struct {
	Place
	Temp        bool
	OnCommit    OnCommit
	IfNotExists bool
	Name        []Ident
	Columns     []ColumnSpec
	Keys        []TableKey
}

// CreateTableAs is CREATE TABLE name AS query.
type CreateTableAs struct {
	Place
	Temp        bool
	OnCommit    OnCommit
	IfNotExists bool
	Name        []Ident
	Columns     []Ident // names for the query's columns, perhaps fewer
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
	AddColumn    AlterKind = iota // Column; Exists is IF NOT EXISTS
	DropColumn                    // Name; Exists is IF EXISTS
	RenameColumn                  // Name, To
	RenameTable                   // To
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
	Cascade bool // of DropColumn
	Column  *ColumnSpec
	Name    Ident
	To      Ident
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
	Names [][]Ident
}

// Insert is INSERT INTO table.
type Insert struct {
	Place
	Table     *TableName
	Columns   []Ident
	Query     Query // nil for DEFAULT VALUES
	Returning []SelectItem
}

// Update is UPDATE table SET.
type Update struct {
	Place
	Table     *TableName
	Set       []Assignment
	From      []TableExpr
	Where     Expr
	Returning []SelectItem
}

// Assignment is column = value in UPDATE.
type Assignment struct {
	Place
	Column Ident
	Value  Expr
}

// Delete is DELETE FROM table.
type Delete struct {
	Place
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

func (*Copy) stmt()          {}
func (*CreateTable) stmt()   {}
func (*CreateTableAs) stmt() {}
func (*CreateView) stmt()    {}
func (*AlterTable) stmt()    {}
func (*DropTable) stmt()     {}
func (*Truncate) stmt()      {}
func (*Insert) stmt()        {}
func (*Update) stmt()        {}
func (*Delete) stmt()        {}
