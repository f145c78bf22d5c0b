package main

import (
	"fmt"
	"strings"
)

// The 32 questions of product analytics, over the 90 days that bench/gen makes of a shop. The
// forms for the peers are the best that are known: ClickHouse has its rows sorted by event, person
// and time, with low-cardinality strings and a projection by person; DuckDB has the same order,
// enumerations, and funnels of ASOF joins. Persons are dense numbers there, and merged before they
// are loaded. prickle is asked with its own operators, over events as they came in.
//
// Numbers are compared as they are computed, so nothing is rounded.
var productQuestions = []asked{
	question("T1", "trends: total $pageview per day, 90 days",
		daily(`n: count(*) WHERE event = '$pageview'`),
		perDay(`count()`, `event = '$pageview'`),
		perDay(`count(*)`, `event = '$pageview'`)),

	question("T2", "trends: persons with $pageview per day",
		daily(`n: ACTORS() WHERE event = '$pageview'`),
		perDay(`uniqExact(pid)`, `event = '$pageview'`),
		perDay(`count(DISTINCT pid)`, `event = '$pageview'`),
		`SELECT d, bitmapCardinality(b) FROM days WHERE event = '$pageview' ORDER BY d`),

	rolling("T3", "trends: persons in the last 7 days, daily", 7),
	rolling("T4", "trends: persons in the last 30 days, daily", 30),

	question("T5", "trends: persons by country, top 25",
		`SELECT country, n FROM TRENDS(SERIES (n: ACTORS() WHERE event = '$pageview') BREAKDOWN BY properties.$geoip_country_code AS country TOP 25 `+during+`) ORDER BY n DESC, country`,
		`SELECT country, groupBitmap(pid) AS u FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY country ORDER BY u DESC, country::String LIMIT 25`,
		`SELECT country::VARCHAR AS c, count(DISTINCT pid) AS u FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY country ORDER BY u DESC, c LIMIT 25`),

	question("T6", "trends: filtered purchases (plan, country, price), weekly count and revenue",
		`SELECT bucket::date, n, revenue FROM TRENDS(WHERE event = 'purchase' AND properties.plan IN ('pro', 'enterprise') AND properties.$geoip_country_code IN ('US', 'GB', 'DE') AND properties.price > 50
			SERIES (n: count(*), revenue: sum(properties.price::float8)) EVERY INTERVAL '1 week' `+during+`) WHERE n > 0 ORDER BY bucket`,
		`SELECT toMonday(ts) AS d, count(), sum(price) FROM ev WHERE `+richPurchases+` AND `+whole+` GROUP BY d ORDER BY d`,
		`SELECT date_trunc('week', ts)::DATE AS d, count(*), sum(price) FROM ev WHERE `+richPurchases+` AND `+whole+` GROUP BY d ORDER BY d`),

	question("T7", "trends: formula 100 * persons who buy / persons who view, daily",
		`SELECT bucket::date, rate FROM TRENDS(SERIES (views: ACTORS() WHERE event = '$pageview', buys: ACTORS() WHERE event = 'purchase') FORMULA (rate: 100.0::float8 * buys / views) EVERY INTERVAL '1 day' `+during+`) ORDER BY bucket`,
		`SELECT toDate(ts) AS d, 100 * groupBitmapIf(pid, event = 'purchase') / groupBitmapIf(pid, event = '$pageview') FROM ev WHERE event IN ('$pageview', 'purchase') AND `+whole+` GROUP BY d ORDER BY d`,
		`SELECT ts::DATE AS d, 100::DOUBLE * count(DISTINCT pid) FILTER (event = 'purchase') / count(DISTINCT pid) FILTER (event = '$pageview') FROM ev WHERE event IN ('$pageview', 'purchase') AND `+whole+` GROUP BY d ORDER BY d`),

	funnel("F1", "funnel of 2 steps: $pageview > signup", steps{{event: "$pageview"}, {event: "signup"}}, "", ""),
	funnel("F2", "funnel of 3 steps: product_viewed > added_to_cart > purchase", shopping, "", ""),
	funnel("F3", "funnel of 5 steps: $pageview > … > purchase", append(append(steps{{event: "$pageview"}}, shopping[:2]...), steps{{event: "checkout_started"}, {event: "purchase"}}...), "", ""),
	funnel("F4", "funnel of 3 steps with property filters", steps{{"product_viewed", "browser = 'Chrome'", "properties.$browser = 'Chrome'"}, shopping[1], {"purchase", "price > 50", "properties.price > 50"}}, "", ""),
	funnel("F5", "funnel of 3 steps by browser", shopping, "browser", "properties.$browser"),

	question("F6", "funnel of 3 steps, strict order (no event in between)",
		counts(3, `FUNNEL(STEPS (a: event = 'product_viewed', b: event = 'added_to_cart', c: event = 'checkout_started') MODE STRICT WITHIN INTERVAL '14 days' `+during+`)`),
		`SELECT countIf(l >= 1), countIf(l >= 2), countIf(l >= 3) FROM (SELECT pid, max(if(s = 1, if(s1 = 2 AND t1 <= t + `+twoWeeks+`, if(s2 = 3 AND t2 <= t + `+twoWeeks+`, 3, 2), 1), 0)) AS l
			FROM (SELECT pid, s, t, leadInFrame(s, 1) OVER w AS s1, leadInFrame(t, 1) OVER w AS t1, leadInFrame(s, 2) OVER w AS s2, leadInFrame(t, 2) OVER w AS t2
				FROM (SELECT pid, transform(event::String, ['product_viewed', 'added_to_cart', 'checkout_started'], [1, 2, 3], 0)::UInt8 AS s, toUnixTimestamp64Milli(ts) AS t FROM ev WHERE `+whole+`)
				WINDOW w AS (PARTITION BY pid ORDER BY t ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING)) GROUP BY pid) SETTINGS optimize_use_projections = 1`,
		`WITH a AS (SELECT pid, ts, event, lead(event, 1) OVER w AS e1, lead(ts, 1) OVER w AS t1, lead(event, 2) OVER w AS e2, lead(ts, 2) OVER w AS t2 FROM ev WHERE `+whole+` WINDOW w AS (PARTITION BY pid ORDER BY ts)),
			b AS (SELECT pid, max(CASE WHEN e1 = 'added_to_cart' AND t1 <= ts + INTERVAL 14 DAY THEN CASE WHEN e2 = 'checkout_started' AND t2 <= ts + INTERVAL 14 DAY THEN 3 ELSE 2 END ELSE 1 END) AS l FROM a WHERE event = 'product_viewed' GROUP BY pid)
			SELECT count(*) FILTER (l >= 1), count(*) FILTER (l >= 2), count(*) FILTER (l >= 3) FROM b`),

	question("F7", "funnel of 3 steps in any order",
		counts(3, `FUNNEL(STEPS (a: event = 'search', b: event = 'product_viewed', c: event = 'added_to_cart') MODE UNORDERED WITHIN INTERVAL '14 days' `+during+`)`),
		`SELECT countIf(l >= 1), countIf(l >= 2), countIf(l >= 3) FROM (SELECT pid, max((n1 <= t + `+twoWeeks+`) + (n2 <= t + `+twoWeeks+`) + (n3 <= t + `+twoWeeks+`)) AS l
			FROM (SELECT pid, t, min(if(event = 'search', t, 9000000000000)) OVER w AS n1, min(if(event = 'product_viewed', t, 9000000000000)) OVER w AS n2, min(if(event = 'added_to_cart', t, 9000000000000)) OVER w AS n3
				FROM (SELECT pid, event, toUnixTimestamp64Milli(ts) AS t FROM ev WHERE event IN ('search', 'product_viewed', 'added_to_cart') AND `+whole+`) WINDOW w AS (PARTITION BY pid ORDER BY t DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) GROUP BY pid)`,
		`WITH a AS (SELECT pid, ts, min(ts) FILTER (event = 'search') OVER w AS n1, min(ts) FILTER (event = 'product_viewed') OVER w AS n2, min(ts) FILTER (event = 'added_to_cart') OVER w AS n3
				FROM ev WHERE event IN ('search', 'product_viewed', 'added_to_cart') AND `+whole+` WINDOW w AS (PARTITION BY pid ORDER BY ts DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)),
			b AS (SELECT pid, max(coalesce(n1 <= ts + INTERVAL 14 DAY, false)::INT + coalesce(n2 <= ts + INTERVAL 14 DAY, false)::INT + coalesce(n3 <= ts + INTERVAL 14 DAY, false)::INT) AS l FROM a GROUP BY pid)
			SELECT count(*) FILTER (l >= 1), count(*) FILTER (l >= 2), count(*) FILTER (l >= 3) FROM b`),

	question("F8", "funnel of 3 steps: median time to convert",
		`SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY m) FROM (SELECT actor, avg(date_part('epoch', step_times[3] - step_times[1])) AS m
			FROM FUNNEL(STEPS (a: event = 'product_viewed', b: event = 'added_to_cart', c: event = 'purchase') WITHIN INTERVAL '14 days' ENTRY EACH `+during+` OUTPUT ACTORS) WHERE converted GROUP BY actor) AS persons`,
		`SELECT count(), quantileExactInclusive(0.5)(m) FROM (SELECT a.pid AS p, avg(toUnixTimestamp64Milli(c.ts) - toUnixTimestamp64Milli(a.ts)) / 1000 AS m FROM `+asofShopping+` WHERE c.ts <= a.ts + toIntervalDay(14) GROUP BY p)`,
		`WITH x AS (SELECT a.pid, avg(epoch_ms(c.ts) - epoch_ms(a.ts)) / 1000 AS m FROM `+asofShopping+` WHERE c.ts <= a.ts + INTERVAL 14 DAY GROUP BY a.pid) SELECT count(*), median(m) FROM x`),

	question("F9", "funnel of 2 steps with an exclusion in between",
		counts(2, `FUNNEL(STEPS (a: event = 'product_viewed', b: event = 'purchase') EXCLUDE (event = 'removed_from_cart' AFTER a BEFORE b AS DROP) WITHIN INTERVAL '14 days' `+during+`)`),
		`SELECT count(), countIf(ok) FROM (SELECT pid, max(n1 <= t + `+twoWeeks+` AND x >= n1) AS ok
			FROM (SELECT pid, event, t, min(if(event = 'purchase', t, 9000000000000)) OVER w AS n1, min(if(event = 'removed_from_cart', t, 9000000000001)) OVER w AS x
				FROM (SELECT pid, event, toUnixTimestamp64Milli(ts) AS t FROM ev WHERE event IN ('product_viewed', 'purchase', 'removed_from_cart') AND `+whole+`) WINDOW w AS (PARTITION BY pid ORDER BY t DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))
			WHERE event = 'product_viewed' GROUP BY pid)`,
		`WITH a AS (SELECT pid, ts, event, min(ts) FILTER (event = 'purchase') OVER w AS n1, min(ts) FILTER (event = 'removed_from_cart') OVER w AS x
				FROM ev WHERE event IN ('product_viewed', 'purchase', 'removed_from_cart') AND `+whole+` WINDOW w AS (PARTITION BY pid ORDER BY ts DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)),
			b AS (SELECT pid, bool_or(coalesce(n1 <= ts + INTERVAL 14 DAY AND (x IS NULL OR x >= n1), false)) AS ok FROM a WHERE event = 'product_viewed' GROUP BY pid)
			SELECT count(*), count(*) FILTER (ok) FROM b`),

	// The peers count a person in period 0 when they belong to the cohort at all; RETENTION when
	// they came back within it, so that its period 0 is taken from the size.
	question("R1", "retention weekly, every cohort ($pageview > $pageview)",
		`SELECT cohort::date, period, CASE WHEN period = 0 THEN size ELSE retained END FROM RETENTION(START event = '$pageview' EVERY TIME RETURN event = '$pageview' EVERY INTERVAL '1 week' FOR 14 PERIODS `+during+`) WHERE period = 0 OR retained > 0 ORDER BY cohort, period`,
		`WITH w AS (SELECT toMonday(ts) AS d, groupBitmapState(pid) AS b FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY d), `+pairsOfBitmaps("week", "y.2"),
		`WITH a AS MATERIALIZED (SELECT pid, date_trunc('week', ts)::DATE AS w FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY ALL) SELECT x.w, (y.w - x.w) // 7 AS k, count(*) FROM a x JOIN a y ON x.pid = y.pid AND y.w >= x.w GROUP BY ALL ORDER BY 1, 2`,
		`WITH w AS (SELECT toMonday(d) AS d, groupBitmapMergeState(b) AS b FROM (SELECT d, b FROM days WHERE event = '$pageview') GROUP BY d), `+pairsOfBitmaps("week", "y.2")),

	question("R2", "retention daily, first time, 15 days",
		`SELECT cohort::date, period, CASE WHEN period = 0 THEN size ELSE retained END FROM RETENTION(START event = '$pageview' FIRST IN RANGE RETURN event = '$pageview' EVERY INTERVAL '1 day' FOR 15 PERIODS `+during+`) WHERE period = 0 AND size > 0 OR period > 0 AND retained > 0 ORDER BY cohort, period`,
		`SELECT s, r - s AS k, count() FROM (SELECT arrayMin(ds) AS s, arrayJoin(ds) AS r FROM (SELECT pid, groupUniqArray(toDate(ts)) AS ds FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY pid)) WHERE k < 15 GROUP BY s, k ORDER BY s, k`,
		`WITH a AS (SELECT pid, ts::DATE AS d FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY ALL), b AS (SELECT d, min(d) OVER (PARTITION BY pid) AS s FROM a) SELECT s, d - s AS k, count(*) FROM b WHERE d - s < 15 GROUP BY ALL ORDER BY 1, 2`),

	// Whoever buys in a month has an event in it, so that period 0 is who bought.
	question("R3", "retention monthly, every cohort (any event > purchase)",
		`SELECT bucket::date, 0 AS period, n FROM TRENDS(SERIES (n: ACTORS() WHERE event = 'purchase') EVERY INTERVAL '1 month' `+during+`)
			UNION ALL SELECT cohort::date, period, retained FROM RETENTION(START true EVERY TIME RETURN event = 'purchase' EVERY INTERVAL '1 month' FOR 3 PERIODS `+during+`) WHERE period > 0 AND retained > 0 ORDER BY 1, 2`,
		`WITH w AS (SELECT toStartOfMonth(ts) AS d, groupBitmapState(pid) AS b, groupBitmapStateIf(pid, event = 'purchase') AS p FROM ev WHERE `+whole+` GROUP BY d), `+strings.Replace(pairsOfBitmaps("month", "y.3"), "(d, b)", "(d, b, p)", 1),
		`WITH a AS MATERIALIZED (SELECT pid, date_trunc('month', ts)::DATE AS m, bool_or(event = 'purchase') AS p FROM ev WHERE `+whole+` GROUP BY ALL) SELECT x.m, date_diff('month', x.m, y.m) AS k, count(*) FROM a x JOIN a y ON x.pid = y.pid AND y.m >= x.m WHERE y.p GROUP BY ALL ORDER BY 1, 2`),

	question("S1", "stickiness: active days of the last 30",
		`SELECT periods, n FROM STICKINESS(SERIES (n: event = '$pageview') EVERY INTERVAL '1 day' DURING ('2026-03-02', '2026-04-01') TIME ZONE 'UTC') WHERE n > 0 ORDER BY periods`,
		`SELECT n, count() FROM (SELECT pid, bitCount(groupBitOr(bitShiftLeft(1::UInt32, toDate(ts) - toDate('2026-03-02')))) AS n FROM ev WHERE event = '$pageview' AND `+lastDays+` GROUP BY pid) GROUP BY n ORDER BY n`,
		`SELECT n, count(*) FROM (SELECT pid, bit_count(bit_or(1::INTEGER << (ts::DATE - DATE '2026-03-02')::INTEGER)) AS n FROM ev WHERE event = '$pageview' AND `+lastDays+` GROUP BY pid) GROUP BY n ORDER BY n`,
		`SELECT n, count() FROM (SELECT arrayJoin(bitmapToArray(b)) AS pid, count() AS n FROM days WHERE event = '$pageview' AND d >= '2026-03-02' AND d < '2026-04-01' GROUP BY pid) GROUP BY n ORDER BY n`),

	question("L1", "lifecycle, daily, 90 days",
		`SELECT bucket::date, status, count FROM LIFECYCLE(WHERE event = '$pageview' EVERY INTERVAL '1 day' `+during+`) WHERE count > 0 ORDER BY bucket, status`,
		`WITH w AS (SELECT toDate(ts) AS d, groupBitmapState(pid) AS b FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY d), `+lifecycleOfBitmaps,
		`WITH a AS (SELECT pid, ts::DATE AS d FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY ALL), b AS (SELECT d, lag(d) OVER w AS p, lead(d) OVER w AS n FROM a WINDOW w AS (PARTITION BY pid ORDER BY d)),
			c AS (SELECT d, CASE WHEN p IS NULL THEN 'new' WHEN p = d - 1 THEN 'returning' ELSE 'resurrecting' END AS s, count(*) AS c FROM b GROUP BY ALL UNION ALL SELECT d + 1, 'dormant', count(*) FROM b WHERE n IS NULL OR n <> d + 1 GROUP BY d)
			SELECT d, s, c FROM c WHERE d < DATE '2026-04-01' ORDER BY d, s`,
		`WITH w AS (SELECT d, b FROM days WHERE event = '$pageview'), `+lifecycleOfBitmaps),

	// The peers cut at a gap of 30 minutes, PATHS at a longer one; times are whole milliseconds.
	question("P1", "paths: the 50 most frequent steps from page to page (gap of 30 minutes)",
		`SELECT source, target, count FROM PATHS(WHERE event = '$pageview' NODE properties.$pathname SESSION GAP INTERVAL '29 minutes 59.999 seconds' REPEATS KEEP EDGES TOP 50 OUTPUT TRANSITIONS `+during+`) ORDER BY count DESC, source, target`,
		`SELECT src::String AS a, dst::String AS b, c FROM (SELECT src, dst, count() AS c FROM (SELECT lagInFrame(pathname) OVER w AS src, pathname AS dst, t - lagInFrame(t, 1, 0) OVER w AS gap FROM (SELECT pid, pathname, toUnixTimestamp64Milli(ts) AS t FROM ev WHERE event = '$pageview' AND `+whole+`) WINDOW w AS (PARTITION BY pid ORDER BY t ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)) WHERE gap < 1800000 GROUP BY src, dst) ORDER BY c DESC, a, b LIMIT 50`,
		`SELECT src, dst, count(*) AS c FROM (SELECT lag(pathname) OVER w AS src, pathname AS dst, ts, lag(ts) OVER w AS pt FROM ev WHERE event = '$pageview' AND `+whole+` WINDOW w AS (PARTITION BY pid ORDER BY ts)) WHERE pt IS NOT NULL AND epoch_ms(ts) - epoch_ms(pt) < 1800000 GROUP BY src, dst ORDER BY c DESC, src, dst LIMIT 50`),

	plainSQL("C1", "behavioural cohort: product_viewed at least 3 times and no purchase in the last 30 days", "COHORT takes a SELECT for how often somebody did something",
		`SELECT count(*) FROM (SELECT person_id FROM events WHERE event IN ('product_viewed', 'purchase') AND timestamp >= '2026-03-02' AND timestamp < '2026-04-01' GROUP BY person_id HAVING count(*) FILTER (WHERE event = 'product_viewed') >= 3 AND count(*) FILTER (WHERE event = 'purchase') = 0) AS cohort`,
		`SELECT count() FROM (SELECT pid FROM ev WHERE event IN ('product_viewed', 'purchase') AND `+lastDays+` GROUP BY pid HAVING countIf(event = 'product_viewed') >= 3 AND countIf(event = 'purchase') = 0)`,
		`SELECT count(*) FROM (SELECT pid FROM ev WHERE event IN ('product_viewed', 'purchase') AND `+lastDays+` GROUP BY pid HAVING count(*) FILTER (event = 'product_viewed') >= 3 AND count(*) FILTER (event = 'purchase') = 0)`),

	question("PF1", "persons per day with the person property plan = enterprise",
		`SELECT bucket::date, n FROM TRENDS(SERIES (n: ACTORS() WHERE event = '$pageview' AND person.properties.plan = 'enterprise') EVERY INTERVAL '1 day' `+during+`) WHERE n > 0 ORDER BY bucket`,
		perDay(`groupBitmap(pid)`, `event = '$pageview' AND pid IN (SELECT pid FROM persons WHERE plan = 'enterprise')`),
		perDay(`count(DISTINCT pid)`, `event = '$pageview' AND pid IN (SELECT pid FROM persons WHERE plan = 'enterprise')`)),

	plainSQL("TP1", "the 20 most viewed pages: views and persons", "TRENDS ranks by one series; the tie between pages is broken by name here",
		`SELECT properties.$pathname AS p, count(*) AS c, count(DISTINCT person_id) AS u FROM events WHERE event = '$pageview' AND `+wholeTime+` GROUP BY p ORDER BY c DESC, p LIMIT 20`,
		`SELECT pathname::String AS p, count() AS c, groupBitmap(pid) AS u FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY pathname ORDER BY c DESC, p LIMIT 20`,
		`SELECT pathname, sum(n)::BIGINT AS c, count(*) AS u FROM (SELECT pathname, pid, count(*) AS n FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY ALL) GROUP BY pathname ORDER BY c DESC, pathname LIMIT 20`),

	plainSQL("SD1", "sessions per day: how many, average and median duration", "the table sessions",
		`SELECT start_timestamp::date AS d, count(*), avg(duration), percentile_cont(0.5) WITHIN GROUP (ORDER BY duration) FROM sessions GROUP BY d ORDER BY d`,
		`SELECT toDate(a) AS d, count(), avg(x), quantileExactInclusive(0.5)(x) FROM (SELECT min(ts) AS a, (toUnixTimestamp64Milli(max(ts)) - toUnixTimestamp64Milli(a)) / 1000 AS x FROM ev WHERE `+whole+` GROUP BY session_id) GROUP BY d ORDER BY d`,
		`SELECT a::DATE AS d, count(*), avg(x), median(x) FROM (SELECT min(ts) AS a, (epoch_ms(max(ts)) - epoch_ms(min(ts))) / 1000 AS x FROM ev WHERE `+whole+` GROUP BY session_id) GROUP BY d ORDER BY d`),

	question("Q1", "SQL: group by country and device",
		`SELECT properties.$geoip_country_code AS c, properties.$device_type AS d, count(*) AS n, coalesce(sum(properties.price::float8), 0) FROM events GROUP BY c, d ORDER BY n DESC, c, d LIMIT 50`,
		`SELECT country::String AS c, device_type::String AS d, n, p FROM (SELECT country, device_type, count() AS n, sum(price) AS p FROM ev GROUP BY country, device_type) ORDER BY n DESC, c, d LIMIT 50`,
		`SELECT country::VARCHAR AS c, device_type::VARCHAR AS d, count(*) AS n, sum(price) FROM ev GROUP BY country, device_type ORDER BY n DESC, c, d LIMIT 50`),

	question("Q2", "SQL: join events with persons, group by a person property",
		`SELECT p.properties.company_size::int AS k, count(*) AS n, coalesce(sum(e.properties.price::float8), 0) FROM events e JOIN persons p ON p.id = e.person_id GROUP BY k ORDER BY k`,
		`SELECT p.company_size AS k, count() AS n, sum(e.price) FROM ev AS e INNER JOIN persons AS p ON p.pid = e.pid GROUP BY k ORDER BY k`,
		`SELECT p.company_size AS k, count(*) AS n, sum(e.price) FROM ev e JOIN persons p ON p.pid = e.pid GROUP BY k ORDER BY k`),

	question("Q3", "SQL: window function, last 3 product views of each person",
		`SELECT count(*), sum(price) FROM (SELECT properties.price::float8 AS price, row_number() OVER (PARTITION BY person_id ORDER BY timestamp DESC) AS rn FROM events WHERE event = 'product_viewed') AS v WHERE rn <= 3`,
		`SELECT count(), sum(price) FROM (SELECT price, row_number() OVER (PARTITION BY pid ORDER BY ts DESC) AS rn FROM ev WHERE event = 'product_viewed') WHERE rn <= 3`,
		`SELECT count(*), sum(price) FROM (SELECT price, row_number() OVER (PARTITION BY pid ORDER BY ts DESC) AS rn FROM ev WHERE event = 'product_viewed') WHERE rn <= 3`),

	question("Q4", "SQL: count distinct of columns with many values",
		`SELECT count(DISTINCT properties.$current_url), count(DISTINCT session_id) FROM events`,
		`SELECT uniqExact(current_url), uniqExact(session_id) FROM ev`,
		`SELECT (SELECT count(*) FROM (SELECT DISTINCT current_url FROM ev)), (SELECT count(*) FROM (SELECT DISTINCT session_id FROM ev))`),

	question("Q5", "SQL: LIKE on URLs",
		`SELECT count(*), count(DISTINCT distinct_id) FROM events WHERE properties.$current_url LIKE '%/product/%tab=1%'`,
		`SELECT count(), uniqExact(distinct_id) FROM ev WHERE current_url LIKE '%/product/%tab=1%'`,
		`SELECT count(*), count(DISTINCT distinct_id) FROM ev WHERE current_url LIKE '%/product/%tab=1%'`),

	question("Q6", "SQL: ORDER BY LIMIT 100 with a wide row",
		`SELECT (extract(epoch FROM timestamp) * 1000)::bigint, event, properties.$current_url, properties.price::float8 AS price FROM events WHERE properties.price > 0 ORDER BY price DESC, timestamp, properties.$current_url LIMIT 100`,
		`SELECT toUnixTimestamp64Milli(ts), event, current_url, price FROM ev WHERE price > 0 ORDER BY price DESC, ts, current_url LIMIT 100`,
		`SELECT epoch_ms(ts), event::VARCHAR, current_url, price FROM ev WHERE price > 0 ORDER BY price DESC, ts, current_url LIMIT 100`),
}

const (
	during    = `DURING ('2026-01-01', '2026-04-01') TIME ZONE 'UTC'`
	whole     = `ts >= '2026-01-01' AND ts < '2026-04-01'`
	lastDays  = `ts >= '2026-03-02' AND ts < '2026-04-01'`
	wholeTime = `timestamp >= '2026-01-01' AND timestamp < '2026-04-01'`
	twoWeeks  = `1209600000` // in milliseconds

	richPurchases = `event = 'purchase' AND plan IN ('pro', 'enterprise') AND country IN ('US', 'GB', 'DE') AND price > 50`

	asofShopping = `(SELECT pid, ts FROM ev WHERE event = 'product_viewed' AND ` + whole + `) a
		ASOF JOIN (SELECT pid, ts FROM ev WHERE event = 'added_to_cart' AND ` + whole + `) b ON a.pid = b.pid AND a.ts <= b.ts
		ASOF JOIN (SELECT pid, ts FROM ev WHERE event = 'purchase' AND ` + whole + `) c ON b.pid = c.pid AND b.ts <= c.ts`

	// lifecycleOfBitmaps takes days of bitmaps from w.
	lifecycleOfBitmaps = `c AS (SELECT d, b, groupBitmapMergeState(b) OVER (ORDER BY d ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING) AS p, groupBitmapMergeState(b) OVER (ORDER BY d ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS a FROM w)
		SELECT d, s.1 AS status, s.2 AS n FROM (SELECT d, arrayJoin([('new', toInt64(bitmapAndnotCardinality(b, a))), ('returning', toInt64(bitmapAndCardinality(b, p))),
			('resurrecting', toInt64(bitmapCardinality(b)) - toInt64(bitmapAndnotCardinality(b, a)) - toInt64(bitmapAndCardinality(b, p))), ('dormant', toInt64(bitmapAndnotCardinality(p, b)))]) AS s FROM c) WHERE n > 0 ORDER BY d, status`
)

// pairsOfBitmaps counts, for every two periods of w, who is in the first and in a bitmap of the second.
func pairsOfBitmaps(unit, second string) string {
	return fmt.Sprintf(`g AS (SELECT groupArray((d, b)) AS g FROM w) SELECT * FROM (SELECT x.1 AS s, dateDiff('%s', x.1, y.1) AS k, bitmapAndCardinality(x.2, %s) AS c
		FROM (SELECT arrayJoin(g) AS x, arrayJoin(arrayFilter(z -> z.1 >= x.1, g)) AS y FROM g)) WHERE c > 0 ORDER BY s, k`, unit, second)
}

func question(name, title, own, ch, duck string, bitmap ...string) asked {
	q := asked{name: name, title: title, forms: map[string]form{prickle: {own}, clickhouse: {ch}, duckdb: {duck}}}
	if len(bitmap) > 0 {
		q.forms[bitmaps] = form{bitmap[0]}
	}
	return q
}

func plainSQL(name, title, why, own, ch, duck string) asked {
	q := question(name, title, own, ch, duck)
	q.plain = why
	return q
}

// daily is a series named n.
func daily(series string) string {
	return fmt.Sprintf(`SELECT bucket::date, n FROM TRENDS(SERIES (%s) EVERY INTERVAL '1 day' %s) ORDER BY bucket`, series, during)
}

// perDay is a form for both peers: they name days in different ways, and this one both know.
func perDay(aggregate, where string) string {
	return fmt.Sprintf(`SELECT ts::DATE AS d, %s FROM ev WHERE %s AND %s GROUP BY d ORDER BY d`, aggregate, where, whole)
}

func rolling(name, title string, days int) asked {
	ch := `SELECT d, groupBitmapMerge(b) OVER (ORDER BY d ROWS BETWEEN %d PRECEDING AND CURRENT ROW) FROM (%s) ORDER BY d`
	return question(name, title,
		daily(fmt.Sprintf(`n: ROLLING_ACTORS(INTERVAL '%d days') WHERE event = '$pageview'`, days)),
		fmt.Sprintf(ch, days-1, `SELECT toDate(ts) AS d, groupBitmapState(pid) AS b FROM ev WHERE event = '$pageview' AND `+whole+` GROUP BY d`),
		fmt.Sprintf(`WITH a AS (SELECT pid, ts::DATE AS d FROM ev WHERE event = '$pageview' AND %s GROUP BY ALL), l AS (SELECT d, least(d + %d, coalesce(lead(d) OVER (PARTITION BY pid ORDER BY d), DATE '2099-01-01')) AS x FROM a),
			v AS (SELECT d, count(*) AS n FROM l GROUP BY d UNION ALL SELECT x, -count(*) FROM l GROUP BY x), s AS (SELECT d, sum(n) AS n FROM v GROUP BY d)
			SELECT d, c FROM (SELECT d, sum(n) OVER (ORDER BY d) AS c FROM s) WHERE d < DATE '2026-04-01' ORDER BY d`, whole, days),
		fmt.Sprintf(ch, days-1, `SELECT d, b FROM days WHERE event = '$pageview'`))
}

// counts turns the steps of a funnel into one row.
func counts(n int, funnel string) string {
	var columns []string
	for i := range n {
		columns = append(columns, fmt.Sprintf("max(count) FILTER (WHERE step = %d)", i+1))
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + funnel
}

// steps are those of a funnel in order; each may have a condition, for the peers and for prickle.
type steps []struct{ event, where, own string }

var shopping = steps{{event: "product_viewed"}, {event: "added_to_cart"}, {event: "purchase"}}

// funnel asks how many persons reach each step within 14 days of the first, by a property if one is
// named: then all events of a chain must have the same value.
func funnel(name, title string, s steps, by, ownBy string) asked {
	var own []string
	for i, step := range s {
		own = append(own, fmt.Sprintf("s%d: event = '%s'%s", i+1, step.event, and(step.own)))
	}
	ours := fmt.Sprintf("FUNNEL(STEPS (%s) WITHIN INTERVAL '14 days' %s", strings.Join(own, ", "), during)
	if by == "" {
		return question(name, title, counts(len(s), ours+")"), s.clickhouse(by), s.duckdb(by))
	}
	ours += fmt.Sprintf(" BREAKDOWN BY %s AS %s ATTRIBUTE EACH)", ownBy, by)
	return question(name, title, strings.Replace(counts(len(s), ours), "SELECT ", "SELECT "+by+", ", 1)+fmt.Sprintf(" GROUP BY %s ORDER BY %s", by, by), s.clickhouse(by), s.duckdb(by))
}

func and(condition string) string {
	if condition == "" {
		return ""
	}
	return " AND " + condition
}

func (s steps) clickhouse(by string) string {
	var conditions, names, columns []string
	for i, step := range s {
		conditions = append(conditions, "event = '"+step.event+"'"+and(step.where))
		names = append(names, "'"+step.event+"'")
		columns = append(columns, fmt.Sprintf("countIf(l >= %d)", i+1))
	}
	first, key, last := "", "", ""
	if by != "" {
		first, key, last = by+", ", ", "+by, fmt.Sprintf(" GROUP BY %s ORDER BY %s::String", by, by)
	}
	return fmt.Sprintf(`SELECT %s%s FROM (SELECT pid%s, windowFunnel(%s)(toUInt64(toUnixTimestamp64Milli(ts)), %s) AS l FROM ev WHERE event IN (%s) AND %s GROUP BY pid%s) WHERE l > 0%s`,
		first, strings.Join(columns, ", "), key, twoWeeks, strings.Join(conditions, ", "), strings.Join(names, ", "), whole, key, last)
}

// duckdb looks back from each later step for the latest start that can reach it.
func (s steps) duckdb(by string) string {
	column, same := "", ""
	if by != "" {
		column, same = ", "+by, fmt.Sprintf(" AND x.%s = p.%s", by, by)
	}
	var parts []string
	for i, step := range s {
		rows := fmt.Sprintf("FROM ev WHERE event = '%s'%s AND %s", step.event, and(step.where), whole)
		if i == 0 {
			parts = append(parts, fmt.Sprintf("s0 AS MATERIALIZED (SELECT pid, ts, ts AS st%s %s)", column, rows))
			continue
		}
		of := ""
		if by != "" {
			of = ", x." + by
		}
		parts = append(parts, fmt.Sprintf("s%d AS MATERIALIZED (SELECT x.pid, x.ts, p.st%s FROM (SELECT pid, ts%s %s) x ASOF JOIN s%d p ON x.pid = p.pid%s AND x.ts >= p.ts WHERE x.ts <= p.st + INTERVAL 14 DAY)",
			i, of, column, rows, i-1, same))
	}
	with := "WITH " + strings.Join(parts, ", ")
	var columns, unions []string
	for i := range s {
		if by == "" {
			columns = append(columns, fmt.Sprintf("(SELECT count(DISTINCT pid) FROM s%d)", i))
			continue
		}
		columns = append(columns, fmt.Sprintf("sum(c%d)::BIGINT", i))
		var each []string
		for k := range s {
			if k == i {
				each = append(each, fmt.Sprintf("count(DISTINCT pid) AS c%d", k))
			} else {
				each = append(each, fmt.Sprintf("0 AS c%d", k))
			}
		}
		unions = append(unions, fmt.Sprintf("SELECT %s, %s FROM s%d GROUP BY %s", by, strings.Join(each, ", "), i, by))
	}
	if by == "" {
		return with + " SELECT " + strings.Join(columns, ", ")
	}
	return fmt.Sprintf("%s SELECT %s::VARCHAR AS b, %s FROM (%s) GROUP BY %s ORDER BY b", with, by, strings.Join(columns, ", "), strings.Join(unions, " UNION ALL "), by)
}
