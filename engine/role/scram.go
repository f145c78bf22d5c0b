package role

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// scramRounds is how often the hash of a password is taken, as PostgreSQL does.
const scramRounds = 4096

// Verifier is what is stored of a password for SCRAM-SHA-256 (RFC 5802, RFC 7677):
//
//	SCRAM-SHA-256$4096:salt$StoredKey:ServerKey
//
// with salt and keys in base64. One that is such a text already, as \password of psql sends it,
// stays as it is. The salt is random.
func Verifier(password string) (string, error) {
	if _, err := ParseVerifier(password); err == nil {
		return password, nil
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("salt of a password: %w", err)
	}
	v, err := verifier(password, salt, scramRounds)
	if err != nil {
		return "", err
	}
	return v.String(), nil
}

// SCRAM is a verifier, read.
type SCRAM struct {
	Salt                 []byte
	Rounds               int
	StoredKey, ServerKey []byte
}

func verifier(password string, salt []byte, rounds int) (*SCRAM, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("hash of a password: %w", err)
	}
	key := func(name string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(name)) //nolint:errcheck // it never fails
		return h.Sum(nil)
	}
	stored := sha256.Sum256(key("Client Key"))
	return &SCRAM{salt, rounds, stored[:], key("Server Key")}, nil
}

// String is the verifier as it is stored.
func (v *SCRAM) String() string {
	b := base64.StdEncoding
	return "SCRAM-SHA-256$" + strconv.Itoa(v.Rounds) + ":" + b.EncodeToString(v.Salt) + "$" + b.EncodeToString(v.StoredKey) + ":" + b.EncodeToString(v.ServerKey)
}

// maxRounds bounds how much work a verifier from outside may ask for.
const maxRounds = 10_000_000

// ParseVerifier reads a verifier.
func ParseVerifier(text string) (*SCRAM, error) {
	bad := fmt.Errorf("text is no SCRAM-SHA-256 verifier")
	rest, ok := strings.CutPrefix(text, "SCRAM-SHA-256$")
	if !ok {
		return nil, bad
	}
	head, keys, ok := strings.Cut(rest, "$")
	rounds, salt, ok2 := strings.Cut(head, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 {
		return nil, bad
	}
	n, err := strconv.Atoi(rounds)
	if err != nil || n < 1 || n > maxRounds {
		return nil, bad
	}
	v := &SCRAM{Rounds: n}
	for _, part := range []struct {
		into *[]byte
		text string
		size int
	}{{&v.Salt, salt, 0}, {&v.StoredKey, stored, sha256.Size}, {&v.ServerKey, server, sha256.Size}} {
		raw, err := base64.StdEncoding.DecodeString(part.text)
		if err != nil || len(raw) == 0 || part.size > 0 && len(raw) != part.size {
			return nil, bad
		}
		*part.into = raw
	}
	return v, nil
}
