# prickle: `make` lists the targets.

SHELL   := /bin/bash
GO      ?= go
VERSION := 0.1.0
COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
# Tests of protocols and dialects that come from public suites are found through this.
export PRICKLE_CONFORMANCE ?=

# Tests wait for disks, too, so one package more than there are processors is tested at a time. What go
# vet has seen is not vetted again.
GOTEST := $(GO) test -vet=off -p $(shell echo $$((1 + $$(getconf _NPROCESSORS_ONLN))))

.PHONY: help build run test test-simd race lint fuzz bench bench-peers bench-guard bench-scale golden crash sabotage sim faults flips insights differ meta soak clients

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The kernels for wide registers are an experiment of Go's; EXPERIMENT= builds without them.
EXPERIMENT ?= simd

build: ## build ./prickle
	CGO_ENABLED=0 GOEXPERIMENT=$(EXPERIMENT) $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o prickle ./cmd/prickle

run: build ## build and serve with sample data
	./prickle serve --demo

test: ## vet and run all tests, six minutes on two cores the first time
	@$(GO) vet ./...
	@$(GOTEST) $(GOTESTFLAGS) ./...

# The kernels are in three packages; what computes with them is tested with them, built as ./prickle is.
test-simd: ## the tests of what computes, with the SIMD kernels built in, without the longest
	GOEXPERIMENT=simd $(GO) vet ./storage/encoding ./storage/event ./engine/expr
	CGO_ENABLED=0 GOEXPERIMENT=simd $(GOTEST) -trimpath -short ./storage/encoding ./storage/event ./storage/segment \
	  ./storage/table ./engine/expr ./engine/exec ./sql/logictest ./server ./server/capture

# Only goroutines race: their packages are those that start some, or guard what these share.
race: ## run the unit tests of what goroutines share with the race detector
	$(GOTEST) -race -short $$(for d in $$($(GO) list -f '{{.Dir}}' ./...); do grep -qE '^\s*go (func|\w)|"sync(/atomic)?"' $$d/*.go && echo $$d; done)

lint: ## formatting, vet, imports that point down, modules without a reason
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not formatted: $$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) test -run 'TestImportsPointDown|TestDataFilesGoThroughVFS|TestEveryPackageSaysWhatItIsFor|TestDependenciesHaveReasons' ./cmd/prickle

FUZZTIME ?= 20s
fuzz: ## run every fuzz target for FUZZTIME (default 20s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $$pkg; done; done

bench: build ## measure this machine with made-up data
	./prickle bench --quick

PEERS ?=
bench-peers: ## ask ClickHouse and DuckDB the same (PEERS='-events 10000000 -dir /scratch …'), and write a report
	$(GO) run ./bench/peers $(PEERS)

BASE  ?= HEAD~1
GUARD ?=
bench-guard: ## compare this commit with BASE (default HEAD~1) by instructions and times; fails where one is too much
	$(GO) run ./bench/peers guard -base $(BASE) $(GUARD)

SCALE ?=
bench-scale: ## ask more and more events the same, and events of other shapes (SCALE='-sizes 1000000,10000000,100000000 …')
	$(GO) run ./bench/peers scale $(SCALE)

golden: ## write the expected outputs of text cases anew; review the diff
	$(GO) test -count=1 $$(grep -rl --include='*.go' 'cockroachdb/datadriven' . | xargs -n1 dirname | sort -u) -args -rewrite

KILLS ?= 50
crash: ## kill the server KILLS times (default 50) during an import and look for lost or doubled rows
	PRICKLE_KILLS=$(KILLS) $(GO) test -count=1 -v -timeout 0 -run 'Kill' ./cluster ./cmd/prickle

CYCLES ?= 20000
sim: ## lose power CYCLES times (default 20000) in the middle of writes, of the log alone and of the whole node
	PRICKLE_CYCLES=$(CYCLES) $(GO) test -count=1 -v -timeout 0 -run '^(TestCycles|TestCrash)$$' ./cluster ./cluster/raftlog

FAULTS ?= all
faults: ## fail every operation of the file system in two fixed workloads (FAULTS=n: so many of them)
	PRICKLE_FAULTS=$(FAULTS) $(GO) test -count=1 -v -timeout 0 -run '^TestFaults$$' ./cluster

INSIGHTS ?= 10000
insights: ## ask INSIGHTS random questions (default 10000) about random events, and a slow model the same
	PRICKLE_INSIGHTS=$(INSIGHTS) $(GO) test -count=1 -v -timeout 0 -run '^TestRandom(Insights|Cells)$$' ./server

DIFFER ?= 10000
differ: ## ask DIFFER random queries (default 10000), and the PostgreSQL 15 at PRICKLE_POSTGRES the same
	PRICKLE_DIFFER=$(DIFFER) $(GO) test -count=1 -v -timeout 0 -run '^TestDiffer$$' ./server

FLIPS ?= 50000
flips: ## damage a file of a directory FLIPS times (default 50000) and read everything
	PRICKLE_FLIPS=$(FLIPS) $(GO) test -count=1 -v -timeout 0 -run '^TestFlips$$' ./cluster

LISTS ?= 500
meta: ## do LISTS lists of operations (default 500) under other options; all answers must be the same
	PRICKLE_LISTS=$(LISTS) $(GO) test -count=1 -v -timeout 0 -run '^TestMetamorphic$$' ./cluster

SOAK ?= 10m
soak: ## use one server in every way for SOAK (default 10m) while it is killed and stopped, and count
	PRICKLE_SOAK=$(SOAK) $(GO) test -count=1 -v -timeout 0 -run '^TestSoak$$' ./cmd/prickle

sabotage: ## make every known mistake in a copy of the source; the suites must notice each
	PRICKLE_SABOTAGE=1 $(GO) test -count=1 -v -timeout 60m -run TestSabotage ./cmd/prickle

clients: ## run programs made for PostgreSQL against a server; says which ones are not on this machine
	PRICKLE_CLIENTS=all $(GO) test -count=1 -v -run '^(TestClients|TestPsql|TestReplay)$$' ./server/session | grep -v '^=== '
