// Package capture turns bytes from outside into event.Batch: what client libraries post,
// the typed lines of the import route, and the rows of files.
//
// A scanner reads JSON once, strictly, and hands property values to an event.Builder as
// it meets them; no event is ever a map. What an event means then depends on its Manner:
// Capture follows every rule for events that arrive live, Typed takes lines as they are
// written, File is in between. Handler answers client libraries, ImportHandler the import
// route; Decoder and Rows are what a command that reads files feeds.
//
// Nothing that was refused is dropped silently: a whole request is answered with an
// error, a single event of several is reported to Handler.Warn, and a row of a file
// becomes a Reject with its line and the reason.
package capture
