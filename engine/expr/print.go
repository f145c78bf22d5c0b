package expr

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/storage/vec"
)

// String is e as EXPLAIN shows it: close to SQL, with names of columns. Expressions of
// other packages print themselves if they are a fmt.Stringer.
func String(e Expr) string {
	var sb strings.Builder
	write(&sb, e, false)
	return sb.String()
}

// write prints e, in parentheses if it is an operator inside another one.
func write(sb *strings.Builder, e Expr, inner bool) {
	open := func() {
		if inner {
			sb.WriteByte('(')
		}
	}
	end := func() {
		if inner {
			sb.WriteByte(')')
		}
	}
	list := func(args []Expr, sep string, inner bool) {
		for i, a := range args {
			if i > 0 {
				sb.WriteString(sep)
			}
			write(sb, a, inner)
		}
	}
	not := func(n bool) string {
		if n {
			return "NOT "
		}
		return ""
	}
	switch e := e.(type) {
	case nil:
		sb.WriteString("NULL")
	case *Column:
		if e.Name == "" {
			fmt.Fprintf(sb, "#%d", e.Index)
		} else {
			sb.WriteString(e.Name)
		}
	case *Const:
		writeConst(sb, e.Value)
	case *Param:
		sb.WriteString("$" + strconv.Itoa(e.Index+1))
	case *Slot:
		sb.WriteString("(subquery " + strconv.Itoa(e.Index+1) + ")")
	case *And:
		open()
		list(e.Args, " AND ", true)
		end()
	case *Or:
		open()
		list(e.Args, " OR ", true)
		end()
	case *Not:
		open()
		sb.WriteString("NOT ")
		write(sb, e.E, true)
		end()
	case *IsNull:
		open()
		write(sb, e.E, true)
		sb.WriteString(" IS " + not(e.Not) + "NULL")
		end()
	case *IsTruth:
		open()
		write(sb, e.E, true)
		sb.WriteString(" IS " + not(e.Not) + [...]string{"TRUE", "FALSE", "UNKNOWN"}[e.Want])
		end()
	case *IsDistinct:
		open()
		write(sb, e.Left, true)
		sb.WriteString(" IS " + not(e.Not) + "DISTINCT FROM ")
		write(sb, e.Right, true)
		end()
	case *Case:
		sb.WriteString("CASE")
		for _, w := range e.Whens {
			sb.WriteString(" WHEN ")
			write(sb, w.Cond, false)
			sb.WriteString(" THEN ")
			write(sb, w.Result, false)
		}
		if e.Else != nil {
			sb.WriteString(" ELSE ")
			write(sb, e.Else, false)
		}
		sb.WriteString(" END")
	case *Coalesce:
		sb.WriteString("COALESCE(")
		list(e.Args, ", ", false)
		sb.WriteByte(')')
	case *OneRow:
		write(sb, e.E, true)
	case *NullIf:
		sb.WriteString("NULLIF(")
		write(sb, e.Left, false)
		sb.WriteString(", ")
		if c, ok := e.Equal.(*Call); ok && len(c.Args) == 2 {
			write(sb, c.Args[1], false)
		} else {
			write(sb, e.Equal, false)
		}
		sb.WriteByte(')')
	case *Greatest:
		name := "GREATEST("
		if e.Least {
			name = "LEAST("
		}
		sb.WriteString(name)
		list(e.Args, ", ", false)
		sb.WriteByte(')')
	case *InList:
		open()
		write(sb, e.E, true)
		sb.WriteString(" " + not(e.Not) + "IN (")
		list(e.List, ", ", false)
		sb.WriteByte(')')
		end()
	case *InSet:
		open()
		write(sb, e.E, true)
		fmt.Fprintf(sb, " %sIN COHORT (subquery %d)", not(e.Not), e.Slot+1)
		end()
	case *Cast:
		if e.Try {
			sb.WriteString("TRY_CAST(")
			write(sb, e.E, false)
			sb.WriteString(" AS " + e.To.String() + ")")
			return
		}
		if c, ok := e.E.(*Const); ok && c.Value.Type.Kind == vec.Unknown {
			write(sb, e.E, true)
			sb.WriteString("::" + e.To.String())
			return
		}
		sb.WriteByte('(')
		write(sb, e.E, false)
		sb.WriteString(")::" + e.To.String())
	case *Call:
		writeCall(sb, e, open, end, list)
	case *Quantified:
		open()
		write(sb, e.X, true)
		word := " ANY ("
		if e.All {
			word = " ALL ("
		}
		sb.WriteString(" " + e.Op + word)
		write(sb, e.Array, false)
		sb.WriteByte(')')
		end()
	case *ArrayOf:
		sb.WriteString("ARRAY[")
		list(e.Elems, ", ", false)
		sb.WriteByte(']')
	case fmt.Stringer:
		sb.WriteString(e.String())
	default:
		fmt.Fprintf(sb, "%T", e)
	}
}

func writeCall(sb *strings.Builder, e *Call, open, end func(), list func([]Expr, string, bool)) {
	name := e.Overload.Fn.Name
	operator := name != "" && !isNameByte(name[0])
	if word := map[string]string{"like": "LIKE", "ilike": "ILIKE", "similar": "SIMILAR TO"}[name]; word != "" && len(e.Args) == 2 {
		name, operator = word, true
	}
	switch {
	case operator && len(e.Args) == 2:
		open()
		list(e.Args, " "+name+" ", true)
		end()
	case operator && len(e.Args) == 1:
		open()
		sb.WriteString(name)
		write(sb, e.Args[0], true)
		end()
	default:
		sb.WriteString(name + "(")
		list(e.Args, ", ", false)
		sb.WriteByte(')')
	}
}

func writeConst(sb *strings.Builder, v *vec.Vector) {
	if v.IsNull(0) {
		sb.WriteString("NULL")
		return
	}
	text := string(AppendText(nil, v, 0, &Context{}))
	if !v.Type.Array && (v.Type.IsNumber() || v.Type.Kind == vec.Bool) {
		sb.WriteString(text)
		return
	}
	sb.WriteString("'" + strings.ReplaceAll(text, "'", "''") + "'")
	if v.Type.Kind != vec.Unknown && !v.Type.IsText() || v.Type.Array {
		sb.WriteString("::" + v.Type.String())
	}
}
