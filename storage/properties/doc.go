// Package properties works on the properties of persons and groups: objects as the text that
// jsonb prints, in which a change is merged ([Merger]), a value is looked up ([Value]) and
// the kinds of values are noted ([Kinds], [Seen]).
package properties
