// Package elements reads and writes chains of page elements: what was clicked, and what it
// lies in, outwards. An event keeps its chain as one text, $elements_chain:
//
//	a.big.cta:attr__id="docs"attr_id="docs"href="/docs"nth-child="1"text="Docs";div.menu:nth-child="2"
//
// Elements are separated by semicolons. Each is its tag, its classes in order, each behind a
// point, and behind a colon its attributes in the order of their names. In a value, a quote and a
// backslash stand behind a backslash. [Format] writes that, and [Parse] reads it back; it
// also reads attributes in another order, as other programs write them.
package elements
