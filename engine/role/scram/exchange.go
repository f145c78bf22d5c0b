package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// The errors of an exchange. ErrDenied says that the proof is wrong; the others that the
// client does not keep to the protocol.
var (
	ErrDenied      = errors.New("the proof is wrong")
	ErrMalformed   = errors.New("malformed SCRAM message")
	ErrBinding     = errors.New("SCRAM channel binding check failed")
	ErrNonce       = errors.New("invalid SCRAM response: the nonce does not match")
	ErrUnsupported = errors.New("client requires an unsupported SCRAM extension")
	ErrDowngraded  = errors.New("SCRAM channel binding negotiation error: the client supports channel binding and thinks that the server does not, but it does")
)

// nonceBytes is how much chance the server puts into an exchange.
const nonceBytes = 18

// Exchange is one conversation, of a first message and a final one. The zero value with a
// verifier is ready for use.
type Exchange struct {
	Verifier Verifier
	// Plus says that the client chose MechanismPlus.
	Plus bool
	// Binding is the data of tls-server-end-point; nil where the server does not offer
	// MechanismPlus.
	Binding []byte

	header string // gs2, as the client sent it
	nonce  string // of both
	talk   string // what has been said that the proof covers
}

// First takes the client's first message and gives the server's.
func (x *Exchange) First(message []byte) ([]byte, error) {
	s := string(message)
	flag, rest, ok := strings.Cut(s, ",")
	identity, bare, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 || identity != "" && !strings.HasPrefix(identity, "a=") {
		return nil, ErrMalformed
	}
	switch {
	case flag == "n" && !x.Plus:
	case flag == "y" && !x.Plus:
		if x.Binding != nil {
			return nil, ErrDowngraded
		}
	case strings.HasPrefix(flag, "p=") && x.Plus:
		if flag != "p=tls-server-end-point" {
			return nil, ErrBinding
		}
	default:
		return nil, ErrMalformed
	}
	x.header = flag + "," + identity + ","
	if strings.HasPrefix(bare, "m=") {
		return nil, ErrUnsupported
	}
	// The user is the one of the start-up; what stands here is not looked at.
	user, rest, ok := strings.Cut(bare, ",")
	nonce, ok2 := strings.CutPrefix(rest, "r=")
	nonce, _, _ = strings.Cut(nonce, ",") // extensions may follow
	if !ok || !ok2 || !strings.HasPrefix(user, "n=") || nonce == "" || !printable(nonce) {
		return nil, ErrMalformed
	}
	var chance [nonceBytes]byte
	rand.Read(chance[:]) //nolint:errcheck // it never fails
	x.nonce = nonce + base64.StdEncoding.EncodeToString(chance[:])
	answer := "r=" + x.nonce + ",s=" + base64.StdEncoding.EncodeToString(x.Verifier.Salt) + ",i=" + strconv.Itoa(x.Verifier.Iterations)
	x.talk = bare + "," + answer
	return []byte(answer), nil
}

// Final takes the client's proof and gives the server's.
func (x *Exchange) Final(message []byte) ([]byte, error) {
	s := string(message)
	at := strings.LastIndex(s, ",p=")
	if at < 0 || x.nonce == "" {
		return nil, ErrMalformed
	}
	proof, err := base64.StdEncoding.DecodeString(s[at+3:])
	if err != nil || len(proof) != sha256.Size {
		return nil, ErrMalformed
	}
	binding, rest, _ := strings.Cut(s[:at], ",")
	binding, ok := strings.CutPrefix(binding, "c=")
	nonce, ok2 := strings.CutPrefix(rest, "r=")
	nonce, _, _ = strings.Cut(nonce, ",")
	if !ok || !ok2 {
		return nil, ErrMalformed
	}
	want := []byte(x.header)
	if x.Plus {
		want = append(want, x.Binding...)
	}
	if got, err := base64.StdEncoding.DecodeString(binding); err != nil || !bytes.Equal(got, want) {
		return nil, ErrBinding
	}
	if nonce != x.nonce {
		return nil, ErrNonce
	}
	talk := x.talk + "," + s[:at]
	key := sign(x.Verifier.StoredKey[:], talk) // the client's signature, and with the proof its key
	for i := range key {
		key[i] ^= proof[i]
	}
	if hash := sha256.Sum256(key); !hmac.Equal(hash[:], x.Verifier.StoredKey[:]) {
		return nil, ErrDenied
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(sign(x.Verifier.ServerKey[:], talk))), nil
}

// printable says whether a nonce has only the characters that one may have.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
