package api

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/prickledb/prickle/server/saved"
	"github.com/prickledb/prickle/storage/object"
)

// addTiles puts the tiles of a dashboard beside it, with their insights, whose answers are
// under the dashboard's filters. All of them are of one state and one instant. A tile whose
// insight was deleted is left out.
func (s *Server) addTiles(c *savedCall, out map[string]any, b saved.Body, results bool) error {
	var filters saved.Body
	_ = json.Unmarshal(b["filters"], &filters) // none then
	over, err := c.filtersOverride()
	if err != nil {
		return err
	}
	t := s.Saved.Objects(c.project.ID)
	insights := *c
	insights.kind = saved.Insights
	now, token := time.Now(), ""
	on := s.onDashboards(c.project.ID)
	tiles := []any{}
	for _, tile := range b.Tiles() {
		shown := map[string]any{"id": tile.ID, "layouts": json.RawMessage("{}"), "color": tile.Color, "insight": nil, "text": tile.Text}
		if len(tile.Layouts) > 0 {
			shown["layouts"] = tile.Layouts
		}
		if tile.Insight != 0 {
			o := t.Get(object.Insight, tile.Insight)
			if o == nil {
				continue
			}
			body := saved.Read(o)
			if body.Deleted() {
				continue
			}
			one := s.show(&insights, o, body)
			one["dashboards"] = on.of(o.ID)
			if results {
				query := saved.Filter(body["query"], filters)
				if over != nil {
					query = saved.Filter(query, over)
				}
				if token, err = s.addResultAt(c, one, query, token, now); err != nil {
					return err
				}
			}
			shown["insight"] = one
		}
		tiles = append(tiles, shown)
	}
	out["tiles"] = tiles
	return nil
}

// putOnDashboards puts an insight on the dashboards of a list, and takes it off all others.
func (s *Server) putOnDashboards(c *savedCall, insight int64, want []int64) error {
	for try := 0; ; try++ {
		t := s.Saved.Objects(c.project.ID)
		var edits []object.Edit
		for _, o := range t.List(object.Dashboard) {
			b := saved.Read(o)
			tiles := b.Tiles()
			is := func(t saved.Tile) bool { return t.Insight == insight }
			has, wanted := slices.ContainsFunc(tiles, is), slices.Contains(want, o.ID)
			switch {
			case has == wanted || b.Deleted():
				continue
			case has:
				tiles = slices.DeleteFunc(tiles, is)
			default:
				var err error
				in := json.RawMessage(`[{"insight":` + strconv.FormatInt(insight, 10) + `}]`)
				if tiles, err = saved.PatchTiles(tiles, in, func(int64) bool { return true }); err != nil {
					return err
				}
			}
			b.SetTiles(tiles)
			if err := saved.CheckDashboard(b); err != nil {
				return err
			}
			edits = append(edits, object.Edit{Kind: object.Dashboard, ID: o.ID, Body: b.JSON(), Version: o.Version})
		}
		if len(edits) == 0 {
			return nil
		}
		_, _, err := s.Saved.EditObjects(c.Context(), c.project.ID, edits)
		var conflict *object.ConflictError
		if !errors.As(err, &conflict) || try == maxTries {
			return err
		}
	}
}

// dashboardsIn reads an insight's dashboards, all of which there must be.
func dashboardsIn(t *object.Table, in saved.Body) ([]int64, error) {
	if !in.Has("dashboards") {
		return nil, nil
	}
	var want []int64
	if err := json.Unmarshal(in["dashboards"], &want); err != nil {
		return nil, invalid("invalid_input", "dashboards", "dashboards is a list of numbers of dashboards")
	}
	for _, id := range want {
		if o := t.Get(object.Dashboard, id); o == nil || saved.Read(o).Deleted() {
			return nil, invalid("invalid_input", "dashboards", "there is no dashboard "+strconv.FormatInt(id, 10))
		}
	}
	return want, nil
}
