// Package insight answers the questions that product people ask as JSON: trends, stickiness,
// lifecycle, funnels, correlation, retention, paths, and the lists of actors behind each
// number.
//
// [Ask] compiles a query to statements, trees of sql/ast that print as SQL, has a [Runner]
// run them, and shapes the rows into the answer. Nothing is evaluated here but formulas over
// finished numbers: whoever runs the printed SQL gets the same rows. A [Project] gives what
// queries name: actions, cohorts, types of properties, the time zone.
//
//	query.go           the JSON
//	date.go            date texts, ranges, buckets, labels
//	filter.go          property filters, action.go actions, cohort.go cohorts, hogql.go expressions
//	compile.go         what queries share: series, common filters, ranges
//	trends.go …        one file a kind: the operator, and the shape of the answer
//	actors.go          who is behind a number
//	links.go           the insights of old links
//
// # Choices
//
// Where the rules that we follow leave a corner open:
//
//   - "All time" without a match begins at the project's first event, without any event now.
//   - explicitDate without date_from: the default start, not rounded. "now" is a relative date.
//   - Text is compared without regard to case by Unicode's simple folding.
//   - An icontains list of one element is a pattern like the single value.
//   - Versions compare by their numeric parts; missing ones are 0.
//   - A property group may stand inside a list of filters.
//   - Negated conditions of cohorts, and those on properties, choose among persons with a profile.
//   - A cycle of cohorts is refused, and so is one whose conditions are all negated.
//   - In expressions, division by zero is NULL, and NULL is unequal to everything.
//   - An expression that names the actor names none where it is NULL or the empty text.
//   - A group counted by dau is one counted by unique_group: events without it do not count.
//   - A column with bins is numeric: whatever is no number is in the bin of NULL.
//   - A range by days ends with the last microsecond of its last day, where clocks are set back
//     then, too. A wall clock's time that a change leaves out is the instant of the change, and
//     one that it repeats is the first.
//   - Correlation takes the properties whose type is text, with numbers among them as texts. With
//     $all a person without one has "".
//   - Correlations with equal odds are ordered by name.
//   - A breakdown by an explicit list of cohorts has no limit.
//   - A range that ends before it begins has one bucket, and nothing in it.
package insight
