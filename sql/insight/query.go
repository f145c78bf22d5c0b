package insight

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// node is one series of a query, an exclusion, or an entity of retention.
type node struct {
	Kind         string          `json:"kind"`
	Event        *string         `json:"event"`
	ID           flexID          `json:"id"`
	Name         *string         `json:"name"`
	CustomName   *string         `json:"custom_name"`
	Math         string          `json:"math"`
	MathProperty *string         `json:"math_property"`
	MathScope    string          `json:"math_property_type"`
	MathHogQL    *string         `json:"math_hogql"`
	MathGroup    *int            `json:"math_group_type_index"`
	Multiplier   *float64        `json:"math_multiplier"`
	Properties   json.RawMessage `json:"properties"`
	FixedProps   json.RawMessage `json:"fixedProperties"`
	Optional     bool            `json:"optionalInFunnel"`
	FromStep     *int            `json:"funnelFromStep"`
	ToStep       *int            `json:"funnelToStep"`
}

// flexID is a number that some clients write as text; text that is no number is kept.
type flexID struct {
	Set  bool
	Num  int64
	IsN  bool
	Text string
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexID) UnmarshalJSON(raw []byte) error {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	f.Set = true
	f.Text = string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &f.Text); err != nil {
			return err
		}
	}
	n, err := strconv.ParseInt(f.Text, 10, 64)
	f.Num, f.IsN = n, err == nil
	return nil
}

type dateRange struct {
	From     *string `json:"date_from"`
	To       *string `json:"date_to"`
	Explicit bool    `json:"explicitDate"`
}

type breakdownFilter struct {
	Breakdown  json.RawMessage `json:"breakdown"`
	Type       string          `json:"breakdown_type"`
	Group      *int            `json:"breakdown_group_type_index"`
	Normalize  bool            `json:"breakdown_normalize_url"`
	Bins       *int            `json:"breakdown_histogram_bin_count"`
	Breakdowns []breakdownItem `json:"breakdowns"`
	Limit      *int            `json:"breakdown_limit"`
	HideOther  bool            `json:"breakdown_hide_other_aggregation"`
}

type breakdownItem struct {
	Property  flexText `json:"property"`
	Type      string   `json:"type"`
	Group     *int     `json:"group_type_index"`
	Normalize bool     `json:"normalize_url"`
	Bins      *int     `json:"histogram_bin_count"`
}

// flexText is text that some clients write as a number.
type flexText string

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexText) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(f))
	}
	if !bytes.Equal(raw, []byte("null")) {
		*f = flexText(raw)
	}
	return nil
}

type compareFilter struct {
	Compare   bool    `json:"compare"`
	CompareTo *string `json:"compare_to"`
}

// query is every kind of insight query: fields that a kind does not have stay empty.
type query struct {
	Kind       string           `json:"kind"`
	Series     []node           `json:"series"`
	Date       dateRange        `json:"dateRange"`
	Interval   string           `json:"interval"`
	Properties json.RawMessage  `json:"properties"`
	TestUsers  bool             `json:"filterTestAccounts"`
	Sampling   *float64         `json:"samplingFactor"`
	Group      *int             `json:"aggregation_group_type_index"`
	Breakdown  *breakdownFilter `json:"breakdownFilter"`
	Compare    compareFilter    `json:"compareFilter"`

	Trends     trendsFilter     `json:"trendsFilter"`
	Stickiness stickinessFilter `json:"stickinessFilter"`
	Count      *int             `json:"intervalCount"`
	Funnels    funnelsFilter    `json:"funnelsFilter"`
	Retention  retentionFilter  `json:"retentionFilter"`
	Paths      pathsFilter      `json:"pathsFilter"`
	FunnelPath *funnelPaths     `json:"funnelPathsFilter"`
}

type trendsFilter struct {
	Display   string   `json:"display"`
	Smoothing int      `json:"smoothingIntervals"`
	Formula   string   `json:"formula"`
	Formulas  []string `json:"formulas"`
	Nodes     []struct {
		Formula    string  `json:"formula"`
		CustomName *string `json:"custom_name"`
	} `json:"formulaNodes"`
}

type stickinessFilter struct {
	ComputedAs string `json:"computedAs"`
	Criteria   *struct {
		Operator string `json:"operator"`
		Value    int    `json:"value"`
	} `json:"stickinessCriteria"`
}

type funnelsFilter struct {
	Order       string          `json:"funnelOrderType"`
	Viz         string          `json:"funnelVizType"`
	Window      *float64        `json:"funnelWindowInterval"`
	WindowUnit  string          `json:"funnelWindowIntervalUnit"`
	From        *int            `json:"funnelFromStep"`
	To          *int            `json:"funnelToStep"`
	Exclusions  []node          `json:"exclusions"`
	Attribution string          `json:"breakdownAttributionType"`
	AttrStep    *int            `json:"breakdownAttributionValue"`
	Actor       *string         `json:"funnelAggregateByHogQL"`
	Bins        json.RawMessage `json:"binCount"`
}

type retentionFilter struct {
	Period      string  `json:"period"`
	Intervals   *int    `json:"totalIntervals"`
	Type        string  `json:"retentionType"`
	Target      *node2  `json:"targetEntity"`
	Returning   *node2  `json:"returningEntity"`
	Cumulative  bool    `json:"cumulative"`
	Minimum     *int    `json:"minimumOccurrences"`
	Brackets    []int   `json:"retentionCustomBrackets"`
	Window      string  `json:"timeWindowMode"`
	Aggregation string  `json:"aggregationType"`
	Property    *string `json:"aggregationProperty"`
	PropertyOf  string  `json:"aggregationPropertyType"`
}

// node2 is an entity as retention writes it.
type node2 struct {
	ID         flexID          `json:"id"`
	Type       string          `json:"type"`
	Name       *string         `json:"name"`
	CustomName *string         `json:"custom_name"`
	Properties json.RawMessage `json:"properties"`
}

type pathsFilter struct {
	Include      []string   `json:"includeEventTypes"`
	Expression   *string    `json:"pathsHogQLExpression"`
	Exclude      []string   `json:"excludeEvents"`
	Start        *string    `json:"startPoint"`
	End          *string    `json:"endPoint"`
	StepLimit    *int       `json:"stepLimit"`
	EdgeLimit    *int       `json:"edgeLimit"`
	MinWeight    *int       `json:"minEdgeWeight"`
	MaxWeight    *int       `json:"maxEdgeWeight"`
	Groupings    []string   `json:"pathGroupings"`
	Cleaning     []pathRule `json:"localPathCleaningFilters"`
	Replacements bool       `json:"pathReplacements"`
	StartKey     *string    `json:"pathStartKey"`
	EndKey       *string    `json:"pathEndKey"`
	DropoffKey   *string    `json:"pathDropoffKey"`
}

type pathRule struct {
	Regex string `json:"regex"`
	Alias string `json:"alias"`
}

type funnelPaths struct {
	Type   string          `json:"funnelPathType"`
	Step   *int            `json:"funnelStep"`
	Source json.RawMessage `json:"funnelSource"`
}

// actorsQuery is ActorsQuery, the queries that stand inside it, and what they say of the
// cell whose actors are wanted.
type actorsQuery struct {
	Kind    string          `json:"kind"`
	Source  json.RawMessage `json:"source"`
	Select  []string        `json:"select"`
	Search  string          `json:"search"`
	OrderBy []string        `json:"orderBy"`
	Limit   *int            `json:"limit"`
	Offset  *int            `json:"offset"`
	// Properties and FixedProperties filter the persons that are listed.
	Properties json.RawMessage `json:"properties"`
	Fixed      json.RawMessage `json:"fixedProperties"`

	Day       json.RawMessage `json:"day"`
	Series    *int            `json:"series"`
	Breakdown json.RawMessage `json:"breakdown"`
	Compare   string          `json:"compare"`
	Status    string          `json:"status"`
	Interval  *int            `json:"interval"`
	Session   bool            `json:"includeRecordings"`

	Step          *int            `json:"funnelStep"`
	StepBreakdown json.RawMessage `json:"funnelStepBreakdown"`
	CustomSteps   []int           `json:"funnelCustomSteps"`
	TrendsDropOff *bool           `json:"funnelTrendsDropOff"`
	TrendsStart   *string         `json:"funnelTrendsEntrancePeriodStart"`

	CorrelationEntity    *node           `json:"funnelCorrelationPersonEntity"`
	CorrelationValues    json.RawMessage `json:"funnelCorrelationPropertyValues"`
	CorrelationConverted json.RawMessage `json:"funnelCorrelationPersonConverted"`
}

type correlationQuery struct {
	Kind              string          `json:"kind"`
	Source            json.RawMessage `json:"source"`
	Type              string          `json:"funnelCorrelationType"`
	Names             []string        `json:"funnelCorrelationNames"`
	ExcludeNames      []string        `json:"funnelCorrelationExcludeNames"`
	ExcludeEvents     []string        `json:"funnelCorrelationExcludeEventNames"`
	EventNames        []string        `json:"funnelCorrelationEventNames"`
	ExcludeProperties []string        `json:"funnelCorrelationEventExcludePropertyNames"`
}

// decode reads JSON into a value, and words what is wrong with it.
func decode(raw json.RawMessage, into any) error {
	err := json.Unmarshal(raw, into)
	if err == nil {
		return nil
	}
	if t, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // Unmarshal gives it bare
		return refuse(t.Field, "%s must not be a %s", strings.TrimPrefix("query."+t.Field, "."), t.Value)
	}
	return refuse("query", "the query is not valid JSON: %v", err)
}

// isNone says whether a JSON value is missing or null.
func isNone(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// kindOf is the kind of a query.
func kindOf(raw json.RawMessage) (string, error) {
	var k struct {
		Kind string `json:"kind"`
	}
	if err := decode(raw, &k); err != nil {
		return "", err
	}
	if k.Kind == "" {
		return "", &Refused{Code: "required", Detail: `the query needs a "kind"`, Attr: "query.kind"}
	}
	return k.Kind, nil
}

// Unwrap is the query inside InsightVizNode and DataTableNode, and its kind.

func Unwrap(raw json.RawMessage) (json.RawMessage, string, error) {
	for range 8 {
		kind, err := kindOf(raw)
		if err != nil {
			return nil, "", err
		}
		if kind != "InsightVizNode" && kind != "DataTableNode" && kind != "DataVisualizationNode" {
			return raw, kind, nil
		}
		var w struct {
			Source json.RawMessage `json:"source"`
		}
		if err := decode(raw, &w); err != nil {
			return nil, "", err
		}
		if isNone(w.Source) {
			return nil, "", &Refused{Code: "required", Detail: fmt.Sprintf("a %s needs a source", kind), Attr: "query.source"}
		}
		raw = w.Source
	}
	return nil, "", refuse("query.source", "the query is wrapped too deeply")
}
