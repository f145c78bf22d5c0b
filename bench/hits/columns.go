package hits

import (
	"strconv"
	"strings"
)

var words = strings.Fields("карта погода купить авто скачать фильм онлайн бесплатно игры отдых море дом ремонт работа вакансии новости спорт футбол рецепт пирог квартира аренда сериал музыка книга школа форум фото видео google yandex mail chrome samsung nokia apple")

var sites = []string{"http://irr.ru/index.php", "http://kinopoisk.ru", "http://auto.ria.ua/search", "http://yandex.ru/yandsearch",
	"http://afisha.mail.ru/catalog", "http://smeshariki.ru/obninsk", "http://sprashivai.ru", "http://wildberries.ru/page",
	"http://novosibirsk.irr.ru", "http://bonprix.ru", "http://forum.cofe.ru", "http://www.mail.google.com/maps",
	"http://gotovim.ru", "http://pogoda.yandex.ru", "http://video.yandex", "http://rutube.ru/video"}

var phones = []string{"iPad", "iPhone 4", "GT-I9300", "A500", "Lumia 800", "GT-P5100", "N8-00", "HTC Desire", "5800", "Nexus 7", "LT26i", "XT910", "C5-03", "E72", "Galaxy Note", "ONE"}

var columns = makeColumns()

func makeColumns() []column {
	var all []column
	numbers := func(name string, k kind, f func(*row) int64) {
		all = append(all, column{name: name, kind: k, number: f})
	}
	texts := func(name string, f func(*row) string) { all = append(all, column{name: name, kind: text, word: f}) }
	asked := uint64(100)
	// ofSession is a number below n that a session has.
	ofSession := func(n uint64, power int) func(*row) int64 {
		asked++
		q := asked
		return func(r *row) int64 { return int64(pick(hash(r.session, q), n, power)) }
	}
	// ofUser is a number below n that a user has.
	ofUser := func(n uint64, power int) func(*row) int64 {
		asked++
		q := asked
		return func(r *row) int64 { return int64(pick(hash(r.user, q), n, power)) }
	}
	address := func() func(*row) int64 {
		asked++
		q := asked
		return func(r *row) int64 { return int64(int32(hash(r.user, q))) }
	}
	always := func(n int64) func(*row) int64 { return func(*row) int64 { return n } }
	plus := func(n int64, f func(*row) int64) func(*row) int64 { return func(r *row) int64 { return n + f(r) } }
	// rare is a text that one row in so many has.
	rare := func(name string, every uint64) {
		asked++
		q := asked
		texts(name, func(r *row) string {
			h := hash(r.number, q)
			if h%every != 0 {
				return ""
			}
			return name[:4] + strconv.FormatUint(pick(h>>20, 500, 2), 10)
		})
	}
	smalls := func(n uint64, power int, names ...string) {
		for _, name := range names {
			numbers(name, small, ofSession(n, power))
		}
	}

	numbers("WatchID", bigint, func(r *row) int64 { return int64(hash(r.number, 9) >> 1) })
	smalls(2, 1, "JavaEnable")
	texts("Title", func(r *row) string { return r.title })
	numbers("GoodEvent", small, always(1))
	numbers("EventTime", instant, func(r *row) int64 { return r.time })
	numbers("EventDate", date, func(r *row) int64 { return r.time / 86400 })
	numbers("CounterID", integer, func(r *row) int64 { return r.site })
	numbers("ClientIP", integer, address())
	numbers("RegionID", integer, plus(1, ofUser(9000, 4)))
	numbers("UserID", bigint, func(r *row) int64 {
		if r.user == 12345 {
			return knownUser
		}
		return int64(hash(r.user, 12) >> 1)
	})
	smalls(3, 1, "CounterClass")
	smalls(90, 3, "OS")
	smalls(80, 2, "UserAgent")
	texts("URL", func(r *row) string { return r.url })
	texts("Referer", func(r *row) string { return r.referrer })
	numbers("IsRefresh", small, func(r *row) int64 { return one(r.detail>>55%8 == 0) })
	smalls(80, 4, "RefererCategoryID")
	numbers("RefererRegionID", integer, ofSession(5000, 4))
	smalls(100, 4, "URLCategoryID")
	numbers("URLRegionID", integer, ofSession(5000, 4))
	width, height := ofUser(40, 1), ofUser(30, 1)
	numbers("ResolutionWidth", small, func(r *row) int64 { return 800 + 32*width(r) })
	numbers("ResolutionHeight", small, func(r *row) int64 { return 600 + 24*height(r) })
	smalls(5, 2, "ResolutionDepth")
	smalls(12, 1, "FlashMajor")
	smalls(8, 1, "FlashMinor")
	minor := ofSession(700, 3)
	texts("FlashMinor2", func(r *row) string { return strconv.FormatInt(minor(r), 10) })
	smalls(5, 2, "NetMajor")
	smalls(4, 2, "NetMinor")
	smalls(60, 2, "UserAgentMajor")
	agent := ofSession(4, 1)
	texts("UserAgentMinor", func(r *row) string { return "D018"[agent(r):][:1] })
	numbers("CookieEnable", small, always(1))
	numbers("JavascriptEnable", small, always(1))
	numbers("IsMobile", small, func(r *row) int64 { return one(r.mobile) })
	phone, model := ofUser(60, 1), ofUser(160, 2)
	numbers("MobilePhone", small, func(r *row) int64 { return one(r.mobile) * (1 + phone(r)) })
	texts("MobilePhoneModel", func(r *row) string {
		if m := model(r); r.mobile && m%2 == 0 {
			return phones[m/10] + strconv.FormatInt(m%10, 10)
		}
		return ""
	})
	rare("Params", 20)
	numbers("IPNetworkID", integer, ofUser(4_000_000, 2))
	numbers("TraficSourceID", small, func(r *row) int64 { return int64(pick(r.more>>30, 12, 2)) - 1 })
	numbers("SearchEngineID", small, func(r *row) int64 { return r.engine })
	texts("SearchPhrase", func(r *row) string { return r.phrase })
	numbers("AdvEngineID", small, func(r *row) int64 { return r.banner })
	smalls(2, 4, "IsArtifical")
	numbers("WindowClientWidth", small, plus(700, ofUser(1200, 1)))
	numbers("WindowClientHeight", small, plus(400, ofUser(800, 1)))
	smalls(40, 2, "ClientTimeZone")
	late, zone := ofUser(7200, 1), ofUser(9, 1)
	numbers("ClientEventTime", instant, func(r *row) int64 { return r.time + late(r) - 3600 })
	smalls(6, 3, "SilverlightVersion1")
	smalls(3, 3, "SilverlightVersion2")
	numbers("SilverlightVersion3", integer, ofSession(40_000, 3))
	smalls(4, 4, "SilverlightVersion4")
	charset := ofSession(4, 1)
	texts("PageCharset", func(r *row) string { return []string{"utf-8", "windows-1251", "windows", ""}[charset(r)] })
	numbers("CodeVersion", integer, ofSession(4000, 2))
	numbers("IsLink", small, func(r *row) int64 { return one(r.more>>44%9 == 0) })
	numbers("IsDownload", small, func(r *row) int64 { return one(r.more>>47%50 == 0) })
	numbers("IsNotBounce", small, func(r *row) int64 { return one(r.more>>53%50 == 0) })
	numbers("FUniqID", bigint, func(r *row) int64 { return int64(hash(r.user, 25) >> 1) })
	texts("OriginalURL", func(r *row) string {
		if r.detail%3 == 0 {
			return r.referrer
		}
		return ""
	})
	numbers("HID", integer, func(r *row) int64 { return int64(int32(hash(r.number/3, 26))) })
	smalls(2, 4, "IsOldCounter", "IsEvent", "IsParameter", "DontCountHits", "WithHash")
	texts("HitColor", func(r *row) string { return "DE5EF"[hash(r.number, 27)%5:][:1] })
	numbers("LocalEventTime", instant, func(r *row) int64 { return r.time + 3600*zone(r) })
	smalls(60, 3, "Age")
	smalls(3, 3, "Sex")
	smalls(5, 3, "Income")
	smalls(16_000, 3, "Interests")
	smalls(4, 3, "Robotness")
	numbers("RemoteIP", integer, address())
	numbers("WindowName", integer, ofSession(100_000, 4))
	numbers("OpenerName", integer, ofSession(100_000, 4))
	smalls(200, 3, "HistoryLength")
	for _, c := range []struct {
		name string
		n    uint64
	}{{"BrowserLanguage", 30}, {"BrowserCountry", 60}} {
		f := ofSession(c.n, 3)
		texts(c.name, func(r *row) string { return string([]byte{byte('a' + f(r)%26), byte('a' + f(r)/26)}) })
	}
	rare("SocialNetwork", 900)
	rare("SocialAction", 900)
	smalls(2, 4, "HTTPError")
	for _, name := range []string{"SendTiming", "DNSTiming", "ConnectTiming", "ResponseStartTiming", "ResponseEndTiming", "FetchTiming"} {
		asked++
		q := asked
		numbers(name, integer, func(r *row) int64 { return int64(pick(hash(r.number, q), 30_000, 4)) })
	}
	smalls(10, 4, "SocialSourceNetworkID")
	rare("SocialSourcePage", 1000)
	numbers("ParamPrice", bigint, always(0))
	rare("ParamOrderID", 5000)
	rare("ParamCurrency", 3000)
	smalls(3, 4, "ParamCurrencyID")
	for _, name := range []string{"OpenstatServiceName", "OpenstatCampaignID", "OpenstatAdID", "OpenstatSourceID",
		"UTMSource", "UTMMedium", "UTMCampaign", "UTMContent", "UTMTerm", "FromTag"} {
		rare(name, 100)
	}
	smalls(2, 4, "HasGCLID")
	numbers("RefererHash", bigint, func(r *row) int64 { return r.referrerHash })
	numbers("URLHash", bigint, func(r *row) int64 { return r.urlHash })
	numbers("CLID", integer, ofSession(2000, 4))
	return all
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
