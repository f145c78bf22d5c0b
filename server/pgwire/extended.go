package pgwire

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/bind"
	"github.com/prickledb/prickle/storage/vec"
)

func (c *conn) parse(m *pgproto3.Parse) error {
	types := make([]vec.Type, len(m.ParameterOIDs))
	for i, oid := range m.ParameterOIDs {
		if oid == 0 {
			continue // inferred
		}
		t, ok := expr.TypeOf(oid)
		if !ok {
			return pgerr.New(pgerr.UndefinedObject, "type with OID %d does not exist", oid)
		}
		types[i] = t
	}
	if m.Name == "" {
		c.s.CloseStatement("")
	}
	if _, err := c.s.Prepare(m.Name, m.Query, types); err != nil {
		return err
	}
	c.send(&pgproto3.ParseComplete{})
	return nil
}

func (c *conn) bind(m *pgproto3.Bind) error {
	p, err := c.s.Statement(m.PreparedStatement)
	if err != nil {
		return err
	}
	if len(m.Parameters) != len(p.Params) {
		return pgerr.New(pgerr.ProtocolViolation, "bind message supplies %d parameters, but prepared statement %q requires %d",
			len(m.Parameters), p.Name, len(p.Params))
	}
	if n := len(m.ParameterFormatCodes); n > 1 && n != len(m.Parameters) {
		return pgerr.New(pgerr.ProtocolViolation, "bind message has %d parameter formats but %d parameters", n, len(m.Parameters))
	}
	ctx := c.s.Context()
	params := make([]*vec.Vector, len(m.Parameters))
	for i, value := range m.Parameters {
		format, err := formatOf(m.ParameterFormatCodes, i)
		if err != nil {
			return err
		}
		switch {
		case value == nil:
			params[i] = vec.NullConst(p.Params[i])
		case format == 1:
			params[i], err = expr.ReadBinary(ctx, p.Params[i], value)
		default:
			params[i], err = expr.ParseValue(ctx, p.Params[i], value)
		}
		if err != nil {
			return ofParameter(err, m.DestinationPortal, i, format)
		}
	}
	portal, err := c.s.Bind(m.DestinationPortal, p, params)
	if err != nil {
		return err
	}
	portal.Formats = append([]int16(nil), m.ResultFormatCodes...)
	if n := len(portal.Formats); n > 1 && n != len(p.Schema) {
		c.s.ClosePortal(m.DestinationPortal)
		return pgerr.New(pgerr.ProtocolViolation, "bind message has %d result formats but query has %d columns", n, len(p.Schema))
	}
	c.send(&pgproto3.BindComplete{})
	return nil
}

// ofParameter says of which parameter of a portal the value is bad.
func ofParameter(err error, portal string, i int, format int16) error {
	e := *pgerr.From(err)
	if e.Code == pgerr.Internal {
		return err
	}
	of := "unnamed portal"
	if portal != "" {
		of = fmt.Sprintf(`portal "%s"`, portal)
	}
	value := ""
	if format == 0 {
		value = " = '...'" // as PostgreSQL does, which keeps values out of its log
	}
	return e.WithWhere("%s parameter $%d%s", of, i+1, value)
}

func (c *conn) describe(m *pgproto3.Describe) error {
	if m.ObjectType == 'P' {
		p, err := c.s.Portal(m.Name)
		if err != nil {
			return err
		}
		if p.Schema == nil {
			c.send(&pgproto3.NoData{})
			return nil
		}
		c.rowDescription(p)
		return nil
	}
	p, err := c.s.Statement(m.Name)
	if err != nil {
		return err
	}
	oids := make([]uint32, len(p.Params))
	for i, t := range p.Params {
		oids[i] = t.OID()
	}
	c.send(&pgproto3.ParameterDescription{ParameterOIDs: oids})
	if p.Schema == nil {
		c.send(&pgproto3.NoData{})
		return nil
	}
	c.send(describeRows(p.Schema, p.Sources, nil))
	return nil
}

func (c *conn) execute(m *pgproto3.Execute) error {
	p, err := c.s.Portal(m.Portal)
	if err != nil {
		return err
	}
	if p.Empty() {
		c.send(&pgproto3.EmptyQueryResponse{})
		return nil
	}
	p.Input = c.copyIn
	if !p.Copies() && !c.syncFollows() {
		c.s.Pipeline()
	}
	return c.run(p, func() error {
		_, err := c.rows(p, int(min(m.MaxRows, 1<<31-1)))
		return err
	})
}

// syncFollows says whether the next message is known to be a Sync: a statement that is the last
// before it, and has nothing to keep before it, commits by itself.
func (c *conn) syncFollows() bool {
	if c.in.Buffered() == 0 {
		return false
	}
	next, err := c.in.Peek(1)
	return err == nil && next[0] == 'S'
}

func (c *conn) rowDescription(p *session.Portal) {
	c.send(describeRows(p.Schema, p.Sources, p.Formats))
}

func describeRows(schema vec.Schema, sources []bind.Source, formats []int16) *pgproto3.RowDescription {
	m := &pgproto3.RowDescription{Fields: make([]pgproto3.FieldDescription, len(schema))}
	for i, f := range schema {
		t := f.Type
		if t.Kind == vec.Unknown {
			t.Kind = vec.Text
		}
		format, _ := formatOf(formats, i) // Bind and newEncoder have checked it
		m.Fields[i] = pgproto3.FieldDescription{Name: []byte(f.Name), DataTypeOID: t.OID(), DataTypeSize: t.Size(),
			TypeModifier: t.Modifier(), Format: format}
		if i < len(sources) {
			m.Fields[i].TableOID, m.Fields[i].TableAttributeNumber = sources[i].Table, uint16(sources[i].Column)
		}
	}
	return m
}

// formatOf is the format of value i: none means text, one code is for all.
func formatOf(codes []int16, i int) (int16, error) {
	var code int16
	switch {
	case len(codes) == 1:
		code = codes[0]
	case i < len(codes):
		code = codes[i]
	}
	if code != 0 && code != 1 {
		return 0, pgerr.New(pgerr.InvalidParameterValue, "unsupported format code: %d", code)
	}
	return code, nil
}
