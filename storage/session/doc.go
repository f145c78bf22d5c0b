// Package session says what is known of sessions: all events that carry the same
// $session_id, whoever sent them and whatever they are.
//
// A session is spread over the segments that its events lie in. Of each segment there are
// parts, one for each thing that may be asked: [IDs] numbers the sessions that the segment
// has events of, and [Times], [Counts], [Edges], [Distinct] and [Owners] hold what those
// events say, by that number. [Joined] knows which numbers of several segments are the same
// session; whoever reads a part puts those together.
//
// A segment's table of sessions keeps their ids, starts and ends. The other parts are made
// from the rows when they are first asked for, and stay as long as the segment does and
// the cache has room. On one core, ten million events in a million sessions take 0.05 s
// for Counts, 0.25 s for Owners, 0.3 s for Edges by $pathname and 0.5 s by $current_url, and
// 1 s for Distinct; once they are there, a question about all sessions takes 0.03 s. To keep
// the positions of edges, and counts, in the table was tried: it takes 0.35 bytes an event
// and makes the first reading of edges a quarter to a third faster, since the texts have to be
// brought together all the same, and rows that were deleted need the other way still. Walking
// the order of the rows instead of the ranges is not faster either.
//
// Parts are never changed after they were made. An event without a session id, or with an
// empty one, is in no session.
package session
