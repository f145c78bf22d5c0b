package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/storage/vec"
)

// restored runs a restore into a new place and gives it.
func restored(t *testing.T, target string, args ...string) (*place, answer) {
	t.Helper()
	to := newPlace(t)
	return to, to.run(append([]string{"restore", target}, args...)...)
}

// A backup of a running server, and of a stopped one, restores to the same answers.
func TestBackupRestore(t *testing.T) {
	p := newPlace(t)
	target := filepath.Join(p.work, "backups")
	_, stop := p.serve("--backup-url", filepath.Join(p.work, "archive"))
	if a := p.run("import", p.events("a.ndjson", 3000)); a.code != 0 {
		t.Fatalf("import: exit %d\n%s", a.code, a.err)
	}
	const ask = "select count(*) || ' ' || count(distinct person_id) || ' ' || count(distinct event) from events"
	first := p.count(ask)
	a := p.run("backup", target)
	m := regexp.MustCompile(`^backup (\S+Z)   \d+ segments?   [\d.]+ [kM]B   new [\d.]+ [kM]B   in [\d.]+ m?s   verified\nRestore with:  prickle restore (\S+) --at (\S+Z) --data \./restored\n$`).FindStringSubmatch(a.out)
	if a.code != 0 || m == nil || m[1] != m[3] || m[2] != target {
		t.Fatalf("backup: exit %d\n%s%s", a.code, a.out, a.err)
	}
	// Seconds are too coarse for a test: the entry is exact.
	var whole struct{ Index uint64 }
	if a := p.run("backup", target, "--json"); json.Unmarshal([]byte(a.out), &whole) != nil || whole.Index == 0 {
		t.Fatalf("backup --json: exit %d\n%s%s", a.code, a.out, a.err)
	}
	if a := p.run("import", p.file("b.ndjson", `{"event":"late","timestamp":"2026-10-01T00:00:00Z","distinct_id":"somebody"}`+"\n")); a.code != 0 {
		t.Fatalf("import: exit %d\n%s", a.code, a.err)
	}
	second := p.count(ask)
	var status struct {
		Age float64 `json:"backup_age_s"`
	}
	if a := p.run("status", "--json"); json.Unmarshal([]byte(a.out), &status) != nil || status.Age < 0 || status.Age > 3600 {
		t.Errorf("status --json: %s", a.out)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if made, _ := filepath.Glob(filepath.Join(p.work, "archive", "*", "LATEST")); len(made) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server makes no backup by itself")
		}
	}
	if code := stop(); code != 0 {
		t.Fatalf("serve ended with %d", code)
	}
	var again struct {
		New      int64 `json:"new_bytes"`
		Bytes    int64 `json:"bytes"`
		Verified bool  `json:"verified"`
	}
	if a := p.run("backup", target, "--json"); json.Unmarshal([]byte(a.out), &again) != nil || again.New >= again.Bytes/2 || !again.Verified {
		t.Errorf("backup --json of a stopped server: exit %d\n%s%s", a.code, a.out, a.err)
	}
	for what, c := range map[string]struct {
		target string
		args   []string
		want   string
	}{
		"the newest":          {target, nil, second},
		"at the first backup": {target, []string{"--at", fmt.Sprint(whole.Index)}, first},
		"the archive":         {filepath.Join(p.work, "archive"), nil, second},
	} {
		to, a := restored(t, c.target, c.args...)
		if a.code != 0 || !regexp.MustCompile(`^restored \S+Z   \d+ segments?   [\d.]+ [kM]?B   \d+ entr(y|ies) of the log   in [\d.]+ m?s   verified\nStart with:  prickle serve --data \S+\n$`).MatchString(a.out) {
			t.Errorf("%s: restore: exit %d\n%s%s", what, a.code, a.out, a.err)
			continue
		}
		to.serve()
		if got := to.count(ask); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}

// newPlaceWithBackup is a place with so many events, and a backup of them.
func newPlaceWithBackup(t *testing.T, events uint64) (p *place, target string) {
	t.Helper()
	p = newPlace(t)
	if a := p.run("import", p.events("a.ndjson", events)); a.code != 0 {
		t.Fatalf("import: exit %d\n%s", a.code, a.err)
	}
	target = filepath.Join(p.work, "backups")
	if a := p.run("backup", target); a.code != 0 {
		t.Fatalf("backup: exit %d\n%s", a.code, a.err)
	}
	return p, target
}

// A lazy restore says what it left, and a server fetches it.
func TestRestoreLazy(t *testing.T) {
	_, target := newPlaceWithBackup(t, 20_000)
	to, a := restored(t, target, "--lazy")
	if a.code != 0 || !regexp.MustCompile(`^restored \S+Z   \d segments, \d of them with [\d.]+ [kM]B still in `+target+`   \d+ entr(y|ies) of the log   in [\d.]+ m?s\nStart with:  prickle serve --data \S+   \(it fetches them, those that are asked for first\)\n$`).MatchString(a.out) {
		t.Fatalf("restore: exit %d\n%s%s", a.code, a.out, a.err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"doctor"}, 0, " warn  log              data directory "},
		{[]string{"verify"}, 1, "segments are still in the backup at " + target + "; a server on this directory fetches them\nTry:   prickle serve --data " + to.dir},
		{[]string{"recover"}, 1, "a server on this directory fetches them"},
	} {
		if a := to.run(c.args...); a.code != c.code || !strings.Contains(a.out+a.err, c.want) {
			t.Errorf("%v: exit %d\n%s%s\nwant %d and %q", c.args, a.code, a.out, a.err, c.code, c.want)
		}
	}
	_, stop := to.serve()
	if got := to.count("select count(distinct uuid) from events"); got != "20000" {
		t.Errorf("%s events, want 20000", got)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var status struct {
			Missing *int64 `json:"restore_missing_bytes"`
		}
		if a := to.run("status", "--json"); json.Unmarshal([]byte(a.out), &status) == nil && status.Missing == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not all segments come")
		}
	}
	if code := stop(); code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	if a := to.run("verify"); a.code != 0 {
		t.Errorf("verify: exit %d\n%s%s", a.code, a.out, a.err)
	}
}

// A project of a backup becomes a new one of a running server.
func TestRestoreInto(t *testing.T) {
	p, target := newPlaceWithBackup(t, 2000)
	if a := p.run("restore", target, "--into"); a.code != exitUnreachable {
		t.Errorf("restore --into without a server: exit %d\n%s%s", a.code, a.out, a.err)
	}
	other := newPlace(t)
	other.serve()
	a := other.run("restore", target, "--into", "--name", "Old days")
	m := regexp.MustCompile(`^restored \S+Z   2,000 events   as project "Old days", key phc_\w+   in [\d.]+ m?s\nSee it:  psql postgres://[\w.:]+/(old_days)\n$`).FindStringSubmatch(a.out)
	if a.code != 0 || m == nil {
		t.Fatalf("restore --into: exit %d\n%s%s", a.code, a.out, a.err)
	}
	const ask = "select count(*) || ' ' || count(distinct person_id) || ' ' || count(distinct event) from events"
	p.serve()
	want := p.count(ask)
	if a := other.run("sql", "--format", "csv", "--project", m[1], ask); a.code != 0 || !strings.Contains(a.out, want) {
		t.Errorf("sql: exit %d\n%s%s\nwant %s", a.code, a.out, a.err, want)
	}
	if got := other.count("select count(*) from events"); got != "0" {
		t.Errorf("%s events in the project that was there", got)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"restore", target, "--into", "--project", "nobody"}, 1, `the backup has no project "nobody"; it has ["prickle"]`},
		{[]string{"restore", target, "--into", "--lazy"}, exitUsage, "lazy"},
		{[]string{"restore", target, "--into", "--at", "999999"}, 1, "entry 999999 cannot be restored"},
	} {
		if a := other.run(c.args...); a.code != c.code || !strings.Contains(a.err, c.want) {
			t.Errorf("%v: exit %d\n%s%s\nwant %d and %q", c.args, a.code, a.out, a.err, c.code, c.want)
		}
	}
}

// What can go wrong with backups, in words.
func TestBackupProblems(t *testing.T) {
	p, target := newPlaceWithBackup(t, 500)
	file := p.file("file", "x")
	empty := newPlace(t)
	full := newPlace(t)
	if err := os.MkdirAll(filepath.Join(full.dir, "photos"), 0o750); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p    *place
		args []string
		code int
		err  string // a pattern
	}{
		{p, []string{"backup"}, 2, `^error: prickle backup wants one target: a path or s3://bucket/prefix\nTry:   prickle backup -h\n$`},
		{p, []string{"backup", "ftp://x"}, 2, `^error: ftp://x: "ftp://" is not supported: write a path, file:///path or s3://bucket/prefix\nTry:   prickle backup /path/or/s3://bucket/prefix\n$`},
		{p, []string{"backup", file}, 1, `^error: the backup target \S+ cannot be reached: .*not a directory\nTry:   prickle config show `},
		{p, []string{"backup", "s3://acme/p", "--s3-endpoint", "http://127.0.0.1:1", "--s3-region", "x", "--s3-access-key", "k", "--s3-secret-key", "s"}, 1, `^error: the backup target s3://acme/p/\S+ cannot be reached: .*connection refused\nTry:   prickle config show `},
		{empty, []string{"backup", target}, 1, `^error: there is no data directory \S+\nTry:   name another one with --data\n$`},
		{empty, []string{"restore", filepath.Join(p.work, "nothing")}, 1, `^error: there is no backup in \S+\n$`},
		{empty, []string{"restore", target, "--at", "yesterday"}, 2, `^error: --at: "yesterday" is neither a time nor an entry; write 2026-11-22T12:08:31Z or 912344\n$`},
		{empty, []string{"restore", target, "--at", "2001-01-01"}, 1, `^error: the state at 2001-01-01T00:00:00Z cannot be restored: it is before the first backup\n       There is \S+Z to \S+Z, entries \d+ to \d+\.\nTry:   prickle restore \S+ --at \S+Z --data \S+\n       prickle restore \S+ --data \S+   \(the newest there is\)\n$`},
		{empty, []string{"restore", target, "--at", "999999"}, 1, `^error: entry 999999 cannot be restored: it is after the last archived entry`},
		{full, []string{"restore", target}, 1, `^error: the directory \S+ is not empty\nTry:   prickle restore \S+ --data \./restored\n$`},
		{empty, []string{"verify", filepath.Join(p.work, "nothing")}, 1, `^error: \S+ is neither a data directory nor a backup target with a backup in it\n`},
		{empty, []string{"verify"}, 1, `^error: there is no data directory`},
		{empty, []string{"doctor"}, 1, `^error: there is no data directory`},
		{empty, []string{"recover"}, 1, `^error: there is no data directory`},
		{p, []string{"doctor", "--free-ballast"}, 1, `^error: there is no ballast in \S+\nTry:   df -h `},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		a := c.p.runWith(ctx, "", false, c.args...)
		cancel()
		if a.code != c.code || !regexp.MustCompile(c.err).MatchString(a.err) {
			t.Errorf("prickle %s: exit %d, want %d\n%s%s\nwant\n%s", strings.Join(c.args, " "), a.code, c.code, a.out, a.err, c.err)
		}
	}
	if a := empty.run("restore", target, "--at", "1", "--json"); !strings.HasPrefix(a.out, `{"error":{"code":"restore_range","message":"entry 1 cannot be restored`) {
		t.Errorf("restore --json: %s", a.out)
	}
}

// flip changes a bit of a file in its middle.
func flip(t *testing.T, name string) {
	t.Helper()
	raw := readFile(t, name)
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(name, raw, 0o640); err != nil {
		t.Fatal(err)
	}
}

// What is left of an erased person is named with its file, until the erasure is complete;
// backups are named, since they keep what they were made of.
func TestVerifyErased(t *testing.T) {
	p, target := newPlaceWithBackup(t, 500)
	if a := p.run("verify", "--erased"); a.code != 0 || !strings.Contains(a.out, "no person was deleted with their events\n") {
		t.Errorf("verify --erased: exit %d\n%s%s", a.code, a.out, a.err)
	}
	change := func(what func(*cluster.Node) error) {
		t.Helper()
		node, err := openNode(t.Context(), p.dir, cluster.Config{NoMerger: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(what(node), node.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	change(func(n *cluster.Node) error {
		sn, err := n.Store().Snapshot(1)
		if err != nil {
			return err
		}
		person := sn.Persons().UUID(0)
		sn.Release()
		_, err = n.DeletePersons(t.Context(), 1, []vec.UUIDValue{person}, true)
		return err
	})
	if a := p.run("verify", "--erased"); a.code != exitFailed || !strings.Contains(a.out, "not complete\n") || !strings.Contains(a.out, "have something left of erased persons\n") ||
		!strings.Contains(a.out, "segments/") || !strings.Contains(a.out, "backup file://"+target+" of 2") {
		t.Errorf("verify --erased: exit %d\n%s%s", a.code, a.out, a.err)
	}
	change(func(n *cluster.Node) error { return n.Erase(t.Context()) })
	var whole struct {
		OK     bool
		Erased struct{ Erasures, Remains []any }
	}
	if a := p.run("verify", "--erased", "--json"); a.code != 0 || json.Unmarshal([]byte(a.out), &whole) != nil || !whole.OK || len(whole.Erased.Erasures) != 1 || len(whole.Erased.Remains) != 0 {
		t.Errorf("verify --erased --json: exit %d\n%s%s", a.code, a.out, a.err)
	}
	if a := p.run("verify", "--erased", target); a.code != exitUsage {
		t.Errorf("verify --erased of a backup: exit %d\n%s%s", a.code, a.out, a.err)
	}
	p.serve()
	if a := p.run("verify", "--erased"); a.code != exitFailed || !strings.Contains(a.err, "is in use by") {
		t.Errorf("verify --erased beside a server: exit %d\n%s%s", a.code, a.out, a.err)
	}
}

// Damage is named with its file, in a data directory and in a backup; a segment is given up
// after a question, a damaged log too.
func TestVerifyDetachRecover(t *testing.T) {
	p, target := newPlaceWithBackup(t, 2000)
	if a := p.run("verify"); a.code != 0 || !regexp.MustCompile(`^ok   \d+ segments?   [\d.]+ [kM]B   \d+ entr(y|ies) of the log   in [\d.]+ m?s\n$`).MatchString(a.out) {
		t.Errorf("verify: exit %d\n%s%s", a.code, a.out, a.err)
	}
	if a := p.run("recover", "--accept-loss"); a.code != 0 || a.out != "Log and manifest are whole: there is nothing to recover. Segments: prickle verify\n" {
		t.Errorf("recover: exit %d\n%s%s", a.code, a.out, a.err)
	}
	names, err := filepath.Glob(filepath.Join(p.dir, "data", "segments", "*.seg"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	flip(t, names[0])
	a := p.run("verify")
	if a.code != exitDamaged || !regexp.MustCompile(`^data/segments/`+filepath.Base(names[0])+`   .+ at byte \d+: .+\n1 problem\nTry:   prickle restore <backup> --data \./restored\n       prickle doctor --detach \d+ +\(gives up the rows of this segment\)\n$`).MatchString(a.out) {
		t.Errorf("verify: exit %d\n%s%s", a.code, a.out, a.err)
	}
	var report struct {
		OK       bool
		Problems []struct{ File, What string }
	}
	if a := p.run("verify", "--json"); a.code != exitDamaged || json.Unmarshal([]byte(a.out), &report) != nil || report.OK || len(report.Problems) != 1 {
		t.Errorf("verify --json: exit %d\n%s", a.code, a.out)
	}
	id := regexp.MustCompile(`--detach (\d+)`).FindStringSubmatch(a.out)[1]
	if a := p.runWith(nil, "no\n", false, "doctor", "--detach", id); a.code != 1 || !strings.HasSuffix(a.err, "Type detach to go on: Nothing was changed.\n") {
		t.Errorf("detach refused: exit %d\n%s", a.code, a.err)
	}
	a = p.runWith(nil, "detach\n", false, "doctor", "--detach", id)
	if a.code != 0 || !regexp.MustCompile(`^Detached segment `+id+`: [\d,]+ events? of \d{4}-\d\d-\d\d.* are gone\. Its file lies in \S+quarantine\.\n$`).MatchString(a.out) {
		t.Errorf("detach: exit %d\n%s%s", a.code, a.out, a.err)
	}
	if a := p.run("verify"); a.code != 0 {
		t.Errorf("verify after detach: exit %d\n%s%s", a.code, a.out, a.err)
	}

	// The log goes: serve shows what is left and says what to do, and recover does it.
	logs, err := filepath.Glob(filepath.Join(p.dir, "raft", "log", "*"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	for _, name := range logs {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	left := readOnlyServer(t, p)
	if a := p.run("recover"); a.code != exitDamaged || !strings.Contains(a.err, "\nLost:  ") {
		t.Errorf("recover: exit %d\n%s", a.code, a.err)
	}
	if a := p.runWith(nil, "yes\n", false, "recover", "--accept-loss"); a.code != 1 || !strings.Contains(a.err, "Nothing was changed.") {
		t.Errorf("recover refused: exit %d\n%s", a.code, a.err)
	}
	if a := p.runWith(nil, "accept-loss\n", false, "recover", "--accept-loss"); a.code != 0 || !strings.HasPrefix(a.out, "Recovered and verified. What was replaced lies in "+p.dir+"/quarantine/") {
		t.Errorf("recover: exit %d\n%s%s", a.code, a.out, a.err)
	}
	p.serve()
	if n := p.count("select count(*) from events"); n == "0" || n == "2000" || n != left {
		t.Errorf("%s events, %s before", n, left)
	}

	objects, err := filepath.Glob(filepath.Join(target, "*", "objects", "*"))
	if err != nil || len(objects) == 0 {
		t.Fatal(objects, err)
	}
	flip(t, objects[0])
	a = p.run("verify", target)
	if a.code != exitDamaged || !strings.Contains(a.out, "/objects/"+filepath.Base(objects[0])+"   ") || !strings.Contains(a.out, "problem") {
		t.Errorf("verify of a damaged backup: exit %d\n%s%s", a.code, a.out, a.err)
	}
}

// readOnlyServer serves a damaged directory, and gives how many events are left.
func readOnlyServer(t *testing.T, p *place) (events string) {
	t.Helper()
	recovery := "prickle recover --accept-loss --data " + p.dir
	screen, stop := p.serve()
	if !strings.Contains(screen.String(), "READ-ONLY, because acknowledged data is damaged.  Lost: ") || !strings.Contains(screen.String(), recovery) {
		t.Errorf("screen:\n%s", screen)
	}
	events = p.count("select count(*) from events")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"sql", "insert into events (distinct_id, event) values ('ann', 'x')"}, 1, recovery},
		{[]string{"sql", "create table t (a int)"}, 1, recovery},
		{[]string{"import", p.events("more.ndjson", 10)}, 1, recovery},
		{[]string{"backup", filepath.Join(p.work, "other")}, 1, recovery},
		{[]string{"doctor"}, 1, recovery},
		{[]string{"status", "--json"}, 1, `"recovering"`},
		{[]string{"recover"}, 1, "is in use by"},
	} {
		if a := p.run(c.args...); a.code != c.code || !strings.Contains(a.out+a.err, c.want) {
			t.Errorf("%v: exit %d\n%s%s\nwant %d and %q", c.args, a.code, a.out, a.err, c.code, c.want)
		}
	}
	if a := p.runTTY("status"); a.code != 1 || !strings.Contains(a.out, "  Not ready  recovering: read-only, because acknowledged data is damaged\n  Lost       ") || !strings.Contains(a.out, recovery) {
		t.Errorf("status: exit %d\n%s%s", a.code, a.out, a.err)
	}
	to := regexp.MustCompile(`Events to +(\S+) +key +(\S+)`).FindStringSubmatch(screen.String())
	resp, err := http.Post(to[1], "application/json", strings.NewReader(`{"api_key":"`+to[2]+`","event":"x","distinct_id":"ann"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "30" || !strings.Contains(string(body), `"read_only"`) || !strings.Contains(string(body), recovery) {
		t.Errorf("capture = %d, %v, %s, %v", resp.StatusCode, resp.Header, body, err)
	}
	if got := p.count("select count(*) from events"); got != events {
		t.Errorf("%s events after writes were refused, %s before", got, events)
	}
	if code := stop(); code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	return events
}

// TestDoctor looks at what is checked, with a server and without.
func TestDoctor(t *testing.T) {
	p := newPlace(t)
	if a := p.run("import", p.events("a.ndjson", 500)); a.code != 0 {
		t.Fatalf("import: exit %d\n%s", a.code, a.err)
	}
	checks := func(args ...string) (map[string]string, answer) {
		a := p.run(append([]string{"doctor", "--json"}, args...)...)
		var report struct {
			Checks []finding
			Acts   []string
		}
		if err := json.Unmarshal([]byte(a.out), &report); err != nil {
			t.Fatalf("doctor --json: exit %d, %v\n%s%s", a.code, err, a.out, a.err)
		}
		out := map[string]string{"acts": strings.Join(report.Acts, "\n")}
		for _, f := range report.Checks {
			out[f.Check] = f.Level + " " + f.What
		}
		return out, a
	}
	found, a := checks()
	for check, want := range map[string]string{
		"data directory": `^ok ` + regexp.QuoteMeta(p.dir) + ` is writable, same file system as its temporary files$`,
		"log":            `^ok what was acknowledged is there$`,
		"checksums":      `^ok (\d+) of \d+ segments?, [\d.]+ m?s sample \(full check: prickle verify\)$`,
		"clock":          `^ok [\d.]+ m?s from what the file system says$`,
		"open files":     `^(ok|warn) limit [\d,]+$`,
		"disk":           `free; a merge of the largest month needs up to`,
		"listening":      `^ok 127\.0\.0\.1:7742, for this machine only$`,
		"events":         `^$`,
		"network":        `^ok this process contacts no other host$`,
	} {
		if !regexp.MustCompile(want).MatchString(found[check]) {
			t.Errorf("%s: %q, want %q", check, found[check], want)
		}
	}
	if a.code != 0 {
		t.Errorf("doctor: exit %d", a.code)
	}
	// A temporary file that nobody writes any more.
	stale := filepath.Join(p.dir, "data", "state", "x.tmp")
	if err := os.WriteFile(stale, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(stale, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if found, a := checks("--strict"); !strings.HasPrefix(found["data directory"], "warn") || a.code != exitDamaged {
		t.Errorf("doctor --strict: exit %d, %q", a.code, found["data directory"])
	}
	if found, _ := checks("--fix"); !strings.Contains(found["acts"], "removed "+stale) {
		t.Errorf("doctor --fix: %q", found["acts"])
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("the stale file is still there")
	}
	if found, _ := checks("--backup-url", "s3://b/p", "--s3-endpoint", "s3.example:9000"); found["network"] != "ok this process contacts s3.example:9000, for backup_url" {
		t.Errorf("network: %q", found["network"])
	}
	a = p.run("doctor", "--listen", "0.0.0.0:7742")
	if !strings.Contains(a.out, " warn  listening        0.0.0.0:7742 without TLS\n       Try:  put it behind a proxy, or  prickle serve --listen 127.0.0.1:7742\n") ||
		!regexp.MustCompile(`\d warnings?\n$`).MatchString(a.out) || a.code != 0 {
		t.Errorf("doctor: exit %d\n%s", a.code, a.out)
	}
	// The room for emergencies.
	if err := os.WriteFile(filepath.Join(p.dir, ballastFile), make([]byte, 2000), 0o640); err != nil {
		t.Fatal(err)
	}
	if a := p.run("doctor", "--free-ballast"); a.out != "freed 2.0 kB: the next start takes them again when there is room\n" {
		t.Errorf("doctor --free-ballast: exit %d\n%s%s", a.code, a.out, a.err)
	}

	archive := filepath.Join(p.work, "archive")
	_, stop := p.serve("--backup-url", archive)
	if found, _ := checks("--backup-url", archive); !regexp.MustCompile(`^(ok \S+ old|warn there is none yet at .*)$`).MatchString(found["backup"]) {
		t.Errorf("backup: %q", found["backup"])
	}
	if found, _ := checks(); !regexp.MustCompile(`^ok last .+ ago; 0 of \d+ requests? refused since the start$`).MatchString(found["events"]) {
		t.Errorf("events: %q", found["events"])
	}
	stop()
	names, err := filepath.Glob(filepath.Join(p.dir, "data", "segments", "*.seg"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	raw := readFile(t, names[0])
	raw[len(raw)-1] ^= 1
	if err := os.WriteFile(names[0], raw, 0o640); err != nil {
		t.Fatal(err)
	}
	a = p.run("doctor")
	if a.code != exitFailed || !strings.Contains(a.out, fmt.Sprintf(" bad   checksums        1 of %d segment", len(names))) || !strings.Contains(a.out, "prickle doctor --detach ") {
		t.Errorf("doctor of a damaged segment: exit %d\n%s", a.code, a.out)
	}
}

// A directory of a newer release is refused with both versions.
func TestNewerDirectory(t *testing.T) {
	got := dirProblem("d", &cluster.NewerError{Dir: "d", Written: "0.9.0", This: "0.1.0"}).(*problem)
	if got.Code != "data_newer" || got.What != "the data directory d was written by prickle 0.9.0, and this is prickle 0.1.0, which cannot read it" || !strings.Contains(got.Try[0], "prickle 0.9.0 or newer") {
		t.Errorf("%+v", got)
	}
}
