package pgcatalog

import (
	"github.com/prickledb/prickle/engine/catalog"
	"github.com/prickledb/prickle/storage/vec"
)

// keywordTable is what pg_get_keywords() gives. It is no table that a statement can name.
const keywordTable = "pg_catalog.pg_get_keywords"

// categories are what the categories of key words are called, and whether one may be a label
// without AS.
var categories = map[string]string{
	"U": "unreserved", "C": "unreserved (cannot be function or type name)", "T": "reserved (can be function or type name)", "R": "reserved",
}

var keywordRelation = &relation{
	Table: &catalog.Table{Name: "pg_get_keywords", System: "pg_catalog", Columns: []catalog.Column{{Name: "word", Type: vec.T(vec.Text)},
		{Name: "catcode", Type: vec.T(vec.Char)}, {Name: "barelabel", Type: vec.T(vec.Bool)}, {Name: "catdesc", Type: vec.T(vec.Text)}, {Name: "baredesc", Type: vec.T(vec.Text)}}},
	notNull: make([]bool, 5), at: map[string]int{"word": 0, "catcode": 1, "barelabel": 2, "catdesc": 3, "baredesc": 4},
}

func keywords() {
	statics[keywordTable] = func(t *table) {
		for _, k := range rows("keywords.tsv") {
			bare := "requires AS"
			if k["barelabel"] == "t" {
				bare = "can be bare label"
			}
			t.add("word", k["word"], "catcode", k["catcode"], "barelabel", k["barelabel"], "catdesc", categories[k["catcode"]], "baredesc", bare)
		}
	}
}
