package ask

import (
	"context"
	"encoding/json"
	"time"

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/server/session"
	"github.com/prickledb/prickle/sql/insight"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/object"
)

// Cohort is the definition of a saved cohort as SQL that may stand behind IN COHORT, by its
// name or, if that is empty, by its number. It is session.Config's Cohort.
func Cohort(ctx context.Context, pin session.Pin, at *expr.Context, name string, id int64) (definition string, ok bool, err error) {
	snapshot, ok := pin.(*storage.Snapshot)
	if !ok {
		return "", false, nil
	}
	if name != "" {
		if id, ok = cohortByName(snapshot, name); !ok {
			return "", false, nil
		}
	}
	zone := at.Location
	if zone == nil {
		zone = time.UTC
	}
	p := &project{snapshot: snapshot, zone: zone}
	if _, ok := p.Cohort(id); !ok {
		return "", false, nil
	}
	definition, err = insight.CohortSQL(ctx, p, time.UnixMicro(at.Now).UTC(), id)
	if err != nil {
		err = pgerr.New(pgerr.InvalidParameterValue, "cohort %d cannot be computed: %v", id, err)
	}
	return definition, err == nil, err
}

// cohortByName finds the cohort of a name, the oldest if several have it.
func cohortByName(snapshot *storage.Snapshot, name string) (int64, bool) {
	for _, o := range snapshot.Objects().List(object.Cohort) {
		var body struct {
			Name    string `json:"name"`
			Deleted bool   `json:"deleted"`
		}
		if json.Unmarshal(o.Body, &body) == nil && body.Name == name && !body.Deleted {
			return o.ID, true
		}
	}
	return 0, false
}
