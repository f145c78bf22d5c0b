// Package ask answers insight queries: it runs the statements that sql/insight compiles
// them to in a session, all on one state of the project's data, and looks up what the
// answer shows beside them: persons, groups, actions, cohorts, types of properties.
package ask
