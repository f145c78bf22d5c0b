package metric

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Registry is a list of families. The zero value is empty and usable.
type Registry struct {
	mu       sync.Mutex
	families []family
}

type family interface {
	// about gives name, kind and help.
	about() (name, kind, help string)
	// lines adds what is published now; none where there is no value.
	lines(dst []byte) []byte
}

// Add lists families. A name may be listed once.
func (r *Registry) Add(families ...family) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range families {
		name, _, _ := f.about()
		for _, known := range r.families {
			if other, _, _ := known.about(); other == name {
				panic("metric " + name + " is listed twice")
			}
		}
		r.families = append(r.families, f)
	}
}

// Names lists the families, ascending.
func (r *Registry) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, f := range r.families {
		name, _, _ := f.about()
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Write writes everything in Prometheus' text format, in the order of listing. A family
// without a value is left out.
func (r *Registry) Write(w io.Writer) error {
	r.mu.Lock()
	families := slices.Clone(r.families)
	r.mu.Unlock()
	var out, lines []byte
	for _, f := range families {
		if lines = f.lines(lines[:0]); len(lines) == 0 {
			continue
		}
		name, kind, help := f.about()
		out = fmt.Appendf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		out = append(out, lines...)
	}
	_, err := w.Write(out)
	return err
}

// sample adds one line.
func sample(dst []byte, name, labels string, value float64) []byte {
	dst = append(dst, name...)
	if labels != "" {
		dst = append(append(append(dst, '{'), labels...), '}')
	}
	return append(strconv.AppendFloat(append(dst, ' '), value, 'g', -1, 64), '\n')
}

// Func is a number, or several, that somebody else keeps.
type Func struct {
	name, kind, help string
	each             func(yield func(labels string, value float64))
}

// NewFunc makes a family of kind "counter" or "gauge" whose lines each gives: labels as
// Label writes them, and the value. Where it gives none the family is not published.
func NewFunc(name, kind, help string, each func(yield func(labels string, value float64))) *Func {
	return &Func{name, kind, help, each}
}

// NewValue is NewFunc for one number without labels.
func NewValue(name, kind, help string, value func() float64) *Func {
	return NewFunc(name, kind, help, func(yield func(string, float64)) { yield("", value()) })
}

func (f *Func) about() (name, kind, help string) { return f.name, f.kind, f.help }

func (f *Func) lines(dst []byte) []byte {
	f.each(func(labels string, value float64) { dst = sample(dst, f.name, labels, value) })
	return dst
}

// Label is one label, escaped.
func Label(name, value string) string {
	return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}

// maxSets bounds the label values of a Counter, so that none can fill the memory or the
// scrape. What comes beyond is counted under "other".
const maxSets = 1000

// Counter is a family of counters, told apart by the values of its labels.
type Counter struct {
	name, help string
	labels     []string

	mu   sync.Mutex
	sets map[string]*atomic.Int64 // by the label text of the line
}

// NewCounter makes a family with the labels named.
func NewCounter(name, help string, labels ...string) *Counter {
	return &Counter{name: name, help: help, labels: labels, sets: map[string]*atomic.Int64{}}
}

// Add counts n for the values of the labels, in their order.
func (c *Counter) Add(n int64, values ...string) {
	set := make([]string, len(values))
	for i, v := range values {
		set[i] = Label(c.labels[i], v)
	}
	key := strings.Join(set, ",")
	c.mu.Lock()
	v := c.sets[key]
	if v == nil {
		if len(c.sets) >= maxSets {
			for i := range set {
				set[i] = Label(c.labels[i], "other")
			}
			key = strings.Join(set, ",")
		}
		if v = c.sets[key]; v == nil {
			v = new(atomic.Int64)
			c.sets[key] = v
		}
	}
	c.mu.Unlock()
	v.Add(n)
}

func (c *Counter) about() (name, kind, help string) { return c.name, "counter", c.help }

func (c *Counter) lines(dst []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := make([]string, 0, len(c.sets))
	for k := range c.sets {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if len(keys) == 0 && len(c.labels) == 0 {
		return sample(dst, c.name, "", 0)
	}
	for _, k := range keys {
		dst = sample(dst, c.name, k, float64(c.sets[k].Load()))
	}
	return dst
}

// Bounds of histograms: of times in seconds, from a tenth of a millisecond to two minutes,
// about two to a factor of ten; and of sizes in bytes, by factors of four.
var (
	Seconds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}
	Bytes   = []float64{1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20, 1 << 30, 4 << 30, 16 << 30}
)

// Histogram is a family of distributions, told apart by at most one label. Bounds are
// fixed when it is made.
type Histogram struct {
	name, help, label string
	bounds            []float64

	mu   sync.Mutex
	sets map[string]*distribution
}

type distribution struct {
	counts []atomic.Int64 // by the first bound that is not below the value; then one more
	sum    atomic.Uint64  // bits of a float64
}

// NewHistogram makes a family. label may be empty.
func NewHistogram(name, help, label string, bounds []float64) *Histogram {
	return &Histogram{name: name, help: help, label: label, bounds: bounds, sets: map[string]*distribution{}}
}

func (h *Histogram) set(value string) *distribution {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.sets[value]
	if d == nil && len(h.sets) >= maxSets {
		value = "other"
		d = h.sets[value]
	}
	if d == nil {
		d = &distribution{counts: make([]atomic.Int64, len(h.bounds)+1)}
		h.sets[value] = d
	}
	return d
}

// Observe counts v under the value of the label.
func (h *Histogram) Observe(v float64, label string) {
	d := h.set(label)
	i, _ := slices.BinarySearch(h.bounds, v)
	d.counts[i].Add(1)
	for {
		old := d.sum.Load()
		if d.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// Since observes the seconds since a time, without a label.
func (h *Histogram) Since(began time.Time) { h.Observe(time.Since(began).Seconds(), "") }

func (h *Histogram) about() (name, kind, help string) { return h.name, "histogram", h.help }

func (h *Histogram) lines(dst []byte) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := make([]string, 0, len(h.sets))
	for k := range h.sets {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		d, label := h.sets[k], ""
		if h.label != "" {
			label = Label(h.label, k)
		}
		counts := make([]uint64, len(d.counts))
		for i := range counts {
			counts[i] = uint64(d.counts[i].Load())
		}
		dst = distributed(dst, h.name, label, h.bounds, counts, math.Float64frombits(d.sum.Load()))
	}
	return dst
}

// distributed adds the lines of one distribution.
func distributed(dst []byte, name, label string, bounds []float64, counts []uint64, sum float64) []byte {
	with := func(more string) string { return strings.TrimPrefix(label+","+more, ",") }
	var n uint64
	for i, count := range counts {
		n += count
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i], 'g', -1, 64)
		}
		dst = sample(dst, name+"_bucket", with(Label("le", bound)), float64(n))
	}
	dst = sample(dst, name+"_sum", label, sum)
	return sample(dst, name+"_count", label, float64(n))
}

// Counts is a distribution that somebody else keeps.
type Counts struct {
	name, help string
	bounds     []float64
	read       func() (counts []uint64, sum float64)
}

// NewCounts makes a family of what read gives: how many values lie between the bounds, one
// more for those above all of them, and the sum of the values.
func NewCounts(name, help string, bounds []float64, read func() (counts []uint64, sum float64)) *Counts {
	return &Counts{name, help, bounds, read}
}

func (c *Counts) about() (name, kind, help string) { return c.name, "histogram", c.help }

func (c *Counts) lines(dst []byte) []byte {
	counts, sum := c.read()
	return distributed(dst, c.name, "", c.bounds, counts, sum)
}
