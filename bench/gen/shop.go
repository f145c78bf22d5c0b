package gen

import "strconv"

// shopNames are the events of a shop. Their order is part of the model: the first
// twelve are chosen by position, and of the others, the earlier are the more frequent.
var shopNames = [...]string{
	"$pageview", "$autocapture", "$pageleave",
	"product_viewed", "added_to_cart", "checkout_started", "payment_info_entered", "purchase",
	"signup", "$identify", "login", "removed_from_cart", "search", "app_opened", "$feature_flag_called", "$web_vitals",
	"$rageclick", "video_played", "file_uploaded", "file_downloaded", "invite_sent", "team_created", "project_created",
	"dashboard_viewed", "insight_saved", "report_exported", "comment_added", "comment_deleted", "notification_opened",
	"email_opened", "email_clicked", "settings_changed", "plan_upgraded", "plan_cancelled", "refund_requested",
	"support_ticket_opened", "survey_shown", "survey_answered", "$exception", "api_key_created", "integration_connected",
	"onboarding_step_done", "tour_dismissed", "coupon_applied", "review_posted", "share_clicked", "wishlist_added", "logout",
}

const (
	pageView = iota
	autocapture
	pageLeave
	productViewed
	addedToCart
	checkoutStarted
	paymentInfoEntered
	purchase
	signUp
	identified
	login
	removedFromCart
	search
	appOpened
	flagCalled
	webVitals
	firstRare
)

var (
	shopPlans = [4]plan{{"free", 70}, {"starter", 87}, {"pro", 96}, {"enterprise", 100}}
	variants  = [...]string{"control", "test-a", "test-b"}
)

// shopping is how far a session has come on the way to a purchase.
type shopping struct {
	stage   int // 0: nothing viewed; 1: viewed; then added, started, entered; 5: bought
	product uint64
}

// openShop renders what all events of the session have in common.
func (s *stream) openShop(session, p, machine, country uint64) {
	e := &s.event
	v := &e.visit
	v.version = strconv.FormatUint(118+(machine>>8)%12+uint64(s.start/(30*dayMillis)), 10)
	b := append(e.head[:0], '{')
	b = appendText(b, "$browser", e.device.browser)
	b = appendText(b, "$browser_version", v.version)
	b = appendText(b, "$os", e.device.os)
	e.head = appendText(b, "$device_type", e.device.kind)

	b = s.appendSource(e.tail[:0], session)
	v.variant = variants[s.hash(p, personVariant)%3]
	b = appendText(b, "$feature/checkout-flow", v.variant)
	b = appendNumber(b, "$screen_width", e.device.width)
	b = appendNumber(b, "$screen_height", e.device.height)
	b = appendText(b, "$geoip_country_code", e.Country)
	v.city = "City " + strconv.FormatUint(country*12+pick(s.buyer>>24, 12, 2), 10)
	b = appendText(b, "$geoip_city_name", v.city)
	v.lib = "web"
	if e.device.kind == "Mobile" && machine>>40&3 == 0 {
		v.lib = "posthog-ios"
	}
	b = appendText(b, "$lib", v.lib)
	e.tail = appendText(b, "plan", e.Plan)
}

// appendSource appends where the session comes from, and its id.
func (s *stream) appendSource(dst []byte, session uint64) []byte {
	from := &s.event.source
	dst = appendText(dst, "$referrer", from.url)
	dst = appendText(dst, "$referring_domain", from.domain)
	if from.utmSource != "" {
		dst = appendText(dst, "utm_source", from.utmSource)
		dst = appendText(dst, "utm_medium", from.utmMedium)
		dst = appendText(dst, "utm_campaign", from.utmCampaign)
	}
	high, low := uuid7(uint64(s.Model.start+s.start), s.hash(session, sessionIDHigh), s.hash(session, sessionIDLow))
	s.event.visit.sessionID = string(appendUUID(nil, high, low))
	return appendText(dst, "$session_id", s.event.visit.sessionID)
}

func (s *stream) chooseShop(slot uint64, choice, detail uint64) {
	e := &s.event
	name := s.shopEvent(slot, choice, detail)
	e.Name = shopNames[name]
	switch {
	case name >= productViewed && name <= purchase || name == removedFromCart:
		product := s.shop.product
		e.ProductID = paths().ids[product]
		e.PriceCents = 199 + s.hash(product, productPrice)%50_000
		e.Quantity = 1
		e.Path = paths().products[product]
		if name != productViewed {
			e.Quantity += pick(detail>>40, 5, 3)
			e.Path = paths().checkout[name]
		}
	default:
		e.Path = paths().pages[pick(choice>>20, uint64(len(paths().pages)), 4)]
	}
	if name == search {
		e.SearchQuery = "query " + strconv.FormatUint(pick(detail>>8, 20_000, 3), 10)
	}
}

// shopEvent returns the name for a slot. Of 1024 sessions, 230 shop and 32 sign up.
func (s *stream) shopEvent(slot uint64, choice, detail uint64) int {
	if slot == 0 {
		if choice&15 >= 14 {
			return appOpened
		}
		return pageView
	}
	kind := s.traits >> 48 & 1023
	if kind >= 230 && kind < 262 {
		switch at := 1 + s.traits>>20&3; slot {
		case at:
			return signUp
		case at + 1:
			return identified
		}
	}
	if kind < 230 && detail&1023 < 340 && s.shop.stage <= 4 {
		return s.nextPurchaseStep(detail)
	}
	return commonShopEvent(choice)
}

// nextPurchaseStep goes one stage on, back to the products, or looks at another one.
func (s *stream) nextPurchaseStep(detail uint64) int {
	at := &s.shop
	if at.stage > 0 {
		switch luck := detail >> 32 & 255; {
		case luck < 140:
			at.stage++
			return productViewed + at.stage - 1
		case luck < 170 && at.stage >= 2:
			at.stage = 1
			return removedFromCart
		}
	} else {
		at.stage = 1
	}
	at.product = pick(detail>>10, uint64(len(paths().products)), 2)
	return productViewed
}

// commonShopEvent returns an event that needs no story.
func commonShopEvent(choice uint64) int {
	switch h := choice & 0x3FF; {
	case h < 430:
		return pageView
	case h < 700:
		return autocapture
	case h < 800:
		return pageLeave
	case h < 850:
		return flagCalled
	case h < 885:
		return webVitals
	case h < 905:
		return search
	case h < 918:
		return appOpened
	case h < 928:
		return login
	}
	return firstRare + int(pick(choice>>10, uint64(len(shopNames)-firstRare), 2))
}
