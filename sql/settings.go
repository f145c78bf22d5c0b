package sql

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones must not depend on the machine

	"github.com/prickledb/prickle/engine/expr"
	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/engine/plan"
	"github.com/prickledb/prickle/sql/ast"
)

// Settings are the settings of one session: what SET changes and SHOW shows. They follow
// transactions: a SET is undone by ROLLBACK, a SET LOCAL by either end. A Settings is used
// by one goroutine at a time.
type Settings struct {
	start   map[string]string // as the session began: what RESET goes back to
	session map[string]string // SET
	local   map[string]string // SET LOCAL, until the transaction ends
	marks   []settingsMark    // the transaction's beginning, then its savepoints
}

type settingsMark struct {
	name           string
	session, local map[string]string
}

// SettingValue is one line of SHOW ALL.
type SettingValue struct {
	Name, Value, Description string
	Default                  string // before anybody says otherwise
}

// disabledRules is the setting of what the optimiser leaves undone, for looking into plans.
const disabledRules = "disabled_rules"

// setting is one row of the table of settings. Check turns a value into its canonical
// form, or refuses it.
type setting struct {
	name, value, description string
	fixed                    bool // cannot be changed by SET
	check                    func(s *setting, value string) (string, error)
}

// NewSettings are the settings of a new session. Start holds what the client asked for
// at the door, and what the project says, e.g. TimeZone.
func NewSettings(start map[string]string) (*Settings, error) {
	s := &Settings{start: map[string]string{}, session: map[string]string{}, local: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(start)) {
		d, err := lookUp(name)
		if err != nil {
			return nil, err
		}
		value := start[name]
		if d != nil {
			if value, err = d.checked(value); err != nil {
				return nil, err
			}
		}
		s.start[key(name)] = value
	}
	return s, nil
}

func key(name string) string { return strings.ToLower(name) }

// lookUp finds a setting. A name with a dot is always known and has no row.
func lookUp(name string) (*setting, error) {
	if d, ok := settingsByKey[key(name)]; ok {
		return d, nil
	}
	if strings.Contains(name, ".") {
		return nil, nil
	}
	return nil, pgerr.New(pgerr.UndefinedObject, `unrecognized configuration parameter "%s"`, name)
}

func (d *setting) checked(value string) (string, error) {
	if d.check == nil {
		return value, nil
	}
	return d.check(d, value)
}

// CheckSetting is the value that a setting would have after SET, or what is wrong with it.
func CheckSetting(name, value string) (string, error) {
	d, err := lookUp(name)
	switch {
	case err != nil || d == nil:
		return value, err
	case d.fixed:
		return "", pgerr.New("55P02", `parameter "%s" cannot be changed`, d.name)
	}
	return d.checked(value)
}

// Get is the value that SHOW shows; false if there is no such setting.
func (s *Settings) Get(name string) (string, bool) {
	k := key(name)
	for _, m := range []map[string]string{s.local, s.session, s.start} {
		if v, ok := m[k]; ok {
			return v, true
		}
	}
	if d, ok := settingsByKey[k]; ok {
		return d.value, true
	}
	return "", false
}

// Initial is the value that a setting has after RESET.
func (s *Settings) Initial(name string) (string, error) {
	d, err := lookUp(name)
	if err != nil {
		return "", err
	}
	if v, ok := s.start[key(name)]; ok {
		return v, nil
	}
	if d == nil {
		return "", nil
	}
	return d.value, nil
}

// Show is Get with the error that SHOW gives, and the name as PostgreSQL writes it.
func (s *Settings) Show(name string) (SettingValue, error) {
	d, err := lookUp(name)
	if err != nil {
		return SettingValue{}, err
	}
	value, ok := s.Get(name)
	if !ok {
		return SettingValue{}, pgerr.New(pgerr.UndefinedObject, `unrecognized configuration parameter "%s"`, name)
	}
	if d == nil {
		return SettingValue{Name: name, Value: value}, nil
	}
	return SettingValue{d.name, value, d.description, d.value}, nil
}

// All is SHOW ALL, ascending by name.
func (s *Settings) All() []SettingValue {
	var out []SettingValue
	for i := range settingTable {
		d := &settingTable[i]
		value, _ := s.Get(d.name)
		out = append(out, SettingValue{d.name, value, d.description, d.value})
	}
	slices.SortFunc(out, func(a, b SettingValue) int { return strings.Compare(key(a.Name), key(b.Name)) })
	return out
}

// Set changes a setting, until the end of the transaction if local. The warning, if not
// nil, is for the client; the setting has then been treated as it says.
func (s *Settings) Set(name, value string, local bool) (warning *pgerr.Error, err error) {
	if key(name) == "client_encoding" && otherEncoding(value) {
		warning = pgerr.New(pgerr.Warning, "text is always UTF8, whatever client_encoding says")
		warning.Severity = "WARNING"
	}
	if value, err = CheckSetting(name, value); err != nil {
		return nil, err
	}
	if local && !s.InTransaction() {
		w := pgerr.New(pgerr.NoActiveTransaction, "SET LOCAL can only be used in transaction blocks")
		w.Severity = "WARNING"
		return w, nil
	}
	k := key(name)
	if local || strings.HasPrefix(k, "transaction_") && s.InTransaction() {
		s.local[k] = value
		return warning, nil
	}
	delete(s.local, k)
	s.session[k] = value
	return warning, nil
}

// Reset gives a setting its first value back.
func (s *Settings) Reset(name string) error {
	d, err := lookUp(name)
	if err != nil {
		return err
	}
	if d != nil && d.fixed {
		return pgerr.New("55P02", `parameter "%s" cannot be changed`, d.name)
	}
	_, known := s.Get(name)
	delete(s.session, key(name))
	delete(s.local, key(name))
	if _, kept := s.start[key(name)]; d == nil && known && !kept { // a name with a dot stays known, as in PostgreSQL
		s.session[key(name)] = ""
	}
	return nil
}

// ResetAll is RESET ALL, and what DISCARD ALL does to settings.
func (s *Settings) ResetAll() {
	clear(s.session)
	clear(s.local)
}

// InTransaction says whether Begin was called and its end has not come.
func (s *Settings) InTransaction() bool { return len(s.marks) > 0 }

// Begin notes where ROLLBACK goes back to, and sets the transaction's modes.
func (s *Settings) Begin(modes ast.TransactionModes) {
	s.marks = s.marks[:0]
	s.mark("")
	s.SetModes(modes, false)
}

// SetModes is SET TRANSACTION, or with session SET SESSION CHARACTERISTICS.
func (s *Settings) SetModes(modes ast.TransactionModes, session bool) {
	into, prefix := s.local, "transaction_"
	if session {
		into, prefix = s.session, "default_transaction_"
	}
	onOff := map[bool]string{false: "off", true: "on"}
	if modes.Isolation != "" {
		into[prefix+"isolation"] = modes.Isolation
	}
	if modes.ReadOnly != nil {
		into[prefix+"read_only"] = onOff[*modes.ReadOnly]
	}
	if modes.Deferrable != nil {
		into[prefix+"deferrable"] = onOff[*modes.Deferrable]
	}
}

func (s *Settings) mark(name string) {
	s.marks = append(s.marks, settingsMark{name, maps.Clone(s.session), maps.Clone(s.local)})
}

// Commit ends the transaction: what SET changed stays.
func (s *Settings) Commit() {
	clear(s.local)
	s.marks = s.marks[:0]
}

// Rollback ends the transaction: what SET changed is undone.
func (s *Settings) Rollback() {
	if len(s.marks) > 0 {
		s.session = s.marks[0].session
	}
	clear(s.local)
	s.marks = s.marks[:0]
}

// Savepoint notes where ROLLBACK TO goes back to.
func (s *Settings) Savepoint(name string) { s.mark(name) }

// RollbackTo undoes what changed since the savepoint, which stays.
func (s *Settings) RollbackTo(name string) error {
	i, err := s.savepoint(name)
	if err != nil {
		return err
	}
	s.session, s.local = maps.Clone(s.marks[i].session), maps.Clone(s.marks[i].local)
	s.marks = s.marks[:i+1]
	return nil
}

// Release forgets a savepoint and those after it.
func (s *Settings) Release(name string) error {
	i, err := s.savepoint(name)
	if err != nil {
		return err
	}
	s.marks = s.marks[:i]
	return nil
}

func (s *Settings) savepoint(name string) (int, error) {
	for i := len(s.marks) - 1; i > 0; i-- {
		if s.marks[i].name == name {
			return i, nil
		}
	}
	return 0, pgerr.New(pgerr.SavepointException, `savepoint "%s" does not exist`, name)
}

// Location is the session's time zone.
func (s *Settings) Location() *time.Location {
	name, _ := s.Get("timezone")
	if loc, _, err := location(name); err == nil {
		return loc
	}
	return time.UTC
}

// Style is the settings that values are read and written by.
func (s *Settings) Style() expr.Style {
	order, _ := s.Get("datestyle")
	intervals, _ := s.Get("intervalstyle")
	bytes, _ := s.Get("bytea_output")
	style := expr.Style{ISOIntervals: intervals == "iso_8601", EscapedBytes: bytes == "escape"}
	switch {
	case strings.HasSuffix(order, "DMY"):
		style.Order = expr.DMY
	case strings.HasSuffix(order, "YMD"):
		style.Order = expr.YMD
	}
	if digits := s.Int("extra_float_digits"); digits <= 0 {
		style.FewerDigits = 1 - digits
	}
	return style
}

// Duration is a setting with a unit of milliseconds; 0 means no limit.
func (s *Settings) Duration(name string) time.Duration {
	text, _ := s.Get(name)
	n, _ := parseUnits(text, timeUnits, 1)
	return time.Duration(n) * time.Millisecond
}

// Bytes is a setting with a unit of kilobytes, e.g. work_mem.
func (s *Settings) Bytes(name string) int64 {
	text, _ := s.Get(name)
	n, _ := parseUnits(text, sizeUnits, 1)
	return n << 10
}

// Int is a setting that is a plain number.
func (s *Settings) Int(name string) int {
	text, _ := s.Get(name)
	n, _ := strconv.Atoi(text)
	return n
}

// list is the values of a setting that has several, with commas between them.
func (s *Settings) list(name string) []string {
	text, _ := s.Get(name)
	if text == "" {
		return nil
	}
	return strings.Split(text, ", ")
}

// On says whether a Boolean setting is on.
func (s *Settings) On(name string) bool {
	text, _ := s.Get(name)
	return text == "on"
}

// location finds a zone by its name, however the letters are cased, or by an offset: a
// number is hours east of UTC. It gives the name that SHOW shows, too.
func location(name string) (*time.Location, string, error) {
	trimmed := strings.TrimSpace(name)
	if hours, err := strconv.ParseFloat(trimmed, 64); err == nil && math.Abs(hours) < 24 {
		return offsetZone(int(math.Round(hours * 3600)))
	}
	switch strings.ToLower(trimmed) {
	case "":
		return nil, "", badZone(name)
	case "utc", "z", "zulu":
		return time.UTC, "UTC", nil
	case "gmt":
		loc, err := time.LoadLocation("GMT")
		return loc, "GMT", err
	case "local", "default":
		return time.UTC, "UTC", nil
	}
	for _, try := range []string{trimmed, zoneCase(trimmed), strings.ToUpper(trimmed)} {
		if loc, err := time.LoadLocation(try); err == nil {
			return loc, try, nil
		}
	}
	if loc, shown := expr.PosixZone(name); loc != nil {
		return loc, shown, nil
	}
	return nil, "", badZone(name)
}

func badZone(name string) error {
	return pgerr.New(pgerr.InvalidParameterValue, `invalid value for parameter "TimeZone": "%s"`, name).
		WithHint(`Zones have names such as "Europe/Berlin".`)
}

// zoneCase writes a zone as the tz database does: Europe/Berlin, America/Port_of_Spain.
func zoneCase(s string) string {
	out := []byte(strings.ToLower(s))
	start := true
	for i, c := range out {
		if start && c >= 'a' && c <= 'z' {
			out[i] = c - 'a' + 'A'
		}
		start = c == '/' || c == '_' || c == '-'
	}
	text := string(out)
	for _, small := range []string{"_Of_", "_Es_", "_Au_"} {
		text = strings.ReplaceAll(text, small, strings.ToLower(small))
	}
	return text
}

func offsetZone(seconds int) (*time.Location, string, error) {
	if seconds == 0 {
		return time.UTC, "UTC", nil
	}
	form := func(sign byte, n int) string {
		s := string(sign) + twoDigits(n/3600)
		if n%3600 != 0 {
			s += ":" + twoDigits(n/60%60)
		}
		return s
	}
	east, west, n := byte('+'), byte('-'), seconds
	if n < 0 {
		east, west, n = '-', '+', -n
	}
	// POSIX counts offsets westwards, so the sign turns around after the name.
	name := "<" + form(east, n) + ">" + form(west, n)
	return time.FixedZone(form(east, n), seconds), name, nil
}

func twoDigits(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

func otherEncoding(value string) bool {
	v := strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(value))
	return v == "latin1" || v == "sqlascii" || v == "iso88591"
}

func invalid(d *setting, value string) *pgerr.Error {
	return pgerr.New(pgerr.InvalidParameterValue, `invalid value for parameter "%s": "%s"`, d.name, value)
}

func checkBool(d *setting, value string) (string, error) {
	v := strings.ToLower(strings.TrimSpace(value))
	if len(v) > 0 {
		for _, w := range []string{"true", "yes", "on", "1"} {
			if strings.HasPrefix(w, v) && v != "o" {
				return "on", nil
			}
		}
		for _, w := range []string{"false", "no", "off", "0"} {
			if strings.HasPrefix(w, v) && v != "o" {
				return "off", nil
			}
		}
	}
	return "", pgerr.New(pgerr.InvalidParameterValue, `parameter "%s" requires a Boolean value`, d.name)
}

func checkZone(_ *setting, value string) (string, error) {
	_, name, err := location(value)
	return name, err
}

// checkPath takes a list of names as SQL writes them, with commas between.
func checkPath(d *setting, value string) (string, error) {
	if _, ok := splitNames(value); !ok {
		return "", invalid(d, value).WithDetail("List syntax is invalid.")
	}
	return value, nil
}

// splitNames splits a list of names; what is not quoted becomes small.
func splitNames(list string) (names []string, ok bool) {
	names = []string{}
	rest := strings.TrimSpace(list)
	for more := rest != ""; more; rest = strings.TrimSpace(rest) {
		name := ""
		if strings.HasPrefix(rest, `"`) {
			for inside := ""; strings.HasPrefix(rest, `"`); inside = `"` { // two in a row are one inside
				part, after, closed := strings.Cut(rest[1:], `"`)
				if !closed {
					return nil, false
				}
				name, rest = name+inside+part, after
			}
			rest = strings.TrimSpace(rest)
			if rest != "" && rest[0] != ',' {
				return nil, false
			}
		} else {
			name, _, _ = strings.Cut(rest, ",")
			rest = rest[len(name):]
			if name = strings.ToLower(strings.TrimSpace(name)); name == "" || strings.ContainsAny(name, " \t\n\"") {
				return nil, false
			}
		}
		names = append(names, name)
		rest, more = strings.CutPrefix(rest, ",")
	}
	return names, true
}

// SearchPath is the schemas in which names are looked up, as search_path lists them.
func (s *Settings) SearchPath() []string {
	text, _ := s.Get("search_path")
	names, _ := splitNames(text)
	return names
}

func checkEncoding(d *setting, value string) (string, error) {
	v := strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(value))
	if v == "utf8" || v == "unicode" || otherEncoding(value) {
		return "UTF8", nil
	}
	return "", invalid(d, value)
}

// checkDateStyle takes ISO and an order of day and month; the other styles are not there.
func checkDateStyle(d *setting, value string) (string, error) {
	order := "MDY"
	for _, word := range strings.Split(value, ",") {
		switch w := strings.ToLower(strings.TrimSpace(word)); w {
		case "iso", "default":
		case "mdy", "us", "noneuro", "noneuropean":
			order = "MDY"
		case "dmy", "euro", "european":
			order = "DMY"
		case "ymd":
			order = "YMD"
		case "sql", "postgres", "german":
			return "", pgerr.New(pgerr.FeatureNotSupported, "DateStyle %s is not supported", w).
				WithHint("Dates are always written as ISO 8601 does.")
		default:
			return "", invalid(d, value).WithDetail(`Unrecognized key word: "%s".`, w)
		}
	}
	return "ISO, " + order, nil
}

func oneOf(values ...string) func(*setting, string) (string, error) {
	return func(d *setting, value string) (string, error) {
		v := strings.ToLower(strings.TrimSpace(value))
		if slices.Contains(values, v) {
			return v, nil
		}
		return "", invalid(d, value).WithHint("Available values: %s.", strings.Join(values, ", "))
	}
}

// someOf takes a list of values with commas between them.
func someOf(values ...string) func(*setting, string) (string, error) {
	one := oneOf(values...)
	return func(d *setting, value string) (string, error) {
		var list []string
		for _, v := range strings.Split(value, ",") {
			if strings.TrimSpace(v) == "" {
				continue
			}
			v, err := one(d, v)
			if err != nil {
				return "", err
			}
			if !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
		return strings.Join(list, ", "), nil
	}
}

func only(value, why string) func(*setting, string) (string, error) {
	return func(d *setting, v string) (string, error) {
		got, err := checkBool(d, v)
		if err == nil && got != value {
			err = pgerr.New(pgerr.FeatureNotSupported, "%s = %s is not supported", d.name, got).WithHint("%s", why)
		}
		return value, err
	}
}

func intBetween(low, high int64) func(*setting, string) (string, error) {
	return func(d *setting, value string) (string, error) {
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return "", invalid(d, value)
		}
		return strconv.FormatInt(n, 10), inRange(d, n, low, high, "")
	}
}

func inRange(d *setting, n, low, high int64, unit string) error {
	if n < low || n > high {
		return pgerr.New(pgerr.InvalidParameterValue, `%d%s is outside the valid range for parameter "%s" (%d .. %d)`,
			n, unit, d.name, low, high)
	}
	return nil
}

type unit struct {
	name  string
	scale float64
}

// The units of settings, largest first; the base unit has scale 1.
var (
	timeUnits = []unit{{"d", 86400e3}, {"h", 3600e3}, {"min", 60e3}, {"s", 1e3}, {"ms", 1}, {"us", 1e-3}}
	sizeUnits = []unit{{"TB", 1 << 30}, {"GB", 1 << 20}, {"MB", 1 << 10}, {"kB", 1}, {"B", 1.0 / 1024}}
)

func parseUnits(text string, units []unit, base float64) (int64, bool) {
	text = strings.TrimSpace(text)
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.' || end == 0 && text[end] == '-') {
		end++
	}
	n, err := strconv.ParseFloat(text[:end], 64)
	if err != nil {
		return 0, false
	}
	name := strings.TrimSpace(text[end:])
	scale := base
	if name != "" {
		i := slices.IndexFunc(units, func(u unit) bool { return u.name == name })
		if i < 0 {
			return 0, false
		}
		scale = units[i].scale
	}
	n = math.Round(n * scale)
	if math.Abs(n) > 1<<53 {
		return 0, false
	}
	return int64(n), true
}

func withUnits(units []unit, low, high int64) func(*setting, string) (string, error) {
	return func(d *setting, value string) (string, error) {
		n, ok := parseUnits(value, units, 1)
		if !ok {
			bad := invalid(d, value)
			if v := strings.TrimSpace(value); v != "" && (v[0] >= '0' && v[0] <= '9' || v[0] == '-') {
				names := make([]string, len(units))
				for i, u := range units {
					names[len(units)-1-i] = `"` + u.name + `"`
				}
				last := len(names) - 1
				bad.WithHint("Valid units for this parameter are %s, and %s.", strings.Join(names[:last], ", "), names[last])
			}
			return "", bad
		}
		base := ""
		for _, u := range units {
			if u.scale == 1 {
				base = " " + u.name
			}
		}
		if err := inRange(d, n, low, high, base); err != nil {
			return "", err
		}
		return formatUnits(n, units), nil
	}
}

func formatUnits(n int64, units []unit) string {
	if n == 0 || n < 0 {
		return strconv.FormatInt(n, 10)
	}
	for _, u := range units {
		if u.scale >= 1 && n%int64(u.scale) == 0 {
			return strconv.FormatInt(n/int64(u.scale), 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

var isolationLevels = oneOf("serializable", "repeatable read", "read committed", "read uncommitted")

// settingTable is every setting with a name of its own. Those without a check and
// without an effect are remembered and shown, because clients set them unasked.
var settingTable = []setting{
	{name: "application_name", description: "Name that the client gives itself."},
	{name: "bytea_output", value: "hex", description: "Form of bytea values in text.", check: oneOf("hex", "escape")},
	{name: "client_encoding", value: "UTF8", description: "Character set of the client; always UTF8.", check: checkEncoding},
	{name: "client_min_messages", value: "notice", description: "Which messages are sent to the client.",
		check: oneOf("debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error")},
	{name: "DateStyle", value: "ISO, MDY", description: "Form of dates, and the order of day and month on input.", check: checkDateStyle},
	{name: "default_transaction_deferrable", value: "off", description: "Whether new transactions are deferrable.", check: checkBool},
	{name: "default_transaction_isolation", value: "read committed", description: "Isolation of new transactions.", check: isolationLevels},
	{name: "default_transaction_read_only", value: "off", description: "Whether new transactions may only read.", check: checkBool},
	{name: "exact_float_sum", value: "off", description: "Whether sums of floats are the same in every run.", check: checkBool},
	{name: "extra_float_digits", value: "1", description: "Digits of floats in text.", check: intBetween(-15, 3)},
	{name: "idle_in_transaction_session_timeout", value: "0", description: "Time after which an idle transaction is ended.", check: withUnits(timeUnits, 0, math.MaxInt32)},
	{name: "in_hot_standby", value: "off", description: "Whether this is a hot standby.", fixed: true},
	{name: "integer_datetimes", value: "on", description: "Whether times are integers.", fixed: true},
	{name: "IntervalStyle", value: "postgres", description: "Form of intervals in text.", check: oneOf("postgres", "iso_8601")},
	{name: "is_superuser", value: "on", description: "Whether the user is a superuser.", fixed: true},
	{name: "lc_collate", value: "C", description: "Order of text.", fixed: true},
	{name: "lc_ctype", value: "C.UTF-8", description: "Classes of characters.", fixed: true},
	{name: "lock_timeout", value: "0", description: "Time to wait for a lock.", check: withUnits(timeUnits, 0, math.MaxInt32)},
	{name: "max_identifier_length", value: "63", description: "Length of names in bytes.", fixed: true},
	{name: "max_index_keys", value: "32", description: "Columns of an index.", fixed: true},
	{name: "max_parallel_workers_per_gather", value: "0", description: "Threads of a query; 0 is all of them.", check: intBetween(0, 1024)},
	{name: "max_recursive_rows", value: "1000000", description: "Rows that a recursive query may make.", check: intBetween(1, math.MaxInt64)},
	{name: "role", value: "none", description: "The current role."},
	{name: "row_security", value: "off", description: "Row security; always off.", check: only("off", "There is no row security.")},
	{name: "search_path", value: `"$user", public`, description: "Schemas in which names are looked up.", check: checkPath},
	{name: "server_encoding", value: "UTF8", description: "Character set of the server.", fixed: true},
	{name: "server_version", value: "15.0 (prickle 0.1.0)", description: "Version of PostgreSQL that is spoken.", fixed: true},
	{name: "server_version_num", value: "150000", description: "The same as a number.", fixed: true},
	{name: "session_authorization", value: "default", description: "The user of the session."},
	{name: "prickle.at", value: "", description: "Token of an earlier answer whose very state is read again; empty: the newest."},
	{name: "prickle.consistency", value: "session", description: "What a query sees at least: what its token names, what there is here, what is at most max_age old, or all that was acknowledged.",
		check: oneOf("session", "local", "bounded", "linearizable")},
	{name: "prickle.max_age", value: "5s", description: "How old the state may be that a bounded query reads.", check: withUnits(timeUnits, 0, math.MaxInt32)},
	{name: "prickle.token", value: "", description: "Token of a write or an answer that queries must include."},
	{name: "prickle.user_weight", value: "100", description: "Part of the processors that the user's queries get beside those of other users of the project, who have 100: less for what can wait.",
		check: intBetween(1, 100)},
	{name: "standard_conforming_strings", value: "on", description: "Whether a backslash is an ordinary character; always on.",
		check: only("on", `Write strings with escapes as E'…'.`)},
	{name: "statement_timeout", value: "0", description: "Time after which a statement is cancelled.", check: withUnits(timeUnits, 0, math.MaxInt32)},
	{name: "TimeZone", value: "UTC", description: "Zone in which times are shown and cut.", check: checkZone},
	{name: "transaction_deferrable", value: "off", description: "Whether the transaction is deferrable.", check: checkBool},
	{name: "transaction_isolation", value: "read committed", description: "Isolation of the transaction.", check: isolationLevels},
	{name: "transaction_read_only", value: "off", description: "Whether the transaction may only read.", check: checkBool},
	{name: disabledRules, value: "", description: "Rules of the optimiser that queries are planned without.", check: someOf(plan.Rules()...)},
	{name: "work_mem", value: "1GB", description: "Memory of a query.", check: withUnits(sizeUnits, 64, math.MaxInt32)},

	{name: "allow_system_table_mods", value: "off", check: checkBool},
	{name: "array_nulls", value: "on", check: checkBool},
	{name: "autovacuum", value: "on", check: checkBool},
	{name: "backslash_quote", value: "safe_encoding"},
	{name: "block_size", value: "8192", fixed: true},
	{name: "check_function_bodies", value: "on", check: checkBool},
	{name: "constraint_exclusion", value: "partition"},
	{name: "cursor_tuple_fraction", value: "0.1"},
	{name: "data_checksums", value: "on", fixed: true},
	{name: "debug_print_plan", value: "off", check: checkBool},
	{name: "default_statistics_target", value: "100", check: intBetween(1, 10000)},
	{name: "default_table_access_method", value: "heap"},
	{name: "default_tablespace", value: ""},
	{name: "default_text_search_config", value: "pg_catalog.simple"},
	{name: "effective_cache_size", value: "4GB", check: withUnits(sizeUnits, 1, math.MaxInt32)},
	{name: "effective_io_concurrency", value: "1"},
	{name: "enable_bitmapscan", value: "on", check: checkBool},
	{name: "enable_hashagg", value: "on", check: checkBool},
	{name: "enable_hashjoin", value: "on", check: checkBool},
	{name: "enable_indexonlyscan", value: "on", check: checkBool},
	{name: "enable_indexscan", value: "on", check: checkBool},
	{name: "enable_material", value: "on", check: checkBool},
	{name: "enable_mergejoin", value: "on", check: checkBool},
	{name: "enable_nestloop", value: "on", check: checkBool},
	{name: "enable_partitionwise_aggregate", value: "off", check: checkBool},
	{name: "enable_partitionwise_join", value: "off", check: checkBool},
	{name: "enable_seqscan", value: "on", check: checkBool},
	{name: "enable_sort", value: "on", check: checkBool},
	{name: "escape_string_warning", value: "on", check: checkBool},
	{name: "force_parallel_mode", value: "off"},
	{name: "from_collapse_limit", value: "8"},
	{name: "fsync", value: "on", fixed: true},
	{name: "geqo", value: "on", check: checkBool},
	{name: "gin_fuzzy_search_limit", value: "0"},
	{name: "hash_mem_multiplier", value: "2"},
	{name: "idle_session_timeout", value: "0", check: withUnits(timeUnits, 0, math.MaxInt32)},
	{name: "jit", value: "off", check: checkBool},
	{name: "join_collapse_limit", value: "8"},
	{name: "lc_messages", value: "C"},
	{name: "lc_monetary", value: "C"},
	{name: "lc_numeric", value: "C"},
	{name: "lc_time", value: "C"},
	{name: "lo_compat_privileges", value: "off", check: checkBool},
	{name: "log_duration", value: "off", check: checkBool},
	{name: "log_min_duration_statement", value: "-1"},
	{name: "log_min_messages", value: "warning"},
	{name: "log_statement", value: "none"},
	{name: "maintenance_work_mem", value: "64MB", check: withUnits(sizeUnits, 1024, math.MaxInt32)},
	{name: "max_connections", value: "100", fixed: true},
	{name: "max_parallel_workers", value: "8", check: intBetween(0, 1024)},
	{name: "max_prepared_transactions", value: "0", fixed: true},
	{name: "min_parallel_table_scan_size", value: "8MB"},
	{name: "operator_precedence_warning", value: "off", check: checkBool},
	{name: "parallel_leader_participation", value: "on", check: checkBool},
	{name: "parallel_setup_cost", value: "1000"},
	{name: "parallel_tuple_cost", value: "0.1"},
	{name: "password_encryption", value: "scram-sha-256"},
	{name: "plan_cache_mode", value: "auto", check: oneOf("auto", "force_custom_plan", "force_generic_plan")},
	{name: "quote_all_identifiers", value: "off", check: checkBool},
	{name: "random_page_cost", value: "4"},
	{name: "seed", value: "unavailable"},
	{name: "seq_page_cost", value: "1"},
	{name: "session_replication_role", value: "origin"},
	{name: "shared_buffers", value: "128MB", fixed: true},
	{name: "ssl", value: "off", fixed: true},
	{name: "synchronize_seqscans", value: "on", check: checkBool},
	{name: "synchronous_commit", value: "on"},
	{name: "tcp_keepalives_count", value: "0"},
	{name: "tcp_keepalives_idle", value: "0"},
	{name: "tcp_keepalives_interval", value: "0"},
	{name: "tcp_user_timeout", value: "0"},
	{name: "temp_buffers", value: "8MB", check: withUnits(sizeUnits, 800, math.MaxInt32)},
	{name: "temp_tablespaces", value: ""},
	{name: "timezone_abbreviations", value: "Default"},
	{name: "track_activities", value: "on", check: checkBool},
	{name: "transform_null_equals", value: "off", check: checkBool},
	{name: "vacuum_cost_delay", value: "0"},
	{name: "wal_level", value: "replica", fixed: true},
	{name: "xmlbinary", value: "base64"},
	{name: "xmloption", value: "content"},
}

var settingsByKey = func() map[string]*setting {
	m := make(map[string]*setting, len(settingTable))
	for i := range settingTable {
		m[key(settingTable[i].name)] = &settingTable[i]
	}
	return m
}()
