package format

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// TestLineEnds reads rows whose line ends are alike, and some that are not.
func TestLineEnds(t *testing.T) {
	columns := []Column{{Name: "a", Type: vec.T(vec.Text)}, {Name: "b", Type: vec.T(vec.Text)}}
	text, csv := Defaults(Text), Defaults(CSV)
	for _, c := range []struct {
		raw  string
		o    Options
		want []string // of rows
		err  string
	}{
		{"1\t2\r\n3\t4\r\n", text, []string{`"1" "2"`, `"3" "4"`}, ""},
		{"1\t2\n3\t4", text, []string{`"1" "2"`, `"3" "4"`}, ""},
		{"1\t2\r\n3\t4", text, []string{`"1" "2"`, `"3" "4"`}, ""},
		{"1\t2\r\n3\t4\n", text, nil, "22P04 literal newline found in data [COPY t, line 2]"},
		{"1\t2\n3\t4\r\n", text, nil, "22P04 literal carriage return found in data [COPY t, line 2]"},
		{"1\t2\n3\r4\n", text, nil, "22P04 literal carriage return found in data [COPY t, line 2]"},
		{"1\t2\n3\t4\r", text, nil, "22P04 literal carriage return found in data [COPY t, line 2]"},
		{"1,2\r\n3,4\r\n", csv, []string{`"1" "2"`, `"3" "4"`}, ""},
		{"\"1\n\",2\r\n\"3\n\",4\r\n", csv, []string{`"1\n" "2"`, `"3\n" "4"`}, ""},
		{"1,2\r\n3,4\n", csv, nil, "22P04 unquoted newline found in data [COPY t, line 2]"},
		{"1,2\n3,4\r\n", csv, nil, "22P04 unquoted carriage return found in data [COPY t, line 2]"},
		{"\"1\r\n\",2\n3,4\r\n", csv, nil, "22P04 unquoted carriage return found in data [COPY t, line 3]"},
	} {
		for _, piece := range []int{3, 1 << 20} {
			rows, _, _, err := readRows([]byte(c.raw), c.o, columns, piece)
			if got := errorText(err); got != c.err || !slices.Equal(rows, c.want) {
				t.Errorf("%q in pieces of %d = %q, %s, want %q, %s", c.raw, piece, rows, got, c.want, c.err)
			}
		}
	}
}

// TestBrokenStream reads a stream that fails after some rows.
func TestBrokenStream(t *testing.T) {
	for raw, want := range map[string]string{"": "COPY t, line 1", "1\n2\n": "COPY t, line 3", "1\n2\n3": "COPY t, line 3"} {
		in := io.MultiReader(strings.NewReader(raw), iotest.ErrReader(pgerr.New(pgerr.QueryCanceled, "gone")))
		r, err := NewReader(in, Defaults(Text), []Column{{Name: "a", Type: vec.T(vec.Text)}}, "COPY t", testContext())
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Next()
		if e := pgerr.From(err); e.Code != pgerr.QueryCanceled || e.Where != want {
			t.Errorf("%q and then an error: %v in %s, want it in %s", raw, err, e.Where, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
