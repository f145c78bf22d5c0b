package limit

import (
	"slices"

	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/event"
)

// DefaultProperties is how many different names of event properties a project may have
// unless its limits say otherwise. More are nearly always ids that were taken for names, and
// each costs a column wherever it appears.
const DefaultProperties = 10_000

// Properties removes the properties from a batch whose names are beyond the project's limit,
// and says how many that were, and whether it is the first time. The events stay. Names that
// were stored before this process began count from the next Learn on.
func (l *Limiter) Properties(of storage.Project, b *event.Batch) (removed int, first bool) {
	most := of.Limits.Properties
	if most <= 0 {
		most = DefaultProperties
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.of(of.ID)
	if p.names == nil {
		p.names = map[string]struct{}{}
	}
	beyond := func(prop event.Prop) bool {
		if _, known := p.names[prop.Key]; known {
			return false
		}
		if int64(len(p.names)) >= most {
			return true
		}
		p.names[prop.Key] = struct{}{}
		return false
	}
	if i := slices.IndexFunc(b.Props, beyond); i >= 0 {
		kept := slices.Clone(b.Props[:i])
		for _, prop := range b.Props[i:] {
			if !beyond(prop) {
				kept = append(kept, prop)
			}
		}
		removed = len(b.Props) - len(kept)
		b.Props = kept
	}
	first = removed > 0 && !p.told
	p.told = p.told || removed > 0
	return removed, first
}

// Learn asks names for the properties that projects had before this process began, each
// project once, when it has sent something.
func (l *Limiter) Learn(names func(project uint32) []string) {
	l.mu.Lock()
	var ids []uint32
	for id, p := range l.projects {
		if p.names != nil && !p.learnt {
			ids = append(ids, id)
			p.learnt = true
		}
	}
	l.mu.Unlock()
	for _, id := range ids {
		list := names(id)
		l.mu.Lock()
		if p := l.projects[id]; p != nil {
			for _, name := range list {
				p.names[name] = struct{}{}
			}
		}
		l.mu.Unlock()
	}
}
