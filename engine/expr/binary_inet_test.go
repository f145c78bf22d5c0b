package expr

import (
	"encoding/hex"
	"testing"
)

func TestBinaryInet(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1": "022000047f000001", "::ffff:10.0.0.1": "022000040a000001", "fe80::1%eth0": "03800010fe800000000000000000000000000001",
	} {
		if got := hex.EncodeToString(appendBinaryInet(nil, []byte(text))); got != want {
			t.Errorf("%s = %s, want %s", text, got, want)
		}
	}
}
