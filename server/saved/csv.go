package saved

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// idHeaders are the names of columns that hold the ids of persons, the best first.
var idHeaders = []string{"distinct_id", "distinct_ids", "distinct id", "person_id", "person_uuid", "uuid", "user_id", "id"}

// ReadIDs reads the ids of persons from CSV: from the column that a first line names
// distinct_id or similar, or else from the first. Each is given once.
func ReadIDs(r io.Reader) ([]string, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1
	c.LazyQuotes = true
	c.TrimLeadingSpace = true
	c.ReuseRecord = true
	var out []string
	seen := map[string]bool{}
	var bad *csv.ParseError
	column := 0
	for first := true; ; first = false {
		record, err := c.Read()
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case errors.As(err, &bad):
			return nil, &Problem{"csv", "invalid_input", fmt.Sprintf("the CSV cannot be read: %v", err)}
		case err != nil:
			return nil, err
		}
		if first {
			record[0] = string(bytes.TrimPrefix([]byte(record[0]), []byte("\ufeff")))
			if at := idColumn(record); at >= 0 {
				column = at
				continue
			}
		}
		if column >= len(record) {
			continue
		}
		if id := strings.TrimSpace(record[column]); id != "" && !seen[id] {
			id = strings.Clone(id) // the record is one string
			seen[id] = true
			out = append(out, id)
		}
	}
}

// idColumn is which column of a header holds ids; -1 if the record is no header.
func idColumn(record []string) int {
	for _, name := range idHeaders {
		if at := slices.IndexFunc(record, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) }); at >= 0 {
			return at
		}
	}
	return -1
}
