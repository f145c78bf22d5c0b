// Package session says what is known of sessions: all events that carry the same
// $session_id, whoever sent them and whatever they are.
//
// A session is spread over the segments that its events lie in. Of each segment there are
// parts, one for each thing that may be asked: [IDs] numbers the sessions that the segment
// has events of, and [Times], [Counts], [Edges], [Distinct] and [Owners] hold what those
// events say, by that number. [Joined] knows which numbers of several segments are the same
// session; whoever reads a part puts those together.
//
// Parts are never changed after they were made. An event without a session id, or with an
// empty one, is in no session.
package session
