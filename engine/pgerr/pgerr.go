package pgerr

import (
	"errors"
	"fmt"
)

// Error is one client error. It may be shared between goroutines once returned;
// the With methods change the value, so they are for the place that makes it.
type Error struct {
	Severity string // ERROR, FATAL, PANIC; WARNING and NOTICE for notices
	Code     string // SQLSTATE, five characters
	Message  string
	Detail   string
	Hint     string
	Where    string // in what the error came about, "COPY t, line 3"; empty for none
	Position int    // 1-based character in the statement as sent; 0 means none
	// Schema, Table and Column say what the error is about, where that is a table or a column
	// of one; empty for others.
	Schema, Table, Column string
	// Constraint is the name of the constraint that a row violates; empty for others.
	Constraint string
}

// New makes an error of severity ERROR.
func New(code, format string, args ...any) *Error {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	return &Error{Severity: "ERROR", Code: code, Message: message}
}

// Error gives the message and the hint, without code and position.
func (e *Error) Error() string {
	if e.Hint != "" {
		return e.Message + " (" + e.Hint + ")"
	}
	return e.Message
}

// At sets the 1-based character position.
func (e *Error) At(position int) *Error {
	e.Position = position
	return e
}

// WithHint sets the hint: a whole sentence, as PostgreSQL writes them.
func (e *Error) WithHint(format string, args ...any) *Error {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	e.Hint = format
	return e
}

// WithDetail sets the detail.
func (e *Error) WithDetail(format string, args ...any) *Error {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	e.Detail = format
	return e
}

// WithWhere adds in what the error came about, below what is known of that already.
func (e *Error) WithWhere(format string, args ...any) *Error {
	if e.Where != "" {
		e.Where += "\n"
	}
	e.Where += fmt.Sprintf(format, args...)
	return e
}

// About sets the column of a table that the error is about. The column may be empty.
func (e *Error) About(schema, table, column string) *Error {
	e.Schema, e.Table, e.Column = schema, table, column
	return e
}

// Unsupported is the answer to a feature that prickle does not have.
func Unsupported(what string) *Error {
	return New(FeatureNotSupported, "%s is not supported", what)
}

// From gives the *Error inside err, or wraps err as an internal error, so that
// the edge always has something to send.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return New(Internal, "%s", err.Error())
}

// Code gives the SQLSTATE of err, XX000 when it has none.
func Code(err error) string { return From(err).Code }
