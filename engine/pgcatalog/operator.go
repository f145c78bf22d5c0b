package pgcatalog

import (
	"strings"
	"sync"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// operator is a row of pg_operator: with the types of its operands, 0 for one that it does not
// have.
type operator struct {
	oid         uint32
	name        string
	left, right uint32
}

// operators lists those of types that we have.
var operators = sync.OnceValue(func() []operator {
	var out []operator
	for _, d := range rows("pg_operator.tsv") {
		if allOurs(d["oprleft"], d["oprright"], d["oprresult"]) {
			out = append(out, operator{number(d["oid"]), d["oprname"], number(d["oprleft"]), number(d["oprright"])})
		}
	}
	return out
})

// operatorsNamed lists those of a name, perhaps with its schema.
func operatorsNamed(name string) []operator {
	name = strings.TrimPrefix(name, "pg_catalog.")
	var out []operator
	for _, o := range operators() {
		if o.name == name {
			out = append(out, o)
		}
	}
	return out
}

// findOperator finds the only operator of a name.
func findOperator(name string) (uint32, error) {
	switch list := operatorsNamed(name); len(list) {
	case 0:
		return 0, pgerr.New(pgerr.UndefinedFunction, "operator does not exist: %s", name)
	case 1:
		return list[0].oid, nil
	}
	return 0, pgerr.New(pgerr.AmbiguousFunction, "more than one operator named %s", name)
}

// cutTypes takes a name and the list of types behind it apart.
func cutTypes(written string) (name, types string, err error) {
	name, types, ok := strings.Cut(written, "(")
	if !ok {
		return "", "", pgerr.New(pgerr.InvalidText, "expected a left parenthesis")
	}
	if types, ok = strings.CutSuffix(strings.TrimRight(types, " "), ")"); !ok {
		return "", "", pgerr.New(pgerr.InvalidText, "expected a right parenthesis")
	}
	return name, types, nil
}

// findOperatorOf finds an operator by its name and the types of its operands: +(integer,integer).
func (r *Reader) findOperatorOf(written string) (uint32, error) {
	name, types, err := cutTypes(written)
	if err != nil {
		return 0, err
	}
	words := strings.Split(types, ",")
	switch {
	case len(words) < 2:
		return 0, pgerr.New(pgerr.UndefinedParameter, "missing argument").WithHint("Use NONE to denote the missing argument of a unary operator.")
	case len(words) > 2:
		return 0, pgerr.New("54023", "too many arguments").WithHint("Provide two argument types for operator.")
	}
	var of [2]uint32
	for i, w := range words {
		if strings.EqualFold(strings.TrimSpace(w), "none") {
			continue
		}
		if of[i], err = r.findType(w); err != nil {
			return 0, err
		}
	}
	for _, o := range operatorsNamed(strings.TrimSpace(name)) {
		if o.left == of[0] && o.right == of[1] {
			return o.oid, nil
		}
	}
	return 0, pgerr.New(pgerr.UndefinedFunction, "operator does not exist: %s", written)
}

// operatorName is how an operator is shown: as a regoper, with a schema if others have its name, or
// as a regoperator.
func (r *Reader) operatorName(kind vec.Kind, oid uint32) (string, bool) {
	for _, o := range operators() {
		switch {
		case o.oid != oid:
			continue
		case kind == vec.RegOperator:
			return o.name + "(" + r.operand(o.left) + "," + r.operand(o.right) + ")", true
		case len(operatorsNamed(o.name)) > 1:
			return "pg_catalog." + o.name, true
		}
		return o.name, true
	}
	return "", false
}

func (r *Reader) operand(oid uint32) string {
	if oid == 0 {
		return "NONE"
	}
	name, _ := r.typeName(oid)
	return name
}
