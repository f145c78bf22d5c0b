// Package gen makes up a stream of product-analytics events from a seed.
//
// A [Config] says how many events, from which seed and over which days; [New] turns
// it into a [Model]. The same Config always gives the same bytes, on every machine:
// all arithmetic is on 64-bit integers that wrap, and every choice is a hash of a
// person, a session or an event number. Nothing is drawn in sequence, so any range
// of sessions can be produced alone, and several at once.
//
// The model has what makes real data hard: a few names and persons with most of the
// events, hours and weekdays with seasons, persons who arrive over time, sessions,
// funnels that people leave, and persons who are anonymous first and known later.
// Because every choice is a function, a test can ask for the right answer:
// [Model.Person] tells which distinct ids belong together and since when.
//
// Sessions are numbered by their start. Events come in order of session, and in
// order of time within one; over sessions their times overlap by at most an hour.
package gen
