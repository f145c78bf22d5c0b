package expr

import (
	"math"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

var (
	tOID  = vec.T(vec.OID)
	tReg  = vec.T(vec.RegClass)
	tTree = vec.T(vec.NodeTree)
)

// The functions by which clients read the catalog. What they know of objects comes from
// Context.Objects.
func init() {
	schemas()
	visibility()
	privileges()
	descriptions()
	sizes()
	locks()
	typeFunctions()
}

// defineSession is define for a function that asks the session: nothing may compute it before
// the statement runs.
func defineSession(name string, result vec.Type, args []vec.Type, eval func(*frame) error) *Function {
	fn := define(name, result, args, eval)
	fn.Session = true
	return fn
}

// schemas is the functions about search_path.
func schemas() {
	searched := func(c *Context, implicit bool) []string {
		if c.Objects == nil {
			return []string{"public"}
		}
		return c.Objects.Schemas(implicit)
	}
	defineSession("current_schema", tName, nil, text0(func(c *Context, dst []byte) ([]byte, error) {
		for _, name := range searched(c, false) {
			return append(dst, name...), nil
		}
		return dst, errNull
	}))
	defineSession("current_schemas", vec.ArrayOf(vec.Name), types(tBool), func(f *frame) error {
		implicit := viewOf[bool](f, 0)
		return eachList(f, func(i int, out *vec.Builder) error {
			for _, name := range searched(f.ctx, implicit.at(i)) {
				out.V.Str.AppendString(name)
			}
			return nil
		})
	})
	defineSession("pg_my_temp_schema", tOID, nil, map0(func(*Context) (int64, error) { return 0, nil }))
	defineSession("pg_is_other_temp_schema", tBool, types(tOID), map1(func(*Context, int64) (bool, error) { return false, nil }))
}

// visibility is the functions that say whether a name needs its schema.
func visibility() {
	for name, kind := range map[string]vec.Kind{
		"pg_table_is_visible": vec.RegClass, "pg_type_is_visible": vec.RegType, "pg_function_is_visible": vec.RegProc,
	} {
		defineSession(name, tBool, types(tOID), map1(func(c *Context, oid int64) (bool, error) {
			if c.Objects == nil {
				return false, errNull
			}
			visible, ok := c.Objects.Visible(kind, uint32(oid))
			if !ok {
				return false, errNull
			}
			return visible, nil
		}))
	}
	// All that there is of these stands in pg_catalog.
	for _, name := range []string{
		"pg_operator_is_visible", "pg_collation_is_visible", "pg_conversion_is_visible", "pg_opclass_is_visible",
		"pg_opfamily_is_visible", "pg_ts_config_is_visible", "pg_ts_dict_is_visible", "pg_ts_parser_is_visible",
		"pg_ts_template_is_visible", "pg_statistics_obj_is_visible",
	} {
		defineSession(name, tBool, types(tOID), map1(func(*Context, int64) (bool, error) { return true, nil }))
	}
}

// privileges is the functions that say what a role may do.
func privileges() {
	kinds := map[string]vec.Kind{
		"has_table_privilege": vec.RegClass, "has_any_column_privilege": vec.RegClass, "has_schema_privilege": vec.RegNamespace,
		"has_database_privilege": vec.Name, "has_function_privilege": vec.RegProcedure, "pg_has_role": vec.RegRole,
		// There are none of these, or everybody may use them.
		"has_sequence_privilege": vec.Void, "has_type_privilege": vec.Void, "has_language_privilege": vec.Void,
		"has_tablespace_privilege": vec.Void, "has_foreign_data_wrapper_privilege": vec.Void, "has_server_privilege": vec.Void,
	}
	for name, kind := range kinds {
		for _, object := range []vec.Type{tText, tOID} {
			defineSession(name, tBool, types(object, tText), privilege(name, kind))
			for _, role := range []vec.Type{tText, tOID} {
				defineSession(name, tBool, types(role, object, tText), privilege(name, kind))
			}
		}
	}
	for _, object := range []vec.Type{tText, tOID} {
		for _, column := range []vec.Type{tText, tInt2} {
			defineSession("has_column_privilege", tBool, types(object, column, tText), privilege("has_column_privilege", vec.RegClass))
			for _, role := range []vec.Type{tText, tOID} {
				defineSession("has_column_privilege", tBool, types(role, object, column, tText), privilege("has_column_privilege", vec.RegClass))
			}
		}
	}
	defineSession("row_security_active", tBool, types(tOID), map1(func(*Context, int64) (bool, error) { return false, nil }))
}

// privilege is a kernel of has_table_privilege and its like: a role, unless it is left out, an
// object, of has_column_privilege a column by its name or its number, and rights.
func privilege(name string, kind vec.Kind) func(*frame) error {
	return func(f *frame) error {
		at := len(f.args) - 2
		column := func(int, uint32) error { return nil }
		if name == "has_column_privilege" {
			at--
			column = columnOf(f, at+1)
		}
		rights, object, out := viewOf[string](f, len(f.args)-1), objectOf(f, at, kind), f.out.Bools
		who := func(int) (string, error) { return "", nil }
		if at > 0 {
			who = roleOf(f)
		}
		return tryEach(f, func(i int) error {
			if f.ctx.Objects == nil || kind == vec.Void {
				out[i] = true
				return nil
			}
			role, err := who(i)
			if err != nil {
				return err
			}
			oid, err := object(i)
			if err != nil {
				return err
			}
			if err := column(i, oid); err != nil {
				return err
			}
			may, ok, err := f.ctx.Objects.May(name, role, oid, rights.at(i))
			if err == nil && !ok {
				return errNull
			}
			out[i] = may
			return err
		})
	}
}

// columnOf checks an argument that is a column of a relation. A number that is none's gives NULL.
func columnOf(f *frame, arg int) func(i int, relation uint32) error {
	if f.args[arg].Type.Kind == vec.Int2 {
		v := viewOf[int64](f, arg)
		return func(i int, relation uint32) error {
			if !f.ctx.Objects.HasColumn(relation, int(v.at(i))) {
				return errNull
			}
			return nil
		}
	}
	v := viewOf[string](f, arg)
	return func(i int, relation uint32) error {
		_, err := f.ctx.Objects.Column(relation, v.at(i))
		return err
	}
}

// objectOf reads an argument that is a name or an object id. Databases have no names here: there
// is one.
func objectOf(f *frame, arg int, kind vec.Kind) func(i int) (uint32, error) {
	if f.args[arg].Type.Kind == vec.OID {
		v := viewOf[int64](f, arg)
		return func(i int) (uint32, error) { return uint32(v.at(i)), nil }
	}
	v := viewOf[string](f, arg)
	return func(i int) (uint32, error) {
		if kind == vec.Name {
			return 0, nil
		}
		return f.ctx.Objects.Find(kind, v.at(i))
	}
}

// roleOf reads the first argument, which is a role by name or by object id.
func roleOf(f *frame) func(i int) (string, error) {
	if f.args[0].Type.Kind == vec.OID {
		v := viewOf[int64](f, 0)
		return func(i int) (string, error) {
			name, ok := f.ctx.Objects.Name(vec.RegRole, uint32(v.at(i)))
			if !ok {
				return "", errNull
			}
			if parts, ok := ParseIdent(name); ok {
				name = parts[0]
			}
			return name, nil
		}
	}
	v := viewOf[string](f, 0)
	return func(i int) (string, error) {
		name := v.at(i)
		if name == "public" {
			return name, nil
		}
		_, err := f.ctx.Objects.Find(vec.RegRole, `"`+strings.ReplaceAll(name, `"`, `""`)+`"`)
		return name, err
	}
}

// describe1 is a kernel of the functions that put an object into words. The first argument is its
// number, or the name of a relation. The second is a part, or whether it is to be pretty, which is
// part 1; further ones make no difference.
func describe1(name string) func(*frame) error {
	return func(f *frame) error {
		var object func(i int) (int64, error)
		if f.args[0].Type.IsText() {
			names := viewOf[string](f, 0)
			object = func(i int) (int64, error) { return findObject(f.ctx, vec.RegClass, names.at(i)) }
		} else {
			oids := viewOf[int64](f, 0)
			object = func(i int) (int64, error) { return oids.at(i), nil }
		}
		var part view[int64]
		var pretty *view[bool]
		parted := len(f.args) > 1 && f.args[1].Type.IsInt()
		if parted {
			part = viewOf[int64](f, 1)
		} else if len(f.args) > 1 && f.args[1].Type.Kind == vec.Bool {
			v := viewOf[bool](f, 1)
			pretty = &v
		}
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			if f.ctx.Objects == nil {
				return dst, errNull
			}
			p := 0
			if parted {
				p = int(part.at(i))
			} else if pretty != nil && pretty.at(i) {
				p = 1
			}
			oid, err := object(i)
			if err != nil {
				return dst, err
			}
			text, ok := f.ctx.Objects.Describe(name, uint32(oid), p)
			if !ok {
				return dst, errNull
			}
			return append(dst, text...), nil
		})
	}
}

// descriptions is the functions that put an object into words.
func descriptions() {
	for _, name := range []string{
		"pg_get_indexdef", "pg_get_constraintdef", "pg_get_viewdef", "pg_get_ruledef", "pg_get_triggerdef", "pg_get_functiondef",
		"pg_get_function_arguments", "pg_get_function_identity_arguments", "pg_get_function_result", "pg_get_function_sqlbody",
		"pg_get_partkeydef", "pg_get_statisticsobjdef", "pg_get_statisticsobjdef_columns", "pg_get_statisticsobjdef_expressions",
		"pg_tablespace_location",
	} {
		defineSession(name, tText, types(tOID), describe1(name))
	}
	for _, name := range []string{"pg_get_constraintdef", "pg_get_viewdef", "pg_get_ruledef", "pg_get_triggerdef"} {
		defineSession(name, tText, types(tOID, tBool), describe1(name))
	}
	defineSession("pg_get_viewdef", tText, types(tOID, tInt4), describe1("pg_get_viewdef"))
	defineSession("pg_get_viewdef", tText, types(tText), describe1("pg_get_viewdef"))
	defineSession("pg_get_viewdef", tText, types(tText, tBool), describe1("pg_get_viewdef"))
	defineSession("pg_get_indexdef", tText, types(tOID, tInt4, tBool), describe1("pg_get_indexdef"))
	defineSession("pg_get_function_arg_default", tText, types(tOID, tInt4), describe1("pg_get_function_arg_default"))
	defineSession("pg_get_userbyid", tName, types(tOID), text1(func(c *Context, dst []byte, oid int64) ([]byte, error) {
		if c.Objects != nil {
			if name, ok := c.Objects.Name(vec.RegRole, uint32(oid)); ok {
				return append(dst, name...), nil
			}
		}
		return append(dst, "unknown (OID="+string(appendInt(nil, vec.Int8, oid, nil))+")"...), nil
	}))
	// A stored expression is its text, which is pretty.
	stored := func(f *frame) error {
		text := viewOf[string](f, 0)
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			s := text.at(i)
			if f.ctx.Objects != nil {
				pretty := 0
				if f.argBool(2, i, false) {
					pretty = 1
				}
				s, _ = f.ctx.Objects.Describe("pg_get_expr "+s, 0, pretty)
			}
			return append(dst, s...), nil
		})
	}
	defineSession("pg_get_expr", tText, types(tTree, tOID), stored)
	defineSession("pg_get_expr", tText, types(tTree, tOID, tBool), stored)
	defineSession("pg_get_expr", tText, types(tText, tOID), stored)

	comment := func(f *frame) error {
		oid, class := viewOf[int64](f, 0), viewOf[string](f, 1)
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			if f.ctx.Objects == nil {
				return dst, errNull
			}
			text, ok := f.ctx.Objects.Describe("obj_description "+class.at(i), uint32(oid.at(i)), 0)
			if !ok {
				return dst, errNull
			}
			return append(dst, text...), nil
		})
	}
	defineSession("obj_description", tText, types(tOID), describe1("obj_description pg_class"))
	defineSession("obj_description", tText, types(tOID, tName), comment)
	defineSession("shobj_description", tText, types(tOID, tName), comment)
	defineSession("col_description", tText, types(tOID, tInt4), describe1("obj_description pg_class"))
	defineSession("pg_get_serial_sequence", tText, types(tText, tText), text2(func(c *Context, dst []byte, table, column string) ([]byte, error) {
		if c.Objects == nil {
			return dst, errNull
		}
		oid, err := c.Objects.Find(vec.RegClass, table)
		if err != nil {
			return dst, err
		}
		number, err := c.Objects.Column(oid, column)
		if err != nil {
			return dst, err
		}
		if name, ok := c.Objects.Describe("pg_get_serial_sequence", oid, number); ok {
			return append(dst, name...), nil
		}
		return dst, errNull
	}))
	defineSession("pg_relation_is_publishable", tBool, types(tReg), map1(func(*Context, int64) (bool, error) { return false, nil }))
	defineSession("pg_encoding_to_char", tName, types(tInt4), text1(func(_ *Context, dst []byte, n int64) ([]byte, error) {
		switch n {
		case encodingUTF8:
			return append(dst, "UTF8"...), nil
		case 0:
			return append(dst, "SQL_ASCII"...), nil
		}
		return dst, nil
	}))
	defineSession("pg_char_to_encoding", tInt4, types(tName), map1(func(_ *Context, name string) (int64, error) {
		switch strings.ReplaceAll(strings.ReplaceAll(lower(name), "-", ""), "_", "") {
		case "utf8", "unicode":
			return encodingUTF8, nil
		case "sqlascii":
			return 0, nil
		}
		return -1, nil
	}))
	defineSession("pg_client_encoding", tName, nil, constText(func(*Context) string { return "UTF8" }))
	defineSession("getdatabaseencoding", tName, nil, constText(func(*Context) string { return "UTF8" }))
}

// encodingUTF8 is PostgreSQL's number of UTF8.
const encodingUTF8 = 6

// sizes is the functions about bytes on disk, and about use.
func sizes() {
	size := map1(func(c *Context, oid int64) (int64, error) {
		if c.Objects != nil {
			if n, ok := c.Objects.Size(uint32(oid)); ok {
				return n, nil
			}
		}
		return 0, errNull
	})
	for _, name := range []string{"pg_relation_size", "pg_table_size", "pg_total_relation_size"} {
		defineSession(name, tInt8, types(tReg), size)
	}
	defineSession("pg_relation_size", tInt8, types(tReg, tText), size)
	none := map1(func(*Context, int64) (int64, error) { return 0, nil })
	defineSession("pg_indexes_size", tInt8, types(tReg), none)
	defineSession("pg_database_size", tInt8, types(tOID), map1(func(c *Context, oid int64) (int64, error) {
		ok, err := anyDatabase(c, func(of int64, _ string) bool { return of == oid })
		if err == nil && !ok {
			err = errNull
		}
		return 0, err
	}))
	defineSession("pg_database_size", tInt8, types(tName), map1(func(c *Context, name string) (int64, error) {
		ok, err := anyDatabase(c, func(_ int64, of string) bool { return of == name })
		if err == nil && !ok {
			err = pgerr.New(pgerr.UndefinedDatabase, `database "%s" does not exist`, name)
		}
		return 0, err
	}))
	defineSession("pg_tablespace_size", tInt8, types(tOID), none)
	defineSession("pg_stat_get_numscans", tInt8, types(tOID), none)
	defineSession("pg_size_pretty", tText, types(tInt8), text1(func(_ *Context, dst []byte, n int64) ([]byte, error) { return appendSize(dst, n), nil }))
	defineSession("pg_size_pretty", tText, types(tNum), text1(func(_ *Context, dst []byte, d vec.Decimal) ([]byte, error) {
		whole, err := d.Trunc(0)
		if err != nil {
			return dst, decimalError(err)
		}
		n, err := decimalToInt(whole, tInt8)
		if err != nil {
			return dst, err
		}
		if max(n, -n) < 10*1024 {
			return append(append(dst, d.String()...), " bytes"...), nil
		}
		return appendSize(dst, n), nil
	}))
	defineSession("pg_size_bytes", tInt8, types(tText), map1(parseSize))
	defineSession("pg_relation_filenode", tOID, types(tReg), map1(func(_ *Context, oid int64) (int64, error) { return oid, nil }))
}

// sizeUnits are the units of pg_size_bytes, in lower case, as powers of two.
var sizeUnits = map[string]uint{"": 0, "bytes": 0, "kb": 10, "mb": 20, "gb": 30, "tb": 40, "pb": 50}

// parseSize is pg_size_bytes: a number, and perhaps a unit.
func parseSize(_ *Context, text string) (int64, error) {
	invalid := pgerr.New(pgerr.InvalidParameterValue, "invalid size: \"%s\"", text)
	s := strings.TrimLeft(text, blanks)
	digits := func(i int) int {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i
	}
	at := 0
	if s != "" && (s[0] == '+' || s[0] == '-') {
		at = 1
	}
	from := at
	at = digits(at)
	have := at > from
	if at < len(s) && s[at] == '.' {
		from = at + 1
		at = digits(from)
		have = have || at > from
	}
	if !have {
		return 0, invalid
	}
	if at < len(s) && (s[at] == 'e' || s[at] == 'E') {
		exponent := at + 1
		if exponent < len(s) && (s[exponent] == '+' || s[exponent] == '-') {
			exponent++
		}
		if end := digits(exponent); end > exponent {
			at = end
		}
	}
	d, err := parseNumeric(s[:at])
	if err != nil {
		return 0, err
	}
	unit := strings.Trim(s[at:], blanks)
	shift, ok := sizeUnits[lower(unit)]
	if !ok {
		return 0, invalid.WithDetail("Invalid size unit: \"%s\".", unit).WithHint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
	}
	if shift > 0 {
		if d, err = d.Mul(vec.DecimalFromInt(1 << shift)); err != nil {
			return 0, decimalError(err)
		}
	}
	return decimalToInt(d, tInt8)
}

// appendSize writes a number of bytes in the unit in which it has at most five digits.
func appendSize(dst []byte, n int64) []byte {
	units := []string{" kB", " MB", " GB", " TB", " PB"}
	abs := func() int64 { return max(n, -n) }
	if n == math.MinInt64 || abs() < 10*1024 {
		return append(strconv.AppendInt(dst, n, 10), " bytes"...)
	}
	half := int64(1) // rounds away from zero
	if n < 0 {
		half = -1
	}
	n /= 1 << 9 // one bit more than the unit, to round by
	for i, unit := range units {
		if abs() < 20*1024-1 || i == len(units)-1 {
			return append(strconv.AppendInt(dst, (n+half)/2, 10), unit...)
		}
		n /= 1 << 10
	}
	return dst
}

// locks is the functions about advisory locks: there is nothing here that they could guard.
func locks() {
	for _, name := range []string{"pg_try_advisory_lock", "pg_try_advisory_lock_shared", "pg_try_advisory_xact_lock", "pg_advisory_unlock", "pg_advisory_unlock_shared"} {
		yes := func(*Context, int64) (bool, error) { return true, nil }
		defineSession(name, tBool, types(tInt8), map1(yes))
		defineSession(name, tBool, types(tInt4, tInt4), map2(func(*Context, int64, int64) (bool, error) { return true, nil }))
	}
	nothing := func(*frame) error { return nil }
	for _, name := range []string{"pg_advisory_lock", "pg_advisory_lock_shared", "pg_advisory_xact_lock", "pg_advisory_xact_lock_shared"} {
		defineSession(name, vec.T(vec.Void), types(tInt8), nothing)
		defineSession(name, vec.T(vec.Void), types(tInt4, tInt4), nothing)
	}
	defineSession("pg_advisory_unlock_all", vec.T(vec.Void), nil, nothing)
}

// typeFunctions is the functions about types.
func typeFunctions() {
	choose("pg_typeof", func(args []vec.Type) *Overload {
		if len(args) != 1 {
			return nil
		}
		t := args[0]
		return &Overload{Args: args, Result: vec.T(vec.RegType), Fn: &Function{Name: "pg_typeof", lax: true,
			eval: map0(func(*Context) (int64, error) { return int64(t.OID()), nil })}}
	})
	defineSession("format_type", tText, types(tOID, tInt4), func(f *frame) error {
		return eachText(f, func(i int, dst []byte) ([]byte, error) {
			if f.args[0].IsNull(i) {
				return dst, errNull
			}
			v, j := f.args[0].At(i)
			oid, mod := v.I64[j], int64(-1)
			if !f.args[1].IsNull(i) {
				v, j = f.args[1].At(i)
				mod = v.I64[j]
			}
			if oid == 0 {
				return append(dst, '-'), nil
			}
			if f.ctx.Objects != nil {
				if name, ok := f.ctx.Objects.Name(vec.RegType, uint32(oid)); ok {
					return append(dst, withModifier(name, mod)...), nil
				}
			}
			return append(dst, "???"...), nil
		})
	}).lax = true
	find := func(kind vec.Kind) func(*frame) error {
		return map1(func(c *Context, name string) (int64, error) {
			if c.Objects == nil || name == "" || name[0] >= '0' && name[0] <= '9' {
				return 0, errNull
			}
			oid, err := c.Objects.Find(kind, name)
			if err == nil {
				return int64(oid), nil
			}
			switch pgerr.Code(err) {
			case pgerr.UndefinedTable, pgerr.UndefinedObject, pgerr.UndefinedFunction, pgerr.UndefinedSchema, pgerr.AmbiguousFunction:
				return 0, errNull
			}
			return 0, err
		})
	}
	for name, kind := range map[string]vec.Kind{
		"to_regclass": vec.RegClass, "to_regtype": vec.RegType, "to_regproc": vec.RegProc, "to_regprocedure": vec.RegProcedure,
		"to_regnamespace": vec.RegNamespace, "to_regrole": vec.RegRole, "to_regoper": vec.RegOper, "to_regoperator": vec.RegOperator,
	} {
		defineSession(name, vec.T(kind), types(tText), find(kind))
	}
}

// withModifier puts a type's modifier where PostgreSQL writes it.
func withModifier(name string, mod int64) string {
	if mod < 0 {
		return name
	}
	list := ""
	if strings.HasSuffix(name, "[]") {
		name, list = name[:len(name)-2], "[]"
	}
	digits := func(n int64) string { return string(appendInt(nil, vec.Int8, n, nil)) }
	switch name {
	case "character varying", "character":
		if mod >= 4 {
			name += "(" + digits(mod-4) + ")"
		}
	case "numeric":
		if mod >= 4 {
			name += "(" + digits((mod-4)>>16&0xffff) + "," + digits((mod-4)&0x7ff) + ")"
		}
	case "bit", "bit varying":
		name += "(" + digits(mod) + ")"
	case "time without time zone", "time with time zone", "timestamp without time zone", "timestamp with time zone":
		word, rest, _ := strings.Cut(name, " ")
		name = word + "(" + digits(mod) + ") " + rest
	case "interval":
		name += intervalModifierName(mod)
	}
	return name + list
}

// anyDatabase says whether there is a database of which is holds, by its object id and its name.
func anyDatabase(ctx *Context, is func(oid int64, name string) bool) (bool, error) {
	if ctx.Objects == nil {
		return is(0, ctx.Database), nil
	}
	batches, err := ctx.Objects.Table("pg_catalog.pg_database", []string{"oid", "datname"})
	for _, b := range batches {
		for i := range b.Rows {
			oid, at := b.Cols[0].At(i)
			name, j := b.Cols[1].At(i)
			if is(oid.I64[at], string(name.Str.At(j))) {
				return true, err
			}
		}
	}
	return false, err
}
