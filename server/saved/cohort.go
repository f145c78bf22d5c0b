package saved

// The values of a filter of type "behavioral".
var behaviors = []string{"performed_event", "performed_event_first_time", "performed_event_multiple", "performed_event_regularly",
	"performed_event_sequence", "stopped_performing_event", "restarted_performing_event"}

// CheckCohort checks the body of a cohort.
func CheckCohort(b Body) error {
	if err := checkCommon(b, true); err != nil {
		return err
	}
	if err := checkQuery(b, false); err != nil {
		return err
	}
	if err := checkSQL(b); err != nil {
		return err
	}
	var static bool
	if err := b.read("is_static", "is_static", "true or false", &static); err != nil {
		return err
	}
	var filters Body
	if err := b.read("filters", "filters", "an object", &filters); err != nil {
		return err
	}
	if filters.Has("properties") {
		var group Body
		if err := filters.read("properties", "filters.properties", "a group of filters", &group); err != nil {
			return err
		}
		if err := checkGroup(group, "filters.properties", 0, checkLeaf); err != nil {
			return err
		}
	}
	var groups []Body
	if err := b.read("groups", "groups", "a list of objects", &groups); err != nil {
		return err
	}
	if !static && !filters.Has("properties") && len(groups) == 0 && !b.Has("query") && !b.Has("sql") {
		return required("filters", "a cohort that is not static needs filters.properties, the query of an insight, or sql")
	}
	return nil
}

// checkLeaf checks one filter of a cohort.
func checkLeaf(f Body, path string) error {
	if err := f.checkChoice("type", path+".type", "person", "cohort", "static-cohort", "precalculated-cohort", "behavioral"); err != nil {
		return err
	}
	switch f.Text("type") {
	case "behavioral":
		if !f.Has("value") {
			return required(path+".value", path+".value says what was done, such as performed_event")
		}
		if err := f.checkChoice("value", path+".value", behaviors...); err != nil {
			return err
		}
		if err := f.checkChoice("event_type", path+".event_type", "events", "actions"); err != nil {
			return err
		}
		if !f.Has("key") {
			return required(path+".key", path+".key names the event or action")
		}
		return checkFilters(f["event_filters"], path+".event_filters")
	case "cohort", "static-cohort", "precalculated-cohort":
		if len(numbers(f["value"])) == 0 {
			return wrong(path+".value", "%s.value is the number of a cohort", path)
		}
	}
	return nil
}
