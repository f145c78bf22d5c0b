package pgwire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestTranscript plays the conversations of testdata: each "send" has messages, one a
// line, and expects everything that comes back up to the last ReadyForQuery (or the end
// of the connection, with eof).
func TestTranscript(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := serve(t)
		var nc net.Conn
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "connect" {
				if nc != nil {
					nc.Close()
				}
				var err error
				if nc, err = net.Dial("tcp", s.addr); err != nil {
					d.Fatalf(t, "%v", err)
				}
			}
			nc.SetDeadline(time.Now().Add(5 * time.Second))
			var out bytes.Buffer
			ready := 0
			if d.Cmd == "connect" && !d.HasArg("eof") && !d.HasArg("bytes") {
				ready = 1
			}
			for line := range strings.Lines(d.Input) {
				m, syncs := message(t, strings.TrimSpace(line))
				ready += syncs
				if _, err := nc.Write(m); err != nil {
					fmt.Fprintf(&out, "write: closed\n")
				}
			}
			if d.HasArg("bytes") { // answers without a frame
				var n int
				d.ScanArgs(t, "bytes", &n)
				b := make([]byte, n)
				_, err := io.ReadFull(nc, b)
				return fmt.Sprintf("%q %v\n", b, err)
			}
			f := pgproto3.NewFrontend(nc, nil)
			for ready > 0 || d.HasArg("eof") {
				m, err := f.Receive()
				if err != nil {
					if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
						out.WriteString("(closed)\n")
					} else {
						fmt.Fprintf(&out, "%v\n", err)
					}
					break
				}
				describe(&out, m)
				if _, ok := m.(*pgproto3.ReadyForQuery); ok {
					ready--
				}
			}
			return out.String()
		})
		if nc != nil {
			nc.Close()
		}
	})
}

// message makes a message of a line, and says how many ReadyForQuery it brings.
func message(t *testing.T, line string) (b []byte, ready int) {
	word, rest, _ := strings.Cut(line, " ")
	var m pgproto3.FrontendMessage
	fields := strings.Fields(rest)
	field := func(i int) string {
		if i < len(fields) && fields[i] != `""` {
			return fields[i]
		}
		return ""
	}
	switch word {
	case "raw":
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b, 0
	case "startup":
		version := uint32(3 << 16)
		params := map[string]string{}
		for _, f := range fields {
			k, v, _ := strings.Cut(f, "=")
			if k == "minor" {
				n, _ := strconv.Atoi(v)
				version += uint32(n)
				continue
			}
			params[k] = v
		}
		m = &pgproto3.StartupMessage{ProtocolVersion: version, Parameters: params}
	case "ssl":
		m = &pgproto3.SSLRequest{}
	case "gss":
		m = &pgproto3.GSSEncRequest{}
	case "query":
		m, ready = &pgproto3.Query{String: rest}, 1
	case "sync":
		m, ready = &pgproto3.Sync{}, 1
	case "flush":
		m = &pgproto3.Flush{}
	case "terminate":
		m = &pgproto3.Terminate{}
	case "parse":
		name, text, _ := strings.Cut(rest, " ")
		m = &pgproto3.Parse{Name: strings.Trim(name, `"`), Query: text}
	case "bind":
		bind := &pgproto3.Bind{DestinationPortal: field(0), PreparedStatement: field(1)}
		for i := 2; i < len(fields); i++ {
			if v, ok := strings.CutPrefix(fields[i], "format="); ok {
				n, _ := strconv.Atoi(v)
				bind.ResultFormatCodes = append(bind.ResultFormatCodes, int16(n))
				continue
			}
			bind.Parameters = append(bind.Parameters, []byte(fields[i]))
		}
		m = bind
	case "describe":
		m = &pgproto3.Describe{ObjectType: field(0)[0], Name: field(1)}
	case "execute":
		n, _ := strconv.Atoi(field(1))
		m = &pgproto3.Execute{Portal: field(0), MaxRows: uint32(n)}
	case "close":
		m = &pgproto3.Close{ObjectType: field(0)[0], Name: field(1)}
	case "function":
		m, ready = &pgproto3.FunctionCall{}, 1
	default:
		t.Fatalf("unknown message %q", word)
	}
	b, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b, ready
}

func describe(w io.Writer, m pgproto3.BackendMessage) {
	name := strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
	switch m := m.(type) {
	case *pgproto3.ParameterStatus:
		fmt.Fprintf(w, "%s %s=%s\n", name, m.Name, m.Value)
	case *pgproto3.ReadyForQuery:
		fmt.Fprintf(w, "%s %c\n", name, m.TxStatus)
	case *pgproto3.RowDescription:
		fmt.Fprint(w, name)
		for _, f := range m.Fields {
			fmt.Fprintf(w, " %s:%d/%d/%d/%d", f.Name, f.DataTypeOID, f.DataTypeSize, f.TypeModifier, f.Format)
		}
		fmt.Fprintln(w)
	case *pgproto3.ParameterDescription:
		fmt.Fprintf(w, "%s %v\n", name, m.ParameterOIDs)
	case *pgproto3.DataRow:
		fmt.Fprint(w, name)
		for _, v := range m.Values {
			if v == nil {
				fmt.Fprint(w, " NULL")
			} else {
				fmt.Fprintf(w, " %q", v)
			}
		}
		fmt.Fprintln(w)
	case *pgproto3.CopyData:
		fmt.Fprintf(w, "%s %q\n", name, m.Data)
	case *pgproto3.CopyOutResponse:
		fmt.Fprintf(w, "%s %d %v\n", name, m.OverallFormat, m.ColumnFormatCodes)
	case *pgproto3.CommandComplete:
		fmt.Fprintf(w, "%s %s\n", name, m.CommandTag)
	case *pgproto3.ErrorResponse:
		fmt.Fprintf(w, "%s %s %s %s", name, m.Severity, m.Code, m.Message)
		if m.Position > 0 {
			fmt.Fprintf(w, " at %d", m.Position)
		}
		if m.Where != "" {
			fmt.Fprintf(w, " [%s]", m.Where)
		}
		fmt.Fprintln(w)
	case *pgproto3.NoticeResponse:
		fmt.Fprintf(w, "%s %s %s %s\n", name, m.Severity, m.Code, m.Message)
	case *pgproto3.NegotiateProtocolVersion:
		fmt.Fprintf(w, "%s %d.%d %v\n", name, m.NewestMinorProtocol>>16, m.NewestMinorProtocol&0xffff, m.UnrecognizedOptions)
	default:
		fmt.Fprintln(w, name)
	}
}
