package storage

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/event"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/session"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// visit is an event as the model of sessions knows it.
type visit struct {
	uuid          vec.UUIDValue
	time          int64
	name, who, id string
	url, path     string
}

// visits is the model: all events that count.
type visits map[vec.UUIDValue]visit

// sessionOf puts together what all events of a session say.
func (m visits) sessionOf(id string) string {
	if id == "" {
		return "none"
	}
	var all []visit
	for _, v := range m {
		if v.id == id {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b visit) int {
		return cmp.Or(cmp.Compare(a.time, b.time), bytes.Compare(a.uuid[:], b.uuid[:]))
	})
	names, urls := map[string]int{}, map[string]bool{}
	var entryURL, endURL, entryPath, endPath string
	for _, v := range all {
		names[v.name]++
		if v.url != "" {
			urls[v.url] = true
			entryURL, endURL = cmp.Or(entryURL, v.url), v.url
		}
		if v.path != "" {
			entryPath, endPath = cmp.Or(entryPath, v.path), v.path
		}
	}
	return fmt.Sprintf("%d..%d counts %d %d %d urls %d %q %q paths %q %q", all[0].time, all[len(all)-1].time,
		names["$pageview"], names["$autocapture"], names["$screen"], len(urls), entryURL, endURL, entryPath, endPath)
}

// visitScript makes events whose sessions go on over days, persons and batches.
type visitScript struct {
	*rand.Rand
	n     int
	model visits
}

func (s *visitScript) batch(rows int) *event.Batch {
	b := event.NewBuilder()
	for range rows {
		s.n++
		v := visit{uuid: vec.UUIDValue{byte(s.IntN(256)), 14: byte(s.n >> 8), 15: byte(s.n)}, who: fmt.Sprintf("u%d", s.IntN(6)),
			name: []string{"$pageview", "$autocapture", "$screen", "a", "b"}[s.IntN(5)]}
		// Few times, so that many are the same.
		v.time = 1_750_000_000_000_000 + int64(s.IntN(3))*40*86_400_000_000 + int64(s.IntN(20))*1_000_500
		b.Begin(v.uuid, v.time)
		b.SetName([]byte(v.name))
		b.SetDistinctID([]byte(v.who))
		switch k := s.IntN(40); {
		case k == 0:
			v.id = "7"
			b.Property([]byte("$session_id"), event.Int, []byte("7"))
		case k == 1:
			b.Property([]byte("$session_id"), event.Text, nil)
		case k == 2:
			b.Property([]byte("$session_id"), event.Null, nil)
		case k < 34:
			v.id = fmt.Sprintf("%d", s.IntN(12)+s.n/80)
			b.Property([]byte("$session_id"), event.Text, []byte(v.id))
		}
		for _, p := range []struct {
			key string
			dst *string
		}{{"$current_url", &v.url}, {"$pathname", &v.path}} {
			switch s.IntN(5) {
			case 0:
			case 1:
				b.Property([]byte(p.key), event.Text, nil)
			case 2:
				*p.dst = fmt.Sprint(s.IntN(9))
				b.Property([]byte(p.key), event.Int, []byte(*p.dst))
			default:
				*p.dst = fmt.Sprintf("/%d", s.IntN(9))
				b.Property([]byte(p.key), event.Text, []byte(*p.dst))
			}
		}
		b.End()
		s.model[v.uuid] = v
	}
	return b.Finish()
}

// sessionsOf makes the sessions of a snapshot, which gives back what memory it held.
func sessionsOf(t *testing.T, sn *Snapshot) *Sessions {
	t.Helper()
	held := int64(0)
	x, err := sn.Sessions(t.Context(), func(_ context.Context, bytes int64) error {
		held += bytes
		return nil
	})
	must(t, err)
	if held != 0 {
		t.Fatalf("%d bytes are held after the sessions were made", held)
	}
	return x
}

// eachVisit reads all rows that count, with what is known of their sessions.
func eachVisit(t *testing.T, sn *Snapshot, see func(seg *Segment, row int, uuid vec.UUIDValue, session string)) {
	t.Helper()
	ctx := t.Context()
	x := sessionsOf(t, sn)
	for _, s := range sn.Segments() {
		times, err := x.Times(ctx, s)
		must(t, err)
		counts, err := x.Counts(ctx, s)
		must(t, err)
		urls, err := x.URLs(ctx, s)
		must(t, err)
		paths, err := x.Pathnames(ctx, s)
		must(t, err)
		distinct, err := x.DistinctURLs(ctx, s)
		must(t, err)
		dead, err := s.Dead()
		must(t, err)
		text := func(e *SessionEdges, code uint32) string {
			if e.Dict.Nulls.Get(int(code)) {
				return ""
			}
			return e.Dict.Str.Str(int(code))
		}
		for _, g := range s.Ranges() {
			numbers, err := x.Numbers(s, &g.Stretch, g.Lo, g.Hi)
			must(t, err)
			uuids := make([]vec.UUIDValue, g.Hi-g.Lo)
			must(t, s.UUIDs(uuids, g.Lo, g.Hi))
			for i, n := range numbers {
				if dead != nil && dead.Contains(uint32(g.Lo+i)) {
					continue
				}
				what := "none"
				if int(n) < x.Len(s) {
					what = fmt.Sprintf("%d..%d counts %d %d %d urls %d %q %q paths %q %q", times.Start[n], times.End[n],
						counts[session.Pageviews][n], counts[session.Autocaptures][n], counts[session.Screens][n], distinct[n],
						text(urls, urls.First[n]), text(urls, urls.Last[n]), text(paths, paths.First[n]), text(paths, paths.Last[n]))
				}
				see(s, g.Lo+i, uuids[i], what)
			}
		}
	}
}

func checkVisits(t *testing.T, where string, s *Store, m visits) {
	t.Helper()
	sn, err := s.Snapshot(1)
	must(t, err)
	defer sn.Release()
	seen := 0
	eachVisit(t, sn, func(_ *Segment, _ int, uuid vec.UUIDValue, got string) {
		v, ok := m[uuid]
		if !ok {
			t.Fatalf("%s: event %x is there", where, uuid)
		}
		if want := m.sessionOf(v.id); got != want {
			t.Fatalf("%s: session %q of event %x is\n\t%s, want\n\t%s", where, v.id, uuid, got, want)
		}
		seen++
	})
	if seen != len(m) {
		t.Fatalf("%s: %d events, want %d", where, seen, len(m))
	}
	checkListed(t, where, sn, m)
}

// checkListed holds the list of all sessions against the model: each once, with the distinct
// id and the person of its first event.
func checkListed(t *testing.T, where string, sn *Snapshot, m visits) {
	t.Helper()
	want := map[string]visit{}
	for _, v := range m {
		w, ok := want[v.id]
		if v.id != "" && (!ok || cmp.Or(cmp.Compare(v.time, w.time), bytes.Compare(v.uuid[:], w.uuid[:])) < 0) {
			want[v.id] = v
		}
	}
	x := sessionsOf(t, sn)
	for _, s := range sn.Segments() {
		var numbers []uint32
		for lo := 0; lo < x.Len(s); lo += 3 {
			some, err := x.List(t.Context(), s, lo, lo+3)
			must(t, err)
			numbers = append(numbers, some...)
		}
		ids, err := x.IDs(s)
		must(t, err)
		who, ordinals, err := x.Owners(t.Context(), s, numbers)
		must(t, err)
		for i, n := range numbers {
			id := ids.Str.Str(int(n))
			w, ok := want[id]
			if got := sn.Persons().UUID(ordinals[i]); !ok || who.Str.Str(i) != w.who || got != person.UUIDOf(1, w.who) {
				t.Fatalf("%s: session %q of %s, %x; want %s, %v", where, id, who.Str.Str(i), got, w.who, ok)
			}
			delete(want, id)
		}
	}
	if len(want) > 0 {
		t.Fatalf("%s: sessions %v are not listed", where, want)
	}
}

// Whatever was flushed, merged and deleted, a session is what all its events that count
// say: in segments and in the memtable, with a table of sessions and without.
func TestSessions(t *testing.T) {
	for seed := range uint64(6) {
		r := &visitScript{Rand: rand.New(rand.NewPCG(seed, 1)), model: visits{}}
		s := openAt(t, vfs.NewMem())
		createAs(t, s, 1, "a")
		index := uint64(2)
		for step := range 30 {
			what := "events"
			switch k := r.IntN(12); {
			case k == 0:
				what = "flush"
				must(t, s.Flush(t.Context()))
			case k == 1:
				what = "merge"
				index = mergeAll(t, s, index, s.PlanMergeAll)
			case k == 2:
				what = "deleted person"
				who := fmt.Sprintf("u%d", r.IntN(6))
				_, err := s.ApplyPersonDelete(index, 1, 1, PersonDelete{Persons: []vec.UUIDValue{person.UUIDOf(1, who)}, Events: true})
				must(t, err)
				maps.DeleteFunc(r.model, func(_ vec.UUIDValue, v visit) bool { return v.who == who })
			case k == 3:
				what = "deleted rows"
				must(t, s.Flush(t.Context()))
				rows := map[SegmentID]*roaring.Bitmap{}
				sn, err := s.Snapshot(1)
				must(t, err)
				eachVisit(t, sn, func(seg *Segment, row int, uuid vec.UUIDValue, _ string) {
					if r.IntN(6) > 0 {
						return
					}
					if rows[seg.ID()] == nil {
						rows[seg.ID()] = roaring.New()
					}
					rows[seg.ID()].Add(uint32(row))
					delete(r.model, uuid)
				})
				sn.Release()
				_, err = s.ApplyDelete(index, 1, 1, rows)
				must(t, err)
			default:
				_, err := s.ApplyEvents(index, 1, 1, r.batch(1+r.IntN(40)))
				must(t, err)
			}
			index++
			if r.IntN(3) > 0 {
				checkVisits(t, fmt.Sprintf("seed %d, step %d, %s", seed, step, what), s, r.model)
			}
		}
		must(t, s.Close())
	}
}
