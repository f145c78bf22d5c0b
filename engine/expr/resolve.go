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
)

// IsFunction says whether a scalar function or operator of that name exists.
func IsFunction(name string) bool {
	return len(signatures[name]) > 0 || len(choosers[name]) > 0
}

// Resolve finds the function or operator for arguments of the given types, by
// PostgreSQL's rules: exact matches first, then the fewest conversions, preferring
// double precision, text and timestamptz. Unknown arguments take what the function wants.
func Resolve(name string, args []vec.Type) (*Overload, error) {
	if ambiguous(name, args) {
		return nil, pgerr.New(pgerr.AmbiguousFunction, "operator is not unique: %s", operation(name, args)).
			WithHint("Could not choose a best candidate operator. You might need to add explicit type casts.")
	}
	for _, c := range choosers[name] {
		if o := c(args); o != nil {
			return o, nil
		}
	}
	var best *signature
	bestScore := 0
	tie := false
	list := signatures[name]
	for i := range list {
		s := &list[i]
		score, ok := s.score(args)
		if !ok {
			continue
		}
		switch {
		case best == nil || score > bestScore:
			best, bestScore, tie = s, score, false
		case score == bestScore:
			tie = true
		}
	}
	if best == nil {
		return nil, noFunction(name, args)
	}
	_ = tie // the first of equals wins: the registry lists the preferred one first
	o := &Overload{Fn: best.fn, Args: make([]vec.Type, len(args)), Result: best.result}
	for i := range args {
		o.Args[i] = best.arg(i)
	}
	return o, nil
}

// ambiguous says whether PostgreSQL has an operator for several kinds of values, none of them
// text, and the operands are literals, which do not say which is meant.
func ambiguous(name string, args []vec.Type) bool {
	switch name {
	case "+", "-", "*", "/", "%", "&", "|", "#", "<<", ">>", "&&", "@>", "<@", "->", "->>", "#>", "#>>":
	case "~":
		if len(args) > 1 {
			return false
		}
	default:
		return false
	}
	for _, t := range args {
		if t != vec.T(vec.Unknown) {
			return false
		}
	}
	return len(args) > 0
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

// score rates how well the arguments fit; higher is better.
func (s *signature) score(args []vec.Type) (int, bool) {
	if len(args) != len(s.args) && !(s.variadic && len(args) >= len(s.args)) {
		return 0, false
	}
	total := 0
	for i, a := range args {
		want := s.arg(i)
		switch {
		case a.Kind == want.Kind && a.Array == want.Array:
			total += 100
		case a.Kind == vec.Unknown && !a.Array:
			// A literal: prefer the type of its neighbours, then text.
			for j, o := range args {
				if j != i && o.Kind == want.Kind && o.Array == want.Array {
					total += 60
					break
				}
			}
			if want.Kind == vec.Text && !want.Array {
				total += 20
			} else if want.IsText() && !want.Array {
				total += 15
			} else if preferred(want) {
				total += 10
			}
		case CanImplicit(a, want):
			switch {
			case a.IsText() && want.IsText():
				total += 90
			case preferred(want):
				total += 10
			default:
				total++
			}
		default:
			return 0, false
		}
	}
	return total, true
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
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a.String()
	}
	e := pgerr.New(pgerr.UndefinedFunction, "function %s(%s) does not exist", name, strings.Join(words, ", "))
	return e.WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
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
