package pgwire

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"net"
)

// ALPN is the name of the protocol in a TLS handshake that comes first, without a question.
const ALPN = "postgresql"

// SecureConn is the server's side of a TLS connection, which remembers its certificate.
type SecureConn struct {
	*tls.Conn
	certificate *tls.Certificate
}

// Secure makes the handshake of a TLS connection over nc. Config gives the certificate; what
// the client may speak inside is protocols, by their names in ALPN.
func Secure(ctx context.Context, nc net.Conn, config *tls.Config, protocols ...string) (*SecureConn, error) {
	c := &SecureConn{}
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.NextProtos = protocols
	// A resumed session would not say which certificate it is bound to.
	config.SessionTicketsDisabled = true
	get := config.GetCertificate
	if get == nil {
		all := config.Certificates
		get = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &all[0], nil }
	}
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		var err error
		c.certificate, err = get(hello)
		return c.certificate, err
	}
	config.Certificates = nil
	c.Conn = tls.Server(nc, config)
	return c, c.HandshakeContext(ctx)
}

// Protocol is what the client wants to speak, by its name in ALPN; empty if it did not say.
func (c *SecureConn) Protocol() string { return c.ConnectionState().NegotiatedProtocol }

// User is the common name of the client's certificate, which was verified; empty for none.
func (c *SecureConn) User() string {
	if chains := c.ConnectionState().VerifiedChains; len(chains) > 0 {
		return chains[0][0].Subject.CommonName
	}
	return ""
}

// endPoint is the data of the channel binding tls-server-end-point (RFC 5929 section 4): a
// hash of the server's certificate, by the function of its signature, or nil if that has none.
func (c *SecureConn) endPoint() []byte {
	if c.certificate == nil || len(c.certificate.Certificate) == 0 {
		return nil
	}
	raw := c.certificate.Certificate[0]
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil
	}
	hash := crypto.SHA256
	switch leaf.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		hash = crypto.SHA512
	case x509.PureEd25519, x509.UnknownSignatureAlgorithm:
		return nil
	}
	h := hash.New()
	h.Write(raw) //nolint:errcheck // it never fails
	return h.Sum(nil)
}

// secure is the connection as TLS; nil for one in the clear.
func (c *conn) secure() *SecureConn {
	s, _ := c.nc.(*SecureConn)
	return s
}

// encrypt answers an SSLRequest.
func (c *conn) encrypt(ctx context.Context) error {
	if c.server.TLS == nil || c.secure() != nil {
		_, err := c.nc.Write([]byte{'N'})
		return err
	}
	if _, err := c.nc.Write([]byte{'S'}); err != nil {
		return err
	}
	s, err := Secure(ctx, c.nc, c.server.TLS, ALPN)
	if err != nil {
		return err
	}
	c.attach(s)
	return nil
}
