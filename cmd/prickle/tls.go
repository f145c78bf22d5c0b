package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/prickledb/prickle/server"
)

// selfSigned is what tls_cert says for a certificate that the server makes itself. It is
// kept in the data directory, so that clients that have been shown it know it again.
const (
	selfSigned     = "self-signed"
	selfSignedCert = "tls-cert.pem"
	selfSignedKey  = "tls-key.pem"
)

// tlsConfig is what the settings say about TLS; nil for none.
func tlsConfig(conf *config, logger *slog.Logger) (*tls.Config, error) {
	cert, key, mode := conf.get("tls_cert"), conf.get("tls_key"), conf.get("ssl")
	switch {
	case mode == "off":
		return nil, nil
	case cert == "" && mode == "require":
		return nil, usage("ssl = require needs a certificate: set tls_cert and tls_key, or tls_cert = %s", selfSigned)
	case cert == "" && key != "":
		return nil, usage("tls_key needs tls_cert")
	case cert == "":
		return nil, nil
	case cert == selfSigned:
		dir := conf.get("data")
		cert, key = filepath.Join(dir, selfSignedCert), filepath.Join(dir, selfSignedKey)
		if err := makeCertificate(dir, cert, key, conf.get("listen")); err != nil {
			return nil, dirProblem(dir, err)
		}
	case key == "":
		key = cert // one file may hold both
	}
	config, err := server.TLS(cert, key, conf.get("tls_client_ca"), logger)
	if err != nil {
		return nil, &problem{Code: "bad_certificate", What: fmt.Sprintf("TLS: %s", err), Exit: exitFailed, Err: err,
			Try: []string{"prickle serve --tls-cert " + selfSigned}}
	}
	return config, nil
}

// makeCertificate writes a certificate and its key, unless they are there.
func makeCertificate(dir, cert, key, listen string) error {
	if _, err := os.Stat(cert); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	name, _ := os.Hostname() // without one the certificate has a name less
	host, _, _ := net.SplitHostPort(listen)
	public, private, err := server.SelfSigned(name, host)
	if err != nil {
		return err
	}
	if err := os.WriteFile(key, private, 0o600); err != nil {
		return err
	}
	return os.WriteFile(cert, public, 0o644)
}
