package gen

import "strconv"

// device is what a visit is made on.
type device struct {
	browser, os, kind string
	width, height     uint64
}

// browsers and the part of 256 up to which each is used.
var browsers = [...]struct {
	name string
	upTo uint64
}{
	{"Chrome", 130}, {"Mobile Safari", 172}, {"Safari", 196}, {"Edge", 214},
	{"Firefox", 230}, {"Chrome iOS", 243}, {"Samsung Internet", 251}, {"Opera", 256},
}

var screens = [...][2]uint64{
	{1920, 1080}, {1440, 900}, {390, 844}, {1536, 864}, {2560, 1440}, {414, 896}, {1366, 768}, {360, 800},
	{393, 852}, {1280, 720}, {412, 915}, {3840, 2160}, {1680, 1050}, {768, 1024}, {820, 1180}, {1512, 982},
}

func deviceOf(hash uint64) device {
	i := 0
	for browsers[i].upTo <= hash&255 {
		i++
	}
	screen := screens[pick(hash>>20, uint64(len(screens)), 2)]
	d := device{browser: browsers[i].name, width: screen[0], height: screen[1]}
	switch d.browser {
	case "Mobile Safari", "Chrome iOS":
		d.os, d.kind = "iOS", "Mobile"
	case "Samsung Internet":
		d.os, d.kind = "Android", "Mobile"
	case "Safari":
		d.os, d.kind = "Mac OS X", "Desktop"
	default:
		d.os, d.kind = systemOf(hash >> 16 % 16)
	}
	return d
}

func systemOf(sixteenth uint64) (os, kind string) {
	switch {
	case sixteenth < 8:
		return "Windows", "Desktop"
	case sixteenth < 11:
		return "Mac OS X", "Desktop"
	case sixteenth < 14:
		return "Android", "Mobile"
	case sixteenth < 15:
		return "Linux", "Desktop"
	}
	return "Chrome OS", "Tablet"
}

// source is where a visit comes from.
type source struct {
	domain, url                       string
	utmSource, utmMedium, utmCampaign string // empty in four of five visits
}

var (
	domains    = [...]string{"$direct", "www.google.com", "www.bing.com", "duckduckgo.com", "t.co", "www.facebook.com", "www.linkedin.com", "news.ycombinator.com", "www.reddit.com", "github.com", "www.youtube.com", "medium.com"}
	utmSources = [...]string{"google", "facebook", "newsletter", "twitter", "linkedin", "reddit", "bing", "youtube", "partner", "podcast", "hackernews", "producthunt"}
	utmMediums = [...]string{"cpc", "email", "social", "organic", "referral", "affiliate"}
	sections   = [...]string{"docs", "blog", "product", "settings", "project", "insights", "dashboard", "help", "changelog", "integrations", "team", "billing"}
)

func sourceOf(hash uint64) source {
	domain := pick(hash>>8, uint64(len(domains)), 3)
	s := source{domain: domains[domain], url: domains[domain]}
	if domain > 0 {
		s.url = "https://" + s.domain + "/"
		if hash>>30&3 == 0 {
			s.url += "r/" + strconv.FormatUint(pick(hash>>32, 2000, 3), 10)
		}
	}
	if hash%11 < 2 {
		s.utmSource = utmSources[pick(hash>>5, uint64(len(utmSources)), 2)]
		s.utmMedium = utmMediums[pick(hash>>25, uint64(len(utmMediums)), 2)]
		s.utmCampaign = "camp-" + strconv.FormatUint(pick(hash>>35, 300, 2), 10)
	}
	return s
}

// countries, the most frequent first.
var countries = [...]string{
	"US", "GB", "DE", "IN", "FR", "CA", "BR", "AU", "NL", "ES", "PL", "IT", "JP", "SE", "MX", "SG", "ID", "TR", "CH", "IE",
	"PT", "AR", "BE", "DK", "NO", "FI", "AT", "CZ", "RO", "UA", "ZA", "NG", "KE", "EG", "IL", "AE", "SA", "PK", "BD", "LK",
	"VN", "TH", "MY", "PH", "KR", "TW", "HK", "CN", "NZ", "CL", "CO", "PE", "VE", "EC", "UY", "GR", "HU", "BG", "HR", "RS",
	"SK", "SI", "LT", "LV", "EE", "IS", "LU", "MT", "CY", "MA", "TN", "DZ", "GH", "ET", "TZ", "UG", "RW", "SN", "CI", "CM",
	"GE", "AM", "AZ", "KZ", "UZ", "MN", "NP", "MM", "KH", "LA", "JO", "LB", "IQ", "KW", "QA", "OM", "BH", "CR", "PA", "GT",
}
