package pgwire

import (
	"bytes"
	"errors"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/role/scram"
)

// maxSecret is the length limit of what a client sends before it is known, in bytes.
const maxSecret = 64 << 10

// Proof is what a client has to show. The zero value is what a user is asked for who does
// not exist: a password that nothing fits.
type Proof struct {
	// Trusted lets the client in without being asked.
	Trusted bool
	// Verifier is of the user's password; nil where there is none.
	Verifier *scram.Verifier
	// Token, if it is not nil, checks a password that the client sends as it is. It is asked
	// for only inside TLS.
	Token func(password string) bool
}

// authenticate has the client prove who it is.
func (c *conn) authenticate(user string, p Proof) error {
	var err error
	switch {
	case p.Trusted:
	case p.Token != nil && c.secure() != nil:
		err = c.cleartext(p.Token)
	default:
		err = c.scram(user, p.Verifier)
	}
	if errors.Is(err, scram.ErrDenied) {
		return fatal(pgerr.InvalidPassword, "password authentication failed for user \"%s\"", user)
	}
	if err == nil {
		c.send(&pgproto3.AuthenticationOk{})
	}
	return err
}

// secret asks for something and reads the answer.
func (c *conn) secret(ask pgproto3.BackendMessage) ([]byte, error) {
	c.send(ask)
	if err := c.flush(); err != nil {
		return nil, err
	}
	kind, body, err := readMessage(c.in, c.body, maxSecret)
	c.body = body
	if err != nil {
		return nil, err
	}
	if kind != 'p' {
		return nil, fatal(pgerr.ProtocolViolation, "expected password response, got message type %d", kind)
	}
	return body, nil
}

func (c *conn) cleartext(matches func(string) bool) error {
	body, err := c.secret(&pgproto3.AuthenticationCleartextPassword{})
	if err != nil {
		return err
	}
	password, ok := bytes.CutSuffix(body, []byte{0})
	switch {
	case !ok || bytes.IndexByte(password, 0) >= 0:
		return fatal(pgerr.ProtocolViolation, "invalid password packet size")
	case len(password) == 0:
		return fatal(pgerr.InvalidPassword, "empty password returned by client")
	case !matches(string(password)):
		return scram.ErrDenied
	}
	return nil
}

// scram asks for a proof that the client knows the password of a verifier. Where there is
// none it asks all the same.
func (c *conn) scram(user string, v *scram.Verifier) error {
	if v == nil {
		unknown := scram.Unknown(c.server.saltKey(), user)
		v = &unknown
	}
	x := &scram.Exchange{Verifier: *v}
	mechanisms := []string{scram.Mechanism}
	if tls := c.secure(); tls != nil {
		if x.Binding = tls.endPoint(); x.Binding != nil {
			mechanisms = []string{scram.MechanismPlus, scram.Mechanism}
		}
	}
	body, err := c.secret(&pgproto3.AuthenticationSASL{AuthMechanisms: mechanisms})
	if err != nil {
		return err
	}
	var initial pgproto3.SASLInitialResponse
	if initial.Decode(body) != nil {
		return malformedProof(scram.ErrMalformed)
	}
	switch {
	case initial.AuthMechanism == scram.Mechanism:
	case initial.AuthMechanism == scram.MechanismPlus && x.Binding != nil:
		x.Plus = true
	default:
		return fatal(pgerr.ProtocolViolation, "client selected an invalid SASL authentication mechanism")
	}
	answer, err := x.First(initial.Data)
	if err != nil {
		return malformedProof(err)
	}
	if body, err = c.secret(&pgproto3.AuthenticationSASLContinue{Data: answer}); err != nil {
		return err
	}
	if answer, err = x.Final(body); err != nil {
		return malformedProof(err)
	}
	c.send(&pgproto3.AuthenticationSASLFinal{Data: answer})
	return nil
}

// malformedProof is what a client is told whose messages make no sense. A wrong proof is
// another matter.
func malformedProof(err error) error {
	switch {
	case errors.Is(err, scram.ErrDenied):
		return err
	case errors.Is(err, scram.ErrUnsupported):
		return fatal(pgerr.FeatureNotSupported, "%v", err)
	case errors.Is(err, scram.ErrBinding), errors.Is(err, scram.ErrDowngraded):
		return fatal(pgerr.InvalidAuthorization, "%v", err)
	}
	return fatal(pgerr.ProtocolViolation, "%v", err)
}
