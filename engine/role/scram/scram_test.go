package scram

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// The example of RFC 7677 section 3: everything is given but the server's part of the nonce.
func TestExample(t *testing.T) {
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	v, err := derive("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	x := &Exchange{Verifier: v}
	if _, err := x.First([]byte("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")); err != nil {
		t.Fatal(err)
	}
	x.nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	x.talk = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + x.nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	got, err := x.Final([]byte("c=biws,r=" + x.nonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if err != nil || string(got) != "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("Final = %s, %v", got, err)
	}
}

// client is the other side, written from the RFC on its own.
type client struct {
	password, gs2 string
	binding       []byte
	bare, nonce   string
}

func (c *client) first() string {
	c.bare = "n=,r=clientnonce"
	return c.gs2 + c.bare
}

func (c *client) final(t *testing.T, server string) (message, want string) {
	t.Helper()
	var salt []byte
	for _, part := range strings.Split(server, ",") {
		switch part[:2] {
		case "r=":
			c.nonce = part[2:]
		case "s=":
			salt, _ = base64.StdEncoding.DecodeString(part[2:])
		case "i=":
			if part != "i=4096" {
				t.Fatalf("iterations %s", part)
			}
		}
	}
	// Hi of RFC 5802, by the book.
	u := sign([]byte(c.password), string(salt)+"\x00\x00\x00\x01")
	salted := append([]byte(nil), u...)
	for range 4095 {
		u = sign([]byte(c.password), string(u))
		for i := range salted {
			salted[i] ^= u[i]
		}
	}
	without := "c=" + base64.StdEncoding.EncodeToString(append([]byte(c.gs2), c.binding...)) + ",r=" + c.nonce
	talk := c.bare + "," + server + "," + without
	key := sign(salted, "Client Key")
	stored := sha256.Sum256(key)
	signature := sign(stored[:], talk)
	for i := range key {
		key[i] ^= signature[i]
	}
	return without + ",p=" + base64.StdEncoding.EncodeToString(key), "v=" + base64.StdEncoding.EncodeToString(sign(sign(salted, "Server Key"), talk))
}

func TestExchange(t *testing.T) {
	known, err := New("secret")
	if err != nil {
		t.Fatal(err)
	}
	// A verifier is the same after it was stored.
	stored, err := Parse(known.String())
	if err != nil || stored.String() != known.String() {
		t.Fatalf("Parse(%s) = %s, %v", known, stored, err)
	}
	bound := []byte("hash of a certificate")
	for _, c := range []struct {
		name        string
		verifier    Verifier
		password    string
		gs2         string
		plus        bool
		offered     []byte // what the server binds to
		seen        []byte // what the client binds to
		first, last error
	}{
		{"plain", stored, "secret", "n,,", false, nil, nil, nil, nil},
		{"plain where binding is offered", stored, "secret", "n,,", false, bound, nil, nil, nil},
		{"could bind, is not offered", stored, "secret", "y,,", false, nil, nil, nil, nil},
		{"bound", stored, "secret", "p=tls-server-end-point,,", true, bound, bound, nil, nil},
		{"wrong password", stored, "Secret", "n,,", false, nil, nil, nil, ErrDenied},
		{"no password", stored, "", "n,,", false, nil, nil, nil, ErrDenied},
		{"unknown user", Unknown([]byte("key"), "who"), "secret", "n,,", false, nil, nil, nil, ErrDenied},
		{"somebody in between", stored, "secret", "p=tls-server-end-point,,", true, bound, []byte("another"), nil, ErrBinding},
		{"downgrade", stored, "secret", "y,,", false, bound, nil, ErrDowngraded, nil},
		{"another binding", stored, "secret", "p=tls-unique,,", true, bound, bound, ErrBinding, nil},
		{"plus without binding", stored, "secret", "n,,", true, bound, nil, ErrMalformed, nil},
		{"binding without plus", stored, "secret", "p=tls-server-end-point,,", false, bound, nil, ErrMalformed, nil},
		{"no header", stored, "secret", "", false, nil, nil, ErrMalformed, nil},
		{"authorization identity", stored, "secret", "n,a=me,", false, nil, nil, nil, nil},
	} {
		x := &Exchange{Verifier: c.verifier, Plus: c.plus, Binding: c.offered}
		cl := &client{password: c.password, gs2: c.gs2, binding: c.seen}
		answer, err := x.First([]byte(cl.first()))
		if !errors.Is(err, c.first) {
			t.Errorf("%s: First: %v, want %v", c.name, err, c.first)
		}
		if err != nil {
			continue
		}
		message, want := cl.final(t, string(answer))
		got, err := x.Final([]byte(message))
		if !errors.Is(err, c.last) || err == nil && string(got) != want {
			t.Errorf("%s: Final = %s, %v, want %s, %v", c.name, got, err, want, c.last)
		}
	}
}

func TestFinalWithAnotherNonce(t *testing.T) {
	v, _ := New("secret")
	x := &Exchange{Verifier: v}
	c := &client{password: "secret", gs2: "n,,"}
	answer, _ := x.First([]byte(c.first()))
	message, _ := c.final(t, strings.Replace(string(answer), "r=clientnonce", "r=Clientnonce", 1))
	if _, err := x.Final([]byte(message)); !errors.Is(err, ErrNonce) {
		t.Errorf("Final = %v, want %v", err, ErrNonce)
	}
}

func TestUnknownIsStable(t *testing.T) {
	a, b, other := Unknown([]byte("k"), "ann"), Unknown([]byte("k"), "ann"), Unknown([]byte("k"), "bob")
	if string(a.Salt) != string(b.Salt) || string(a.Salt) == string(other.Salt) || a.Matches("") {
		t.Errorf("salts %x, %x, %x", a.Salt, b.Salt, other.Salt)
	}
}

func TestParseRefuses(t *testing.T) {
	v, _ := New("x")
	good := v.String()
	for _, s := range []string{"", "md5abc", good[1:], good + "A", strings.Replace(good, "4096", "0", 1), strings.Replace(good, "4096", "99999999999", 1),
		strings.Replace(good, ":", "", 1), "SCRAM-SHA-256$4096:$" + strings.SplitN(good, "$", 3)[2]} {
		if got, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %v", s, got)
		}
	}
}

func TestPasswordsTypedInTwoWays(t *testing.T) {
	for _, c := range [][2]string{
		{"grün", "gru\u0308n"}, {"I\u00adX", "IX"}, {"\u00a0a", " a"}, {"\u2168", "IX"}, {"\u00aa", "a"}, {"plain", "plain"},
		{"a\u0007é", "a\u0007é"}, {"\xff", "\xff"}, {"\u0627\u0031", "\u0627\u0031"},
	} {
		if prepare(c[0]) != prepare(c[1]) {
			t.Errorf("%q is %q, %q is %q", c[0], prepare(c[0]), c[1], prepare(c[1]))
		}
		v, err := New(c[0])
		if err != nil || !v.Matches(c[1]) || v.Matches(c[1]+"x") {
			t.Errorf("%q does not match %q, %v", c[1], c[0], err)
		}
	}
	// What is forbidden stays as it is.
	if got := prepare("e\u0301\u0007"); got != "e\u0301\u0007" {
		t.Errorf("prepare changed a forbidden text to %q", got)
	}
}

func FuzzExchange(f *testing.F) {
	f.Add([]byte("n,,n=,r=abc"), []byte("c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), false)
	f.Add([]byte("p=tls-server-end-point,,n=,r=abc"), []byte(",p="), true)
	v, _ := New("secret")
	f.Fuzz(func(t *testing.T, first, final []byte, plus bool) {
		x := &Exchange{Verifier: v, Plus: plus, Binding: []byte("b")}
		if _, err := x.First(first); err != nil {
			return
		}
		if got, err := x.Final(final); err == nil {
			t.Errorf("a proof without the password: %s", got)
		}
	})
}
