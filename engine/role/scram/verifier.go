package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The names of the two mechanisms: the second ties the proof to the TLS connection.
const (
	Mechanism     = "SCRAM-SHA-256"
	MechanismPlus = "SCRAM-SHA-256-PLUS"
)

const (
	iterations = 4096 // what RFC 7677 asks for at least, and PostgreSQL uses
	saltBytes  = 16
	// A verifier from elsewhere may have other numbers, within these bounds.
	maxIterations = 10_000_000
	maxSalt       = 1024
)

// Verifier is what is stored of a password: enough to check a proof, not enough to make one.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  [sha256.Size]byte
	ServerKey  [sha256.Size]byte
}

// New makes a verifier of a password, with a fresh salt.
func New(password string) (Verifier, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt) //nolint:errcheck // it never fails
	return derive(password, salt, iterations)
}

func derive(password string, salt []byte, iterations int) (Verifier, error) {
	salted, err := pbkdf2.Key(sha256.New, prepare(password), salt, iterations, sha256.Size)
	if err != nil {
		return Verifier{}, err
	}
	v := Verifier{Iterations: iterations, Salt: salt}
	v.StoredKey = sha256.Sum256(sign(salted, "Client Key"))
	copy(v.ServerKey[:], sign(salted, "Server Key"))
	return v, nil
}

// Unknown is the verifier of a user that does not exist. The salt follows from the user and
// the key, so that who asks twice learns nothing; no password fits.
func Unknown(key []byte, user string) Verifier {
	v := Verifier{Iterations: iterations, Salt: sign(key, user)[:saltBytes]}
	rand.Read(v.StoredKey[:]) //nolint:errcheck // it never fails
	return v
}

// String is the verifier as PostgreSQL stores it:
//
//	SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
func (v Verifier) String() string {
	text := base64.StdEncoding.EncodeToString
	return Mechanism + "$" + strconv.Itoa(v.Iterations) + ":" + text(v.Salt) + "$" + text(v.StoredKey[:]) + ":" + text(v.ServerKey[:])
}

var errNoVerifier = errors.New("this is no SCRAM-SHA-256 verifier")

// Parse reads what String writes.
func Parse(s string) (Verifier, error) {
	rest, ok := strings.CutPrefix(s, Mechanism+"$")
	head, keys, ok2 := strings.Cut(rest, "$")
	count, salt, ok3 := strings.Cut(head, ":")
	stored, server, ok4 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 || !ok4 {
		return Verifier{}, errNoVerifier
	}
	var v Verifier
	var err error
	if v.Iterations, err = strconv.Atoi(count); err != nil || v.Iterations < 1 || v.Iterations > maxIterations {
		return Verifier{}, fmt.Errorf("%w: %q iterations", errNoVerifier, count)
	}
	if v.Salt, err = base64.StdEncoding.DecodeString(salt); err != nil || len(v.Salt) == 0 || len(v.Salt) > maxSalt {
		return Verifier{}, fmt.Errorf("%w: its salt cannot be read", errNoVerifier)
	}
	for _, k := range []struct {
		text string
		into *[sha256.Size]byte
	}{{stored, &v.StoredKey}, {server, &v.ServerKey}} {
		b, err := base64.StdEncoding.DecodeString(k.text)
		if err != nil || len(b) != sha256.Size {
			return Verifier{}, fmt.Errorf("%w: a key cannot be read", errNoVerifier)
		}
		copy(k.into[:], b)
	}
	return v, nil
}

// Matches says whether a password is the one that the verifier was made of: for clients that
// send it as it is, inside TLS.
func (v Verifier) Matches(password string) bool {
	got, err := derive(password, v.Salt, v.Iterations)
	return err == nil && subtle.ConstantTimeCompare(got.StoredKey[:], v.StoredKey[:]) == 1
}

// sign is HMAC-SHA-256.
func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) //nolint:errcheck // it never fails
	return h.Sum(nil)
}
