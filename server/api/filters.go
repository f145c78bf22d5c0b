package api

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"

	"github.com/prickledb/prickle/storage"
)

const (
	// maxFilters bounds the filters of a project's test accounts, and the rules for its paths.
	maxFilters = 200
	// maxFiltersBytes bounds the text of either.
	maxFiltersBytes = 64 << 10
)

// projectFilters are the settings of a project that insights read. What is nil is not given.
type projectFilters struct {
	TestAccount  json.RawMessage         `json:"test_account_filters"`
	PathCleaning *[]storage.PathCleaning `json:"path_cleaning_filters"`
}

// check holds them against the rules.
func (f *projectFilters) check() error {
	if string(f.TestAccount) == "null" {
		f.TestAccount = json.RawMessage("[]")
	}
	if f.TestAccount != nil {
		var list []map[string]json.RawMessage
		if err := json.Unmarshal(f.TestAccount, &list); err != nil {
			return invalid("invalid_input", "test_account_filters", "test_account_filters is a list of property filters, which are objects")
		}
		if len(list) > maxFilters || len(f.TestAccount) > maxFiltersBytes {
			return invalid("invalid_input", "test_account_filters",
				fmt.Sprintf("test_account_filters are at most %d filters of %d kB together", maxFilters, maxFiltersBytes>>10))
		}
	}
	if f.PathCleaning == nil {
		return nil
	}
	size := 0
	for i, rule := range *f.PathCleaning {
		attr := "path_cleaning_filters." + strconv.Itoa(i) + ".regex"
		if rule.Regex == "" {
			return invalid("required", attr, "a rule for paths needs a regex")
		}
		if _, err := regexp.Compile(rule.Regex); err != nil {
			return invalid("invalid_input", attr, "regex is no regular expression: "+err.Error())
		}
		size += len(rule.Regex) + len(rule.Alias)
	}
	if len(*f.PathCleaning) > maxFilters || size > maxFiltersBytes {
		return invalid("invalid_input", "path_cleaning_filters",
			fmt.Sprintf("path_cleaning_filters are at most %d rules of %d kB together", maxFilters, maxFiltersBytes>>10))
	}
	return nil
}
