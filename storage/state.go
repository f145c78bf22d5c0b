package storage

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/prickledb/prickle/storage/cohort"
	"github.com/prickledb/prickle/storage/encoding"
	"github.com/prickledb/prickle/storage/group"
	"github.com/prickledb/prickle/storage/object"
	"github.com/prickledb/prickle/storage/person"
	"github.com/prickledb/prickle/storage/table"
	"github.com/prickledb/prickle/storage/vfs"
	"github.com/prickledb/prickle/storage/wire"
)

// A state file is what changed of projects and persons between two flushes, or all of it:
//
//	+----------+------------------+---------+-----------+
//	| magic(8) | raw length(u64le)| zstd(…) | crc32c(4) |
//	+----------+------------------+---------+-----------+
//
// The checksum covers everything before it. Inside:
//
//	uvarint length, JSON list of project records
//	uvarint projects; of each: uvarint id, uvarint length, a person.State delta
//	masks of segments, as AppendRowDelete writes them
//	uvarint length, JSON list of erasures
//	uvarint projects; of each: uvarint id, uvarint length, table.Tables
//	uvarint length, JSON of sharedState, which replaces the one before
//	uvarint length, what Options.Aside gave
//	of groups, objects and static cohorts each:
//	  uvarint projects; of each: uvarint id, uvarint length, a delta
//
// The last part is missing in files of version 2.
const (
	stateMagic  = "prkstat3"
	stateMagic2 = "prkstat2"
)

// sharedState is what belongs to no project and is small enough to be written whole.
type sharedState struct {
	Merges []mergeRecord `json:"merges,omitempty"` // ascending by ID
}

// mergeRecord is a merge that is planned. State is what mergeInputs.append gives; none in files
// of before, and if an input could not be read.
type mergeRecord struct {
	ID    uint64    `json:"id"`
	Plan  MergePlan `json:"plan"`
	State []byte    `json:"state,omitempty"`
}

func (s *Store) shared() sharedState {
	var out sharedState
	for _, id := range slices.Sorted(maps.Keys(s.merges)) {
		m := s.merges[id]
		r := mergeRecord{ID: id, Plan: m.plan}
		if m.inputs.live != nil && m.inputs.err == nil {
			r.State = m.inputs.append(nil)
		}
		out.Merges = append(out.Merges, r)
	}
	return out
}

// encodeState is what changed since the last call, or, with full, everything. It is nil
// if nothing changed. The caller holds mu.
func (s *Store) encodeState(full bool) []byte {
	var records []projectRecord
	if !full {
		for _, p := range s.deleted {
			records = append(records, projectRecord{Project: p, Deleted: true})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.projects)) {
		if p := s.projects[id]; full || p.changed {
			records = append(records, projectRecord{Project: p.Project, Used: p.used})
			p.changed = false
		}
	}
	if full && s.lastID > 0 && s.projects[s.lastID] == nil {
		// So that the number of a deleted project is never given to another.
		records = append(records, projectRecord{Project: Project{ID: s.lastID}, Deleted: true})
	}
	var ids []uint32
	for _, id := range slices.Sorted(maps.Keys(s.projects)) {
		if p := s.projects[id]; full || p.adopted || p.persons.Changed() {
			ids = append(ids, id)
		}
	}
	var tables []uint32
	for _, id := range slices.Sorted(maps.Keys(s.projects)) {
		if p := s.projects[id]; p.tablesChanged || full && !p.tables.Empty() {
			tables = append(tables, id)
		}
	}
	sections := s.encodeSections(full)
	defer func() {
		for _, p := range s.projects {
			p.adopted = false
		}
	}()
	shared := marshal(s.shared())
	var aside []byte
	if s.opt.Aside != nil {
		aside = s.opt.Aside()
	}
	if len(records) == 0 && len(ids) == 0 && len(s.masked) == 0 && len(s.freshErasures) == 0 && len(tables) == 0 && sections == nil &&
		bytes.Equal(shared, s.lastShared) && bytes.Equal(aside, s.aside) {
		return nil
	}
	s.lastShared, s.aside = shared, aside
	list := marshal(records)
	out := binary.AppendUvarint(nil, uint64(len(list)))
	out = append(out, list...)
	out = binary.AppendUvarint(out, uint64(len(ids)))
	for _, id := range ids {
		delta := s.projects[id].persons.Delta(nil, full || s.projects[id].adopted)
		out = binary.AppendUvarint(out, uint64(id))
		out = binary.AppendUvarint(out, uint64(len(delta)))
		out = append(out, delta...)
	}
	out = s.appendDeletes(out, full)
	out = binary.AppendUvarint(out, uint64(len(tables)))
	for _, id := range tables {
		raw := s.projects[id].tables.Append(nil)
		out = binary.AppendUvarint(out, uint64(id))
		out = binary.AppendUvarint(out, uint64(len(raw)))
		out = append(out, raw...)
	}
	out = binary.AppendUvarint(out, uint64(len(shared)))
	out = append(out, shared...)
	out = binary.AppendUvarint(out, uint64(len(aside)))
	out = append(out, aside...)
	if sections == nil {
		return append(out, make([]byte, len(sectionNames))...)
	}
	return append(out, sections...)
}

// encodeSections is what changed of the sections of projects since the last call, or all of
// them; nil if that is nothing. The caller holds mu.
func (s *Store) encodeSections(full bool) (out []byte) {
	ids := slices.Sorted(maps.Keys(s.projects))
	some := false
	for i := range sectionNames {
		var changed []uint32
		for _, id := range ids {
			p := s.projects[id]
			if part := p.sections()[i]; (full || p.adopted) && !part.Empty() || !full && part.Changed() {
				changed = append(changed, id)
			}
		}
		out = binary.AppendUvarint(out, uint64(len(changed)))
		for _, id := range changed {
			delta := s.projects[id].sections()[i].Delta(nil, full || s.projects[id].adopted)
			out = binary.AppendUvarint(out, uint64(id))
			out = binary.AppendUvarint(out, uint64(len(delta)))
			out = append(out, delta...)
			some = true
		}
	}
	if !some {
		return nil
	}
	return out
}

// marshal is for what is made of strings and numbers, which always has a JSON form.
func marshal(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return out
}

// sealState makes state the bytes of a file.
func sealState(state []byte) []byte {
	out := binary.LittleEndian.AppendUint64([]byte(stateMagic), uint64(len(state)))
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are constants
	}
	out = enc.EncodeAll(state, out)
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, encoding.Table))
}

// stateHead is the size of what is before the zstd frame.
const stateHead = len(stateMagic) + 8

// stateBody compares a state file with its checksum, and takes that off.
func stateBody(raw []byte) ([]byte, error) {
	if len(raw) < stateHead+4 || string(raw[:len(stateMagic)]) != stateMagic && string(raw[:len(stateMagic2)]) != stateMagic2 {
		return nil, errors.New("not a state file, or one of a newer version")
	}
	body := raw[:len(raw)-4]
	if got, want := crc32.Checksum(body, encoding.Table), binary.LittleEndian.Uint32(raw[len(raw)-4:]); got != want {
		return nil, fmt.Errorf("checksum %08x, want %08x: damaged; restore it from a backup", got, want)
	}
	return body, nil
}

// openState checks the bytes of a state file, and gives what is inside.
func openState(raw []byte) ([]byte, error) {
	body, err := stateBody(raw)
	if err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint64(raw[len(stateMagic):])
	if size > maxStateBytes {
		return nil, fmt.Errorf("claims %d bytes", size)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(size, 1<<20)))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	out, err := dec.DecodeAll(body[stateHead:], nil)
	if err == nil && uint64(len(out)) != size {
		err = fmt.Errorf("%d bytes inside, want %d", len(out), size)
	}
	return out, err
}

// readState applies a state file to the store.
func (s *Store) readState(name string) error {
	raw, err := vfs.ReadFile(s.fs, path.Join(s.dir, stateDir, name), maxStateBytes)
	if err != nil {
		return err
	}
	src, err := openState(raw)
	if err != nil {
		return err
	}
	return decodeState(src, &stateVisitor{
		project: func(r projectRecord) {
			if r.Deleted {
				delete(s.projects, r.Project.ID)
				s.lastID = max(s.lastID, r.Project.ID)
				s.dropErasures(r.Project.ID)
				return
			}
			p := s.projects[r.Project.ID]
			if p == nil {
				p = s.addProject(r.Project)
			}
			p.Project, p.used = r.Project, r.Used
		},
		persons: func(id uint32, delta []byte) error {
			p := s.projects[id]
			if p == nil {
				return fmt.Errorf("persons of project %d, which it does not know", id)
			}
			if err := p.persons.Load(delta); err != nil {
				return fmt.Errorf("persons of project %d: %w", id, err)
			}
			return nil
		},
		tables: func(id uint32, raw []byte) error {
			p := s.projects[id]
			if p == nil {
				return fmt.Errorf("tables of project %d, which it does not know", id)
			}
			var err error
			if p.tables, err = table.DecodeTables(raw); err != nil {
				return fmt.Errorf("tables of project %d: %w", id, err)
			}
			return nil
		},
		mask:    func(id uint64, rows *roaring.Bitmap) { s.masks[id] = rows },
		erasure: s.erasures.add,
		shared: func(shared sharedState) error {
			clear(s.merges)
			for _, r := range shared.Merges {
				m := &pendingMerge{plan: r.Plan}
				if r.State != nil {
					if err := m.inputs.read(r.State, len(r.Plan.Inputs)); err != nil {
						return fmt.Errorf("merge %d: %w", r.ID, err)
					}
				}
				s.merges[r.ID] = m
			}
			s.lastShared = marshal(shared)
			return nil
		},
		aside: func(aside []byte) { s.aside = bytes.Clone(aside) },
		section: func(i int, id uint32, delta []byte) error {
			p := s.projects[id]
			if p == nil {
				return fmt.Errorf("%s of project %d, which it does not know", sectionNames[i], id)
			}
			if err := p.sections()[i].Load(delta); err != nil {
				return fmt.Errorf("%s of project %d: %w", sectionNames[i], id, err)
			}
			return nil
		},
	})
}

// DumpState prints a state file as text: the projects and persons that changed.
func DumpState(w io.Writer, raw []byte) error {
	src, err := openState(raw)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "state file: %d bytes, %d unpacked\n", len(raw), len(src))
	line := func(what string, v any) { fmt.Fprintf(out, "%s %s\n", what, marshal(v)) }
	err = decodeState(src, &stateVisitor{
		project: func(r projectRecord) { line("project", r) },
		persons: func(id uint32, delta []byte) error {
			fmt.Fprintf(out, "persons of project %d, %d bytes: ", id, len(delta))
			if err := person.Dump(out, delta); err != nil {
				return fmt.Errorf("persons of project %d: %w", id, err)
			}
			return nil
		},
		tables: func(id uint32, raw []byte) error {
			tables, err := table.DecodeTables(raw)
			if err != nil {
				return fmt.Errorf("tables of project %d: %w", id, err)
			}
			for _, v := range tables.All() {
				s, in := v.Schema, ""
				if s.In > 0 {
					in = fmt.Sprintf(" in schema %d", s.In)
				}
				fmt.Fprintf(out, "%s %d of project %d: %q%s, version %d, %d columns, %d rows\n", s.Kind, s.Table, id, s.Name, in, s.Version, len(s.Columns), v.Live())
			}
			return nil
		},
		mask: func(id uint64, rows *roaring.Bitmap) {
			fmt.Fprintf(out, "segment %010d: %d rows are deleted\n", id, rows.GetCardinality())
		},
		erasure: func(e Erasure) { line("erasure", e) },
		shared: func(shared sharedState) error {
			for _, m := range shared.Merges {
				fmt.Fprintf(out, "merge %d %s, state of %d bytes\n", m.ID, marshal(m.Plan), len(m.State))
			}
			return nil
		},
		aside: func(aside []byte) { fmt.Fprintf(out, "state of the log, %d bytes\n", len(aside)) },
		section: func(i int, id uint32, delta []byte) error {
			fmt.Fprintf(out, "%s of project %d, %d bytes\n", sectionNames[i], id, len(delta))
			return dumpSection(out, i, delta)
		},
	})
	return errors.Join(err, out.Flush())
}

// dumpSection prints the delta of a section.
func dumpSection(out io.Writer, i int, delta []byte) error {
	switch i {
	case 0:
		return group.Walk(delta, &group.Visitor{
			Name: func(index int, name string) {
				if name != "" {
					fmt.Fprintf(out, "  groups of type %d are called %q\n", index, name)
				}
			},
			Groups: func(index int, from, to uint64) {
				if from < to {
					fmt.Fprintf(out, "  groups %d to %d of type %d are new\n", from, to, index)
				}
			},
			Key: func(index int, key []byte) { fmt.Fprintf(out, "    key %q\n", key) },
			Profile: func(index int, o uint32, at int64, object []byte) {
				fmt.Fprintf(out, "  group %d of type %d, created %s: %s\n", o, index, time.UnixMicro(at).UTC().Format(time.RFC3339Nano), object)
			},
		})
	case 1:
		return object.Walk(delta, &object.Visitor{
			Kind: func(string, int64) {},
			Object: func(o *object.Object) {
				fmt.Fprintf(out, "  %s %d, version %d, key %q: %s\n", o.Kind, o.ID, o.Version, o.Key, o.Body)
			},
			Deleted: func(kind string, id int64) { fmt.Fprintf(out, "  %s %d is deleted\n", kind, id) },
		})
	}
	return cohort.Walk(delta, func(id int64, members *roaring.Bitmap) {
		if members == nil {
			fmt.Fprintf(out, "  cohort %d has no members any more\n", id)
			return
		}
		fmt.Fprintf(out, "  cohort %d has %d members\n", id, members.GetCardinality())
	})
}

// stateVisitor is shown what is in a state file. The last four may be nil.
type stateVisitor struct {
	project func(projectRecord)
	persons func(project uint32, delta []byte) error
	mask    func(segment uint64, rows *roaring.Bitmap)
	erasure func(Erasure)
	tables  func(project uint32, raw []byte) error
	shared  func(sharedState) error
	aside   func([]byte)
	section func(i int, project uint32, delta []byte) error // of sectionNames
}

// decodeState walks the inside of a state file.
func decodeState(src []byte, v *stateVisitor) error {
	r := &wire.Reader{Src: src}
	sized := func() []byte { return r.Take(r.Count("bytes", len(r.Src))) }
	list := func(into any) {
		raw := sized()
		if r.Err != nil {
			return
		}
		if err := json.Unmarshal(raw, into); err != nil {
			r.Fail("%w", err)
		}
	}
	byProject := func(visit func(uint32, []byte) error) {
		for n := r.Uvarint(); n > 0; n-- {
			id, part := uint32(r.Uvarint()), sized()
			if r.Err != nil {
				return
			}
			if visit == nil {
				continue
			}
			if err := visit(id, part); err != nil {
				r.Fail("%w", err)
			}
		}
	}
	var records []projectRecord
	if list(&records); r.Err != nil {
		return r.Err
	}
	for _, p := range records {
		v.project(p)
	}
	byProject(v.persons)
	decodeMasks(r, v.mask)
	var erasures []Erasure
	if list(&erasures); r.Err != nil {
		return r.Err
	}
	for _, e := range erasures {
		v.erasure(e)
	}
	byProject(v.tables)
	var shared sharedState
	if list(&shared); r.Err == nil && v.shared != nil {
		if err := v.shared(shared); err != nil {
			r.Fail("%w", err)
		}
	}
	if aside := sized(); r.Err == nil && v.aside != nil {
		v.aside(aside)
	}
	if len(r.Src) == 0 { // version 2
		return r.End()
	}
	for i := range sectionNames {
		if v.section == nil {
			byProject(nil)
			continue
		}
		byProject(func(id uint32, part []byte) error { return v.section(i, id, part) })
	}
	return r.End()
}
