package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"time"
)

// Insight is an insight query, and the plain SQL operator that asks nearly the same.
type Insight struct {
	Name  string
	Query string // JSON
	SQL   string
}

// wholeRange is all of what gen.Shop makes by default.
const wholeRange = `"dateRange":{"date_from":"2026-01-01","date_to":"2026-03-31"}`

func step(event string) string { return `{"kind":"EventsNode","event":"` + event + `"}` }

const shopFunnel = `"kind":"FunnelsQuery",` + wholeRange + `,"series":[{"kind":"EventsNode","event":"product_viewed"},{"kind":"EventsNode","event":"added_to_cart"},{"kind":"EventsNode","event":"purchase"}]`

const shopSteps = `STEPS (product: event = 'product_viewed', cart: event = 'added_to_cart', purchase: event = 'purchase') WITHIN INTERVAL '14 days'`

// Insights are one query of each kind, and of some kinds more.
var Insights = []Insight{
	{"trend", `{"kind":"TrendsQuery",` + wholeRange + `,"series":[` + step("$pageview") + `]}`,
		`SELECT bucket, n FROM TRENDS(SERIES (n: count(*) WHERE event = '$pageview') EVERY INTERVAL '1 day')`},
	{"trend of persons", `{"kind":"TrendsQuery",` + wholeRange + `,"series":[{"kind":"EventsNode","event":"$pageview","math":"dau"}]}`,
		`SELECT bucket, n FROM TRENDS(SERIES (n: ACTORS() WHERE event = '$pageview') EVERY INTERVAL '1 day')`},
	{"trend by country", `{"kind":"TrendsQuery",` + wholeRange + `,"series":[` + step("$pageview") + `],"breakdownFilter":{"breakdown":"$geoip_country_code"}}`,
		`SELECT * FROM TRENDS(SERIES (n: count(*) WHERE event = '$pageview') EVERY INTERVAL '1 day' BREAKDOWN BY properties.$geoip_country_code AS country TOP 25 WITH OTHER)`},
	{"stickiness", `{"kind":"StickinessQuery",` + wholeRange + `,"series":[` + step("$pageview") + `]}`,
		`SELECT * FROM STICKINESS(SERIES (n: event = '$pageview') EVERY INTERVAL '1 day' DURING ('2026-01-01', '2026-04-01'))`},
	{"lifecycle", `{"kind":"LifecycleQuery","interval":"week",` + wholeRange + `,"series":[` + step("$pageview") + `]}`,
		`SELECT * FROM LIFECYCLE(WHERE event = '$pageview' EVERY INTERVAL '1 week' DURING ('2026-01-01', '2026-04-01'))`},
	{"funnel", `{` + shopFunnel + `}`, `SELECT * FROM FUNNEL(` + shopSteps + `)`},
	{"funnel by country", `{` + shopFunnel + `,"breakdownFilter":{"breakdown":"$geoip_country_code","breakdown_type":"event"}}`,
		`SELECT * FROM FUNNEL(` + shopSteps + ` BREAKDOWN BY properties.$geoip_country_code AS country TOP 25 WITH OTHER)`},
	{"unordered funnel", `{` + shopFunnel + `,"funnelsFilter":{"funnelOrderType":"unordered"}}`, `SELECT * FROM FUNNEL(` + shopSteps + ` MODE UNORDERED)`},
	{"strict funnel", `{` + shopFunnel + `,"funnelsFilter":{"funnelOrderType":"strict"}}`, `SELECT * FROM FUNNEL(` + shopSteps + ` MODE STRICT)`},
	{"time to convert", `{` + shopFunnel + `,"funnelsFilter":{"funnelVizType":"time_to_convert"}}`,
		`SELECT count(*), avg(extract(epoch FROM step_times[3] - step_times[1])::float8) FROM FUNNEL(` + shopSteps + ` OUTPUT ACTORS) WHERE converted`},
	{"trend of a funnel", `{` + shopFunnel + `,"funnelsFilter":{"funnelVizType":"trends"}}`, `SELECT * FROM FUNNEL(` + shopSteps + ` OUTPUT TREND BY INTERVAL '1 day')`},
	{"retention", `{"kind":"RetentionQuery","dateRange":{"date_from":"2026-01-05","date_to":"2026-03-29"},"retentionFilter":{"period":"Week","totalIntervals":12}}`,
		`SELECT cohort, period, retained FROM RETENTION(START event = '$pageview' EVERY TIME RETURN event = '$pageview' EVERY INTERVAL '1 week' FOR 12 PERIODS)`},
	{"paths", `{"kind":"PathsQuery","dateRange":{"date_from":"2026-03-01","date_to":"2026-03-31"},"pathsFilter":{"includeEventTypes":["$pageview"]}}`,
		`SELECT * FROM PATHS(WHERE event = '$pageview' NODE properties.$current_url DEPTH 5 SESSION GAP INTERVAL '30 minutes' EDGES TOP 50 DURING ('2026-03-01', '2026-04-01'))`},
	{"correlation", `{"kind":"FunnelCorrelationQuery","funnelCorrelationType":"events","source":{"kind":"FunnelsActorsQuery","funnelStep":1,"source":{` + shopFunnel + `}}}`,
		`SELECT e.event, count(DISTINCT f.actor) FROM events e JOIN FUNNEL(` + shopSteps + ` OUTPUT ACTORS) f ON e.person_id = f.actor WHERE e.timestamp > f.entered_at GROUP BY 1 ORDER BY 1`},
	{"actors of a cell", `{"kind":"ActorsQuery","limit":100,"source":{"kind":"InsightActorsQuery","day":"2026-02-10","source":{"kind":"TrendsQuery",` + wholeRange + `,"series":[{"kind":"EventsNode","event":"$pageview","math":"dau"}]}}}`,
		`SELECT person_id, count(*) FROM events WHERE event = '$pageview' AND timestamp >= '2026-02-10' AND timestamp < '2026-02-11' GROUP BY 1 ORDER BY 1 LIMIT 100`},
}

// MeasureInsights asks the insights over HTTP and their operators over the PostgreSQL
// protocol, in turn, as Measure does. No answer comes from a cache. The results are those of
// the insights and those of the operators.
func MeasureInsights(ctx context.Context, url string, project uint32, dsn string, insights []Insight, warmup, reps int) (asked, plain []Result, err error) {
	asked, plain = make([]Result, len(insights)), make([]Result, len(insights))
	times := make([][]time.Duration, len(insights))
	for rep := range warmup + reps {
		for i, q := range insights {
			start := time.Now()
			rows, hash, err := askInsight(ctx, url, project, q)
			took := time.Since(start)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", q.Name, err)
			}
			if rep > 0 && hash != asked[i].Hash {
				return nil, nil, fmt.Errorf("%s: answer %d differs from the first", q.Name, rep+1)
			}
			asked[i] = Result{Question: Question{q.Name, q.Query}, Rows: rows, Hash: hash}
			if rep >= warmup {
				times[i] = append(times[i], took)
			}
		}
	}
	for i := range asked {
		slices.Sort(times[i])
		asked[i].Best, asked[i].Median = times[i][0], times[i][len(times[i])/2]
	}
	questions := make([]Question, len(insights))
	for i, q := range insights {
		questions[i] = Question{q.Name, q.SQL}
	}
	plain, err = Measure(ctx, dsn, questions, warmup, reps)
	return asked, plain, err
}

// askInsight asks once. It gives how many elements the results have, and their hash.
func askInsight(ctx context.Context, url string, project uint32, q Insight) (int, uint64, error) {
	body := fmt.Sprintf(`{"query":%s,"now":"2026-03-31T12:00:00Z","refresh":"force_blocking"}`, q.Query)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/api/projects/%d/query/", url, project), bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, err
	}
	var answer struct {
		Results json.RawMessage `json:"results"`
		Detail  string          `json:"detail"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return 0, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, 0, errors.New(answer.Detail)
	}
	h := fnv.New64a()
	h.Write(answer.Results)
	rows := 1
	var list []json.RawMessage
	if json.Unmarshal(answer.Results, &list) == nil {
		rows = len(list)
	}
	return rows, h.Sum64(), nil
}
