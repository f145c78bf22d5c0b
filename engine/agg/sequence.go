package agg

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// The sequence aggregates look at the rows of a group in order of time, and at which conditions
// hold for each.

// steps is the rows of a group in order of time: when each was, and its conditions.
type steps struct {
	at   []int64
	cond []*vec.Vector
	rows []uint32
}

func stepsOf(at *vec.Vector, cond []*vec.Vector, rows []uint32) *steps {
	s := &steps{cond: cond}
	s.rows = slices.DeleteFunc(slices.Clone(rows), func(r uint32) bool { return at.IsNull(int(r)) })
	slices.SortStableFunc(s.rows, func(a, b uint32) int { return vec.Compare(at, int(a), at, int(b)) })
	for _, r := range s.rows {
		s.at = append(s.at, at.I64[r])
	}
	return s
}

// holds says whether condition k, counted from 0, is true for the i-th row.
func (s *steps) holds(k, i int) bool {
	r := int(s.rows[i])
	return !s.cond[k].IsNull(r) && s.cond[k].Bools[r]
}

// since is the time between two rows, the second of which is not before the first.
func (s *steps) since(first, i int) int64 {
	if d := s.at[i] - s.at[first]; d >= 0 {
		return d
	}
	return math.MaxInt64 // one of them is infinite
}

// isTime says whether rows can be put in order by an argument.
func isTime(t vec.Type) bool {
	return !t.Array && (t.Kind == vec.Timestamp || t.Kind == vec.TimestampTZ || t.Kind == vec.Date || t.IsInt())
}

// sequenceArgs is the types of arguments that begin with some given ones, and go on with
// conditions; nil if they do not.
func sequenceArgs(args []vec.Type, first ...vec.Type) []vec.Type {
	if len(args) <= len(first) {
		return nil
	}
	out := slices.Clone(first)
	for i, a := range args {
		switch {
		case i < len(first) && (a == first[i] || fits(a, first[i].Kind)):
		case i >= len(first) && fits(a, vec.Bool):
			out = append(out, vec.T(vec.Bool))
		default:
			return nil
		}
	}
	return out
}

// timeType is what a time is read as: dates as times, integers as seconds.
func timeType(t vec.Type) vec.Type {
	switch {
	case t.Kind == vec.Date:
		return vec.T(vec.Timestamp)
	case t.IsInt():
		return vec.T(vec.Int8)
	}
	return vec.T(t.Kind)
}

// funnelMode is the words of window_funnel.
type funnelMode struct{ order, increase, deduplication bool }

func parseFunnelMode(text string) (m funnelMode, err error) {
	for _, word := range strings.Split(text, ",") {
		switch strings.TrimSpace(word) {
		case "strict_order":
			m.order = true
		case "strict_increase":
			m.increase = true
		case "strict_deduplication":
			m.deduplication = true
		case "":
		default:
			return m, pgerr.New(pgerr.InvalidParameterValue, "window_funnel has no mode \"%s\"", strings.TrimSpace(word)).
				WithHint("Modes are strict_order, strict_increase and strict_deduplication.")
		}
	}
	return m, nil
}

// funnelLevel is how many conditions, from the first on, rows fulfil one after the other within a
// window of the first.
func funnelLevel(s *steps, window vec.IntervalValue, m funnelMode) int {
	within := func(from, to int64) bool {
		end, ok := expr.AddInterval(from, window)
		return !ok || to <= end
	}
	n, best := len(s.cond), 0
	if m.order || m.deduplication {
		for i := range s.rows {
			if s.holds(0, i) {
				best = max(best, s.strict(i, m, within))
			}
		}
		return best
	}
	// For each level the latest row that a chain of so many may begin with, -1 for none: it leaves
	// most time.
	begin := make([]int, n)
	for k := range begin {
		begin[k] = -1
	}
	reaches := func(first, i int) bool { return first >= 0 && within(s.at[first], s.at[i]) }
	for i := 0; i < len(s.rows); {
		// With strict_increase, rows of one time see only what was before them.
		end := i + 1
		for m.increase && end < len(s.rows) && s.at[end] == s.at[i] {
			end++
		}
		before := slices.Clone(begin)
		for ; i < end; i++ {
			for k := n - 1; k >= 0; k-- {
				if !s.holds(k, i) {
					continue
				}
				switch {
				case k == 0:
					begin[0] = i
				case m.increase && reaches(before[k-1], i):
					begin[k] = max(begin[k], before[k-1])
				case !m.increase && reaches(begin[k-1], i):
					begin[k] = max(begin[k], begin[k-1])
				}
			}
		}
	}
	for k, b := range begin {
		if b >= 0 {
			best = k + 1
		}
	}
	return best
}

// strict is the level of the chain that begins at a row, and that a row that is not the next step
// may end.
func (s *steps) strict(first int, m funnelMode, within func(from, to int64) bool) int {
	level, last := 1, s.at[first]
	for i := first + 1; i < len(s.rows) && level < len(s.cond) && within(s.at[first], s.at[i]); i++ {
		if s.holds(level, i) && (!m.increase || s.at[i] > last) {
			level, last = level+1, s.at[i]
			continue
		}
		for k := range s.cond {
			if s.holds(k, i) && (m.order || k < level) {
				return level
			}
		}
	}
	return level
}

// patternStep is an element of a pattern of sequence_match.
type patternStep struct {
	event int // (?n), counted from 0; -1: .
	any   bool
	// op compares the seconds between this event and the one before it: (?t<=3600)
	op   string
	span int64
}

// maxPattern bounds how many elements a pattern has.
const maxPattern = 100

// parsePattern reads a pattern. A condition on time lets any events stand between.
func parsePattern(text string, events int) ([]patternStep, error) {
	fail := func(at int) error {
		return pgerr.New(pgerr.InvalidParameterValue, "invalid pattern \"%s\" at %d", text, at+1).
			WithHint("A pattern has (?1) for an event, . for any, .* for any number of any, and (?t<=3600) for seconds between events.")
	}
	var out []patternStep
	op, span := "", int64(0)
	for i := 0; i < len(text); {
		if len(out) >= maxPattern {
			return nil, pgerr.New(pgerr.ProgramLimitExceeded, "a pattern has at most %d elements", maxPattern)
		}
		rest := text[i:]
		switch {
		case rest[0] == ' ':
			i++
		case strings.HasPrefix(rest, ".*"):
			out = append(out, patternStep{event: -1, any: true})
			i += 2
		case rest[0] == '.':
			out = append(out, patternStep{event: -1, op: op, span: span})
			op = ""
			i++
		case strings.HasPrefix(rest, "(?"):
			end := strings.IndexByte(rest, ')')
			if end < 0 {
				return nil, fail(i)
			}
			inner := rest[2:end]
			if word, ok := strings.CutPrefix(inner, "t"); ok {
				number := strings.TrimLeft(word, "<>=!")
				n, err := strconv.ParseInt(number, 10, 64)
				op, span = word[:len(word)-len(number)], n
				if err != nil || !slices.Contains([]string{"<", "<=", ">", ">=", "==", "!="}, op) || len(out) == 0 {
					return nil, fail(i)
				}
				out = append(out, patternStep{event: -1, any: true})
			} else {
				n, err := strconv.Atoi(inner)
				if err != nil || n < 1 || n > events {
					return nil, fail(i)
				}
				out = append(out, patternStep{event: n - 1, op: op, span: span})
				op = ""
			}
			i += end + 1
		default:
			return nil, fail(i)
		}
	}
	if op != "" || len(out) == 0 {
		return nil, fail(len(text))
	}
	return out, nil
}

func (p *patternStep) near(seconds int64) bool {
	switch p.op {
	case "<":
		return seconds < p.span
	case "<=":
		return seconds <= p.span
	case ">":
		return seconds > p.span
	case ">=":
		return seconds >= p.span
	case "==":
		return seconds == p.span
	case "!=":
		return seconds != p.span
	}
	return true
}

// timed says whether the next event of a pattern asks for the time since the one before.
func timed(rest []patternStep) bool {
	for i := range rest {
		if !rest[i].any {
			return rest[i].op != ""
		}
	}
	return false
}

// match is the row behind the earliest end of a match that begins at a row or later, or -1. It
// follows all ways at once: a way is how far it is in the pattern, and the last event it took.
func (s *steps) match(pattern []patternStep, from int, second int64) int {
	type way struct{ step, last int }
	now := map[way]bool{}
	var add func(m map[way]bool, w way)
	add = func(m map[way]bool, w way) {
		if m[w] {
			return
		}
		m[w] = true
		if w.step < len(pattern) && pattern[w.step].any { // which may be none
			add(m, way{w.step + 1, w.last})
		}
	}
	for i := from; i <= len(s.rows); i++ {
		add(now, way{0, -1})
		for w := range now {
			if w.step == len(pattern) {
				return i
			}
		}
		if i == len(s.rows) {
			break
		}
		next := map[way]bool{}
		for w := range now {
			p := &pattern[w.step]
			switch {
			case p.any:
				add(next, w)
			case (p.event < 0 || s.holds(p.event, i)) && (p.op == "" || w.last >= 0 && p.near(s.since(w.last, i)/second)):
				last := -1
				if timed(pattern[w.step+1:]) {
					last = i
				}
				add(next, way{w.step + 1, last})
			}
		}
		now = next
	}
	return -1
}

func init() {
	boolean := vec.T(vec.Bool)
	registry["window_funnel"] = func(args []vec.Type) *Spec {
		text := []vec.Type{}
		rest := args
		if len(args) > 2 && (args[0].Kind == vec.Text || args[0].Kind == vec.Unknown) && !isTime(args[1]) {
			text, rest = []vec.Type{vec.T(vec.Text)}, args[1:]
		}
		if len(rest) < 3 || !isTime(rest[1]) || rest[1].IsInt() {
			return nil
		}
		t := sequenceArgs(args, append(text, vec.T(vec.Interval), timeType(rest[1]))...)
		if t == nil {
			return nil
		}
		n := len(text)
		return collector(t, vec.T(vec.Int4), -1, -1, func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
			var mode funnelMode
			r := int(rows[0])
			if n > 0 && !cols[0].IsNull(r) {
				var err error
				if mode, err = parseFunnelMode(cols[0].Str.Str(r)); err != nil {
					return err
				}
			}
			if cols[n].IsNull(r) {
				out.AppendNull()
				return nil
			}
			out.V.I64 = append(out.V.I64, int64(funnelLevel(stepsOf(cols[n+1], cols[n+2:], rows), cols[n].Ivl[r], mode)))
			return nil
		})
	}
	registry["retention"] = func(args []vec.Type) *Spec {
		t := sequenceArgs(args)
		if t == nil {
			return nil
		}
		return collector(t, vec.ArrayOf(vec.Bool), -1, -1, func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
			s := &steps{cond: cols, rows: rows}
			list := vec.NewBuilder(boolean)
			begun := false
			for k := range cols {
				some := false
				for i := 0; i < len(rows) && !some; i++ {
					some = s.holds(k, i)
				}
				if k == 0 {
					begun = some
				}
				list.V.Bools = append(list.V.Bools, begun && some)
			}
			return finishArray(nil, out, []*vec.Vector{list.V}, first(len(cols)), false)
		})
	}
	for name, count := range map[string]bool{"sequence_match": false, "sequence_count": true} {
		result := boolean
		if count {
			result = vec.T(vec.Int8)
		}
		registry[name] = func(args []vec.Type) *Spec {
			if len(args) < 3 || !isTime(args[1]) {
				return nil
			}
			t := sequenceArgs(args, vec.T(vec.Text), timeType(args[1]))
			if t == nil {
				return nil
			}
			second := int64(1_000_000)
			if t[1].IsInt() {
				second = 1
			}
			return collector(t, result, -1, -1, func(_ *expr.Context, out *vec.Builder, cols []*vec.Vector, rows []uint32, _ bool) error {
				if cols[0].IsNull(int(rows[0])) {
					out.AppendNull()
					return nil
				}
				pattern, err := parsePattern(cols[0].Str.Str(int(rows[0])), len(cols)-2)
				if err != nil {
					return err
				}
				s := stepsOf(cols[1], cols[2:], rows)
				n := int64(0)
				for at := 0; at <= len(s.rows); {
					end := s.match(pattern, at, second)
					if end < 0 {
						break
					}
					if n++; !count {
						break
					}
					at = max(end, at+1)
				}
				if count {
					out.V.I64 = append(out.V.I64, n)
				} else {
					out.V.Bools = append(out.V.Bools, n > 0)
				}
				return nil
			})
		}
	}
}
