package expr

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/prickledb/prickle/storage/vec"
)

// Expr is a bound, typed expression. It is immutable and may be evaluated by several
// goroutines at once.
type Expr interface {
	Type() vec.Type

	// Eval computes the expression for the rows of b that still count. The result has
	// b.Rows values, or is a constant, or a dictionary vector; what it holds at rows
	// that do not count is unspecified. An error is returned only if a row that counts
	// causes it. The result may share memory with b and is valid as long as b is.
	Eval(*Context, *vec.Batch) (*vec.Vector, error)
}

// Context is what an expression may see besides its batch. It is read-only while a
// statement runs.
type Context struct {
	Now       int64          // start of the transaction, µs since 1970 UTC
	Statement int64          // start of the statement, µs since 1970 UTC
	Location  *time.Location // the session's zone
	Style     Style          // how the session reads and writes values
	Params    []*vec.Vector  // values of $1, $2, …: constants
	Database  string
	User      string // whose rights count
	// SetConfig is set_config: it gives the value that the setting has when the statement is at
	// its end, or what is wrong with it. No value is the one that RESET gives. It may be called by several goroutines; nil knows no
	// setting.
	SetConfig func(name string, value *string, local bool) (string, error)
	// NextValue takes the next number of a sequence, and CurrentValue is the one that the session
	// took last, of any if the name is empty; false if it took none. They may be called by several
	// goroutines; nil knows no sequence.
	NextValue    func(sequence string) (int64, error)
	CurrentValue func(sequence string) (int64, bool, error)
	// SetValue lets a sequence go on with a number, or behind it if it counts as taken.
	SetValue func(sequence string, n int64, taken bool) error
	// SessionUser is who has logged in.
	SessionUser string
	PID         int64 // the session's number
	// Random is where the session's random numbers come from; nil is a source that no one knows.
	Random *Random
	// Client and Server are the two ends of the session's connection; the zero value is one that
	// has no address.
	Client, Server netip.AddrPort
	// End ends what the session with a number runs, or the session itself, and then waits for
	// its end; false if there is none, or it is still there. It is an error if the role may not.
	// Nil knows none.
	End func(pid int64, session bool, wait time.Duration) (bool, error)
	// Sleep waits, or fails when the statement is cancelled; nil outside of a session.
	Sleep func(time.Duration) error
	// Slots are the answers of subqueries that ran before: what a Slot gives.
	Slots []SlotValue
	// Objects finds the objects of the database; nil knows none.
	Objects Objects
	// Shapes are the columns of rows as values, by the modifier of their type, from 1; for values in
	// the binary format.
	Shapes []vec.Schema
	// Setting answers current_setting(); nil knows none.
	Setting func(name string) (string, bool)
	// Asked, if it is there, becomes true when something is read that may be otherwise when the session
	// runs the same statement again: the time, a parameter, what a function says of the session. It is
	// there while a plan is made, by one goroutine, to know whether the plan may be kept.
	Asked *bool
}

// ask notes in Asked that what is read now is only as it is for this execution.
func (c *Context) ask() {
	if c.Asked != nil {
		*c.Asked = true
	}
}

// Moment is Now, when it matters.
func (c *Context) Moment() int64 {
	c.ask()
	return c.Now
}

// Param is the value of $index+1, a constant; nil while nothing has one.
func (c *Context) Param(index int) *vec.Vector {
	c.ask()
	if index >= len(c.Params) {
		return nil
	}
	return c.Params[index]
}

// Style is the settings of a session that values are read and written by. The zero value is what
// stands where nothing is set.
type Style struct {
	Order        DateOrder
	ISOIntervals bool // P1Y2M rather than 1 year 2 mons
	EscapedBytes bool // bytea in ASCII, with what is none in octal, rather than in hex
	// FewerDigits, if it is greater than 0, limits the digits of floats to those that are certain
	// (15, 6 of real) and 1 more, less so many.
	FewerDigits int
}

// Column reads one column of the batch.
type Column struct {
	Index int
	T     vec.Type
	Name  string // for EXPLAIN
}

// Type is the column's type.
func (c *Column) Type() vec.Type { return c.T }

// Eval is the column itself.
func (c *Column) Eval(_ *Context, b *vec.Batch) (*vec.Vector, error) { return b.Cols[c.Index], nil }

// Const is a value known when the statement was bound.
type Const struct {
	Value *vec.Vector
	// Place is one more than the byte of the statement where an untyped literal stands; 0 if it
	// stands nowhere. Its error points there, whatever converts it.
	Place int32
}

// Type is the constant's type.
func (c *Const) Type() vec.Type { return c.Value.Type }

// Eval is the constant.
func (c *Const) Eval(*Context, *vec.Batch) (*vec.Vector, error) { return c.Value, nil }

// Param is $Index+1.
type Param struct {
	Index int
	T     vec.Type
}

// Type is the parameter's type.
func (p *Param) Type() vec.Type { return p.T }

// Eval is the parameter's value.
func (p *Param) Eval(ctx *Context, _ *vec.Batch) (*vec.Vector, error) {
	ctx.ask()
	return ctx.Params[p.Index], nil
}

// Slot is a value that the statement computes once, before what holds the Slot runs: the
// answer of a subquery.
type Slot struct {
	Index int // in Context.Slots
	T     vec.Type
}

// SlotValue is an answer: a constant, or the set that an InSet looks in, or why there is
// none. The error counts only where a row needs the value.
type SlotValue struct {
	Value *vec.Vector
	Set   *Set
	Err   error
}

// Type is the value's type.
func (s *Slot) Type() vec.Type { return s.T }

// Eval is the value.
func (s *Slot) Eval(ctx *Context, b *vec.Batch) (*vec.Vector, error) {
	if s.Index >= len(ctx.Slots) {
		return nil, fmt.Errorf("slot %d has no value: its subquery has not run", s.Index)
	}
	v := ctx.Slots[s.Index]
	if v.Err == nil {
		return v.Value, nil
	}
	if b.Live() == 0 {
		return vec.NullConst(s.T), nil
	}
	return nil, v.Err
}
