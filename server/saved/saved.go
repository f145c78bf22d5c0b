package saved

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxName is how many bytes a name may have.
	maxName = 400
	// maxDepth bounds groups of filters inside each other.
	maxDepth = 20
	// maxParts bounds the steps of an action and the filters of a cohort.
	maxParts = 1000
	// maxText is how many bytes a description or a text on a dashboard may have.
	maxText = 64 << 10
	// maxTags and maxTiles bound lists.
	maxTags  = 100
	maxTiles = 200
)

// Problem is what is wrong with a body, and where.
type Problem struct {
	Attr   string // the member that is wrong
	Code   string // required or invalid_input
	Detail string
}

func (p *Problem) Error() string { return p.Detail }

func wrong(attr, format string, args ...any) *Problem {
	return &Problem{attr, "invalid_input", fmt.Sprintf(format, args...)}
}

func required(attr, detail string) *Problem { return &Problem{attr, "required", detail} }

// Body is an object as it was sent.
type Body map[string]json.RawMessage

// JSON is the body as text.
func (b Body) JSON() json.RawMessage {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		panic(err) // its members were read from JSON
	}
	return bytes.TrimSpace(out.Bytes())
}

// Has says whether there is a member that is not null.
func (b Body) Has(name string) bool { return len(b[name]) > 0 && string(b[name]) != "null" }

// Text is a member that is a text, "" if there is none or it is something else.
func (b Body) Text(name string) string {
	var s string
	_ = json.Unmarshal(b[name], &s) // "" then
	return s
}

// SetText makes a text a member.
func (b Body) SetText(name, value string) {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err) // texts always marshal
	}
	b[name] = raw
}

// read reads a member, if it is there and not null, or says what it should be.
func (b Body) read(name, path, want string, into any) error {
	if !b.Has(name) {
		return nil
	}
	if err := json.Unmarshal(b[name], into); err != nil {
		return wrong(path, "%s is %s", path, want)
	}
	return nil
}

// checkName checks a member that is a short text.
func (b Body) checkName(name string, needed bool) error {
	var text string
	if err := b.read(name, name, "a text", &text); err != nil {
		return err
	}
	switch {
	case needed && strings.TrimSpace(text) == "":
		return required(name, name+" is missing or empty")
	case len(text) > maxName:
		return wrong(name, "%s is at most %d bytes long", name, maxName)
	}
	return nil
}

// checkChoice checks a text that is one of some.
func (b Body) checkChoice(name, path string, choices ...string) error {
	var text string
	if err := b.read(name, path, "a text", &text); err != nil || !b.Has(name) {
		return err
	}
	if !slices.Contains(choices, text) {
		return wrong(path, "%s is %q; it may be %s", path, text, strings.Join(choices, ", "))
	}
	return nil
}

// checkFilters checks a list of property filters, or a group of them.
func checkFilters(raw json.RawMessage, path string) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var list []Body
	if json.Unmarshal(raw, &list) == nil {
		return nil
	}
	var group Body
	if json.Unmarshal(raw, &group) != nil {
		return wrong(path, "%s is a list of property filters, or a group of them", path)
	}
	return checkGroup(group, path, 0, func(Body, string) error { return nil })
}

// checkGroup checks a group of filters, and each filter in it by leaf.
func checkGroup(group Body, path string, depth int, leaf func(f Body, path string) error) error {
	if depth > maxDepth {
		return wrong(path, "groups of filters lie more than %d deep inside each other", maxDepth)
	}
	if err := group.checkChoice("type", path+".type", "AND", "OR"); err != nil {
		return err
	}
	var values []Body
	if err := group.read("values", path+".values", "a list of filters and groups of them", &values); err != nil {
		return err
	}
	if len(values) > maxParts {
		return wrong(path, "%s has %d filters; at most %d are possible", path, len(values), maxParts)
	}
	for i, v := range values {
		at := path + ".values." + strconv.Itoa(i)
		var err error
		switch {
		case v == nil:
			err = wrong(at, "%s is a filter or a group of them", at)
		case v["values"] != nil:
			err = checkGroup(v, at, depth+1, leaf)
		default:
			err = leaf(v, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkPattern checks a regular expression.
func checkPattern(pattern, path string) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return wrong(path, "%s is no regular expression: %v", path, err)
	}
	return nil
}
