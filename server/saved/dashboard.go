package saved

import (
	"encoding/json"
	"strconv"
)

// Tile is one field of a dashboard: an insight or a text.
type Tile struct {
	ID      int64           `json:"id"` // its own on the dashboard
	Insight int64           `json:"insight,omitempty"`
	Text    *Text           `json:"text,omitempty"`
	Layouts json.RawMessage `json:"layouts,omitempty"` // by the width of the page: {"sm": {"x", "y", "w", "h"}}
	Color   string          `json:"color,omitempty"`
}

// Text is a tile in Markdown.
type Text struct {
	Body string `json:"body"`
}

// CheckDashboard checks the body of a dashboard.
func CheckDashboard(b Body) error {
	if err := checkCommon(b, true); err != nil {
		return err
	}
	if err := b.checkFlag("pinned"); err != nil {
		return err
	}
	if len(b.Tiles()) > maxTiles {
		return wrong("tiles", "a dashboard has at most %d tiles", maxTiles)
	}
	var filters Body
	if err := b.read("filters", "filters", "an object", &filters); err != nil {
		return err
	}
	return CheckFilters(filters, "filters")
}

// CheckFilters checks the filters of a dashboard; path is where they are.
func CheckFilters(f Body, path string) error {
	for _, name := range []string{"date_from", "date_to"} {
		var text string
		if err := f.read(name, path+"."+name, "a text", &text); err != nil {
			return err
		}
	}
	var explicit bool
	if err := f.read("explicitDate", path+".explicitDate", "true or false", &explicit); err != nil {
		return err
	}
	if err := checkFilters(f["properties"], path+".properties"); err != nil {
		return err
	}
	var breakdown Body
	return f.read("breakdown_filter", path+".breakdown_filter", "an object", &breakdown)
}

// Tiles is the tiles of a dashboard.
func (b Body) Tiles() (tiles []Tile) {
	_ = json.Unmarshal(b["tiles"], &tiles) // what cannot be read is none
	return tiles
}

// SetTiles makes tiles those of a dashboard.
func (b Body) SetTiles(tiles []Tile) {
	raw, err := json.Marshal(tiles)
	if err != nil {
		panic(err) // layouts were read from JSON
	}
	b["tiles"] = raw
}

// PatchTiles changes tiles by a list. One with the id of a tile changes its members, and
// with "deleted" takes it out; one without id is a new tile. Tiles that are not in the list
// stay as they are. has says whether there is an insight.
func PatchTiles(tiles []Tile, raw json.RawMessage, has func(insight int64) bool) ([]Tile, error) {
	var list []Body
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, wrong("tiles", "tiles is a list of objects")
	}
	last := int64(0)
	for _, t := range tiles {
		last = max(last, t.ID)
	}
	for i, in := range list {
		path := "tiles." + strconv.Itoa(i)
		if in == nil {
			return nil, wrong(path, "%s is an object", path)
		}
		at := len(tiles)
		if id := in.Number("id"); id > 0 {
			for at = 0; at < len(tiles) && tiles[at].ID != id; at++ {
			}
			if at == len(tiles) {
				return nil, wrong(path+".id", "the dashboard has no tile %d", id)
			}
		}
		if in.Deleted() {
			if at < len(tiles) {
				tiles = append(tiles[:at:at], tiles[at+1:]...)
			}
			continue
		}
		if at == len(tiles) {
			last++
			tiles = append(tiles[:at:at], Tile{ID: last})
		}
		if err := tiles[at].patch(in, path, has); err != nil {
			return nil, err
		}
	}
	return tiles, nil
}

func (t *Tile) patch(in Body, path string, has func(int64) bool) error {
	if id := in.insight(); id != 0 {
		if !has(id) {
			return wrong(path+".insight", "there is no insight %d", id)
		}
		t.Insight, t.Text = id, nil
	}
	if in.Has("text") {
		text := Text{Body: in.Text("text")}
		if text.Body == "" {
			if err := in.read("text", path+".text", `a text, or {"body": …}`, &text); err != nil {
				return err
			}
		}
		if len(text.Body) > maxText {
			return wrong(path+".text", "a text is at most %d bytes long", maxText)
		}
		t.Insight, t.Text = 0, &text
	}
	if t.Insight == 0 && t.Text == nil {
		return required(path+".insight", "a tile needs an insight, which is its number, or a text")
	}
	var layouts map[string]map[string]any
	if err := in.read("layouts", path+".layouts", `an object such as {"sm": {"x": 0, "y": 0, "w": 6, "h": 5}}`, &layouts); err != nil {
		return err
	}
	if in.Has("layouts") {
		t.Layouts = in["layouts"]
	}
	return in.read("color", path+".color", "a text", &t.Color)
}

// insight is the number of a tile's insight, given as it is or as the insight itself; 0 if
// there is none.
func (b Body) insight() int64 {
	for _, name := range []string{"insight", "insight_id"} {
		if id := b.Number(name); id != 0 {
			return id
		}
	}
	var inner Body
	_ = json.Unmarshal(b["insight"], &inner) // then there is none
	return inner.Number("id")
}
