// Package saved says what the bodies of saved objects may hold: actions, cohorts, insights and
// their like. It reads JSON, names the part that is wrong ([Problem]), and knows which objects
// use which. It stores nothing.
package saved
