package saved

import (
	"encoding/json"
	"time"
)

// CheckAnnotation checks the body of an annotation, and writes its instant in UTC.
func CheckAnnotation(b Body) error {
	var content, emoji string
	if err := b.read("content", "content", "a text", &content); err != nil {
		return err
	}
	if err := b.read("emoji", "emoji", "a text", &emoji); err != nil {
		return err
	}
	switch {
	case content == "" && emoji == "":
		return required("content", "an annotation needs content, or an emoji")
	case len(content) > maxText || len(emoji) > maxName:
		return wrong("content", "content is at most %d bytes long, and emoji %d", maxText, maxName)
	}
	if err := b.checkChoice("scope", "scope", "dashboard_item", "dashboard", "project", "organization"); err != nil {
		return err
	}
	for scope, member := range map[string]string{"dashboard_item": "dashboard_item", "dashboard": "dashboard_id"} {
		switch {
		case b.Has(member) && b.Number(member) == 0:
			return wrong(member, "%s is a number", member)
		case b.Text("scope") == scope && !b.Has(member):
			return required(member, "an annotation of the scope "+scope+" needs "+member)
		}
	}
	at, err := Instant(b.Text("date_marker"), "date_marker")
	if err != nil {
		return err
	}
	b["date_marker"], err = json.Marshal(at.UTC().Format(time.RFC3339Nano))
	if err != nil {
		return wrong("date_marker", "date_marker cannot be written: %v", err)
	}
	return checkCommon(b, false)
}

// Instant reads a time; attr is the member that it is. One without an offset is in UTC.
func Instant(text, attr string) (time.Time, error) {
	if text == "" {
		return time.Time{}, required(attr, attr+" is when it was, such as 2026-01-31T12:00:00Z")
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, wrong(attr, "%s cannot be read as a time: %.100q", attr, text)
}
