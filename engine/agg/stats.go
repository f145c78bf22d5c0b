package agg

import (
	"math"
	"math/big"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/storage/vec"
)

func init() {
	for name, f := range map[string]struct{ pop, root bool }{
		"stddev": {false, true}, "stddev_samp": {false, true}, "stddev_pop": {true, true},
		"variance": {false, false}, "var_samp": {false, false}, "var_pop": {true, false},
	} {
		registry[name] = func(args []vec.Type) *Spec {
			if len(args) != 1 || !args[0].IsNumber() {
				return nil
			}
			if k := args[0].Kind; k == vec.Float4 || k == vec.Float8 {
				t := vec.T(vec.Float8)
				return &Spec{Args: args, Result: t, create: func([]OrderKey) State { return &moments{pop: f.pop, root: f.root} }}
			}
			t := vec.T(vec.Numeric)
			return &Spec{Args: []vec.Type{t}, Result: t, create: func([]OrderKey) State { return &exactMoments{pop: f.pop, root: f.root} }}
		}
	}
	for _, name := range []string{"corr", "covar_pop", "covar_samp", "regr_avgx", "regr_avgy", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy"} {
		registry[name] = func(args []vec.Type) *Spec {
			if len(args) != 2 || !fits(args[0], vec.Float8) || !fits(args[1], vec.Float8) {
				return nil
			}
			t := vec.T(vec.Float8)
			return &Spec{Args: []vec.Type{t, t}, Result: t, create: func([]OrderKey) State { return &paired{what: name} }}
		}
	}
}

// moments is variance of floats, by Welford's running mean, which does not cancel.
type moments struct {
	pop, root  bool
	n          []int64
	mean, sqrs []float64
}

func (s *moments) Grow(groups int) {
	s.n, s.mean, s.sqrs = grow(s.n, groups), grow(s.mean, groups), grow(s.sqrs, groups)
}

func (s *moments) Bytes() int64 { return int64(cap(s.n)) * 24 }

func (s *moments) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	x := dense[float64](args[0], rows)
	for i, g := range groups {
		s.n[g]++
		d := x[i] - s.mean[g]
		s.mean[g] += d / float64(s.n[g])
		s.sqrs[g] += d * (x[i] - s.mean[g])
	}
	return nil
}

func (s *moments) Merge(from State, to []uint32) error {
	o := from.(*moments)
	for i, g := range to[:len(o.n)] {
		if o.n[i] == 0 {
			continue
		}
		a, b := float64(s.n[g]), float64(o.n[i])
		d := o.mean[i] - s.mean[g]
		s.mean[g] += d * b / (a + b)
		s.sqrs[g] += o.sqrs[i] + d*d*a*b/(a+b)
		s.n[g] += o.n[i]
	}
	return nil
}

func (s *moments) Finish() (*vec.Vector, error) {
	out := &vec.Vector{Type: vec.T(vec.Float8), F64: make([]float64, len(s.n))}
	seen := make([]bool, len(s.n))
	for g, n := range s.n {
		d := float64(n)
		if !s.pop {
			d--
		}
		if seen[g] = n > 0 && d > 0; seen[g] {
			out.F64[g] = max(s.sqrs[g], 0) / d
			if math.IsNaN(s.sqrs[g]) {
				out.F64[g] = math.NaN()
			}
			if s.root {
				out.F64[g] = math.Sqrt(out.F64[g])
			}
		}
	}
	out.Nulls = unseen(seen)
	return out, nil
}

// exactMoments is variance of integers and numerics, by exact sums.
type exactMoments struct {
	pop, root bool
	n         []int64
	sum, sqrs []*big.Int // scaled by 10^scale and its square
	scale     []int
	nan       []bool
}

func (s *exactMoments) Grow(groups int) {
	s.n, s.sum, s.sqrs = grow(s.n, groups), grow(s.sum, groups), grow(s.sqrs, groups)
	s.scale, s.nan = grow(s.scale, groups), grow(s.nan, groups)
}

func (s *exactMoments) Bytes() int64 { return int64(cap(s.n)) * 160 }

// align brings a group to a scale of at least the given one.
func (s *exactMoments) align(g uint32, scale int) {
	if s.sum[g] == nil {
		s.sum[g], s.sqrs[g] = new(big.Int), new(big.Int)
	}
	if up := scale - s.scale[g]; up > 0 {
		f := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(up)), nil)
		s.sum[g].Mul(s.sum[g], f)
		s.sqrs[g].Mul(s.sqrs[g], f.Mul(f, f))
		s.scale[g] = scale
	}
}

func (s *exactMoments) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	x := dense[vec.Decimal](args[0], rows)
	for i, g := range groups {
		s.n[g]++
		if x[i].IsNaN() {
			s.nan[g] = true
			continue
		}
		s.align(g, int(x[i].Scale))
		b := x[i].Big()
		if up := s.scale[g] - int(x[i].Scale); up > 0 {
			b.Mul(b, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(up)), nil))
		}
		s.sum[g].Add(s.sum[g], b)
		s.sqrs[g].Add(s.sqrs[g], b.Mul(b, b))
	}
	return nil
}

func (s *exactMoments) Merge(from State, to []uint32) error {
	o := from.(*exactMoments)
	for i, g := range to[:len(o.n)] {
		s.n[g] += o.n[i]
		s.nan[g] = s.nan[g] || o.nan[i]
		if o.sum[i] != nil {
			s.align(g, o.scale[i])
			o.align(uint32(i), s.scale[g])
			s.sum[g].Add(s.sum[g], o.sum[i])
			s.sqrs[g].Add(s.sqrs[g], o.sqrs[i])
		}
	}
	return nil
}

func (s *exactMoments) Finish() (*vec.Vector, error) {
	out := &vec.Vector{Type: vec.T(vec.Numeric), Dec: make([]vec.Decimal, len(s.n))}
	seen := make([]bool, len(s.n))
	for g, n := range s.n {
		d := n
		if !s.pop {
			d--
		}
		if seen[g] = n > 0 && d > 0; !seen[g] {
			continue
		}
		if s.nan[g] {
			out.Dec[g] = vec.DecimalNaN
			continue
		}
		// (n·Σx² - (Σx)²) / (n·d)
		num := new(big.Int).Mul(big.NewInt(n), s.sqrs[g])
		num.Sub(num, new(big.Int).Mul(s.sum[g], s.sum[g]))
		if num.Sign() == 0 {
			continue // 0, without digits behind the point
		}
		den := new(big.Int).Mul(big.NewInt(n), big.NewInt(d))
		v, err := expr.QuoBig(num, 2*s.scale[g], den)
		if err == nil && s.root {
			v, err = expr.SqrtBig(v, num, 2*s.scale[g], den)
		}
		if err != nil {
			return nil, errNumeric
		}
		out.Dec[g] = v
	}
	out.Nulls = unseen(seen)
	return out, nil
}

// paired is the statistics of pairs (y, x), over rows where neither is null.
type paired struct {
	what               string
	n                  []int64
	mx, my, xx, yy, xy []float64
}

func (s *paired) Grow(groups int) {
	s.n = grow(s.n, groups)
	for _, p := range []*[]float64{&s.mx, &s.my, &s.xx, &s.yy, &s.xy} {
		*p = grow(*p, groups)
	}
}

func (s *paired) Bytes() int64 { return int64(cap(s.n)) * 48 }

func (s *paired) Update(_ *expr.Context, groups []uint32, args []*vec.Vector, rows []uint32) error {
	groups, rows = valid(args[0], groups, rows)
	groups, rows = valid(args[1], groups, rows)
	y, x := dense[float64](args[0], rows), dense[float64](args[1], rows)
	for i, g := range groups {
		s.n[g]++
		n := float64(s.n[g])
		dx, dy := x[i]-s.mx[g], y[i]-s.my[g]
		s.mx[g] += dx / n
		s.my[g] += dy / n
		s.xx[g] += dx * (x[i] - s.mx[g])
		s.yy[g] += dy * (y[i] - s.my[g])
		s.xy[g] += dx * (y[i] - s.my[g])
	}
	return nil
}

func (s *paired) Merge(from State, to []uint32) error {
	o := from.(*paired)
	for i, g := range to[:len(o.n)] {
		if o.n[i] == 0 {
			continue
		}
		a, b := float64(s.n[g]), float64(o.n[i])
		dx, dy := o.mx[i]-s.mx[g], o.my[i]-s.my[g]
		s.mx[g] += dx * b / (a + b)
		s.my[g] += dy * b / (a + b)
		s.xx[g] += o.xx[i] + dx*dx*a*b/(a+b)
		s.yy[g] += o.yy[i] + dy*dy*a*b/(a+b)
		s.xy[g] += o.xy[i] + dx*dy*a*b/(a+b)
		s.n[g] += o.n[i]
	}
	return nil
}

func (s *paired) Finish() (*vec.Vector, error) {
	out := &vec.Vector{Type: vec.T(vec.Float8), F64: make([]float64, len(s.n))}
	seen := make([]bool, len(s.n))
	for g, n := range s.n {
		out.F64[g], seen[g] = s.value(g, float64(n))
	}
	out.Nulls = unseen(seen)
	return out, nil
}

func (s *paired) value(g int, n float64) (float64, bool) {
	xx, yy, xy := s.xx[g], s.yy[g], s.xy[g]
	switch s.what {
	case "covar_pop":
		return xy / n, n > 0
	case "covar_samp":
		return xy / (n - 1), n > 1
	case "corr":
		return xy / math.Sqrt(xx*yy), n > 0 && xx != 0 && yy != 0
	case "regr_avgx":
		return s.mx[g], n > 0
	case "regr_avgy":
		return s.my[g], n > 0
	case "regr_sxx":
		return xx, n > 0
	case "regr_syy":
		return yy, n > 0
	case "regr_sxy":
		return xy, n > 0
	case "regr_slope":
		return xy / xx, n > 0 && xx != 0
	case "regr_intercept":
		return s.my[g] - xy/xx*s.mx[g], n > 0 && xx != 0
	}
	if yy == 0 {
		return 1, n > 0 && xx != 0
	}
	return xy * xy / (xx * yy), n > 0 && xx != 0
}
