// Package metric is the numbers that a process publishes, in Prometheus' text format.
//
// A Registry lists families by name. A family is a Counter, a Gauge or a Histogram, with
// or without labels, or a function that is asked at every scrape. Names never change;
// help and labels are said once, where the family is made. Counting takes no lock but for
// labels, which take a short one. All of it may be used by many goroutines.
package metric
