package metric

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
)

// Shown is how many projects have a label of their own.
const Shown = 100

// Projects are counters by project and by one more label. The projects that counted most
// are shown, the others under "other".
type Projects struct {
	name, help, label string

	mu   sync.Mutex
	sets map[projectSet]int64
	sums map[uint32]int64 // by project: what decides who is shown
}

type projectSet struct {
	project uint32
	value   string
}

// NewProjects makes a family with the label "project" and, unless it is empty, another.
func NewProjects(name, help, label string) *Projects {
	return &Projects{name: name, help: help, label: label, sets: map[projectSet]int64{}, sums: map[uint32]int64{}}
}

// Add counts n for a project and the value of the other label.
func (p *Projects) Add(n int64, project uint32, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sets[projectSet{project, value}] += n
	p.sums[project] += n
}

func (p *Projects) about() (name, kind, help string) { return p.name, "counter", p.help }

func (p *Projects) lines(dst []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []uint32
	for id := range p.sums {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uint32) int { return cmp.Or(cmp.Compare(p.sums[b], p.sums[a]), cmp.Compare(a, b)) })
	shown := map[uint32]bool{}
	for _, id := range ids[:min(len(ids), Shown)] {
		shown[id] = true
	}
	lines := map[string]int64{}
	for s, n := range p.sets {
		name := "other"
		if shown[s.project] {
			name = strconv.FormatUint(uint64(s.project), 10)
		}
		labels := Label("project", name)
		if p.label != "" {
			labels += "," + Label(p.label, s.value)
		}
		lines[labels] += n
	}
	var keys []string
	for k := range lines {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		dst = sample(dst, p.name, k, float64(lines[k]))
	}
	return dst
}
