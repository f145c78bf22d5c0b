package expr

import (
	"maps"
	"slices"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Overload is a function for given argument types.
type Overload struct {
	Fn     *Function
	Args   []vec.Type // what each argument must be cast to
	Result vec.Type
}

// signature is one entry of the registry.
type signature struct {
	args     []vec.Type
	variadic bool // the last type repeats, once or more
	result   vec.Type
	fn       *Function
}

// A chooser is a function for types that no list can name: comparisons, arrays. It
// answers nil if the arguments do not fit.
type chooser func(args []vec.Type) *Overload

var (
	signatures = map[string][]signature{}
	choosers   = map[string][]chooser{}
	ofArrays   = map[string]bool{} // functions whose first argument may be any array
)

// IsFunction says whether a scalar function or operator of that name exists.
func IsFunction(name string) bool {
	return len(signatures[name]) > 0 || len(choosers[name]) > 0
}

// Resolve finds the function or operator for arguments of the given types, by PostgreSQL's
// rules. Literals, whose type is unknown, take what the function wants.
func Resolve(name string, args []vec.Type) (*Overload, error) {
	if ambiguous(name, args) {
		return nil, notUnique(name, args)
	}
	for _, c := range choosers[name] {
		if o := c(args); o != nil {
			return o, nil
		}
	}
	var fit []*signature
	for i := range signatures[name] {
		if s := &signatures[name][i]; s.takes(args) {
			fit = append(fit, s)
		}
	}
	if len(fit) == 0 && ofArrays[name] && len(args) > 0 && untyped(args[0]) {
		return nil, pgerr.New(pgerr.DatatypeMismatch, "could not determine polymorphic type because input has type unknown")
	}
	if len(fit) == 0 {
		return nil, noFunction(name, args)
	}
	s := closest(fit, args)
	if s == nil {
		return nil, notUnique(name, args)
	}
	o := &Overload{Fn: s.fn, Args: make([]vec.Type, len(args)), Result: s.result}
	for i := range args {
		o.Args[i] = s.arg(i)
	}
	return o, nil
}

// ambiguous says whether PostgreSQL has functions or operators of a name for several kinds of
// values, none of them text, that signatures do not list, and the arguments are literals, which do
// not say which is meant.
func ambiguous(name string, args []vec.Type) bool {
	switch name {
	case "+", "-", "*", "/", "%", "&", "|", "#", "<<", ">>", "&&", "@>", "<@", "->", "->>", "#>", "#>>", "mod", "generate_series":
	case "~", "age", "unnest":
		if len(args) > 1 {
			return false
		}
	default:
		return false
	}
	return len(args) > 0 && !slices.ContainsFunc(args, func(t vec.Type) bool { return !untyped(t) })
}

// operation is an operator between the types of its operands.
func operation(op string, args []vec.Type) string {
	if len(args) == 2 {
		return args[0].String() + " " + op + " " + args[1].String()
	}
	words := []string{op}
	for _, t := range args {
		words = append(words, t.String())
	}
	return strings.Join(words, " ")
}

func (s *signature) arg(i int) vec.Type {
	if i >= len(s.args) {
		i = len(s.args) - 1
	}
	return s.args[i]
}

// takes says whether the function may be called with arguments of these types.
func (s *signature) takes(args []vec.Type) bool {
	if len(args) != len(s.args) && !(s.variadic && len(args) >= len(s.args)) {
		return false
	}
	for i, a := range args {
		if !CanImplicit(a, s.arg(i)) {
			return false
		}
	}
	return true
}

// closest is the one of several functions that arguments are meant for, nil if that cannot be
// told: of those with the most arguments that need no conversion, those with the most that need
// none or one to a preferred type, and of these what the literals are meant for.
func closest(fit []*signature, args []vec.Type) *signature {
	fit = most(fit, args, func(a, want vec.Type) bool { return same(a, want) })
	fit = most(fit, args, func(a, want vec.Type) bool { return same(a, want) || preferred(want) })
	if len(fit) > 1 {
		fit = meantByLiterals(fit, args)
	}
	if len(fit) > 1 {
		return likeOthers(fit, args)
	}
	return fit[0]
}

func same(a, b vec.Type) bool { return a.Kind == b.Kind && a.Array == b.Array }

func untyped(t vec.Type) bool { return t == vec.T(vec.Unknown) }

// most keeps the functions that meet a condition with the most arguments, literals left out.
func most(fit []*signature, args []vec.Type, meets func(a, want vec.Type) bool) (out []*signature) {
	best := -1
	for _, s := range fit {
		n := 0
		for i, a := range args {
			if !untyped(a) && meets(a, s.arg(i)) {
				n++
			}
		}
		if n > best {
			best, out = n, nil
		}
		if n == best {
			out = append(out, s)
		}
	}
	return out
}

// meantByLiterals keeps the functions that take each literal for the same kind of thing: a text
// if one does, else what all take it for, and there the preferred type if one does.
func meantByLiterals(fit []*signature, args []vec.Type) []*signature {
	kept := fit
	for i, a := range args {
		if !untyped(a) {
			continue
		}
		kind := category(fit[0].arg(i))
		for _, s := range fit {
			switch c := category(s.arg(i)); {
			case c == category(tText):
				kind = c
			case c != kind && kind != category(tText):
				kind = -1
			}
		}
		if kind < 0 {
			return fit
		}
		likes := func(s *signature) bool { return category(s.arg(i)) == kind && preferred(s.arg(i)) }
		some := slices.ContainsFunc(fit, likes)
		kept = slices.DeleteFunc(slices.Clone(kept), func(s *signature) bool {
			return category(s.arg(i)) != kind || some && !likes(s)
		})
	}
	if len(kept) == 0 {
		return fit
	}
	return kept
}

// likeOthers is the only one of several functions that takes the type that all arguments but
// the literals have, nil if there is no such one.
func likeOthers(fit []*signature, args []vec.Type) *signature {
	known := slices.Clone(args)
	var of *vec.Type
	for i := range known {
		switch {
		case untyped(known[i]):
		case of == nil:
			of = &known[i]
		case !same(*of, known[i]):
			return nil
		}
	}
	if of == nil || !slices.ContainsFunc(args, untyped) {
		return nil
	}
	for i := range known {
		known[i] = *of
	}
	fit = slices.DeleteFunc(slices.Clone(fit), func(s *signature) bool { return !s.takes(known) })
	if len(fit) != 1 {
		return nil
	}
	return fit[0]
}

// preferred says whether PostgreSQL marks the type as its category's preferred one.
func preferred(t vec.Type) bool {
	if t.Array {
		return false
	}
	switch t.Kind {
	case vec.Float8, vec.Text, vec.TimestampTZ, vec.Bool, vec.Interval, vec.OID:
		return true
	}
	return false
}

// notUnique is the error for arguments that could be meant for several functions.
func notUnique(name string, args []vec.Type) error {
	what, kind := "operator is not unique: "+operation(name, args), "operator"
	if isNameByte(name[0]) {
		what, kind = "function "+signed(name, args)+" is not unique", "function"
	}
	return pgerr.New(pgerr.AmbiguousFunction, "%s", what).
		WithHint("Could not choose a best candidate %s. You might need to add explicit type casts.", kind)
}

// signed is a function with the types of its arguments.
func signed(name string, args []vec.Type) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a.String()
	}
	return name + "(" + strings.Join(words, ", ") + ")"
}

// noFunction is the error for a name that fits nothing.
func noFunction(name string, args []vec.Type) error {
	if name != "" && !isNameByte(name[0]) || name == "like" || name == "ilike" {
		op := map[string]string{"like": "~~", "ilike": "~~*"}[name]
		if op == "" {
			op = name
		}
		return pgerr.New(pgerr.UndefinedFunction, "operator does not exist: %s", operation(op, args)).
			WithHint("No operator matches the given name and argument types. You might need to add explicit type casts.")
	}
	return pgerr.New(pgerr.UndefinedFunction, "function %s does not exist", signed(name, args)).
		WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= '0' && c <= '9'
}

// Signature is a function for given types of arguments.
type Signature struct {
	Name     string
	Args     []vec.Type
	Variadic bool // the last argument repeats, once or more
	Result   vec.Type
	Volatile bool
}

// Signatures lists the functions, operators left out, that have fixed types of arguments,
// ascending by name.
func Signatures() []Signature {
	var out []Signature
	for _, name := range slices.Sorted(maps.Keys(signatures)) {
		if !isNameByte(name[0]) {
			continue
		}
		for _, s := range signatures[name] {
			out = append(out, Signature{name, s.args, s.variadic, s.result, s.fn.Volatile})
		}
	}
	return out
}
