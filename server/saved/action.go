package saved

import "strconv"

// CheckAction checks the body of an action.
func CheckAction(b Body) error {
	if err := checkCommon(b, true); err != nil {
		return err
	}
	var steps []Body
	if err := b.read("steps", "steps", "a list of objects", &steps); err != nil {
		return err
	}
	if len(steps) > maxParts {
		return wrong("steps", "steps has %d steps; at most %d are possible", len(steps), maxParts)
	}
	for i, s := range steps {
		path := "steps." + strconv.Itoa(i)
		if s == nil {
			return wrong(path, "%s is an object", path)
		}
		if err := checkStep(s, path); err != nil {
			return err
		}
	}
	return nil
}

func checkStep(s Body, path string) error {
	for _, name := range []string{"event", "selector", "tag_name", "text", "href", "url"} {
		var text string
		if err := s.read(name, path+"."+name, "a text", &text); err != nil {
			return err
		}
	}
	for _, name := range []string{"text", "href", "url"} {
		matching := name + "_matching"
		if err := s.checkChoice(matching, path+"."+matching, "exact", "contains", "regex"); err != nil {
			return err
		}
		if s.Text(matching) == "regex" {
			if err := checkPattern(s.Text(name), path+"."+name); err != nil {
				return err
			}
		}
	}
	return checkFilters(s["properties"], path+".properties")
}
