package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/vec"
)

// dump is all that a store answers, as text that does not depend on where rows are: a line
// for each row, person and row of a user table, in an order of its own. Every byte of every
// segment is read.
func dump(s *storage.Store) ([]string, error) {
	var out []string
	for _, p := range s.Projects() {
		lines, err := dumpProject(s, p)
		if err != nil {
			return nil, fmt.Errorf("project %d: %w", p.ID, err)
		}
		out = append(out, lines...)
	}
	return out, nil
}

func dumpProject(s *storage.Store, p storage.Project) ([]string, error) {
	sn, err := s.Snapshot(p.ID)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	identity, persons := sn.Identity(), sn.Persons()
	names := map[uint32][]string{} // of the distinct ids of a person, by root
	for id, o := range persons.DistinctIDs() {
		root := identity.Root(o)
		names[root] = append(names[root], id)
	}
	for _, ids := range names {
		slices.Sort(ids)
	}
	lines := []string{fmt.Sprintf("%d project %s %s %d", p.ID, p.Database, p.Token, p.Expired)}
	for _, root := range slices.Sorted(maps.Keys(names)) {
		line := fmt.Sprintf("%d person %q", p.ID, names[root])
		if persons.HasProfile(root) {
			line += fmt.Sprintf(" %x since %d, identified %v: %s", persons.UUID(root), persons.CreatedAt(root),
				persons.IsIdentified(root), persons.Properties(root))
		}
		lines = append(lines, line)
	}
	for _, seg := range sn.Segments() {
		if err := seg.Verify(); err != nil {
			return nil, err
		}
		rows, err := dumpRows(seg, func(o uint32) string {
			if ids := names[identity.Root(o)]; len(ids) > 0 {
				return ids[0]
			}
			return "nobody"
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			lines = append(lines, fmt.Sprintf("%d %s", p.ID, row))
		}
	}
	for _, v := range sn.Tables().List() {
		for _, r := range v.Segments {
			if err := r.Verify(); err != nil {
				return nil, err
			}
		}
		for _, piece := range v.Pieces() {
			live, err := piece.Live()
			if err != nil {
				return nil, err
			}
			ids, err := piece.IDs()
			if err != nil {
				return nil, err
			}
			texts := make([]string, len(ids))
			for i := range v.Schema.Columns {
				c, err := piece.Column(&v.Schema.Columns[i])
				if err != nil {
					return nil, err
				}
				for row := range texts {
					texts[row] += " " + cell(c, row)
				}
			}
			for row, id := range ids {
				if live == nil || slices.Contains(live, uint32(row)) {
					lines = append(lines, fmt.Sprintf("%d table %s row %d:%s", p.ID, v.Schema.Name, id, texts[row]))
				}
			}
		}
	}
	slices.Sort(lines)
	return lines, nil
}

// dumpRows is the rows of a segment that count.
func dumpRows(seg *storage.Segment, personOf func(ordinal uint32) string) ([]string, error) {
	n := seg.Rows()
	uuids, times, ordinals := make([]vec.UUIDValue, n), make([]int64, n), make([]uint32, n)
	if err := seg.UUIDs(uuids, 0, n); err != nil {
		return nil, err
	}
	if err := seg.Times(times, 0, n); err != nil {
		return nil, err
	}
	if err := seg.Ordinals(ordinals, 0, n); err != nil {
		return nil, err
	}
	ids, err := seg.DistinctIDs(0, n)
	if err != nil {
		return nil, err
	}
	dead, err := seg.Dead()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range seg.Ranges() {
		properties, err := g.Properties(g.Lo, g.Hi)
		if err != nil {
			return nil, err
		}
		for row := g.Lo; row < g.Hi; row++ {
			if dead == nil || !dead.Contains(uint32(row)) {
				out = append(out, fmt.Sprintf("row %x %s %s of %s at %d: %s", uuids[row], g.Event, cell(ids, row),
					personOf(ordinals[row]), times[row], cell(properties, row-g.Lo)))
			}
		}
	}
	return out, nil
}

// cell is a value as text.
func cell(v *vec.Vector, row int) string {
	if v.IsNull(row) {
		return "null"
	}
	switch v, row = v.At(row); v.Type.Payload() {
	case vec.PayloadI64:
		return fmt.Sprint(v.I64[row])
	case vec.PayloadF64:
		return fmt.Sprint(v.F64[row])
	case vec.PayloadUUIDs:
		return fmt.Sprintf("%x", v.UUIDs[row])
	case vec.PayloadIvl:
		return fmt.Sprint(v.Ivl[row])
	case vec.PayloadStr:
		return v.Str.Str(row)
	default:
		out := fmt.Sprint(v.Type.Kind)
		for i := range v.Len() { // a list, of which nobody asks for one element
			out += fmt.Sprint(" ", i)
		}
		return out
	}
}

// difference is the first lines that two dumps do not share.
func difference(got, want []string) string {
	var out []string
	for _, l := range got {
		if _, found := slices.BinarySearch(want, l); !found {
			out = append(out, "+ "+l)
		}
	}
	for _, l := range want {
		if _, found := slices.BinarySearch(got, l); !found {
			out = append(out, "- "+l)
		}
	}
	return fmt.Sprintf("%d lines, want %d\n%s", len(got), len(want), strings.Join(out[:min(len(out), 10)], "\n"))
}
