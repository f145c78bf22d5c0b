package session

import (
	"strings"
	"testing"
)

func TestShownHidesPasswords(t *testing.T) {
	long := strings.Repeat("é", maxShown)
	for text, want := range map[string]string{
		"SELECT 1":                                    "SELECT 1",
		"CREATE ROLE a PASSWORD 'x'; SELECT 1":        "CREATE ROLE a PASSWORD …",
		"create role a password\n\tE'x'":              "create role a password …",
		"ALTER ROLE a PASSWORD$$x$$":                  "ALTER ROLE a PASSWORD …",
		"ALTER ROLE a PASSWORD /* it's */ -- so\n'x'": "ALTER ROLE a PASSWORD …",
		"ALTER ROLE a PASSWORD NULL":                  "ALTER ROLE a PASSWORD NULL",
		"SELECT 'password', password FROM t":          "SELECT 'password', password FROM t",
		"SELECT password /* never closed":             "SELECT password /* never closed",
		long:                                          long[:maxShown],
	} {
		if got := shown(text); got != want {
			t.Errorf("shown(%.60q) = %.60q, want %.60q", text, got, want)
		}
	}
}
