// Package insighttest is a slow, obvious model of the insights: rows in a slice, nested loops,
// no cleverness. It answers the same JSON questions as sql/insight over data that fits on a
// screen, is written from the rules of the insights alone and shares no code with the engine.
// Tests ask both and compare.
//
// Data is a whole project in memory, Answer its answer to a query, Actors the persons behind
// one number of it. Random makes data, RandomQuery a question about it, RandomCell takes a number
// of an answer, and Differences and ListDifferences say where two answers and two lists part.
//
// Inside, a question that must be refused ends in a panic with a refusal, and one the model
// does not know in a panic with an Unsupported; Answer and Actors turn them into errors. That
// keeps the rules readable, and the package is for tests only.
package insighttest
