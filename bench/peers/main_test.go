package main

import (
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    options
		want string // names of suites, or an error
	}{
		{options{events: 1_000_000, suites: "product,hits,tpch,ingest"}, "product 1000000 32, hits 1000000 43, tpch 600000 22, ingest 1000000 0"},
		{options{events: 50_000_000, suites: "ingest,hits", hitsRows: 7}, "ingest 1000000 0, hits 7 43"},
		{options{events: 20_000, suites: "product", only: "T1,Q6,H3"}, "product 20000 2"},
		{options{events: 1000, suites: "product"}, "-events is 1000; with fewer than 20000 some days have no page view, and the peers no rows for those"},
		{options{events: 20_000, suites: "products"}, `there is no suite "products"; there are product, hits, tpch and ingest`},
	} {
		list, err := c.o.suiteList()
		got := ""
		for _, s := range list {
			got += ", " + s.name + " " + strings.ReplaceAll(grouped(s.rows), ",", "") + " " + grouped(uint64(len(s.questions)))
		}
		if got = strings.TrimPrefix(got, ", "); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c.o, got, c.want)
		}
	}
	if n := len(productQuestions); n != 32 {
		t.Errorf("choosing questions left %d of 32 for others", n)
	}
	for list, want := range map[string]int{"2": 1, "1,2": 2, "0": 0, "two": 0, "": 0} {
		if got, err := numbers(list); len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("-threads %q: %v, %v", list, got, err)
		}
	}
}
