package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/vec"
)

// giveForms makes rows of which a segment has shorter forms: uuids of one version, sessions
// that say when they began, and properties that follow from others.
func giveForms(rng *rand.Rand, rows []row, version byte) {
	sessions := map[string]int64{}
	for i := range rows {
		r := &rows[i]
		v := version
		if v == 0 {
			v = []byte{4, 7}[rng.IntN(2)]
		}
		if v == 7 {
			binary.BigEndian.PutUint64(r.uuid[:], uint64(millis(r.time)+rng.Int64N(2000))<<16|uint64(rng.Uint32N(1<<16)))
		}
		r.uuid[6], r.uuid[8] = r.uuid[6]&15|v<<4, r.uuid[8]&0x3f|0x80
		if _, has := r.props[sessionKey]; has {
			key := fmt.Sprint(r.ordinal, rng.IntN(2))
			if sessions[key] == 0 {
				sessions[key] = millis(r.time)
			}
			id := vec.UUIDValue{6: 0x70, 8: 0x80, 15: key[len(key)-1], 14: byte(r.ordinal)}
			binary.BigEndian.PutUint64(id[:], uint64(sessions[key])<<16|7<<12)
			r.props[sessionKey] = value{event.Text, uuid.UUID(id).String()}
		}
		city := rng.IntN(60)
		if city > 0 {
			r.props["city"] = value{event.Text, fmt.Sprint("City ", city)}
			r.props["country"] = value{event.Text, fmt.Sprint("Country ", city%9)}
			r.props["code"] = value{event.Int, fmt.Sprint(city % 7)}
		} else {
			r.props["country"] = value{event.Null, ""}
		}
		if city%5 > 0 {
			r.props["region"] = value{event.Text, fmt.Sprint("Region ", city%5)}
		}
		delete(r.props, "text")
	}
}

// TestForms builds rows of every form, merges them, and reads them back.
func TestForms(t *testing.T) {
	rng := newRand(t, 20)
	for _, n := range []int{1, 2, 5, 2000} {
		for _, version := range []byte{4, 7, 0} {
			if testing.Short() && n > 1000 && version != 7 {
				continue
			}
			rows := randomRows(rng, n, 1000)
			giveForms(rng, rows, version)
			raw := mustBuild(t, inputs(rng, rows), Options{})
			r := mustOpen(t, raw)
			check(t, r, rows)
			if err := r.Verify(); err != nil {
				t.Fatal(err)
			}
			check(t, mustOpen(t, mustBuild(t, inputs(rng, rows), Options{Image: true})), rows)
			half := n / 2
			var parts []Part
			for _, some := range [][]row{rows[:half], rows[half:]} {
				if len(some) > 0 {
					parts = append(parts, partsOf(mustOpen(t, mustBuild(t, inputs(rng, some), Options{})))...)
				}
			}
			merged, err := Merge(parts, nil, testDay, 31)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(merged, raw) {
				t.Fatalf("%d rows, version %d: merged, they are not what is built of them", n, version)
			}
			var dump bytes.Buffer
			if err := Dump(&dump, r); err != nil {
				t.Fatal(err)
			}
			size := float64(r.dir.uuids.size) / float64(n)
			most := map[byte]float64{4: 15.3, 7: 11.5, 0: 16.1}[version]
			if n < 1000 {
				continue
			}
			if size > most {
				t.Errorf("%d uuids of version %d take %.2f bytes each", n, version, size)
			}
			if got := r.bytes(r.dir.fixed[secSessions])[4]; got != formStarts {
				t.Errorf("%d session ids are of form %d", n, got)
			}
			for _, follower := range []string{"code", "country", "region"} {
				if !strings.Contains(dump.String(), fmt.Sprintf("%-24q codes", follower)) {
					t.Errorf("no column %q in\n%s", follower, dump.String())
				}
			}
			if strings.Count(dump.String(), `follows "city"`) < 3 {
				t.Errorf("columns that follow the city are not found:\n%s", dump.String())
			}
		}
	}
}

// TestManyUUIDs reads uuids of several blocks.
func TestManyUUIDs(t *testing.T) {
	rng := newRand(t, 22)
	rows := make([]row, 20_000)
	for i := range rows {
		rows[i] = row{time: testDay*dayMicros + int64(i)*1000, name: "e", id: "u", uuid: vec.UUIDValue{15: byte(i)}, props: map[string]value{}}
	}
	giveForms(rng, rows, 7)
	r := mustOpen(t, mustBuild(t, []Input{input(rows)}, Options{}))
	got := make([]vec.UUIDValue, len(rows))
	for range 20 {
		lo := rng.IntN(len(rows))
		hi := lo + rng.IntN(len(rows)-lo)
		if err := r.UUIDs(got, lo, hi); err != nil {
			t.Fatal(err)
		}
		for i := lo; i < hi; i++ {
			if got[i-lo] != rows[i].uuid {
				t.Fatalf("row %d: uuid %x, want %x", i, got[i-lo], rows[i].uuid)
			}
		}
	}
}

// TestUUIDBlocks packs blocks and reads any part of them.
func TestUUIDBlocks(t *testing.T) {
	rng := newRand(t, 21)
	for round := range 300 {
		n := 1 + rng.IntN(40)
		ids, times := make([]vec.UUIDValue, n), make([]int64, n)
		form := round % 4 // version 4, version 7, version 7 with any time, anything
		for i := range ids {
			binary.LittleEndian.PutUint64(ids[i][:], rng.Uint64())
			binary.LittleEndian.PutUint64(ids[i][8:], rng.Uint64())
			times[i] = rng.Int64N(1<<50) - 1<<40
			if form == 1 {
				binary.BigEndian.PutUint64(ids[i][:], uint64(millis(times[i])+rng.Int64N(9))<<16)
			}
			if form < 3 {
				ids[i][6], ids[i][8] = ids[i][6]&15|[]byte{0x40, 0x70, 0x70}[form], ids[i][8]&0x3f|0x80
			}
		}
		raw := appendUUIDs(nil, ids, times, true)
		if len(raw) > 1+16*n {
			t.Errorf("%d uuids take %d bytes", n, len(raw))
		}
		lo := rng.IntN(n)
		got := make([]vec.UUIDValue, 1+rng.IntN(n-lo))
		err := readUUIDs(got, raw, n, lo, func(dst []int64) error { copy(dst, times[lo:]); return nil })
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i] != ids[lo+i] {
				t.Fatalf("form %d: uuid %d = %x, want %x", form, lo+i, got[i], ids[lo+i])
			}
		}
	}
}
