package pgwire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/prickledb/prickle/engine/role/scram"
)

// authority signs certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB) *authority {
	a := &authority{}
	a.key, a.cert, _ = a.sign(t, "authority", true)
	return a
}

// sign makes a certificate, with its key in PEM before it.
func (a *authority) sign(t testing.TB, name string, ca bool) (*ecdsa.PrivateKey, *x509.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: ca}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	return key, cert, append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

// guarded serves users with passwords, over TLS for who wants it. Its authority is in a file.
func guarded(t *testing.T) (s *testServer, root string, a *authority) {
	t.Helper()
	a = newAuthority(t)
	_, _, raw := a.sign(t, "server", false)
	pair, err := tls.X509KeyPair(raw, raw)
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	known, err := scram.New("sécret")
	if err != nil {
		t.Fatal(err)
	}
	return serveWith(t, func(s *Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}
		s.Auth = func(_ context.Context, l Login) (Proof, error) {
			switch {
			case l.Certified == l.User:
				return Proof{Trusted: true}, nil
			case l.User == "app":
				return Proof{Verifier: &known}, nil
			case l.User == "token":
				return Proof{Token: func(p string) bool { return p == "phx_1" }}, nil
			case l.User == "friend":
				return Proof{Trusted: true}, nil
			}
			return Proof{}, nil
		}
	}), root, a
}

func TestPasswords(t *testing.T) {
	s, root, _ := guarded(t)
	for _, c := range []struct{ user, password, options, want string }{
		{"app", "sécret", "sslmode=disable", ""},
		{"app", "se\u0301cret", "sslmode=disable", ""}, // the same, typed in another way
		{"app", "sécret", "sslmode=require", ""},
		{"app", "sécret", "sslmode=verify-full&sslrootcert=" + root, ""},
		{"app", "sécret", "sslmode=require&channel_binding=require", ""},
		{"app", "secret", "sslmode=disable", "28P01"},
		{"app", "secret", "sslmode=require", "28P01"},
		{"app", "", "sslmode=require", "28P01"},
		{"nobody", "sécret", "sslmode=disable", "28P01"},
		{"token", "phx_1", "sslmode=require", ""},
		{"token", "phx_2", "sslmode=require", "28P01"},
		{"token", "", "sslmode=require", "28P01"},
		{"token", "phx_1", "sslmode=disable", "28P01"}, // a token is not sent in the clear
		{"friend", "", "sslmode=disable", ""},
	} {
		dsn := fmt.Sprintf("postgres://%s:%s@%s/prickle?%s", c.user, c.password, s.addr, c.options)
		conn, err := pgx.Connect(t.Context(), dsn)
		if err == nil {
			conn.Close(t.Context())
		}
		got := ""
		if err != nil {
			got = code(err)
		}
		if got != c.want {
			t.Errorf("%s: %v, want %q", dsn, err, c.want)
		}
		if c.want != "" && !strings.Contains(fmt.Sprint(err), fmt.Sprintf("password authentication failed for user \"%s\"", c.user)) && c.password != "" {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

// A client whose certificate names the user needs no password.
func TestClientCertificates(t *testing.T) {
	s, root, a := guarded(t)
	stranger := newAuthority(t)
	for _, c := range []struct {
		by         *authority
		name, want string
	}{{a, "app", ""}, {a, "other", "28P01"}, {stranger, "app", "tls"}} {
		_, _, raw := c.by.sign(t, c.name, false)
		file := filepath.Join(t.TempDir(), "client.pem")
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://app@%s/prickle?sslmode=verify-ca&sslrootcert=%s&sslcert=%s&sslkey=%s", s.addr, root, file, file))
		if err == nil {
			conn.Close(t.Context())
		}
		if (err == nil) != (c.want == "") || c.want == "28P01" && code(err) != c.want {
			t.Errorf("certificate of %s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestPsqlTLS has psql bind its proof to the certificate.
func TestPsqlTLS(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed")
	}
	s, root, _ := guarded(t)
	for options, want := range map[string]string{
		"sslmode=verify-full channel_binding=require": "1", "sslmode=require channel_binding=disable": "1", "sslmode=disable gssencmode=prefer": "1",
		"sslmode=disable channel_binding=require": "channel binding required",
	} {
		host, port, _ := net.SplitHostPort(s.addr)
		cmd := exec.CommandContext(t.Context(), psql, "-XAt", fmt.Sprintf("host=%s port=%s user=app password=sécret dbname=prickle sslrootcert=%s %s", host, port, root, options), "-c", "select n from one")
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("%s: %s, %v, want %s", options, out, err, want)
		}
	}
}

// talk is a client that keeps to no protocol.
func talk(t *testing.T, nc net.Conn, user string) *pgproto3.Frontend {
	t.Helper()
	nc.SetDeadline(time.Now().Add(5 * time.Second))
	f := pgproto3.NewFrontend(nc, nc)
	f.Send(&pgproto3.StartupMessage{ProtocolVersion: 3 << 16, Parameters: map[string]string{"user": user, "database": "prickle"}})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	return f
}

func receive(t *testing.T, f *pgproto3.Frontend) string {
	m, err := f.Receive()
	if err != nil {
		return err.Error()
	}
	switch m := m.(type) {
	case *pgproto3.ErrorResponse:
		return m.Severity + " " + m.Code + " " + m.Message
	case *pgproto3.AuthenticationSASL:
		return fmt.Sprint(m.AuthMechanisms)
	}
	return fmt.Sprintf("%T", m)
}

func TestBrokenProofs(t *testing.T) {
	s, _, _ := guarded(t)
	for name, c := range map[string]struct {
		send pgproto3.FrontendMessage
		want string
	}{
		"mechanism": {&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256-PLUS", Data: []byte("n,,n=,r=x")}, "FATAL 08P01 client selected an invalid SASL authentication mechanism"},
		"first":     {&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("?")}, "FATAL 08P01 malformed SCRAM message"},
		"empty":     {&pgproto3.SASLResponse{}, "FATAL 08P01 malformed SCRAM message"},
		"query":     {&pgproto3.Query{String: "select 1"}, "FATAL 08P01 expected password response, got message type 81"},
	} {
		nc, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		f := talk(t, nc, "app")
		if got := receive(t, f); got != "[SCRAM-SHA-256]" {
			t.Errorf("%s: %s", name, got)
		}
		f.Send(c.send)
		f.Flush()
		if got := receive(t, f); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got := receive(t, f); !strings.Contains(got, "EOF") {
			t.Errorf("%s: after the error: %s", name, got)
		}
		nc.Close()
	}
}

// Inside TLS the binding is offered, and a client is told if somebody hid that from it.
func TestDowngrade(t *testing.T) {
	s, _, _ := guarded(t)
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	b, _ := (&pgproto3.SSLRequest{}).Encode(nil)
	nc.Write(b)
	var yes [1]byte
	if _, err := nc.Read(yes[:]); err != nil || yes[0] != 'S' {
		t.Fatalf("SSLRequest: %q, %v", yes, err)
	}
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	f := talk(t, tc, "app")
	if got := receive(t, f); got != "[SCRAM-SHA-256-PLUS SCRAM-SHA-256]" {
		t.Errorf("mechanisms %s", got)
	}
	f.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("y,,n=,r=x")})
	f.Flush()
	if got := receive(t, f); !strings.HasPrefix(got, "FATAL 28000 SCRAM channel binding negotiation error") {
		t.Errorf("after y: %s", got)
	}
}

// Bytes behind an SSLRequest may be of somebody who wants to be taken for the client.
func TestBytesBeforeTLS(t *testing.T) {
	s, _, _ := guarded(t)
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(5 * time.Second))
	b, _ := (&pgproto3.SSLRequest{}).Encode(nil)
	b, _ = (&pgproto3.StartupMessage{ProtocolVersion: 3 << 16, Parameters: map[string]string{"user": "app"}}).Encode(b)
	nc.Write(b)
	if got := receive(t, pgproto3.NewFrontend(nc, nc)); got != "FATAL 08P01 received unencrypted data after encryption request" {
		t.Error(got)
	}
}
