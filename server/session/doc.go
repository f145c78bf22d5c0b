// Package session is what one client remembers between statements: settings, the
// transaction, prepared statements and portals. The PostgreSQL protocol and the HTTP
// API both run their statements through it, so that a statement means the same to both.
//
// A statement that writes runs its source plan to the end and makes a table.WriteSet of the
// rows (write.go), with those of INSERT, UPDATE and DELETE in its WITH. Outside a block it is committed at once, and tried again on a conflict. A
// block keeps one write set: its statements see the read point and on top of it what the
// block has written, COMMIT proposes all of it, ROLLBACK forgets it, and ROLLBACK TO cuts it
// off where the savepoint was. A conflict at COMMIT is 40001. Statements about cohorts (cohort.go) wait
// in it as well, and are planned anew for each state that one of its statements reads. Changes of events and persons
// (change.go) cannot be in a block: they are carried out at once. EXPLAIN ANALYZE of a statement that
// writes carries it out, and answers with what its plan did (Analysis).
//
// COPY FROM is a statement that writes like the others: its plan reads what the client sends, by
// the function that Portal.Input is, or files. The rows of a COPY TO go to a file here (copy.go),
// or to the client by whoever runs the portal, which sees Portal.Copy.
//
// Temporary tables are the session's own tables (table.NewTemp): an immutable value that each
// statement replaces, and a rollback puts back. Nothing of them is in the log. A statement sees
// them beside the others, and they hide those of the same name.
//
// Roles (role.go) are objects of the project. A user that is none of them may do everything:
// whom to let in is the business of who opens the session. CREATE ROLE, GRANT and their like
// cannot be in a block.
//
// What a query means is kept with its plan (plans.go), for all sessions of a server, by all that it depends on: the
// text, the settings that its constants are read by, the tables, cohorts and roles. What depends on
// the moment, on parameters' values or on anything else of one execution is bound anew each time. The
// plan is arranged for the snapshot that is read, whether it was kept or not.
//
// A Session serves one client and is used by one goroutine at a time; only Cancel, PID and
// AfterEnd may be called from elsewhere, and through Sessions others see what it does and end
// it. A Portal is a statement on its way: a paused stream of batches
// that is read as far as the client wants.
//
// A cursor (cursor.go) is a portal with a place among its rows. It is a stream as any portal
// is if it was declared NO SCROLL, and keeps what it has read if SCROLL or WITH HOLD; else it keeps
// that while it is little.
//
// What a session holds, the rows of its cursors, its temporary tables and what it is writing, counts
// as memory of queries, and is refused where there is no room (memory.go).
//
// What a query reads is one snapshot, taken after it waited for its place among those that run, and
// for what its settings ask for (read.go), or kept from an earlier answer (Cuts). Queries lists what runs and what ran last,
// refuses what is going to read too much, and ends what has. Sessions lists the sessions
// themselves: they see each other in pg_stat_activity, and can cancel and end each other.
package session
