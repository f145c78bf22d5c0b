package backup

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/klauspost/compress/zstd"
)

func testPiece() *Piece {
	return &Piece{
		Head: PieceHead{Cluster: "c", First: 7, Last: 9, Term: 3, FirstTime: 5, LastTime: 6},
		Entries: []raft.Log{
			{Index: 7, Term: 2, Type: raft.LogCommand, Data: []byte("one"), AppendedAt: time.Unix(0, 12)},
			{Index: 8, Term: 3, Type: raft.LogNoop, Data: []byte{}},
			{Index: 9, Term: 3, Type: raft.LogConfiguration, Data: bytes.Repeat([]byte("x"), 5000), Extensions: []byte("ext")},
		},
	}
}

func TestPiece(t *testing.T) {
	p := testPiece()
	raw, err := EncodePiece(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodePiece(raw)
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("DecodePiece = %+v, %v, want %+v", got, err, p)
	}
	// Any zstd reads it.
	dec, err := zstd.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(dec); err != nil || !bytes.HasPrefix(plain.Bytes(), []byte(pieceMagic)) {
		t.Errorf("as zstd: %d bytes, %v", plain.Len(), err)
	}
	for i := range raw {
		raw[i] ^= 1
		if _, err := DecodePiece(raw); err == nil {
			t.Errorf("byte %d changed: no error", i)
		}
		raw[i] ^= 1
		if _, err := DecodePiece(raw[:i]); err == nil {
			t.Errorf("cut to %d bytes: no error", i)
		}
	}
	p.Entries[1].Index = 10
	if _, err := EncodePiece(p); err == nil {
		t.Error("EncodePiece with a gap: no error")
	}
	if _, err := EncodePiece(&Piece{}); err == nil {
		t.Error("EncodePiece without entries: no error")
	}
}

func testManifest() *Manifest {
	hash := HashOf([]byte("x"))
	return &Manifest{Format: format, Version: "0.1.0", Cluster: "c", Epoch: 1, Index: 12, Term: 2, Time: time.Unix(5, 0).UTC(), Created: time.Unix(6, 0).UTC(),
		Events: 7, Segments: 1, Files: []File{{"data/segments/0000000001.seg", 1, hash}}, Tail: File{"raft/tail", 1, hash}}
}

func TestManifest(t *testing.T) {
	m := testManifest()
	raw, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeManifest(raw); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("decodeManifest = %+v, %v, want %+v", got, err, m)
	}
	if m.Bytes() != 2 {
		t.Errorf("Bytes = %d, want 2", m.Bytes())
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			if _, err := decodeManifest(raw); err == nil {
				t.Errorf("bit %d of byte %d changed: no error", bit, i)
			}
			raw[i] ^= 1 << bit
		}
	}
	for change, want := range map[string]func(*Manifest){
		"written by prickle 0.9.0 in format 2": func(m *Manifest) { m.Format, m.Version = 2, "0.9.0" },
		`file "../x"`:                          func(m *Manifest) { m.Files[0].Name = "../x" },
		`file "/x"`:                            func(m *Manifest) { m.Tail.Name = "/x" },
		`file "a//b"`:                          func(m *Manifest) { m.Files[0].Name = "a//b" },
		`file ""`:                              func(m *Manifest) { m.Files[0].Name = "" },
		`hash "../../x"`:                       func(m *Manifest) { m.Files[0].Hash = "../../x" },
		"-1 bytes":                             func(m *Manifest) { m.Files[0].Size = -1 },
	} {
		m := testManifest()
		want(m)
		raw, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeManifest(raw); err == nil || !strings.Contains(err.Error(), change) {
			t.Errorf("decodeManifest = %v, want %q", err, change)
		}
	}
}

// The hash around a piece or a manifest would keep a fuzzer out, so what is inside is fuzzed.

func FuzzPiece(f *testing.F) {
	raw, err := EncodePiece(testPiece())
	if err != nil {
		f.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		f.Fatal(err)
	}
	inside, err := dec.DecodeAll(raw, nil)
	if err != nil {
		f.Fatal(err)
	}
	dec.Close()
	f.Add(inside)
	f.Fuzz(func(t *testing.T, raw []byte) {
		DecodePiece(raw) // no panic
		p, err := decodeEntries(raw)
		if err != nil {
			return
		}
		again, err := EncodePiece(p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := DecodePiece(again)
		if err != nil || len(q.Entries) != len(p.Entries) || q.Head.First != p.Head.First || q.Head.Last != p.Head.Last {
			t.Errorf("read again: %v", err)
		}
	})
}

func FuzzManifest(f *testing.F) {
	raw, err := json.Marshal(testManifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		decodeManifest(raw) // no panic
		if sealed, err := json.Marshal(sealed{raw, HashOf(raw)}); err == nil {
			decodeManifest(sealed)
		}
	})
}
