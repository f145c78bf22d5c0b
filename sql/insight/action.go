package insight

import (
	"encoding/json"
	"fmt"

	"github.com/prickledb/prickle/sql/ast"
)

// actionStep is one way in which an event can match an action.
type actionStep struct {
	Event      *string         `json:"event"`
	TagName    *string         `json:"tag_name"`
	Text       *string         `json:"text"`
	TextHow    string          `json:"text_matching"`
	Href       *string         `json:"href"`
	HrefHow    string          `json:"href_matching"`
	Selector   *string         `json:"selector"`
	URL        *string         `json:"url"`
	URLHow     string          `json:"url_matching"`
	Properties json.RawMessage `json:"properties"`
}

// action is whether an event matches one of an action's steps; nil: every event does.
func (c *compiler) action(a *Action, attr string) (ast.Expr, error) {
	var steps []actionStep
	if !isNone(a.Steps) {
		if err := decode(a.Steps, &steps); err != nil {
			return nil, err
		}
	}
	if len(steps) == 0 {
		return nil, nil
	}
	var conds []ast.Expr
	for i := range steps {
		cond, err := c.actionStep(&steps[i], fmt.Sprintf("%s: step %d of the action %q", attr, i+1, a.Name))
		if err != nil {
			return nil, err
		}
		conds = append(conds, cond)
	}
	return or(conds...), nil
}

func given(s *string) bool { return s != nil && *s != "" }

func (c *compiler) actionStep(s *actionStep, attr string) (ast.Expr, error) {
	var conds []ast.Expr
	if given(s.Event) {
		conds = append(conds, equal(c.row("event"), text(*s.Event)))
	}
	if given(s.Event) && *s.Event == "$autocapture" {
		for _, part := range []struct {
			what  string
			value *string
			how   string
		}{{"tag_name", s.TagName, "exact"}, {"text", s.Text, s.TextHow}, {"href", s.Href, s.HrefHow}} {
			if !given(part.value) {
				continue
			}
			op, err := matching(part.how, "exact", *part.value, attr)
			if err != nil {
				return nil, err
			}
			conds = append(conds, orElse(call("elements_match", c.row("elements_chain"), text(part.what), text(op), text(*part.value)), boolean(false)))
		}
		if given(s.Selector) {
			cond, err := c.selected(*s.Selector, attr)
			if err != nil {
				return nil, err
			}
			conds = append(conds, cond)
		}
	}
	if given(s.URL) {
		url := c.row("properties", "$current_url")
		how, err := matching(s.URLHow, "contains", *s.URL, attr)
		if err != nil {
			return nil, err
		}
		var cond ast.Expr
		switch how {
		case "exact":
			cond = equal(url, text(*s.URL))
		case "regex":
			cond = binary("~", url, text(*s.URL))
		default:
			cond = &ast.Like{X: url, Pattern: text("%" + *s.URL + "%")}
		}
		conds = append(conds, orElse(cond, boolean(false)))
	}
	props, err := c.filters(s.Properties, attr)
	if err != nil {
		return nil, err
	}
	return and(append(conds, props)...), nil
}

// matching is how a text of a step is compared.
func matching(how, usual, value, attr string) (string, error) {
	switch how {
	case "":
		return usual, nil
	case "exact", "contains":
		return how, nil
	case "regex":
		return how, checkRegex(value, attr)
	}
	return "", refuse(attr, "unknown matching %q; there are exact, contains and regex", how)
}
