package bench

// Question is one thing to ask, over events with the names of gen.Shop.
type Question struct {
	Name string // short, for tables
	SQL  string
}

// Questions are the eight that every change is measured with.
var Questions = []Question{
	{"total per day", `SELECT bucket, views FROM TRENDS(SERIES (views: count(*) WHERE event = '$pageview')
		EVERY INTERVAL '1 day' TIME ZONE 'UTC') ORDER BY bucket`},
	{"daily actives", `SELECT bucket, users FROM TRENDS(SERIES (users: ACTORS() WHERE event = '$pageview')
		EVERY INTERVAL '1 day' TIME ZONE 'UTC') ORDER BY bucket`},
	{"rolling weekly actives", `SELECT bucket, users FROM TRENDS(SERIES (users: ROLLING_ACTORS(INTERVAL '7 days') WHERE event = '$pageview')
		EVERY INTERVAL '1 day' TIME ZONE 'UTC') ORDER BY bucket`},
	{"uniques by country", `SELECT properties.$geoip_country_code AS country, count(DISTINCT person_id) AS users FROM events
		WHERE event = '$pageview' GROUP BY 1 ORDER BY 2 DESC, 1`},
	{"funnel of 2 steps", `SELECT step, name, count FROM FUNNEL(STEPS (view: event = '$pageview', signup: event = 'signup')
		WITHIN INTERVAL '14 days' TIME ZONE 'UTC') ORDER BY step`},
	{"funnel of 3 steps", `SELECT step, name, count FROM FUNNEL(STEPS (product: event = 'product_viewed', cart: event = 'added_to_cart',
		purchase: event = 'purchase') WITHIN INTERVAL '14 days' TIME ZONE 'UTC') ORDER BY step`},
	{"funnel of 5 steps", `SELECT step, name, count FROM FUNNEL(STEPS (view: event = '$pageview', product: event = 'product_viewed',
		cart: event = 'added_to_cart', checkout: event = 'checkout_started', purchase: event = 'purchase')
		WITHIN INTERVAL '14 days' TIME ZONE 'UTC') ORDER BY step`},
	{"weekly retention", `SELECT cohort, period, size, retained FROM RETENTION(START event = '$pageview' RETURN event = '$pageview'
		EVERY INTERVAL '1 week' FOR 12 PERIODS TIME ZONE 'UTC') ORDER BY cohort, period`},
}

// Headlines are what `prickle bench` shows: one question of each kind.
var Headlines = []Question{
	{"TRENDS  30 days, 3 series", `SELECT bucket, views, visitors, signups FROM TRENDS(SERIES (views: count(*) WHERE event = '$pageview',
		visitors: ACTORS() WHERE event = '$pageview', signups: ACTORS() WHERE event = 'signup')
		EVERY INTERVAL '1 day' DURING ('2026-03-02', '2026-04-01') TIME ZONE 'UTC') ORDER BY bucket`},
	{"FUNNEL  5 steps, 14 days", Questions[6].SQL},
	{"RETENTION  12 weeks", Questions[7].SQL},
	{"SQL  group by property", `SELECT properties.$browser AS browser, count(*), count(DISTINCT person_id) FROM events GROUP BY 1 ORDER BY 2 DESC, 1`},
}
