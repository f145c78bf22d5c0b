package pgwire

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/role/scram"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/server/session/sessiontest"
	"github.com/prickledb/prickle/storage/vec"
)

// script is bytes that come from a network.
type script struct {
	net.Conn
	in *bytes.Reader
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) Close() error                     { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func encoded(msgs ...pgproto3.FrontendMessage) []byte {
	var b []byte
	for _, m := range msgs {
		b, _ = m.Encode(b)
	}
	return b
}

// FuzzConnection feeds a whole connection with any bytes: no panic, no hang, nothing left
// open.
func FuzzConnection(f *testing.F) {
	start := &pgproto3.StartupMessage{ProtocolVersion: 3 << 16, Parameters: map[string]string{"user": "a"}}
	f.Add(encoded(start, &pgproto3.Query{String: "select n from one"}, &pgproto3.Terminate{}))
	f.Add(encoded(&pgproto3.SSLRequest{}, start))
	f.Add(encoded(start, &pgproto3.Parse{Query: "select $1::int4 from echo", ParameterOIDs: []uint32{23}},
		&pgproto3.Bind{Parameters: [][]byte{{0, 0, 0, 1}}, ParameterFormatCodes: []int16{1}, ResultFormatCodes: []int16{1}},
		&pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{MaxRows: 3}, &pgproto3.Sync{}))
	f.Add([]byte{0, 0, 0, 8, 4, 210, 22, 47})
	known := &pgproto3.StartupMessage{ProtocolVersion: 3 << 16, Parameters: map[string]string{"user": "known"}}
	f.Add(encoded(known, &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=abc")},
		&pgproto3.SASLResponse{Data: []byte("c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")}))
	verifier, err := scram.New("secret")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		engine := &sessiontest.Engine{}
		s := &Server{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), MaxMessage: 1 << 16}
		s.Auth = func(_ context.Context, l Login) (Proof, error) {
			switch l.User {
			case "known":
				return Proof{Verifier: &verifier}, nil
			case "unknown":
				return Proof{}, nil
			}
			return Proof{Trusted: true}, nil
		}
		sessions := &session.Sessions{}
		s.Open = func(ctx context.Context, l Login) (*session.Session, error) {
			if l.User == "known" || l.User == "unknown" {
				t.Error("a client was let in that did not know the password")
			}
			return session.New(ctx, session.Config{Engine: engine, Project: 1, Database: "d", Start: l.Settings, Logger: s.Logger, Limit: 20 * time.Millisecond,
				Sessions: sessions, Remote: l.Remote, TLS: l.TLS})
		}
		s.Serve(t.Context(), &script{in: bytes.NewReader(in)})
		if engine.Pins.Load() != 0 || engine.Running.Load() != 0 {
			t.Errorf("%d snapshots and %d answers left open", engine.Pins.Load(), engine.Running.Load())
		}
	})
}

// FuzzMessage reads frames: a body is never longer than the limit, nor than the input.
func FuzzMessage(f *testing.F) {
	f.Add(encoded(&pgproto3.Query{String: "x"}))
	f.Add([]byte{'Q', 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReader(bytes.NewReader(in))
		for {
			_, body, err := readMessage(r, nil, 1<<16)
			if err != nil {
				return
			}
			if len(body) > len(in) {
				t.Fatalf("body of %d bytes in an input of %d", len(body), len(in))
			}
		}
	})
}

// FuzzBinary reads binary values of every type, and writes what it read.
func FuzzBinary(f *testing.F) {
	f.Add(uint32(1700), []byte{0, 1, 0, 0, 0, 0, 0, 2, 0, 7})
	f.Add(uint32(1007), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9})
	f.Add(uint32(3802), []byte{1, '{', '}'})
	f.Fuzz(func(t *testing.T, oid uint32, in []byte) {
		typ, ok := expr.TypeOf(oid)
		if !ok {
			return
		}
		ctx := &expr.Context{Location: time.UTC}
		v, err := expr.ReadBinary(ctx, typ, in)
		if err != nil {
			return
		}
		if v.Len() != 1 {
			t.Fatalf("%s of %x has %d values", typ, in, v.Len())
		}
		e := &encoder{ctx: ctx, binary: []bool{true, false}}
		if !v.IsNull(0) {
			e.appendRow(nil, &vec.Batch{Rows: 1, Cols: []*vec.Vector{v, v}}, 0)
		}
	})
}
