package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/prickledb/prickle/cluster"
	"github.com/prickledb/prickle/storage"
	"github.com/prickledb/prickle/storage/blob"
	"github.com/prickledb/prickle/storage/manifest"
	"github.com/prickledb/prickle/storage/vfs"
)

func doctorCommand(c *console) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use: "doctor", Short: "Checks and explains", Args: noArgs,
		Long: "Check the data directory, the machine and the server, which may run or not, and say what to do.\n" +
			"The exit code is 1 with a problem, and 6 with a warning and --strict.",
		Example: "  prickle doctor\n" +
			"  prickle doctor --fix --strict",
		RunE: func(cmd *cobra.Command, _ []string) error { return doctor(cmd.Context(), cmd, c, o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.fix, "fix", false, "do what is safe: remove stale temporary files, raise the limit of open files")
	f.BoolVar(&o.strict, "strict", false, "a warning is a failure too")
	f.BoolVar(&o.network, "network", false, "print every address that the server would contact, and nothing else")
	f.BoolVar(&o.ballast, "free-ballast", false, "give the room that is kept for emergencies back to the disk")
	f.Uint64Var(&o.detach, "detach", 0, "give up a damaged `segment`: move its file into quarantine, after a question")
	addFlags(f, append([]string{"listen", "backup_url"}, s3Settings...)...)
	return cmd
}

type doctorOptions struct {
	fix, strict, network, ballast bool
	detach                        uint64
}

// finding is the outcome of one check.
type finding struct {
	Level string   `json:"level"` // ok, warn or bad
	Check string   `json:"check"`
	What  string   `json:"message"`
	Try   []string `json:"try,omitempty"`
}

// examination is what the checks look at.
type examination struct {
	ctx    context.Context
	c      *console
	conf   *config
	dir    string
	server *remote // nil where none runs
	fix    bool
	acts   []string // what was done
}

const (
	// sampleSegments are read whole by doctor; of the others the footer.
	sampleSegments = 3
	// fewFiles is the limit of open files below which a store of ordinary size gets into
	// trouble: a file for each segment, and a connection for each client.
	fewFiles = 4096
	// staleAfter is when a temporary file is nobody's any more.
	staleAfter = time.Hour
	clockDrift = 2 * time.Second
)

// ballastFile is the room that is kept for emergencies.
const ballastFile = "ballast"

func doctor(ctx context.Context, cmd *cobra.Command, c *console, o doctorOptions) error {
	conf, err := loadConfig(cmd, c.env)
	if err != nil {
		return err
	}
	x := &examination{ctx: ctx, c: c, conf: conf, dir: conf.get("data"), fix: o.fix}
	switch {
	case o.network:
		return x.printNetwork()
	case o.detach != 0:
		return detach(c, x.dir, o.detach)
	}
	if info, ok := readInfo(x.dir); ok {
		r := newRemote(info.Address)
		if r.info = info; r.alive(ctx) {
			x.server = r
		}
	}
	if _, err := os.Stat(x.dir); err != nil {
		return noData(x.dir)
	}
	if o.ballast {
		return x.freeBallast()
	}
	var all []finding
	for _, check := range []func() (finding, bool){x.directory, x.log, x.checksums, x.clock, x.openFiles, x.disk, x.listening, x.events, x.backup, x.network} {
		if f, ok := check(); ok {
			all = append(all, f)
		}
	}
	warnings, bad := 0, 0
	for _, f := range all {
		switch f.Level {
		case "warn":
			warnings++
		case "bad":
			bad++
		}
	}
	if c.json {
		err = printJSON(c.out, map[string]any{"checks": all, "warnings": warnings, "problems": bad, "acts": append([]string{}, x.acts...)})
	} else if !c.quiet || bad > 0 {
		x.print(all, warnings, bad)
	}
	switch {
	case err != nil:
		return err
	case bad > 0:
		return silent(exitFailed)
	case warnings > 0 && o.strict:
		return silent(exitDamaged)
	}
	return nil
}

func (x *examination) print(all []finding, warnings, bad int) {
	for _, act := range x.acts {
		fmt.Fprintln(x.c.out, act)
	}
	for _, f := range all {
		level := fmt.Sprintf("%-5s", f.Level)
		if f.Level != "ok" {
			level = x.c.paint(styleRed, level, x.c.outTTY)
		}
		fmt.Fprintf(x.c.out, " %s %-16s %s\n", level, f.Check, f.What)
		label := "Try:"
		for _, try := range f.Try {
			fmt.Fprintf(x.c.out, "       %-4s  %s\n", label, try)
			label = ""
		}
	}
	switch {
	case bad > 0 && warnings > 0:
		fmt.Fprintf(x.c.out, "%s, %s\n", plural(int64(bad), "problem", "problems"), plural(int64(warnings), "warning", "warnings"))
	case bad > 0:
		fmt.Fprintln(x.c.out, plural(int64(bad), "problem", "problems"))
	case warnings > 0:
		fmt.Fprintln(x.c.out, plural(int64(warnings), "warning", "warnings"))
	}
}

func ok(check, format string, args ...any) (finding, bool) {
	return finding{Level: "ok", Check: check, What: fmt.Sprintf(format, args...)}, true
}

func warn(check, what string, try ...string) (finding, bool) {
	return finding{"warn", check, what, try}, true
}

func bad(check, what string, try ...string) (finding, bool) {
	return finding{"bad", check, what, try}, true
}

// directory finds out whether files can be made, and whether renaming them is atomic.
func (x *examination) directory() (finding, bool) {
	const check = "data directory"
	if err := probe(x.dir); err != nil {
		return bad(check, fmt.Sprintf("%s cannot be written to: %s", x.dir, innermost(err)), fmt.Sprintf("chown -R %d %s", os.Getuid(), x.dir))
	}
	var device uint64
	for _, dir := range []string{".", "data", "data/segments", "data/state", "raft/log", "raft/snapshots"} {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(x.dir, dir), &st) != nil {
			continue // it is not there yet
		}
		if dir == "." {
			device = st.Dev
		} else if st.Dev != device {
			return bad(check, fmt.Sprintf("%s is on another file system than %s, so files cannot be renamed into place", filepath.Join(x.dir, dir), x.dir),
				"put the whole data directory on one file system")
		}
	}
	if stale := x.stale(); len(stale) > 0 && !x.fix {
		return warn(check, fmt.Sprintf("%s is writable, and has %s", x.dir, plural(int64(len(stale)), "stale temporary file", "stale temporary files")), "prickle doctor --fix")
	} else if len(stale) > 0 {
		for _, name := range stale {
			if err := os.Remove(name); err == nil {
				x.acts = append(x.acts, "removed "+name)
			}
		}
	}
	return ok(check, "%s is writable, same file system as its temporary files", x.dir)
}

// stale lists temporary files that nobody writes any more.
func (x *examination) stale() []string {
	var out []string
	_ = filepath.WalkDir(x.dir, func(name string, d fs.DirEntry, err error) error { // what cannot be read is not stale
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		base := d.Name()
		if !strings.HasSuffix(base, ".tmp") && !strings.HasPrefix(base, ".probe") {
			return nil
		}
		if info, err := d.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			out = append(out, name)
		}
		return nil
	})
	return out
}

// manifest is what the directory holds, as far as that can be read.
func (x *examination) manifest() (*manifest.Manifest, error) {
	m, _, err := manifest.Read(vfs.OS(), filepath.Join(x.dir, "data"))
	return m, err
}

// log says what of the log and the manifest is lost: as the server says that reads what is
// left of them, or as they are if none runs.
func (x *examination) log() (finding, bool) {
	const check = "log"
	lost := ""
	if x.server != nil {
		ready, err := x.server.ready(x.ctx)
		if err != nil {
			return bad(check, err.Error())
		}
		lost = ready.Lost
	} else {
		if _, err := os.Stat(filepath.Join(x.dir, "data")); err != nil {
			return finding{}, false // nothing was stored yet
		}
		loss, err := cluster.Diagnose(x.ctx, vfs.OS(), x.dir)
		if errors.Is(err, cluster.ErrNotAllHere) {
			return warn(check, err.Error(), "prickle serve --data "+x.dir)
		}
		if err != nil {
			return bad(check, err.Error())
		}
		if len(loss.Problems) > 0 {
			p := loss.Problems[0]
			lost = fmt.Sprintf("%v (%s: %s)", loss, p.File, p.What)
		}
	}
	if lost != "" {
		return bad(check, "acknowledged data is damaged, so the server is read-only; lost: "+lost, lossTries(x.dir)...)
	}
	return ok(check, "what was acknowledged is there")
}

// checksums opens all segments, which checks their footers, and reads some of them whole.
func (x *examination) checksums() (finding, bool) {
	const check = "checksums"
	m, err := x.manifest()
	if errors.Is(err, fs.ErrNotExist) {
		return finding{}, false // nothing was stored yet
	}
	if err != nil {
		return bad(check, err.Error(), "prickle restore <backup> --data ./restored", "prickle recover --accept-loss --data "+x.dir)
	}
	ids := make([]uint64, 0, len(m.Segments))
	for id := range m.Segments {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	sampled := map[uint64]bool{}
	for range min(sampleSegments, len(ids)) {
		sampled[ids[rand.IntN(len(ids))]] = true
	}
	start := time.Now()
	good := 0
	var first error
	damaged := uint64(0)
	for _, id := range ids {
		err := storage.CheckSegment(vfs.OS(), filepath.Join(x.dir, "data"), m.Segments[id], sampled[id])
		if errors.Is(err, fs.ErrNotExist) && (x.server != nil || x.elsewhere(id)) {
			err = nil // it was merged away meanwhile, or is still in the backup
		}
		if err != nil {
			if first == nil {
				first, damaged = err, id
			}
			continue
		}
		good++
	}
	if first != nil {
		return bad(check, fmt.Sprintf("%d of %s: %v", len(ids)-good, plural(int64(len(ids)), "segment", "segments"), first),
			"prickle restore <backup> --data ./restored", fmt.Sprintf("prickle doctor --detach %d   (gives up its rows, after a question)", damaged))
	}
	return ok(check, "%s of %s, %s sample (full check: prickle verify)", grouped(int64(good)), plural(int64(len(ids)), "segment", "segments"), took(time.Since(start)))
}

// elsewhere says whether a segment is still in the backup that was restored lazily.
func (x *examination) elsewhere(id uint64) bool {
	_, err := os.Stat(filepath.Join(x.dir, "missing", storage.SegmentFile(storage.SegmentID(id))))
	return err == nil
}

// clock compares this machine's with that of the file system, which may be another's.
func (x *examination) clock() (finding, bool) {
	f, err := os.CreateTemp(x.dir, ".probe")
	if err != nil {
		return finding{}, false // said already
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is stale then
	defer f.Close()           //nolint:errcheck // a probe
	before := time.Now()
	if _, err := f.WriteString("x"); err != nil {
		return bad("clock", fmt.Sprintf("a file in %s cannot be written: %s", x.dir, innermost(err)))
	}
	info, err := f.Stat()
	if err != nil {
		return finding{}, false
	}
	off := max(before.Sub(info.ModTime()), info.ModTime().Sub(before))
	if off > clockDrift {
		return warn("clock", fmt.Sprintf("%s from what the file system says", took(off)), "set the clock, for example with  timedatectl set-ntp true")
	}
	return ok("clock", "%s from what the file system says", took(off))
}

// openFiles looks at the limit of the server, or of this process where none runs.
func (x *examination) openFiles() (finding, bool) {
	pid := 0
	if x.server != nil {
		pid = x.server.info.PID
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return finding{}, false // the system does not say
	}
	if limit.Cur < limit.Max && x.fix {
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if unix.Prlimit(pid, unix.RLIMIT_NOFILE, &raised, nil) == nil {
			x.acts = append(x.acts, fmt.Sprintf("raised the limit of open files from %s to %s", grouped(limit.Cur), grouped(limit.Max)))
			limit = raised
		}
	}
	if limit.Cur < fewFiles {
		return warn("open files", fmt.Sprintf("limit %s", grouped(limit.Cur)), "ulimit -n 1048576   before the server is started, or  prickle doctor --fix")
	}
	return ok("open files", "limit %s", grouped(limit.Cur))
}

// disk compares what is free with what the largest merge needs: its output lies beside
// its inputs.
func (x *examination) disk() (finding, bool) {
	free, err := vfs.OS().Free(x.dir)
	if err != nil {
		return finding{}, false
	}
	m, err := x.manifest()
	if err != nil {
		return ok("disk", "%s free", size(float64(free)))
	}
	type month struct {
		project uint32
		year    int
		month   time.Month
	}
	sizes := map[month]int64{}
	largest := int64(0)
	for _, s := range m.Segments {
		day := time.Unix(int64(s.FirstDay)*86400, 0).UTC()
		k := month{s.Project, day.Year(), day.Month()}
		sizes[k] += s.Size
		largest = max(largest, sizes[k])
	}
	if uint64(largest) > free {
		return warn("disk", fmt.Sprintf("%s free; a merge of the largest month needs up to %s", size(float64(free)), size(float64(largest))),
			fmt.Sprintf("free %s", size(float64(uint64(largest)-free))))
	}
	return ok("disk", "%s free; a merge of the largest month needs up to %s", size(float64(free)), size(float64(largest)))
}

// listening says who can reach the server.
func (x *examination) listening() (finding, bool) {
	address := x.conf.get("listen")
	if x.server != nil {
		address = x.server.info.Listen
	}
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	if err != nil || host == "localhost" || ip != nil && ip.IsLoopback() {
		return ok("listening", "%s, for this machine only", address)
	}
	if x.conf.get("tls_cert") != "" && x.conf.get("ssl") != "off" {
		return ok("listening", "%s, with TLS", address)
	}
	return warn("listening", address+" without TLS", "put it behind a proxy, or  prickle serve --listen 127.0.0.1:7742")
}

// events says when the last one came, and whether any are refused.
func (x *examination) events() (finding, bool) {
	if x.server == nil {
		return finding{}, false
	}
	m, err := x.server.metrics(x.ctx)
	if err != nil {
		return bad("events", err.Error())
	}
	refused := int64(m["prickle_http_answers_5xx_total"])
	all := refused + int64(m["prickle_http_answers_2xx_total"]+m["prickle_http_answers_4xx_total"])
	what := fmt.Sprintf("%s of %s refused since the start", grouped(refused), plural(all, "request", "requests"))
	if last, found := x.lastEvent(); found {
		what = fmt.Sprintf("last %s ago; %s", took(last), what)
	}
	if refused > 0 {
		return warn("events", what, "prickle status", "the log of the server says why")
	}
	return ok("events", "%s", what)
}

// lastEvent is how long ago the newest event came in.
func (x *examination) lastEvent() (time.Duration, bool) {
	projects, err := x.server.projects(x.ctx)
	if err != nil {
		return 0, false
	}
	newest := int64(0)
	for _, p := range projects {
		text, err := x.server.value(x.ctx, p.Database, "select extract(epoch from max(created_at))::bigint from events")
		if err != nil {
			continue // a project may be deleted meanwhile
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			newest = max(newest, n)
		}
	}
	return max(0, time.Since(time.Unix(newest, 0))), newest > 0
}

// backup looks at the archive, where there is one.
func (x *examination) backup() (finding, bool) {
	if x.conf.get("backup_url") == "" || x.server == nil {
		return finding{}, false
	}
	m, err := x.server.metrics(x.ctx)
	switch {
	case m["prickle_archive_failing"] > 0:
		return bad("backup", "the log cannot be archived to "+x.conf.get("backup_url"), "the log of the server says why")
	case m["prickle_archive_gaps_total"] > 0:
		return warn("backup", fmt.Sprintf("the archive has %s: no restore can end there", plural(int64(m["prickle_archive_gaps_total"]), "gap", "gaps")), "the log of the server says which entries")
	}
	age, found := m["prickle_backup_age_seconds"]
	if err != nil || !found {
		return warn("backup", "there is none yet at "+x.conf.get("backup_url"), "prickle backup "+x.conf.get("backup_url"), "the log of the server says why")
	}
	every, _ := parseDuration(x.conf.get("backup_every")) // it was checked
	old := time.Duration(age * float64(time.Second))
	if old > 2*every {
		return warn("backup", fmt.Sprintf("the last one is %s old", span(old)), "prickle backup "+x.conf.get("backup_url"), "the log of the server says why")
	}
	return ok("backup", "%s old", span(old))
}

// contacts is every address that a server with these settings would contact.
func (x *examination) contacts() []string {
	target := x.conf.get("backup_url")
	if target == "" {
		return nil
	}
	store, err := openBlob(x.conf, target)
	if err != nil {
		return nil
	}
	if s3, is := store.(*blob.S3); is {
		return []string{s3.Endpoint()}
	}
	return nil
}

func (x *examination) network() (finding, bool) {
	hosts := x.contacts()
	if len(hosts) == 0 {
		return ok("network", "this process contacts no other host")
	}
	return ok("network", "this process contacts %s, for backup_url", strings.Join(hosts, ", "))
}

// printNetwork prints the addresses, one a line: by default none.
func (x *examination) printNetwork() error {
	hosts := x.contacts()
	if x.c.json {
		return printJSON(x.c.out, map[string]any{"contacts": append([]string{}, hosts...)})
	}
	for _, h := range hosts {
		fmt.Fprintf(x.c.out, "%s   backup_url\n", h)
	}
	if len(hosts) == 0 && !x.c.quiet {
		fmt.Fprintln(x.c.out, "none")
	}
	return nil
}

// freeBallast removes the file that keeps room for emergencies. A server that keeps one
// does it itself.
func (x *examination) freeBallast() error {
	name := filepath.Join(x.dir, ballastFile)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &problem{Code: "no_ballast", What: fmt.Sprintf("there is no ballast in %s", x.dir), Exit: exitFailed, Err: err, Try: []string{"df -h " + x.dir}}
	}
	if err == nil && x.server != nil {
		var req *http.Request
		if req, err = http.NewRequestWithContext(x.ctx, http.MethodPost, "http://"+x.server.host+"/api/instance/free-ballast/", nil); err == nil {
			_, err = x.server.do(req)
		}
	} else if err == nil {
		err = os.Remove(name)
	}
	if err != nil {
		return dirProblem(x.dir, err)
	}
	if !x.c.quiet {
		fmt.Fprintf(x.c.out, "freed %s: the next start takes them again when there is room\n", size(float64(info.Size())))
	}
	return nil
}

// ask wants a word to be typed.
func ask(c *console, word string) error {
	fmt.Fprintf(c.err, "Type %s to go on: ", word)
	line, err := bufio.NewReader(c.in).ReadString('\n')
	if strings.TrimSpace(line) == word {
		return nil
	}
	return &problem{Code: "not_confirmed", What: "Nothing was changed.", Exit: exitFailed, Bare: true, Err: err}
}

// days names the days of a segment.
func days(first int32, n int) string {
	from := time.Unix(int64(first)*86400, 0).UTC()
	if n <= 1 {
		return from.Format(time.DateOnly)
	}
	return from.Format(time.DateOnly) + " … " + from.AddDate(0, 0, n-1).Format(time.DateOnly)
}

// detach gives up a segment.
func detach(c *console, dir string, id uint64) error {
	s, aside, err := cluster.Detach(vfs.OS(), dir, id, func(s manifest.Segment) error {
		fmt.Fprintf(c.err, "Segment %d has %s of %s, project %d. They will be gone, and their file will lie in %s.\n",
			s.ID, plural(s.Rows, "event", "events"), days(s.FirstDay, s.Days), s.Project, filepath.Join(dir, "quarantine"))
		return ask(c, "detach")
	})
	if err != nil {
		return dirProblem(dir, err)
	}
	if c.json {
		return printJSON(c.out, map[string]any{"segment": s.ID, "rows": s.Rows, "project": s.Project, "first_day": days(s.FirstDay, 1), "days": s.Days, "quarantine": aside})
	}
	if !c.quiet {
		fmt.Fprintf(c.out, "Detached segment %d: %s of %s are gone. Its file lies in %s.\n", s.ID, plural(s.Rows, "event", "events"), days(s.FirstDay, s.Days), aside)
	}
	return nil
}

func recoverCommand(c *console) *cobra.Command {
	accept := false
	cmd := &cobra.Command{
		Use: "recover", Short: "Go on without what is damaged", Args: noArgs,
		Long: "Say what a data directory has lost whose log or manifest is damaged. With --accept-loss, and after a\n" +
			"question, make it usable without that. What is replaced is kept in its folder quarantine.",
		Example: "  prickle recover --data ./prickle-data\n" +
			"  prickle recover --accept-loss --data ./prickle-data",
		RunE: func(cmd *cobra.Command, _ []string) error { return recoverData(cmd.Context(), cmd, c, accept) },
	}
	cmd.Flags().BoolVar(&accept, "accept-loss", false, "go on without what is lost, after a question")
	return cmd
}

func recoverData(ctx context.Context, cmd *cobra.Command, c *console, accept bool) error {
	conf, err := loadConfig(cmd, c.env)
	if err != nil {
		return err
	}
	dir := conf.get("data")
	if _, err := os.Stat(filepath.Join(dir, "data")); err != nil {
		return noData(dir)
	}
	loss, err := cluster.Diagnose(ctx, vfs.OS(), dir)
	if err != nil {
		return dirProblem(dir, err)
	}
	if len(loss.Problems) == 0 {
		if c.json {
			return printJSON(c.out, map[string]any{"damaged": false})
		}
		if !c.quiet {
			fmt.Fprintln(c.out, "Log and manifest are whole: there is nothing to recover. Segments: prickle verify")
		}
		return nil
	}
	printLoss(c, loss)
	if !accept {
		return &problem{Code: "data_damaged", What: "the data directory " + dir + " is damaged", Exit: exitDamaged,
			Try: []string{"prickle restore <backup> --data ./restored", "prickle recover --accept-loss --data " + dir}}
	}
	if err := ask(c, "accept-loss"); err != nil {
		return err
	}
	loss, aside, err := cluster.Recover(ctx, vfs.OS(), dir, version, time.Now(), 0)
	if err != nil {
		return dirProblem(dir, err)
	}
	if c.json {
		return printJSON(c.out, map[string]any{"damaged": true, "quarantine": aside, "first_entry": loss.First, "last_entry": loss.Last,
			"rows": loss.Rows + loss.SegmentRows, "problems": loss.Problems})
	}
	if !c.quiet {
		fmt.Fprintf(c.out, "Recovered and verified. What was replaced lies in %s.\nStart with:  prickle serve --data %s\n", aside, dir)
	}
	return nil
}

// printLoss says what is missing, before anything is changed.
func printLoss(c *console, loss *cluster.Loss) {
	const shown = 20
	for i, p := range loss.Problems {
		if i == shown {
			fmt.Fprintf(c.err, "… and %s more\n", plural(int64(len(loss.Problems)-shown), "problem", "problems"))
			break
		}
		fmt.Fprintf(c.err, "%s   %s\n", p.File, p.What)
	}
	if text := loss.OfLog(); text != "" {
		fmt.Fprintf(c.err, "Lost:  %s\n", text)
	}
	for _, s := range loss.Segments {
		fmt.Fprintf(c.err, "Lost:  %s of %s, in %s\n", plural(s.Rows, "event", "events"), days(int32(s.FirstDay.Unix()/86400), s.Days), s.File)
	}
	if loss.Last == 0 && len(loss.Segments) == 0 {
		fmt.Fprintln(c.err, "Lost:  no event that is known of")
	}
}
