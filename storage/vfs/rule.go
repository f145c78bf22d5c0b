package vfs

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Rule is one fault that a [Fault] can make. In text it is a line:
//
//	fail(op, path=glob, nth=7, err=EIO)    the operation has no effect and fails
//	short(write, path=glob, p=0.01)        a part is written, then it fails
//	stall(op, path=glob, every, for=10s)   it waits first
//	flip(read|map, path=glob, nth=3)       what is read has one wrong bit
//	lie(sync|syncdir, path=glob)           it succeeds and makes nothing durable
//	full(bytes)                            after so many bytes written, no space is left
//
// Operations are create, open, reuse, rename, remove, mkdir, list, syncdir, write, read,
// preallocate, sync, map, free and lock; several are joined by |, and any is all of them.
//
// A glob without a slash is held against the last element of a name, one with slashes
// against as many elements; rename and reuse have two names. nth is the one operation that
// suffers, counted from 1 among those of the rule since it was armed; from is that one and
// all after it, or up to the one that to says; p is the chance of each; every, which is what holds without them, is
// all. An err is an errno, EIO where none is said.
type Rule struct {
	kind  string
	ops   []string
	glob  string
	nth   int     // 0: not by number
	from  int     // 0: from the first
	to    int     // 0: to the last
	p     float64 // 0: not by chance
	err   error
	wait  time.Duration
	bytes int64
}

var operations = []string{
	"create", "open", "reuse", "rename", "remove", "mkdir", "list", "syncdir", "write", "read", "preallocate",
	"sync", "map", "free", "lock",
}

// growing are the operations that fail on a full disk.
var growing = []string{"create", "mkdir", "preallocate", "write"}

// kinds says what the rules of a kind are about and which settings they have.
var kinds = map[string]struct{ ops, settings []string }{
	"fail":  {operations, []string{"path", "nth", "from", "to", "p", "every", "err"}},
	"short": {[]string{"write"}, []string{"path", "nth", "from", "to", "p", "every", "err"}},
	"stall": {operations, []string{"path", "nth", "from", "to", "p", "every", "for"}},
	"flip":  {[]string{"read", "map"}, []string{"path", "nth", "from", "to", "p", "every"}},
	"lie":   {[]string{"sync", "syncdir"}, []string{"path", "nth", "from", "to", "p", "every"}},
}

// ParseFaults reads rules, one a line; # begins a comment. Errors name the line.
func ParseFaults(text string) ([]Rule, error) {
	var rules []Rule
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		r, err := parseRule(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", i+1, line, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(line string) (Rule, error) {
	kind, rest, ok := strings.Cut(line, "(")
	args, after, closed := strings.Cut(rest, ")")
	if !ok || !closed || after != "" {
		return Rule{}, fmt.Errorf("not of the form kind(operation, setting=value)")
	}
	r := Rule{kind: strings.TrimSpace(kind)}
	words := strings.Split(args, ",")
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	if r.kind == "full" {
		n, err := strconv.ParseInt(words[0], 10, 64)
		if err != nil || n < 0 || len(words) > 1 {
			return r, fmt.Errorf("full takes a number of bytes")
		}
		r.ops, r.bytes, r.err = growing, n, syscall.ENOSPC
		return r, nil
	}
	of, known := kinds[r.kind]
	if !known {
		return r, fmt.Errorf("kind %q is not one of fail, flip, full, lie, short, stall", r.kind)
	}
	for _, op := range strings.Split(words[0], "|") {
		switch op = strings.TrimSpace(op); {
		case op == "any":
			r.ops = of.ops
		case !slices.Contains(of.ops, op):
			return r, fmt.Errorf("operation %q is not one of %s", op, strings.Join(of.ops, ", "))
		default:
			r.ops = append(slices.Clip(r.ops), op)
		}
	}
	if r.kind == "fail" || r.kind == "short" {
		r.err = syscall.EIO
	}
	when := ""
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		if !slices.Contains(of.settings, key) {
			return r, fmt.Errorf("setting %q is not one of %s", key, strings.Join(of.settings, ", "))
		}
		if key == "nth" || key == "from" || key == "p" || key == "every" {
			if when != "" {
				return r, fmt.Errorf("%s and %s exclude each other", when, key)
			}
			when = key
		}
		if err := r.set(key, value); err != nil {
			return r, err
		}
	}
	if r.kind == "stall" && r.wait == 0 {
		return r, fmt.Errorf("for is missing")
	}
	return r, nil
}

func (r *Rule) set(key, value string) (err error) {
	switch key {
	case "path":
		if _, bad := path.Match(value, ""); bad != nil || value == "" {
			return fmt.Errorf("path %q is not a glob", value)
		}
		r.glob = value
	case "nth", "from", "to":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("%s %q is not a number from 1", key, value)
		}
		*map[string]*int{"nth": &r.nth, "from": &r.from, "to": &r.to}[key] = n
	case "p":
		if r.p, err = strconv.ParseFloat(value, 64); err != nil || !(r.p > 0 && r.p <= 1) {
			return fmt.Errorf("p %q is not above 0 and at most 1", value)
		}
	case "every":
		if value != "" {
			return fmt.Errorf("every takes no value")
		}
	case "err":
		if r.err, err = errno(value); err != nil {
			return err
		}
	case "for":
		if r.wait, err = time.ParseDuration(value); err != nil || r.wait <= 0 {
			return fmt.Errorf("for %q is not a duration above 0", value)
		}
	}
	return nil
}

// errno is the system's error of a name.
func errno(name string) (error, error) {
	const highest = 133 // of Linux
	for e := syscall.Errno(1); e <= highest; e++ {
		if unix.ErrnoName(e) == name {
			return e, nil
		}
	}
	return nil, fmt.Errorf("err %q is not the name of an errno", name)
}

// String gives the rule in the form that ParseFaults reads.
func (r Rule) String() string {
	if r.kind == "full" {
		return fmt.Sprintf("full(%d)", r.bytes)
	}
	s := r.kind + "(" + strings.Join(r.ops, "|")
	if len(r.ops) == len(operations) {
		s = r.kind + "(any"
	}
	if r.glob != "" {
		s += ", path=" + r.glob
	}
	if r.nth > 0 {
		s += fmt.Sprintf(", nth=%d", r.nth)
	}
	if r.from > 0 {
		s += fmt.Sprintf(", from=%d", r.from)
	}
	if r.to > 0 {
		s += fmt.Sprintf(", to=%d", r.to)
	}
	if r.p > 0 {
		s += fmt.Sprintf(", p=%g", r.p)
	}
	if e, ok := r.err.(syscall.Errno); ok {
		s += ", err=" + unix.ErrnoName(e)
	}
	if r.wait > 0 {
		s += fmt.Sprintf(", for=%v", r.wait)
	}
	return s + ")"
}

// matches says whether the rule is about an operation on files of these names.
func (r *Rule) matches(op string, names []string) bool {
	return slices.Contains(r.ops, op) && (r.glob == "" || slices.ContainsFunc(names, func(name string) bool {
		elements := strings.Split(name, "/")
		last := max(0, len(elements)-1-strings.Count(r.glob, "/"))
		ok, _ := path.Match(r.glob, strings.Join(elements[last:], "/")) // a glob, as ParseFaults saw to
		return ok
	}))
}
