package storage

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/segment"
	"github.com/prickledb/prickle/storage/vec"
	"github.com/prickledb/prickle/storage/vfs"
)

// ErasureReport is what VerifyErased found.
type ErasureReport struct {
	Erasures []Erasure `json:"erasures"`
	Remains  []Remains `json:"remains"` // empty: nothing is left in these files
}

// Remains is what a file still has of an erased person.
type Remains struct {
	File string `json:"file"` // below the store's directory
	What string `json:"what"`
}

// VerifyErased reads all segments and state files of a store that is not open, and lists
// what they still have of persons that were deleted with their events: rows, distinct ids,
// sessions, profiles. It trusts no index and no mask: only what is there counts.
func VerifyErased(fs vfs.FS, dir string) (*ErasureReport, error) {
	v := erasedCheck{fs: fs, dir: dir, report: &ErasureReport{}, projects: map[uint32]*erasedProject{}}
	states, err := v.fs.List(path.Join(dir, stateDir))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(states, func(a, b string) int { return cmp.Compare(fileID(a), fileID(b)) })
	for _, check := range []bool{false, true} { // who was erased, and then what is there
		for _, name := range states {
			if err := v.state(name, check); err != nil {
				return nil, fmt.Errorf("%s: %w", path.Join(dir, stateDir, name), err)
			}
		}
	}
	v.report.Erasures = v.erasures.list
	return v.report, v.segments()
}

type erasedCheck struct {
	fs       vfs.FS
	dir      string
	report   *ErasureReport
	projects map[uint32]*erasedProject
	erasures erasures
}

// erasedProject is who was erased from a project.
type erasedProject struct {
	rules
	ids map[string]bool // hashes of their distinct ids, hex
}

func (v *erasedCheck) project(id uint32) *erasedProject {
	p := v.projects[id]
	if p == nil {
		p = &erasedProject{rules{project: id, seed: id, erased: roaring.New(), before: noBefore}, map[string]bool{}}
		v.projects[id] = p
	}
	return p
}

func (v *erasedCheck) remains(file, format string, args ...any) {
	v.report.Remains = append(v.report.Remains, Remains{file, fmt.Sprintf(format, args...)})
}

// state reads a state file: with check to see what it has, otherwise for who was erased.
func (v *erasedCheck) state(name string, check bool) error {
	file := path.Join(stateDir, name)
	if strings.HasSuffix(name, ".tmp") {
		if check {
			v.remains(file, "left over from a crash, not read; the next start removes it")
		}
		return nil
	}
	raw, err := vfs.ReadFile(v.fs, path.Join(v.dir, file), maxStateBytes)
	if err != nil {
		return err
	}
	src, err := openState(raw)
	if err != nil {
		return err
	}
	return decodeState(src, &stateVisitor{
		project: func(r projectRecord) {
			if !r.Deleted {
				v.project(r.Project.ID).seed = r.Project.seed()
			}
		},
		mask: func(uint64, *roaring.Bitmap) {},
		persons: func(id uint32, delta []byte) error {
			p := v.project(id)
			if !check {
				return person.Walk(delta, &person.Visitor{
					Erased: func(o uint32) { p.erased.Add(o) },
					Move:   func(m person.Move) { p.moves = append(p.moves, m) },
				})
			}
			ids, profiles := 0, 0
			err := person.Walk(delta, &person.Visitor{
				ID: func(_ []byte, o uint32) {
					if p.erased.Contains(o) {
						ids++
					}
				},
				Profile: func(o uint32, flags byte, _ int64, properties []byte) {
					if p.erased.Contains(o) && (flags != 0 || len(properties) > 0) {
						profiles++
					}
				},
			})
			if ids > 0 || profiles > 0 {
				v.remains(file, "project %d: %d distinct ids and %d profiles of erased persons", id, ids, profiles)
			}
			return err
		},
		erasure: func(e Erasure) {
			if check {
				return
			}
			for _, h := range e.DistinctIDs {
				v.project(e.Project).ids[h] = true
			}
			v.erasures.add(e)
		},
	})
}

// segments reads all segment files.
func (v *erasedCheck) segments() error {
	m, _, err := manifest.Read(v.fs, v.dir)
	if err != nil {
		return err
	}
	names, err := v.fs.List(path.Join(v.dir, segmentDir))
	if err != nil {
		return err
	}
	for _, name := range names {
		file := path.Join(segmentDir, name)
		meta, live := m.Segments[fileID(name)]
		if !live || strings.HasSuffix(name, ".tmp") {
			v.remains(file, "not read: no manifest names it; it goes when no query reads it any more, or with the next start")
			continue
		}
		p := v.projects[meta.Project]
		if p == nil || meta.Table != 0 { // what users keep in tables of their own, they delete themselves
			continue
		}
		r, err := segment.Open(v.fs, path.Join(v.dir, file))
		if err == nil {
			err = errors.Join(v.segment(file, p, r), r.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// segment reads one segment.
func (v *erasedCheck) segment(file string, p *erasedProject, r *segment.Reader) error {
	view := &Segment{Reader: r, rules: p.rules, cache: new(atomic.Pointer[liveness])}
	dead, err := view.Dead()
	if err != nil {
		return err
	}
	rows := uint64(0)
	if dead != nil {
		rows = dead.GetCardinality()
	}
	persons, err := r.Persons()
	if err != nil {
		return err
	}
	moved, err := view.Moved()
	if err != nil {
		return err
	}
	listed := 0
	for _, o := range persons.Ordinals {
		if p.erased.Contains(o) {
			listed++
		}
	}
	if len(moved) > 0 {
		listed = 0 // rows under an erased ordinal may be those of somebody who was split off
	}
	sessions, err := r.Sessions()
	if err != nil {
		return err
	}
	kept := 0
	for _, o := range sessions.Ordinals {
		if len(moved) == 0 && p.erased.Contains(o) {
			kept++
		}
	}
	dict, err := r.DistinctIDs(0, 0)
	if err != nil {
		return err
	}
	used := make([]bool, dict.Dict.Str.Len())
	for lo := 0; lo < r.Rows(); lo += vec.BatchRows {
		part, err := r.DistinctIDs(lo, min(lo+vec.BatchRows, r.Rows()))
		if err != nil {
			return err
		}
		for i, c := range part.Codes {
			if dead == nil || !dead.Contains(uint32(lo+i)) {
				used[c] = true
			}
		}
	}
	known := 0
	for c, ok := range used {
		h := person.HashID(p.rules.seed, dict.Dict.Str.At(c))
		if !ok && p.ids[hex.EncodeToString(h[:])] {
			known++
		}
	}
	if rows > 0 || listed > 0 || kept > 0 || known > 0 {
		v.remains(file, "project %d: %d rows, %d persons, %d distinct ids and %d sessions of erased persons", p.rules.project, rows, listed, known, kept)
	}
	return nil
}

// WriteText prints the report for people. Backups are listed by name: what is in them is
// not known here.
func (r *ErasureReport) WriteText(w io.Writer, backups []string) error {
	var out strings.Builder
	day := func(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339) }
	pending := uint64(0)
	for _, e := range r.Erasures {
		fmt.Fprintf(&out, "person %s of project %d, %d distinct ids: deleted %s, ", e.Person, e.Project, len(e.DistinctIDs), day(e.At))
		if e.Done != 0 {
			fmt.Fprintf(&out, "complete %s\n", day(e.Done))
			continue
		}
		fmt.Fprintf(&out, "not complete\n")
		pending = max(pending, e.Index)
	}
	for _, f := range r.Remains {
		fmt.Fprintf(&out, "%s: %s\n", f.File, f.What)
	}
	if pending > 0 {
		fmt.Fprintf(&out, "the log may hold events of erased persons up to entry %d, until it is let go\n", pending)
	}
	for _, b := range backups {
		fmt.Fprintf(&out, "backup %s: not checked\n", b)
	}
	switch {
	case len(r.Remains) > 0:
		fmt.Fprintf(&out, "%d files have something left of erased persons\n", len(r.Remains))
	case len(r.Erasures) == 0:
		fmt.Fprintln(&out, "no person was deleted with their events")
	default:
		fmt.Fprintf(&out, "nothing is left in segments and state files of %d erased persons\n", len(r.Erasures))
	}
	_, err := io.WriteString(w, out.String())
	return err
}
