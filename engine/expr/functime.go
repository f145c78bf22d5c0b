package expr

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

func badUnit(unit string, t vec.Type) error {
	return pgerr.New(pgerr.InvalidParameterValue, "unit \"%s\" not recognized for type %s", unit, t)
}

func unsupportedUnit(unit string, t vec.Type) *pgerr.Error {
	return pgerr.New(pgerr.FeatureNotSupported, "unit \"%s\" not supported for type %s", unit, t)
}

// isZoneUnit says whether a unit is a part of a zone's offset.
func isZoneUnit(unit string) bool { return strings.HasPrefix(unit, "timezone") }

// zoned is map1 and its like with a zone lookup that remembers its last span.
func zoned(do func(f *frame, z *zone) func(i int) error) func(*frame) error {
	return func(f *frame) error {
		z := zoneOf(f.ctx)
		return tryEach(f, do(f, &z))
	}
}

// namedZone finds zones by name for rows of an argument, remembering the last.
type namedZone struct {
	name string
	z    zone
	ok   bool
}

func (n *namedZone) get(name string) (*zone, error) {
	if n.ok && n.name == name {
		return &n.z, nil
	}
	loc, err := LoadZone(name)
	if err != nil {
		return nil, err
	}
	*n = namedZone{name: strings.Clone(name), z: zone{loc: loc}, ok: true}
	return &n.z, nil
}

// truncTz cuts a moment in a zone.
func truncTz(z *zone, unit string, t int64) (int64, bool) {
	if isInfinite(t) {
		return t, true
	}
	off := z.offset(t)
	r, ok := truncLocal(unit, t+off)
	if !ok {
		return 0, false
	}
	// Units below a day are cut in place, so that the two hours of a changed clock differ.
	if back := r - off; t+off-r < microsDay && z.offset(back) == off {
		return back, true
	}
	return z.utc(r), true
}

func truncInterval(unit string, v vec.IntervalValue) (vec.IntervalValue, bool) {
	months := map[string]int32{"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12000}
	unit = unitWords[unit]
	if n, ok := months[unit]; ok {
		return vec.IntervalValue{Months: v.Months / n * n}, true
	}
	micros := map[string]int64{"hour": microsHour, "minute": microsMinute, "second": microsSecond, "millisecond": 1000, "microsecond": 1}
	if n, ok := micros[unit]; ok {
		v.Micros = v.Micros / n * n
		return v, true
	}
	if unit == "day" {
		v.Micros = 0
		return v, true
	}
	return v, false
}

// field is a part of a local time, in millionths; false if the unit is unknown.
func field(unit string, t int64) (micro float64, whole int64, exact, ok bool) {
	day := vec.FloorDiv(t, microsDay)
	clock := t - day*microsDay
	switch unit {
	case "microseconds", "microsecond", "us":
		return 0, clock % microsMinute, true, true
	case "milliseconds", "millisecond", "ms":
		return float64(clock%microsMinute) / 1000, 0, false, true
	case "second", "seconds", "sec":
		return float64(clock%microsMinute) / 1e6, 0, false, true
	case "minute", "minutes", "min":
		return 0, clock / microsMinute % 60, true, true
	case "hour", "hours":
		return 0, clock / microsHour, true, true
	case "dow":
		return 0, floorMod(day+4, 7), true, true
	case "isodow":
		return 0, floorMod(day+3, 7) + 1, true, true
	case "week", "weeks":
		_, w := isoWeek(day)
		return 0, int64(w), true, true
	case "isoyear":
		y, _ := isoWeek(day)
		if y <= 0 {
			y--
		}
		return 0, y, true, true
	}
	y, m, d := civil(day)
	shown := y
	if shown <= 0 {
		shown--
	}
	switch unit {
	case "day", "days":
		return 0, int64(d), true, true
	case "doy":
		return 0, day - dayOf(y, 1, 1) + 1, true, true
	case "month", "months", "mon":
		return 0, int64(m), true, true
	case "quarter":
		return 0, int64((m-1)/3 + 1), true, true
	case "year", "years":
		return 0, shown, true, true
	case "decade", "decades":
		return 0, vec.FloorDiv(y, 10), true, true
	case "century", "centuries":
		if y > 0 {
			return 0, (y + 99) / 100, true, true
		}
		return 0, -((99 - (y - 1)) / 100), true, true
	case "millennium", "millennia":
		if y > 0 {
			return 0, (y + 999) / 1000, true, true
		}
		return 0, -((999 - (y - 1)) / 1000), true, true
	}
	return 0, 0, false, false
}

// extractTime is a part of a date or timestamp as PostgreSQL's numeric. utc and off are
// for moments; off is µs east.
func extractTime(unit string, local, off int64, t vec.Type) (vec.Decimal, error) {
	unit = lower(unit)
	tz := t.Kind == vec.TimestampTZ
	if t.Kind == vec.Date {
		switch unit {
		case "microseconds", "milliseconds", "second", "minute", "hour", "timezone", "timezone_hour", "timezone_minute":
			return vec.Decimal{}, unsupportedUnit(unit, t)
		}
	}
	if t.Kind == vec.Time {
		switch unitWords[unit] {
		case "microsecond", "millisecond", "second", "minute", "hour":
		default:
			_, _, _, known := field(unit, local)
			if known || unit == "julian" || isZoneUnit(unit) {
				return vec.Decimal{}, unsupportedUnit(unit, t)
			}
			if unit != "epoch" {
				return vec.Decimal{}, badUnit(unit, t)
			}
		}
	}
	day := vec.FloorDiv(local, microsDay)
	clock := local - day*microsDay
	switch unit {
	case "epoch":
		if t.Kind == vec.Date {
			return vec.DecimalFromInt(day * 86400), nil
		}
		d := vec.DecimalFromInt(local - off)
		d.Scale = 6
		return d, nil
	case "second", "seconds", "sec":
		d := vec.DecimalFromInt(clock % microsMinute)
		d.Scale = 6
		return d, nil
	case "milliseconds", "millisecond", "ms":
		d := vec.DecimalFromInt(clock % microsMinute)
		d.Scale = 3
		return d, nil
	case "julian":
		if t.Kind == vec.Date {
			return vec.DecimalFromInt(day + 2440588), nil
		}
		d, err := vec.DecimalFromInt(clock).Quo(vec.DecimalFromInt(microsDay))
		if err == nil {
			d, err = d.Add(vec.DecimalFromInt(day + 2440588))
		}
		return d, decimalError(err)
	case "timezone", "timezone_hour", "timezone_minute":
		if !tz {
			return vec.Decimal{}, unsupportedUnit(unit, t)
		}
	}
	switch unit {
	case "timezone":
		return vec.DecimalFromInt(off / microsSecond), nil
	case "timezone_hour":
		return vec.DecimalFromInt(off / microsHour), nil
	case "timezone_minute":
		return vec.DecimalFromInt(off / microsMinute % 60), nil
	}
	if _, whole, exact, ok := field(unit, local); ok && exact {
		return vec.DecimalFromInt(whole), nil
	}
	return vec.Decimal{}, badUnit(unit, t)
}

// extractInfinite is a part of an infinite time: infinite where it grows with time.
func extractInfinite(unit string, t int64) (vec.Decimal, error) {
	switch lower(unit) {
	case "epoch", "year", "isoyear", "decade", "century", "millennium", "julian":
		if t < 0 {
			return vec.DecimalNegInf, nil
		}
		return vec.DecimalInf, nil
	}
	return vec.Decimal{}, errNull
}

// exactMicros is an interval of decades at most in µs. A float64 holds that, so that the seconds
// are those that a decimal gives.
func exactMicros(v vec.IntervalValue) (float64, bool) {
	const most = 1 << 52
	days := int64(v.Days)
	if v.Months != 0 || days < -most/microsDay || days > most/microsDay || v.Micros < -most || v.Micros > most {
		return 0, false
	}
	return float64(days*microsDay + v.Micros), true
}

func extractInterval(unit string, v vec.IntervalValue) (vec.Decimal, error) {
	if unit == "epoch" || lower(unit) == "epoch" {
		// A year is 365.25 days, a month 30.
		sec := int64(v.Months/12)*31557600 + int64(v.Months%12)*2592000 + int64(v.Days)*86400
		const small = math.MaxInt64 / 4 // µs
		if max(sec, -sec) < small/1000000 && -small < v.Micros && v.Micros < small {
			d := vec.DecimalFromInt(sec*1000000 + v.Micros)
			d.Scale = 6
			return d, nil
		}
		d, err := vec.DecimalFromInt(sec).Mul(vec.Decimal{Lo: 1000000, Scale: 6})
		if err == nil {
			us := vec.DecimalFromInt(v.Micros)
			us.Scale = 6
			d, err = d.Add(us)
		}
		return d, decimalError(err)
	}
	switch word := unitWords[lower(unit)]; word {
	case "microsecond":
		return vec.DecimalFromInt(v.Micros % microsMinute), nil
	case "millisecond":
		d := vec.DecimalFromInt(v.Micros % microsMinute)
		d.Scale = 3
		return d, nil
	case "second":
		d := vec.DecimalFromInt(v.Micros % microsMinute)
		d.Scale = 6
		return d, nil
	case "minute":
		return vec.DecimalFromInt(v.Micros / microsMinute % 60), nil
	case "hour":
		return vec.DecimalFromInt(v.Micros / microsHour), nil
	case "day":
		return vec.DecimalFromInt(int64(v.Days)), nil
	case "month":
		return vec.DecimalFromInt(int64(v.Months % 12)), nil
	case "quarter":
		return vec.DecimalFromInt(int64(v.Months%12/3 + 1)), nil
	case "year":
		return vec.DecimalFromInt(int64(v.Months / 12)), nil
	case "decade":
		return vec.DecimalFromInt(int64(v.Months / 120)), nil
	case "century":
		return vec.DecimalFromInt(int64(v.Months / 1200)), nil
	case "millennium":
		return vec.DecimalFromInt(int64(v.Months / 12000)), nil
	}
	switch unit = lower(unit); unit {
	case "week", "weeks", "dow", "doy", "isodow", "isoyear", "julian":
		return vec.Decimal{}, unsupportedUnit(unit, tIvl)
	}
	if isZoneUnit(unit) {
		return vec.Decimal{}, unsupportedUnit(unit, tIvl)
	}
	return vec.Decimal{}, badUnit(unit, tIvl)
}

// age is the difference of two local times in years, months, days and time.
func age(a, b int64) vec.IntervalValue {
	sign := 1
	if a < b {
		a, b, sign = b, a, -1
	}
	da, db := vec.FloorDiv(a, microsDay), vec.FloorDiv(b, microsDay)
	ya, ma, dda := civil(da)
	yb, mb, ddb := civil(db)
	us := (a - da*microsDay) - (b - db*microsDay)
	days := int64(dda - ddb)
	months := (ya-yb)*12 + int64(ma-mb)
	if us < 0 {
		us += microsDay
		days--
	}
	if days < 0 {
		// The month that is borrowed is that of the earlier date.
		days += int64(monthDays(yb, mb))
		months--
	}
	return vec.IntervalValue{Months: int32(months) * int32(sign), Days: int32(days) * int32(sign), Micros: us * int64(sign)}
}

func difference(a, b int64) (vec.IntervalValue, error) {
	if isInfinite(a) || isInfinite(b) {
		return vec.IntervalValue{}, pgerr.New(pgerr.DatetimeOverflow, "cannot subtract infinite timestamps")
	}
	d := a - b
	if (a^b)&(a^d) < 0 {
		return vec.IntervalValue{}, outOfRange(tIvl)
	}
	return vec.IntervalValue{Days: int32(d / microsDay), Micros: d % microsDay}, nil
}

// AddIntervals is the sum of two intervals, field by field.
func AddIntervals(a, b vec.IntervalValue) (vec.IntervalValue, error) {
	m, d := int64(a.Months)+int64(b.Months), int64(a.Days)+int64(b.Days)
	us := a.Micros + b.Micros
	if m != int64(int32(m)) || d != int64(int32(d)) || (a.Micros^us)&(b.Micros^us) < 0 {
		return a, outOfRange(tIvl)
	}
	return vec.IntervalValue{Months: int32(m), Days: int32(d), Micros: us}, nil
}

// scaleInterval multiplies; what a field cannot hold whole goes to the next smaller one.
func scaleInterval(v vec.IntervalValue, x float64) (vec.IntervalValue, error) {
	return SpreadInterval(float64(v.Months)*x, float64(v.Days)*x, float64(v.Micros)*x)
}

// divideInterval divides. It is no multiplication by 1/x, which is another number.
func divideInterval(v vec.IntervalValue, x float64) (vec.IntervalValue, error) {
	return SpreadInterval(float64(v.Months)/x, float64(v.Days)/x, float64(v.Micros)/x)
}

// SpreadInterval is an interval of fields that are no whole numbers. What is less than a month
// are days of thirty, and what is less than a day time, both rounded to microseconds.
func SpreadInterval(months, days, micros float64) (vec.IntervalValue, error) {
	var v vec.IntervalValue
	toMicros := func(x float64) float64 { return math.RoundToEven(x*1e6) / 1e6 }
	m, frac := math.Modf(months)
	restDays := toMicros(frac * 30)
	d, frac := math.Modf(days)
	wholeRest, fracRest := math.Modf(restDays)
	seconds := toMicros((frac + fracRest) * 86400)
	if math.Abs(seconds) >= 86400 {
		whole := math.Trunc(seconds / 86400)
		d, seconds = d+whole, seconds-whole*86400
	}
	d += wholeRest
	us := math.RoundToEven(micros + seconds*1e6)
	if us != us || math.Abs(m) > math.MaxInt32 || math.Abs(d) > math.MaxInt32 || math.Abs(us) > 9.2e18 {
		return v, outOfRange(tIvl)
	}
	return vec.IntervalValue{Months: int32(m), Days: int32(d), Micros: int64(us)}, nil
}

// bin is the start of the stride that t lies in, counted from origin.
func bin(stride vec.IntervalValue, t, origin int64, name string) (int64, error) {
	if isInfinite(t) {
		return t, nil
	}
	if stride.Months != 0 {
		if stride.Days != 0 || stride.Micros != 0 {
			return 0, pgerr.New(pgerr.FeatureNotSupported, "%s does not take months together with days or time", name)
		}
		if stride.Months < 0 {
			return 0, pgerr.New(pgerr.DatetimeOverflow, "stride must be greater than zero")
		}
		ty, tm, _ := civil(vec.FloorDiv(t, microsDay))
		oy, om, _ := civil(vec.FloorDiv(origin, microsDay))
		n := vec.FloorDiv((ty-oy)*12+int64(tm-om), int64(stride.Months)) * int64(stride.Months)
		day := vec.FloorDiv(origin, microsDay)
		clock := origin - day*microsDay
		r := laterDay(day, n)*microsDay + clock
		if r > t {
			r = laterDay(day, n-int64(stride.Months))*microsDay + clock
		}
		return r, nil
	}
	hi, lo := bits.Mul64(uint64(max(int64(stride.Days), -int64(stride.Days))), uint64(microsDay))
	if hi != 0 || lo > math.MaxInt64/2 {
		return 0, outOfRange(tIvl)
	}
	size := int64(stride.Days)*microsDay + stride.Micros
	if size <= 0 {
		return 0, pgerr.New(pgerr.DatetimeOverflow, "stride must be greater than zero")
	}
	return origin + vec.FloorDiv(t-origin, size)*size, nil
}

// mondayOrigin is where time_bucket counts days and weeks from: 2000-01-03, a Monday;
// months are counted from 2000-01-01.
const (
	mondayOrigin = 10959 * microsDay
	monthOrigin  = 10957 * microsDay
)

func bucketOrigin(stride vec.IntervalValue) int64 {
	if stride.Months != 0 {
		return monthOrigin
	}
	return mondayOrigin
}

// lastDay is the last day of the month of a local time.
func lastDay(t int64) (int64, error) {
	if isInfinite(t) {
		return t, nil
	}
	y, m, _ := civil(vec.FloorDiv(t, microsDay))
	return dayOf(y, m, monthDays(y, m)), nil
}

// crossed counts the boundaries of a unit between two local times.
func crossed(unit string, a, b int64) (int64, bool) {
	unit = unitWords[lower(unit)]
	micros := map[string]int64{"microsecond": 1, "millisecond": 1000, "second": microsSecond, "minute": microsMinute, "hour": microsHour, "day": microsDay}
	if n, ok := micros[unit]; ok {
		return vec.FloorDiv(b, n) - vec.FloorDiv(a, n), true
	}
	da, db := vec.FloorDiv(a, microsDay), vec.FloorDiv(b, microsDay)
	if unit == "week" {
		return vec.FloorDiv(db+3, 7) - vec.FloorDiv(da+3, 7), true
	}
	months := map[string]int64{"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12000}
	n, ok := months[unit]
	if !ok {
		return 0, false
	}
	ya, ma, _ := civil(da)
	yb, mb, _ := civil(db)
	if n >= 1200 { // a century begins with its year 1
		ya, yb = ya-1, yb-1
	}
	return vec.FloorDiv(yb*12+int64(mb-1), n) - vec.FloorDiv(ya*12+int64(ma-1), n), true
}

func init() {
	now := map0(func(c *Context) (int64, error) { return c.Now, nil })
	defineSession("now", tTz, nil, now)
	defineSession("transaction_timestamp", tTz, nil, now)
	defineSession("statement_timestamp", tTz, nil, map0(func(c *Context) (int64, error) { return c.Statement, nil }))
	define("clock_timestamp", tTz, nil, map0(func(*Context) (int64, error) { return time.Now().UnixMicro(), nil })).Volatile = true
	defineSession("current_date", tDate, nil, map0(func(c *Context) (int64, error) {
		z := zoneOf(c)
		return vec.FloorDiv(z.local(c.Now), microsDay), nil
	}))
	defineSession("localtimestamp", tTs, nil, map0(func(c *Context) (int64, error) {
		z := zoneOf(c)
		return z.local(c.Now), nil
	}))
	defineSession("localtime", tTime, nil, map0(func(c *Context) (int64, error) {
		z := zoneOf(c)
		return floorMod(z.local(c.Now), microsDay), nil
	}))
	truncations()
	extractions()
	timeArithmetic()
	timeZones()
	makers()
	formats()
}

func truncations() {
	for _, t := range []vec.Type{tTz, tTs} {
		define("date_trunc", t, types(tText, t), func(f *frame) error {
			unit, x := viewOf[string](f, 0), viewOf[int64](f, 1)
			z := zoneOf(f.ctx)
			if t.Kind == vec.Timestamp {
				z = zone{loc: time.UTC}
			}
			last, word := "", ""
			return tryEach(f, func(i int) error {
				if u := unit.at(i); u != last {
					last, word = u, lower(u)
				}
				r, ok := truncTz(&z, word, x.at(i))
				if !ok {
					return badUnit(last, t)
				}
				f.out.I64[i] = r
				return nil
			})
		})
	}
	define("date_trunc", tTz, types(tText, tTz, tText), func(f *frame) error {
		unit, x, name := viewOf[string](f, 0), viewOf[int64](f, 1), viewOf[string](f, 2)
		var zones namedZone
		return tryEach(f, func(i int) error {
			z, err := zones.get(name.at(i))
			if err != nil {
				return err
			}
			r, ok := truncTz(z, lower(unit.at(i)), x.at(i))
			if !ok {
				return badUnit(unit.at(i), tTz)
			}
			f.out.I64[i] = r
			return nil
		})
	})
	define("date_trunc", tIvl, types(tText, tIvl), map2(func(_ *Context, unit string, v vec.IntervalValue) (vec.IntervalValue, error) {
		unit = lower(unit)
		r, ok := truncInterval(unit, v)
		switch {
		case ok:
			return r, nil
		case unitWords[unit] == "week":
			return r, unsupportedUnit(unit, tIvl).WithDetail("Months usually have fractional weeks.")
		case isZoneUnit(unit):
			return r, unsupportedUnit(unit, tIvl)
		}
		return r, badUnit(unit, tIvl)
	}))
	for _, t := range []vec.Type{tTz, tTs} {
		define("date_bin", t, types(tIvl, t, t), map3(func(_ *Context, s vec.IntervalValue, x, origin int64) (int64, error) {
			if s.Months != 0 {
				return 0, pgerr.New(pgerr.FeatureNotSupported, "timestamps cannot be binned into intervals containing months or years")
			}
			return bin(s, x, origin, "date_bin")
		}))
		define("time_bucket", t, types(tIvl, t, t), map3(func(_ *Context, s vec.IntervalValue, x, origin int64) (int64, error) {
			return bin(s, x, origin, "time_bucket")
		}))
	}
	bucket := func(z *zone, s vec.IntervalValue, t int64) (int64, error) {
		r, err := bin(s, z.local(t), bucketOrigin(s), "time_bucket")
		if err != nil {
			return 0, err
		}
		return z.utc(r), nil
	}
	define("time_bucket", tTz, types(tIvl, tTz), func(f *frame) error {
		s, x := viewOf[vec.IntervalValue](f, 0), viewOf[int64](f, 1)
		z := zone{loc: time.UTC}
		return tryEach(f, func(i int) (err error) { f.out.I64[i], err = bucket(&z, s.at(i), x.at(i)); return err })
	})
	define("time_bucket", tTs, types(tIvl, tTs), map2(func(_ *Context, s vec.IntervalValue, x int64) (int64, error) {
		return bin(s, x, bucketOrigin(s), "time_bucket")
	}))
	define("time_bucket", tDate, types(tIvl, tDate), map2(func(_ *Context, s vec.IntervalValue, x int64) (int64, error) {
		r, err := bin(s, x*microsDay, bucketOrigin(s), "time_bucket")
		return vec.FloorDiv(r, microsDay), err
	}))
	// A third text is a zone, or else an origin.
	for _, t := range []vec.Type{tTz, tTs} {
		fn := &Function{Name: "time_bucket", eval: func(f *frame) error {
			s, x, name := viewOf[vec.IntervalValue](f, 0), viewOf[int64](f, 1), viewOf[string](f, 2)
			var zones namedZone
			return tryEach(f, func(i int) error {
				z, err := zones.get(name.at(i))
				if err == nil {
					f.out.I64[i], err = bucket(z, s.at(i), x.at(i))
					return err
				}
				parse := parseTimestamp
				if t.Kind == vec.TimestampTZ {
					parse = parseTimestampTZ
				}
				origin, bad := parse(f.ctx, name.at(i))
				if bad != nil {
					return err
				}
				f.out.I64[i], err = bin(s.at(i), x.at(i), origin, "time_bucket")
				return err
			})
		}}
		choose("time_bucket", func(args []vec.Type) *Overload {
			if len(args) != 3 || !isTextual(args[2]) || args[1].Kind != t.Kind || !CanImplicit(args[0], tIvl) {
				return nil
			}
			return &Overload{Fn: fn, Args: types(tIvl, t, tText), Result: t}
		})
	}
	define("time_bucket", tTz, types(tIvl, tTz, tTz, tText), func(f *frame) error {
		s, x, origin, name := viewOf[vec.IntervalValue](f, 0), viewOf[int64](f, 1), viewOf[int64](f, 2), viewOf[string](f, 3)
		var zones namedZone
		return tryEach(f, func(i int) error {
			z, err := zones.get(name.at(i))
			if err != nil {
				return err
			}
			r, err := bin(s.at(i), z.local(x.at(i)), z.local(origin.at(i)), "time_bucket")
			f.out.I64[i] = z.utc(r)
			return err
		})
	})
}

func extractions() {
	for _, name := range []string{"extract", "date_part"} {
		result := tNum
		if name == "date_part" {
			result = tFloat8
		}
		set := func(f *frame, i int, d vec.Decimal) {
			if f.out.F64 != nil {
				f.out.F64[i] = d.Float64()
				return
			}
			f.out.Dec[i] = d
		}
		for _, t := range []vec.Type{tTz, tTs, tDate} {
			define(name, result, types(tText, t), zoned(func(f *frame, z *zone) func(int) error {
				unit, x := viewOf[string](f, 0), viewOf[int64](f, 1)
				return func(i int) error {
					v := x.at(i)
					if isInfinite(v) {
						d, err := extractInfinite(unit.at(i), v)
						if err == nil {
							set(f, i, d)
						}
						return err
					}
					off := int64(0)
					switch t.Kind {
					case vec.Date:
						v *= microsDay
					case vec.TimestampTZ:
						off = z.offset(v)
					}
					d, err := extractTime(unit.at(i), v+off, off, t)
					if err != nil {
						return err
					}
					set(f, i, d)
					return nil
				}
			}))
		}
		define(name, result, types(tText, tTime), zoned(func(f *frame, _ *zone) func(int) error {
			unit, x := viewOf[string](f, 0), viewOf[int64](f, 1)
			return func(i int) error {
				d, err := extractTime(unit.at(i), x.at(i), 0, tTime)
				if err == nil {
					set(f, i, d)
				}
				return err
			}
		}))
		define(name, result, types(tText, tIvl), zoned(func(f *frame, _ *zone) func(int) error {
			unit, x := viewOf[string](f, 0), viewOf[vec.IntervalValue](f, 1)
			epoch := f.out.F64 != nil && unit.one && lower(unit.vals[0]) == "epoch"
			return func(i int) error {
				if epoch {
					if us, ok := exactMicros(x.at(i)); ok {
						f.out.F64[i] = us / 1e6
						return nil
					}
				}
				d, err := extractInterval(unit.at(i), x.at(i))
				if err == nil {
					set(f, i, d)
				}
				return err
			}
		}))
	}
}

func timeArithmetic() {
	addDays := func(_ *Context, d, n int64) (int64, error) {
		if isInfinite(d) {
			return d, nil
		}
		if r := d + n; r >= minDay && r <= maxDay {
			return r, nil
		}
		return 0, outOfRange(tDate)
	}
	define("+", tDate, types(tDate, tInt4), map2(addDays))
	define("+", tDate, types(tInt4, tDate), map2(func(c *Context, n, d int64) (int64, error) { return addDays(c, d, n) }))
	define("-", tDate, types(tDate, tInt4), map2(func(c *Context, d, n int64) (int64, error) { return addDays(c, d, -n) }))
	define("-", tInt4, types(tDate, tDate), map2(func(_ *Context, a, b int64) (int64, error) {
		if isInfinite(a) || isInfinite(b) {
			return 0, pgerr.New(pgerr.DatetimeOverflow, "cannot subtract infinite dates")
		}
		return a - b, nil
	}))
	for _, t := range []vec.Type{tTs, tTz} {
		define("-", tIvl, types(t, t), map2(func(_ *Context, a, b int64) (vec.IntervalValue, error) { return difference(a, b) }))
	}
	define("+", tTs, types(tDate, tTime), map2(func(_ *Context, d, t int64) (int64, error) { return d*microsDay + t, nil }))
	shift := func(t vec.Type, neg bool) func(f *frame, x view[int64], v view[vec.IntervalValue]) error {
		return func(f *frame, x view[int64], v view[vec.IntervalValue]) error {
			z := zoneOf(f.ctx)
			return tryEach(f, func(i int) error {
				iv, at := v.at(i), x.at(i)
				if neg {
					var err error
					if iv, err = negInterval(iv); err != nil {
						return err
					}
				}
				var r int64
				ok := true
				switch t.Kind {
				case vec.TimestampTZ:
					r, ok = addIntervalTz(&z, at, iv)
				case vec.Date:
					if isInfinite(at) {
						r = at
					} else {
						r, ok = addInterval(at*microsDay, iv)
					}
				case vec.Time:
					r = floorMod(at+iv.Micros%microsDay, microsDay)
				default:
					r, ok = addInterval(at, iv)
				}
				if !ok {
					return outOfRange(tTs)
				}
				f.out.I64[i] = r
				return nil
			})
		}
	}
	for _, t := range []vec.Type{tTs, tTz, tDate, tTime} {
		result := t
		if t.Kind == vec.Date {
			result = tTs
		}
		add, sub := shift(t, false), shift(t, true)
		forward := func(f *frame) error { return add(f, viewOf[int64](f, 0), viewOf[vec.IntervalValue](f, 1)) }
		backward := func(f *frame) error { return sub(f, viewOf[int64](f, 0), viewOf[vec.IntervalValue](f, 1)) }
		define("+", result, types(t, tIvl), forward)
		define("+", result, types(tIvl, t), func(f *frame) error { return add(f, viewOf[int64](f, 1), viewOf[vec.IntervalValue](f, 0)) })
		define("-", result, types(t, tIvl), backward)
		if t.Kind != vec.Time {
			define("date_add", result, types(t, tIvl), forward)
			define("date_subtract", result, types(t, tIvl), backward)
		}
	}
	define("-", tIvl, types(tTime, tTime), map2(func(_ *Context, a, b int64) (vec.IntervalValue, error) {
		return vec.IntervalValue{Micros: a - b}, nil
	}))
	define("+", tIvl, types(tIvl, tIvl), map2(func(_ *Context, a, b vec.IntervalValue) (vec.IntervalValue, error) { return AddIntervals(a, b) }))
	define("-", tIvl, types(tIvl, tIvl), map2(func(_ *Context, a, b vec.IntervalValue) (vec.IntervalValue, error) {
		n, err := negInterval(b)
		if err != nil {
			return a, err
		}
		return AddIntervals(a, n)
	}))
	define("*", tIvl, types(tIvl, tFloat8), map2(func(_ *Context, v vec.IntervalValue, x float64) (vec.IntervalValue, error) {
		return scaleInterval(v, x)
	}))
	define("*", tIvl, types(tFloat8, tIvl), map2(func(_ *Context, x float64, v vec.IntervalValue) (vec.IntervalValue, error) {
		return scaleInterval(v, x)
	}))
	define("/", tIvl, types(tIvl, tFloat8), map2(func(_ *Context, v vec.IntervalValue, x float64) (vec.IntervalValue, error) {
		if x == 0 {
			return v, errDivision
		}
		return divideInterval(v, x)
	}))
	for _, t := range []vec.Type{tTz, tTs} {
		define("age", tIvl, types(t, t), zoned(func(f *frame, z *zone) func(int) error {
			a, b := viewOf[int64](f, 0), viewOf[int64](f, 1)
			if t.Kind == vec.Timestamp {
				*z = zone{loc: time.UTC}
			}
			return func(i int) error {
				if isInfinite(a.at(i)) || isInfinite(b.at(i)) {
					return pgerr.New(pgerr.DatetimeOverflow, "cannot subtract infinite timestamps")
				}
				f.out.Ivl[i] = age(z.local(a.at(i)), z.local(b.at(i)))
				return nil
			}
		}))
		define("age", tIvl, types(t), zoned(func(f *frame, z *zone) func(int) error {
			b := viewOf[int64](f, 0)
			today := vec.FloorDiv(z.local(f.ctx.Moment()), microsDay) * microsDay
			return func(i int) error {
				x := b.at(i)
				if isInfinite(x) {
					return pgerr.New(pgerr.DatetimeOverflow, "cannot subtract infinite timestamps")
				}
				if t.Kind == vec.TimestampTZ {
					x = z.local(x)
				}
				f.out.Ivl[i] = age(today, x)
				return nil
			}
		}))
		for _, name := range []string{"date_diff", "datediff"} {
			define(name, tInt8, types(tText, t, t), zoned(func(f *frame, z *zone) func(int) error {
				unit, a, b := viewOf[string](f, 0), viewOf[int64](f, 1), viewOf[int64](f, 2)
				if t.Kind == vec.Timestamp {
					*z = zone{loc: time.UTC}
				}
				return func(i int) error {
					n, ok := crossed(unit.at(i), z.local(a.at(i)), z.local(b.at(i)))
					if !ok {
						return badUnit(unit.at(i), t)
					}
					f.out.I64[i] = n
					return nil
				}
			}))
		}
	}
	define("date_diff", tInt8, types(tText, tDate, tDate), map3(func(_ *Context, unit string, a, b int64) (int64, error) {
		n, ok := crossed(unit, a*microsDay, b*microsDay)
		if !ok {
			return 0, badUnit(unit, tDate)
		}
		return n, nil
	}))
	finite := map1(func(_ *Context, t int64) (bool, error) { return !isInfinite(t), nil })
	for _, t := range []vec.Type{tTz, tTs, tDate} {
		define("isfinite", tBool, types(t), finite)
	}
	define("isfinite", tBool, types(tFloat8), map1(func(_ *Context, x float64) (bool, error) { return !math.IsInf(x, 0) && x == x, nil }))
	define("isfinite", tBool, types(tIvl), map1(func(_ *Context, _ vec.IntervalValue) (bool, error) { return true, nil }))
	define("justify_hours", tIvl, types(tIvl), map1(func(_ *Context, v vec.IntervalValue) (vec.IntervalValue, error) { return justifyHours(v), nil }))
	define("justify_days", tIvl, types(tIvl), map1(func(_ *Context, v vec.IntervalValue) (vec.IntervalValue, error) { return justifyDays(v), nil }))
	define("justify_interval", tIvl, types(tIvl), map1(func(_ *Context, v vec.IntervalValue) (vec.IntervalValue, error) {
		v = justifyDays(justifyHours(v))
		if v.Months > 0 && (v.Days < 0 || v.Days == 0 && v.Micros < 0) {
			v.Months--
			v.Days += 30
		} else if v.Months < 0 && (v.Days > 0 || v.Days == 0 && v.Micros > 0) {
			v.Months++
			v.Days -= 30
		}
		if v.Days > 0 && v.Micros < 0 {
			v.Days--
			v.Micros += microsDay
		} else if v.Days < 0 && v.Micros > 0 {
			v.Days++
			v.Micros -= microsDay
		}
		return v, nil
	}))
	define("last_day", tDate, types(tTs), map1(func(_ *Context, t int64) (int64, error) { return lastDay(t) }))
	define("last_day", tDate, types(tTz), zoned(func(f *frame, z *zone) func(int) error {
		t := viewOf[int64](f, 0)
		return func(i int) (err error) {
			x := t.at(i)
			if !isInfinite(x) {
				x += z.offset(x)
			}
			f.out.I64[i], err = lastDay(x)
			return err
		}
	}))
	define("timeofday", tText, nil, text0(func(c *Context, dst []byte) ([]byte, error) {
		return time.Now().In(zoneOf(c).loc).AppendFormat(dst, "Mon Jan 02 15:04:05.000000 2006 MST"), nil
	})).Volatile = true
	define("last_day", tDate, types(tDate), map1(func(_ *Context, d int64) (int64, error) {
		if isInfinite(d) {
			return d, nil
		}
		y, m, _ := civil(d)
		return dayOf(y, m, monthDays(y, m)), nil
	}))
}

func justifyHours(v vec.IntervalValue) vec.IntervalValue {
	v.Days += int32(v.Micros / microsDay)
	v.Micros %= microsDay
	if v.Days > 0 && v.Micros < 0 {
		v.Days--
		v.Micros += microsDay
	} else if v.Days < 0 && v.Micros > 0 {
		v.Days++
		v.Micros -= microsDay
	}
	return v
}

func justifyDays(v vec.IntervalValue) vec.IntervalValue {
	v.Months += v.Days / 30
	v.Days %= 30
	if v.Months > 0 && v.Days < 0 {
		v.Months--
		v.Days += 30
	} else if v.Months < 0 && v.Days > 0 {
		v.Months++
		v.Days -= 30
	}
	return v
}

func timeZones() {
	for from, to := range map[vec.Type]vec.Type{tTz: tTs, tTs: tTz} {
		define("timezone", to, types(tText, from), func(f *frame) error {
			name, x := viewOf[string](f, 0), viewOf[int64](f, 1)
			var zones namedZone
			return tryEach(f, func(i int) error {
				z, err := zones.get(name.at(i))
				if err != nil {
					return err
				}
				if from.Kind == vec.TimestampTZ {
					f.out.I64[i] = z.local(x.at(i))
				} else {
					f.out.I64[i] = z.utc(x.at(i))
				}
				return nil
			})
		})
		define("timezone", to, types(tIvl, from), map2(func(_ *Context, v vec.IntervalValue, x int64) (int64, error) {
			if v.Months != 0 || v.Days != 0 {
				return 0, pgerr.New(pgerr.InvalidParameterValue, "interval time zone must not include months or days")
			}
			if isInfinite(x) {
				return x, nil
			}
			if from.Kind == vec.TimestampTZ {
				return x + v.Micros, nil
			}
			return x - v.Micros, nil
		}))
	}
}

func makers() {
	date := func(year, m, d int64) (int64, error) {
		y := year
		if y < 0 {
			y++
		}
		if year == 0 || m < 1 || m > 12 || d < 1 || d > int64(monthDays(y, int(m))) {
			return 0, pgerr.New(pgerr.DatetimeOverflow, "date field value out of range: %d-%02d-%02d", year, m, d)
		}
		day := dayOf(y, int(m), int(d))
		if day < minDay || day > maxDay {
			return 0, pgerr.New(pgerr.DatetimeOverflow, "date out of range: %d-%02d-%02d", year, m, d)
		}
		return day, nil
	}
	clock := func(h, m int64, s float64) (int64, error) {
		if h >= 0 && h <= 24 && m >= 0 && m <= 59 && s >= 0 && s <= 60 {
			if t := h*microsHour + m*microsMinute + int64(math.RoundToEven(s*1e6)); t <= microsDay {
				return t, nil
			}
		}
		return 0, pgerr.New(pgerr.DatetimeOverflow, "time field value out of range: %d:%02d:%02g", h, m, s)
	}
	define("make_date", tDate, types(tInt4, tInt4, tInt4), map3(func(_ *Context, y, m, d int64) (int64, error) { return date(y, m, d) }))
	define("make_time", tTime, types(tInt4, tInt4, tFloat8), map3(func(_ *Context, h, m int64, s float64) (int64, error) { return clock(h, m, s) }))
	timestamp := func(f *frame, i int) (int64, error) {
		at := func(k int) int64 { v, j := f.args[k].At(i); return v.I64[j] }
		v, j := f.args[5].At(i)
		day, err := date(at(0), at(1), at(2))
		if err != nil {
			return 0, err
		}
		t, err := clock(at(3), at(4), v.F64[j])
		if err == nil && day > maxTime/microsDay-1 {
			err = pgerr.New(pgerr.DatetimeOverflow, "timestamp out of range: %d-%02d-%02d %d:%02d:%02g", at(0), at(1), at(2), at(3), at(4), v.F64[j])
		}
		if err != nil {
			return 0, err
		}
		return day*microsDay + t, nil
	}
	six := types(tInt4, tInt4, tInt4, tInt4, tInt4, tFloat8)
	define("make_timestamp", tTs, six, func(f *frame) error {
		return tryEach(f, func(i int) (err error) { f.out.I64[i], err = timestamp(f, i); return err })
	})
	define("make_timestamptz", tTz, six, zoned(func(f *frame, z *zone) func(int) error {
		return func(i int) error {
			t, err := timestamp(f, i)
			f.out.I64[i] = z.utc(t)
			return err
		}
	}))
	define("make_timestamptz", tTz, append(append([]vec.Type{}, six...), tText), func(f *frame) error {
		var zones namedZone
		name := viewOf[string](f, 6)
		return tryEach(f, func(i int) error {
			t, err := timestamp(f, i)
			if err != nil {
				return err
			}
			switch zone := name.at(i); {
			case zone != "" && zone[0] >= '0' && zone[0] <= '9':
				return pgerr.New(pgerr.InvalidParameterValue, "invalid input syntax for type numeric time zone: \"%s\"", zone).
					WithHint("Numeric time zones must have \"-\" or \"+\" as first character.")
			case zone != "" && (zone[0] == '+' || zone[0] == '-'):
				east, ok := parseOffset(zone)
				if !ok {
					return pgerr.New(pgerr.InvalidParameterValue, "numeric time zone \"%s\" out of range", zone)
				}
				f.out.I64[i] = t - int64(east)*microsSecond
			default:
				z, err := zones.get(zone)
				if err != nil {
					return err
				}
				f.out.I64[i] = z.utc(t)
			}
			return nil
		})
	})
	// make_interval(years, months, weeks, days, hours, mins, secs): each may be left out.
	choose("make_interval", func(args []vec.Type) *Overload {
		if len(args) > 7 {
			return nil
		}
		want := make([]vec.Type, len(args))
		for i, a := range args {
			want[i] = tInt4
			if i == 6 {
				want[i] = tFloat8
			}
			if !CanImplicit(a, want[i]) {
				return nil
			}
		}
		return &Overload{Args: want, Result: tIvl, Fn: &Function{Name: "make_interval", eval: func(f *frame) error {
			return tryEach(f, func(i int) error {
				var x [6]int64
				sec := 0.0
				for k, a := range f.args {
					v, j := a.At(i)
					if k == 6 {
						if sec = v.F64[j]; sec != sec {
							return outOfRange(tIvl)
						}
					} else {
						x[k] = v.I64[j]
					}
				}
				p := span{months: float64(x[0]*12 + x[1]), days: float64(x[2]*7 + x[3]), micros: float64(x[4]*microsHour+x[5]*microsMinute) + math.Round(sec*1e6)}
				v, e := p.finish()
				if e != timeOK {
					return outOfRange(tIvl)
				}
				f.out.Ivl[i] = v
				return nil
			})
		}}}
	})
	define("to_timestamp", tTz, types(tFloat8), map1(func(_ *Context, x float64) (int64, error) {
		switch {
		case math.IsInf(x, 1):
			return vec.InfinityTime, nil
		case math.IsInf(x, -1):
			return vec.NegInfinityTime, nil
		case x != x:
			return 0, pgerr.New(pgerr.DatetimeOverflow, "timestamp cannot be NaN")
		case math.Abs(x) > 9.2e12:
			return 0, pgerr.New(pgerr.DatetimeOverflow, "timestamp out of range: \"%s\"", strconv.FormatFloat(x, 'g', -1, 64))
		}
		return int64(math.RoundToEven(x * 1e6)), nil
	}))
}

// overlaps defines OVERLAPS of two periods, each between two times in either order. A period
// with one end that is NULL is taken to begin at the other; NULL is the answer where its end
// would decide.
func overlaps(t vec.Type) {
	fn := define("overlaps", tBool, types(t, t, t, t), func(f *frame) error {
		type period struct {
			from, to int64
			open     bool
		}
		read := func(k, i int) (p period, ok bool) {
			a, b := f.args[k], f.args[k+1]
			an, bn := a.IsNull(i), b.IsNull(i)
			if an && bn {
				return p, false
			}
			if !an {
				v, at := a.At(i)
				p.from, p.to = v.I64[at], v.I64[at]
			}
			if !bn {
				v, at := b.At(i)
				if p.to = v.I64[at]; an {
					p.from = p.to
				}
			}
			p.open = an || bn
			p.from, p.to = min(p.from, p.to), max(p.from, p.to)
			return p, true
		}
		return tryEach(f, func(i int) error {
			a, ok := read(0, i)
			b, also := read(2, i)
			if !ok || !also {
				return errNull
			}
			if a.from > b.from {
				a, b = b, a
			}
			// The first period decides unless its end is not known.
			switch {
			case a.from == b.from && (a.open || b.open), a.from < b.from && a.open:
				return errNull
			case a.from == b.from || b.from < a.to:
				f.out.Bools[i] = true
			case b.open:
				return errNull
			}
			return nil
		})
	})
	fn.lax = true
}

func init() {
	for _, t := range []vec.Type{tTs, tTz, tTime} {
		overlaps(t)
	}
}
