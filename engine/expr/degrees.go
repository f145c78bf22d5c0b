package expr

import (
	"math"
)

// The functions of angles in degrees. Multiples of 30 and of 45 degrees, whose sines are known,
// give what is known of them rather than what is near.

const degree = math.Pi / 180

// sineOf is the sine of 0 to 90 degrees, or of NaN.
func sineOf(x float64) float64 {
	switch x {
	case 0:
		return 0
	case 30:
		return 0.5
	case 90:
		return 1
	}
	if x > 30 {
		return cosineOf(90 - x)
	}
	return math.Sin(x*degree) / math.Sin(30*degree) / 2
}

// cosineOf is the cosine of 0 to 90 degrees, or of NaN.
func cosineOf(x float64) float64 {
	switch x {
	case 0:
		return 1
	case 60:
		return 0.5
	case 90:
		return 0
	}
	if x > 60 {
		return sineOf(90 - x)
	}
	return 1 - (1-math.Cos(x*degree))/(1-math.Cos(60*degree))/2
}

func sind(x float64) float64 {
	x, sign := math.Mod(x, 360), 1.0
	if x < 0 {
		x, sign = -x, -1
	}
	if x > 180 {
		x, sign = 360-x, -sign
	}
	if x > 90 {
		x = 180 - x
	}
	return sign * sineOf(x)
}

func cosd(x float64) float64 {
	x, sign := math.Abs(math.Mod(x, 360)), 1.0
	if x > 180 {
		x = 360 - x
	}
	if x > 90 {
		x, sign = 180-x, -1
	}
	return sign * cosineOf(x)
}

// tangentOf is the quotient of two functions of an angle, which is exact at 45 degrees.
func tangentOf(over, under float64) float64 {
	q := (over / under) / (sineOf(45) / cosineOf(45))
	if q == 0 {
		return 0 // never -0
	}
	return q
}

func tand(x float64) float64 { return tangentOf(sind(x), cosd(x)) }
func cotd(x float64) float64 { return tangentOf(cosd(x), sind(x)) }

// asineOf and acosineOf are of 0 to 1.
func asineOf(x float64) float64 {
	if x <= 0.5 {
		return math.Asin(x) / math.Asin(0.5) * 30
	}
	return 90 - math.Acos(x)/math.Acos(0.5)*60
}

func acosineOf(x float64) float64 {
	if x <= 0.5 {
		return 90 - math.Asin(x)/math.Asin(0.5)*30
	}
	return math.Acos(x) / math.Acos(0.5) * 60
}

func asind(x float64) float64 {
	if x < 0 {
		return -asineOf(-x)
	}
	return asineOf(x)
}

func acosd(x float64) float64 {
	if x < 0 {
		return 90 + asineOf(-x)
	}
	return acosineOf(x)
}

func atand(x float64) float64     { return math.Atan(x) / math.Atan(1) * 45 }
func atan2d(y, x float64) float64 { return math.Atan2(y, x) / math.Atan(1) * 45 }

func init() {
	for name, fn := range map[string]func(float64) float64{"sind": sind, "cosd": cosd} {
		float1(name, fn, checkFinite)
	}
	for name, fn := range map[string]func(float64) float64{"tand": tand, "cotd": cotd} { // which may be infinite
		define(name, tFloat8, types(tFloat8), map1(func(_ *Context, x float64) (float64, error) { return fn(x), checkFinite(x) }))
	}
	float1("asind", asind, checkUnit)
	float1("acosd", acosd, checkUnit)
	float1("atand", atand, nil)
	define("atan2d", tFloat8, types(tFloat8, tFloat8), map2(func(_ *Context, y, x float64) (float64, error) { return atan2d(y, x), nil }))
}
