package capture

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prickledb/prickle/storage/event"
)

// tree is a value as encoding/json would give it, with numbers as they are written.
func tree(tb testing.TB, kind event.Kind, text []byte) any {
	doc := string(event.AppendJSON(nil, kind, text))
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("canonical text %q is not JSON: %v", doc, err)
	}
	return v
}

// withoutNUL replaces what no text can hold.
func withoutNUL(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "\x00", "\ufffd")
	case []any:
		for i := range v {
			v[i] = withoutNUL(v[i])
		}
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[strings.ReplaceAll(k, "\x00", "\ufffd")] = withoutNUL(x)
		}
		return out
	}
	return v
}

func checkScan(t *testing.T, doc []byte) {
	var s scanner
	s.reset(doc)
	kind, text, ok := event.Kind(0), []byte(nil), s.valid()
	if ok {
		kind, text, ok = s.value()
	}
	ok = ok && s.end()
	if !ok && (s.err == nil || s.err.Offset > len(doc)) {
		t.Fatalf("scan of %q failed with %v", doc, s.err)
	}
	var skip scanner
	skip.reset(doc)
	skipped := skip.valid()
	if skipped {
		_, skipped = skip.skip(0)
	}
	if skipped = skipped && skip.end(); skipped != ok {
		t.Fatalf("skip of %q = %v (%v), value = %v (%v)", doc, skipped, skip.err, ok, s.err)
	}
	if s.err != nil && (strings.HasPrefix(s.err.What, "more than") || s.err.What == "not valid UTF-8") {
		return // encoding/json has another limit, and repairs
	}
	if want := json.Valid(doc); ok != want {
		t.Fatalf("scan of %q = %v (%v), encoding/json says %v", doc, ok, s.err, want)
	}
	if !ok {
		return
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(doc, []byte(`\u0000`)) && bytes.ContainsAny(doc, "{") {
		return // keys may become equal, and which is the last is not known from a map
	}
	if got := tree(t, kind, text); !reflect.DeepEqual(got, withoutNUL(want)) {
		t.Fatalf("scan of %q = %#v, want %#v", doc, got, want)
	}
	switch kind {
	case event.Int, event.Float:
		if k := numberKind(text); k != kind {
			t.Fatalf("number %q is of kind %d, want %d", text, kind, k)
		}
	case event.JSON: // canonical text is its own canonical text
		var again scanner
		again.reset(text)
		if _, twice, _ := again.value(); !bytes.Equal(twice, text) {
			t.Fatalf("canonical %q becomes %q", text, twice)
		}
	}
}

var scanCases = []string{
	`1`, `-0`, `0`, `-1`, `01`, `1.`, `.5`, `1.0`, `1.50`, `0.5`, `-0.000001`, `0.0000001`, `1e5`, `1E+2`, `1e`, `12345678901234567890`,
	`9223372036854775807`, `-9223372036854775808`, `9223372036854775808`, `0.1234567890123456789`, `123456789012345.6`, `1e400`, `-`,
	`"a"`, `"\u00e9\ud83d\ude00\ud83d\u0041\udc00"`, `"\u0000"`, `"\x"`, `"\u12g4"`, `"\ud83d"`, `"\ud83d\u"`, "\"tab\there\"", `"`, `"\`, `"a\"b\\c\/d\b\f\n\r\t"`,
	`true`, `false`, `null`, `tru`, `nullx`, `NaN`, `Infinity`, ` [ ] `, `{}`, `[1,]`, `[1 2]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`,
	`{"b":1,"a":{"zz":[1,2,{"x":null}],"y":"\""},"b":2,"aa":[]}`, "{\"a\":1}\n{}", "\"\xff\"", `"` + strings.Repeat("long text ", 20) + `\n"`, ``, ` `, "\x00", "\x01",
	`"12345678` + "\x1f" + `"`, `"1234567é8"`, `{"\u0061":1,"a":2}`, strings.Repeat("[", 300) + strings.Repeat("]", 300),
}

func TestScan(t *testing.T) {
	for _, doc := range scanCases {
		checkScan(t, []byte(doc))
	}
}

func FuzzScan(f *testing.F) {
	for _, doc := range scanCases {
		f.Add([]byte(doc))
	}
	f.Fuzz(checkScan)
}

func TestNumberKinds(t *testing.T) {
	for text, want := range map[string]event.Kind{
		"0": event.Int, "-0": event.Number, "42": event.Int, "-42": event.Int, "9223372036854775807": event.Int,
		"9223372036854775808": event.Number, "1.5": event.Float, "1.50": event.Number, "1.0": event.Number, "0.25": event.Float,
		"1e5": event.Number, "0.000001": event.Float, "0.0000001": event.Number, "1e-07": event.Float, "3.141592653589793": event.Float,
		"3.1415926535897931": event.Number, "123456789012345.6": event.Float,
	} {
		var s scanner
		s.reset([]byte(text))
		if kind, _, ok := s.value(); !ok || kind != want {
			t.Errorf("%s is of kind %d (%v), want %d", text, kind, ok, want)
		}
	}
}

func TestLenient(t *testing.T) {
	s := scanner{lenient: true}
	s.reset([]byte(`{"a":NaN,"b":[Infinity,-Infinity],"c":-1}`))
	if _, text, ok := s.value(); !ok || string(text) != `{"a": null, "b": [null, null], "c": -1}` {
		t.Errorf("value = %s, %v (%v)", text, ok, s.err)
	}
}

// checkRepeated decodes a line alone and behind another one, whose keys and values it may
// repeat: it must mean the same.
func checkRepeated(t *testing.T, before, line []byte) {
	t.Helper()
	m := Mapping{Event: "event", Time: "timestamp", Person: "distinct_id", ID: "uuid", Properties: "properties"}
	last := func(chunk []byte) string {
		d := NewDecoder(m).Decode(chunk, 1)
		if d.Rows == 0 || len(d.Rejects) > 0 && d.Rejects[len(d.Rejects)-1].Line == int64(d.Lines) {
			return "refused"
		}
		b := d.Batches[0].Batch
		return showRow(b, b.Rows-1, true)
	}
	alone, behind := last(line), last(slices.Concat(before, []byte("\n"), line))
	if alone != behind {
		t.Errorf("%s\nbehind\n%s\nis\n%s\nwant\n%s", line, before, behind, alone)
	}
}

// TestRepeated changes bytes of events.
func TestRepeated(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	lines := bytes.Split(bytes.TrimSpace(generated(t, 30)), []byte("\n"))
	bits := []string{`"`, `\`, `,`, `:`, `}`, `{`, ` `, `\"`, `null`, `1`, `.`, `e5`, `true`, `"a":`, `,"a":1`, `\u0041`, `[]`}
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	for range rounds {
		before := lines[rng.IntN(len(lines))]
		line := slices.Clone(before)
		for range rng.IntN(3) {
			at := rng.IntN(len(line))
			line = slices.Concat(line[:at], []byte(bits[rng.IntN(len(bits))]), line[min(at+rng.IntN(3), len(line)):])
		}
		if rng.IntN(2) == 0 {
			before, line = line, before
		}
		checkRepeated(t, before, line)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestManyRepeated has events whose properties are partly those of the event before, in any order, written
// in any way, some twice, some in the root: each must mean what it means alone.
func TestManyRepeated(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 2))
	one := func(list ...string) string { return list[rng.IntN(len(list))] }
	member := func() string {
		return one("", " ") + `"` + one("a", "b", "c", "d", "e", "$session_id", "$set", "$ip", "$lib", "token", "$sent_at", `\u0061`) + `":` + one("", " ") +
			one(`1`, `12`, `-1.5`, `"x"`, `"x\n"`, `"é"`, `null`, `true`, `{"b": [1]}`, `"019B76DA-A800-7137-A894-CBAC52ABF6E5"`, `{}`)
	}
	manners := map[string]func(lines []string) []string{
		"file": func(lines []string) (out []string) {
			m := Mapping{Event: "event", Time: "timestamp", Person: "distinct_id", ID: "uuid", Properties: "properties"}
			got := NewDecoder(m).Decode([]byte(strings.Join(lines, "\n")), 1)
			for _, b := range got.Batches {
				for row := range b.Rows {
					out = append(out, showRow(b.Batch, row, true))
				}
			}
			for _, r := range got.Rejects {
				out = slices.Insert(out, int(r.Line-1), r.Detail)
			}
			return out
		},
		"capture": func(lines []string) (out []string) {
			req, err := newDecoder(Capture).decodeRequest([]byte("["+strings.Join(lines, ",")+"]"), envelope{clock: clock{now: testNow}})
			if err != nil {
				return []string{err.Error()}
			}
			for _, b := range req.batches {
				b.Copies = nil // they name what any row has
				for row := range b.Rows {
					out = append(out, showRow(b, row, false))
				}
			}
			return out
		},
	}
	for range 300 {
		var lines, members []string
		for range 2 + rng.IntN(12) {
			for i := range members {
				if rng.IntN(4) == 0 {
					members[i] = member()
				}
			}
			for range rng.IntN(4) {
				at := rng.IntN(len(members) + 1)
				switch rng.IntN(4) {
				case 0, 1:
					members = slices.Insert(members, at, member())
				case 2:
					members = slices.Delete(members, at, min(at+1+rng.IntN(2), len(members)))
				case 3:
					rng.Shuffle(len(members), func(i, k int) { members[i], members[k] = members[k], members[i] })
				}
			}
			if rng.IntN(8) == 0 {
				members = nil
			}
			root := ""
			if rng.IntN(4) == 0 {
				root = member() + ","
			}
			properties := `"properties":{` + strings.Join(members, one(",", " ,", ", ")) + "}"
			if rng.IntN(8) == 0 {
				properties += `,"properties":{` + member() + "}"
			}
			if rng.IntN(8) == 0 {
				properties += "," + member()
			}
			id := one(`"distinct_id":"u"`, `"distinct_id":"v"`, `"distinct_id":""`)
			lines = append(lines, `{"event":"e","timestamp":1700000000,"uuid":"019b76da-a800-7137-a894-cbac52abf6e5",`+root+id+","+properties+"}")
		}
		for name, decode := range manners {
			var want []string
			for _, line := range lines {
				want = append(want, decode([]string{line})...)
			}
			if got := decode(lines); !slices.Equal(got, want) {
				t.Fatalf("seed %d: %s of\n%s\ngives\n%s\nwant\n%s", seed, name, strings.Join(lines, "\n"), strings.Join(got, ""), strings.Join(want, ""))
			}
		}
	}
}

func FuzzRepeated(f *testing.F) {
	for _, text := range []string{`{"x":1}`, `{"x":null}`, `{"x":}`, `{"x\"":"\""}`, `{"":"a"}`, `{"x":"a\\"}`, `{"x":12,"y":true}`, `{"x":{"y":[1]}}`, `{"$lib":"a","x":"b","x":"c"}`} {
		f.Add([]byte(text), []byte(text))
		f.Add([]byte(`{"x":1,"y":true}`), []byte(text))
	}
	f.Fuzz(func(t *testing.T, one, other []byte) {
		const head = `{"event":"e","distinct_id":"u","timestamp":1700000000,"uuid":"019b76da-a800-7137-a894-cbac52abf6e5","properties":`
		if !bytes.ContainsAny(one, "\n") && !bytes.ContainsAny(other, "\n") {
			checkRepeated(t, []byte(head+string(one)+"}"), []byte(head+string(other)+"}"))
		}
	})
}

// FuzzDecode: no bytes make a decoder panic, or a batch that its wire form does not carry.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"event":"a","distinct_id":1,"timestamp":1700000000,"properties":{"$set":{"x":1},"$unset":["a"],"n":{"m":2}},"$set":{"x":2}}`))
	f.Add([]byte(`{"batch":[{"event":"$identify","distinct_id":"u","properties":{"$anon_distinct_id":"a","$browser":"x","$os_name":1,"$set_once":{"q":null}}}],"api_key":"k"}`))
	f.Add([]byte(`{"type":"person","distinct_ids":["a"],"properties":{}}`))
	f.Add([]byte(`[{"event":"$autocapture","distinct_id":"u","properties":{"$elements":[{"tag_name":"a","classes":["x"]}],"$session_id":"019B76DA-A800-7137-A894-CBAC52ABF6E5"}}]`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var batches []*event.Batch
		m := Mapping{Event: "event", Time: "timestamp", Person: "distinct_id", ID: "uuid", Properties: "properties"}
		for _, b := range NewDecoder(m).Decode(doc, 1).Batches {
			batches = append(batches, b.Batch)
		}
		if req, err := newDecoder(Capture).decodeRequest(doc, envelope{}); err == nil {
			batches = append(batches, req.batches...)
		}
		im := typed{d: newDecoder(Typed)}
		if im.chunk(Chunk{Data: doc, FirstLine: 1}) == nil && im.d.b.Rows() > 0 {
			im.flush()
			batches = append(batches, im.batches...)
		}
		for _, b := range batches {
			again, err := event.Decode(event.Append(nil, b))
			if err != nil || again.Rows != b.Rows || len(again.Props) != len(b.Props) || len(again.Ops) != len(b.Ops) {
				t.Fatalf("batch does not survive: %v", err)
			}
		}
	})
}
