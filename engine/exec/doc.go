// Package exec runs plans. [Build] turns a plan node into an [Operator]; operators are
// pulled with Next and hand out batches.
//
// The contract of a batch: it belongs to the one who pulled it, and an operator never
// writes again to memory that it has handed out. A batch may therefore be kept, passed
// to another goroutine, or shared; nobody writes to a vector that somebody else made. A scan
// alone makes each batch of the memory of the last, a [vec.Arena], if it was told that nothing is
// kept of them (lend): below what groups, sorts or copies rows, with nothing but filters and
// projections between. Tests have the arenas spoil what they take back.
//
// Work is spread over cores in few places: exchange.go, where several copies of a
// pipeline share the morsels of one scan or the blocks of one funnel, actors.go, where the native operators
// take one interval of person ordinals at a time, and keyindex.go, where each goroutine has keys
// of its own. What copies share they take in turn, under a lock, batch by batch at most.
//
// # Processors
//
// The goroutines of all queries run by turns, which a [Scheduler] gives. A loop that may take
// long calls yield between two morsels, where it would ask whether its context has ended:
// after 10 ms of running, it waits there if queries come first that have used less. Whoever
// is about to wait for something else, a channel or a lock that is held for long, says so with
// away, so that a slot is never held by who cannot use it. A goroutine waits for its turn only
// in yield, which is called under no lock but those that are taken with lock.
//
// # Memory
//
// An operator that keeps rows accounts for them with Env.hold once a batch. The sum is
// bounded by Env.Memory, and the query's [Account] reserves it from the pool that
// [Admission] shares among all queries: when that is used up, the query that holds most
// ends. Work on one batch, and what is decoded of segments, is not the query's; the lists of
// an interval of actors are.
//
// Beyond half of the query's share, what is held goes to files of a [SpillDir]. A sort
// writes sorted runs and merges them; an aggregate writes groups, with the partial rows of
// their states, into partitions by the hash of the keys, and merges one partition after
// the other; DISTINCT does so with rows. Partitions that are still too large are divided
// again. What calls with DISTINCT have seen of large groups goes to partitions by its own hash (aggapart.go).
// What a batch adds to groups is accounted for after that, as it may leave at once.
// The rows that come out are the same; the order of groups and of distinct rows is
// another one. What cannot be divided, as one group with all its rows in an array, all rows of a join
// with one key, or of one without keys, fails with 53200 at the bound.
//
// The native operators hold the lists of a block of actors, and little for each row: the number of its
// breakdown value. If those of all rows are a quarter of the share, they go to a file of frames, and a block
// reads those of its rows (wordfile.go); FUNNEL and TRENDS, which look at them in other ways, keep them. PATHS has
// edges to count besides (path_spill.go): short ones go to such a file as they are, others are counted, and the
// counts go to partitions; an answer of all edges is sorted like a table. With OUTPUT ACTORS nothing is
// counted but for one actor, and rows are handed out block by block (actor_blocks.go), as those of FUNNEL are.
// Rows of any other input than the events table stay in memory.
//
// # Groups
//
// A [grouper] numbers combinations of key values: numbers are packed into words as they are,
// everything else by the number that an [intern.Table] gives it, and one look-up of the words finds
// the group. Rows whose keys are all in small dictionaries find it by their codes alone
// ([combination]). Each copy of the pipeline below an aggregate has groups and states of its own. When
// these are more than the caches hold, they go to 256 partitions by the hash of their keys, in
// memory ([groupRun]), and the copy starts anew; few groups with much in their states stay, and
// percentiles of those are finished from the states of all copies as these are ([jointGroups]). Where
// nearly every row makes a group, they go sooner, and are not looked for before they are merged. Rows of
// which all that is read is numbers go to partitions as they are where few share a group, and are grouped
// there ([waiting]). At the end each partition is merged alone, or a few together, so the table is small, and the copies of
// the pipeline above take one after the other as they take morsels of a scan: they merge, filter
// and keep the first rows side by side. The table of one partition is used again for the next; the
// keys are numbered before the states are merged, so that these have their size from the
// beginning. Where only the first groups are wanted, by what a call gives, that call is finished first, and the others
// for those groups alone that may be among them ([firstGroups]). What has to leave memory is the same partitions,
// sixteen to a file.
//
// A scan reads rows of rare events, of which there may be tens of thousands, in batches of many names: so
// what is done once for a batch is not done for a few rows. Conditions and breakdown values of the streams of
// native operators are evaluated likewise (jointstreams.go). Rows of events that lie side by side and are the
// same in all columns that are read come as one, with how many they are, where the aggregate can do with that
// (weights.go): most columns are kept as runs.
//
// Rows of one person, or of some, are not looked for: the run indexes have them one after the other, so a
// scan takes these alone, and those of persons who were merged with them (whose.go).
//
// Events are counted without that where only rows and persons are counted, by what is the same
// for all rows with one value of a property, or by person (runcount.go): the run indexes have
// the rows of a person one after the other, so each group has a number of rows and the person
// who was counted in it last. Where the name of the event alone says the group, no row is looked at:
// groups are whole ranges (namecount.go). Counts by person become rows where they are within the bounds of HAVING
// alone, and where bounds of the time decide which rows count, the day mask of a run tells, unless it has
// days on both sides, or one that is cut.
//
// # Joins
//
// A join reads the side that seems to have fewer rows into a table by its keys (a
// [joinTable]), and looks up the rows of the other side batch by batch. The copies of the pipeline
// below read into shares of their own ([joinShare]), which are put together column by column; then
// a [keyIndex] of the keys is built, in parts that goroutines fill side by side without a lock.
// Integers that lie close together, as the keys of most tables do, are bits in a map, which says
// with one word that fits into the caches that a row has no match; other numbers are hashed. Persons are
// such integers: their ordinals, if the keys of both sides are columns of persons. Texts,
// and NULL where it is a value, are numbered as keys of groups are, by one goroutine. A key in
// a dictionary is looked up once for each entry, so a join of events and persons costs two look-ups
// in arrays for a row. Rows with a NULL key never match, unless the key says that NULL equals NULL.
// Without keys, every row meets every other. Columns that nothing above reads, as keys are that the
// join has compared, are neither kept nor copied: NULL stands for them ([columnSet]). A [pipeline]
// goes through joins along the side that is looked up, so copies of it share the table ([joining]).
// If the table does not fit into memory, the rows of both sides go to partitions by the hash of
// their keys, and are joined one partition after the other.
//
// A scan at the end of a pipeline takes in the filter above it, and the keys of the joins
// further up ([keyFilter]): it decodes the columns that these look at first, and the others
// only where rows are left. They go through an aggregate, as conditions on its keys, where the
// plan says that the join narrows groups. A condition that compares a column with an integer, or numerics
// of one scale with a numeric, looks at the bytes, or words, that blocks of a user table have of values close
// together ([table.Small]); several of them make one mask before rows are listed ([smallMask]).
//
// An aggregate without keys takes count, min and max of blocks whose rows all count from what is
// kept beside them (metadata.go), and reads the others.
//
// Where only the first rows by a column are wanted, the blocks of a table come in the order of the
// best value that their zones promise, as segments of events do by time, and the rest of them is
// left out when enough rows are known ([valueOrder]).
//
// # Estimates
//
// How many rows a condition on a user table leaves is told by a sample of 4,096 rows of each segment
// (table.Sample), read at first use and kept among its decoded blocks: the condition is asked of
// these rows, so columns that depend on each other are seen. Where few of them pass, a
// [histogram] of each column says what each part of the condition leaves. Different values
// are estimated from the same rows. What memory has is sampled likewise; events have what their run
// indexes know.
//
// # Windows
//
// A window over few rows, or without PARTITION BY, reads them sorted, and one goroutine takes in
// whole partitions ([windowing]). Over many rows the copies of the pipeline below divide them by
// the hash of the keys, and the copies of the pipeline above take one part after the other: they
// number its partitions, sort inside these, and copy each column once ([dividing]). Where a filter
// above lets the first rows of each partition pass alone, by row_number(), only those are sorted and
// copied. Rows that do not fit into memory are sorted on disk, and one copy reads them.
//
// The number of an event among those of its person, by time, is known without that: the run indexes
// have the rows of a person in order, so row_number() is a column of the scan ([rowNumbers]). If it
// has bounds, as where the last three rows of each person are wanted, only such rows are read.
//
// # Native operators
//
// FUNNEL, RETENTION, TRENDS, PATHS, LIFECYCLE and STICKINESS see an actor's rows as one
// sorted list of times for each condition (a [csr] of a [block]). Over the events table
// the lists come straight from the run indexes of the event ranges that a condition can be
// true in (stream.go): the actors of a range are sorted, so an interval of ordinals is one
// stretch of rows in each range. Times come from blocks that the segment keeps decoded, unless
// the query reads so many rows that others would lose theirs. A list that holds rows of many events is a sweep (sweep.go)
// of each segment in the order that it has of its rows, since the runs would have to be
// sorted; what is left to do is to put the segments one after the other, and where their
// times overlap, an actor's rows are sorted. Any other input is read as rows, grouped and
// sorted by actor and time (rows.go), and looks the same to the kernels.
//
// What only asks in which buckets an actor has rows is answered from day masks, and no times are
// read, where buckets and bounds lie on UTC days and no condition is on rows (days.go). RETENTION
// and LIFECYCLE turn the masks of 64 actors round, so that a word has all of them on one day, and
// ask them together (planes.go). RETENTION has to know besides which of two rows of one day was
// first: it asks the order of rows where START is every row (sameday.go), and reads rows of those
// actors alone for whom that is open. Which conditions are: what reads nothing but the event's name
// is decided once for a range, and so is what reads properties that the range does not carry;
// bounds of the time are decided once for each segment that they do not lie in; what reads nothing
// but what persons have is decided once for each, and marks the runs to be passed over. Conditions
// and breakdowns over one column are evaluated once for each value in its dictionary (bycode.go),
// and noted once for each of its runs where it is kept as runs, as what is constant through a
// session is (evaluate.go). Breakdown values stay such stretches of rows until each row's is asked
// for, which counts of rows and of persons by value do not; where they are none, these counts read
// them as they go.
//
// Merged persons are handled where lists are made:
// the runs of an ordinal that is not its own root are moved to the root's list. What needs
// more of a row than its time, its breakdown value and one number, as the MEASURE of
// RETENTION does, reads rows.
//
// An operator has one plan node, one scan and two matchers, which see the same lists. The
// one follows the definitions of SQL's operators: walk_funnel.go, walk_retention.go,
// trends.go, walk_paths.go. The other is for COMPATIBLE, and follows the rules of the
// insights, whose answers people know: compat_funnel.go, compat_retention.go,
// trends_compatible.go. PATHS differs in few rules, and has one matcher that asks the node
// which hold; LIFECYCLE and STICKINESS have the same rules either way.
//
// # Funnels
//
// An actor's entries are taken in the order of its rows, and each has one attempt: the chain
// that reaches furthest, of those the one with the smallest times from left to right, and of
// those the one with the first rows. Whatever way a chain is looked for, none is lost to an
// earlier choice. Which way depends on the clauses:
//
//   - Steps none of whose rows is in two lists, ordered ones with no clauses but exclusions, or
//     MODE UNORDERED with none: the lists of the index as they are, each walked once for all
//     entries (funnel_index.go). If how far actors come is all that is asked for, there are no
//     lists: the latest entry before a row of a step is looked up (funnel_latest.go), but for actors
//     with rows of several breakdown values.
//   - Ordered steps: the earliest event for each, and in a group of rows of one time a matching
//     of steps to rows (greedyChains).
//   - Ordered steps of which some are OPTIONAL or have a WITHIN of their own: forwards to find
//     how far, backwards to find from where, and then the chain (searchChains).
//   - MODE STRICT: rows that are neighbours in order of time and uuid (strictChains). They
//     come from a sweep of all rows of those actors who have a step, with marks that say
//     which steps a row is; of rows in a line that are none, the first and the last will do.
//     Without other clauses the marks are compared as they come (neighbours). Where no
//     value is asked for, the sweep only makes rows of those that have marks, and one after
//     them for all that have none (fillSparse).
//   - MODE UNORDERED: as many steps as can be given different rows in the window, the earliest
//     such rows, and of the steps first those that are not OPTIONAL (unorderedChains).
//
// How far actors can come is known before, where no step is OPTIONAL: one without a row of a step
// does none of those after it (reach.go). The lists have the rows of those actors alone who may
// do the step, and who can do no step but one are counted and have no rows, if their number is
// all that is asked for. Columns of the answer that nobody reads are not made, and a condition
// that asks for actors who converted is the funnel's own.
//
// OUTPUT ACTORS without a breakdown hands out attempts as they are found: the copies of the pipeline
// above take one block of actors after the other (actor_blocks.go). All attempts of an actor are
// in one batch, so an aggregate by actor is done with a batch when it has seen it
// (actor_groups.go).
//
// Some points could go either way and are settled so. A step left out counts as later than any time, so
// that an optional step is done if the attempt comes as far with it. An attempt has converted
// when it did all steps that are not optional, and only one that has not is dropped at its
// last step. The step before, for conversion_step and times, is the one before that is not
// optional. In MODE UNORDERED the rows of OUTPUT STEPS count those that did so many steps,
// whichever; in OUTPUT ACTORS times and last_step are those of the steps by name. ENTRY EVERY
// begins the next attempt after the last event of one that has converted, and after the
// window of one that has not. An exclusion with a step that the chain does not have does not
// apply; several are judged on the same chain, and DROP keeps the steps before the first
// excluded event. With HOLDING an exclusion may hold anything. ATTRIBUTE EACH sees only the
// rows of one value, those of exclusions and neighbours too.
//
// # Deleted rows
//
// A scan selects the rows that are not dead. A range with dead rows answers through its run
// index with a condition on rows, never from day masks, bitmaps or bounds; ranges without
// are not slower. If rows of a segment belong to others than its runs say, since a person
// was split, the operator reads rows.
package exec
