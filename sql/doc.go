// Package sql turns the text of a statement into something that can be run.
//
// One query on its way: sql/parse reads the text into a tree of sql/ast; [Compile] hands
// the tree to sql/bind, which looks up names in the catalog, gives every expression a
// type and makes a plan of engine/plan; plan.Rewrite then folds constants and moves
// filters down, below joins as well. The result is a [Statement]. If it is a query, engine.Run runs its plan;
// if it is a command (SET, BEGIN, SHOW, …), the session carries it out. INSERT, UPDATE,
// DELETE and CREATE TABLE AS have a plan, too, and a [bind.Write] that says what its rows
// are for, and so has each of them in the WITH of a statement; CREATE TABLE, CREATE VIEW and their like are a [bind.Change]. DELETE and UPDATE of events and
// persons have a plan of what they change, and a [ChangeKind]. COPY FROM is an INSERT whose plan
// reads rows that are outside; COPY TO is a query whose rows go another way. A plan only reads.
//
// Who may do what (engine/role) is looked at when names are bound: reading a table takes SELECT
// on it, a view reads with the rights of its owner.
//
// Compile is a pure function: it changes neither settings nor catalog, so a statement may
// be compiled again at any time, e.g. when it was prepared and the catalog has changed.
package sql
