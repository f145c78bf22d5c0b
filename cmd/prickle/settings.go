package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// setting is one row of the table from which flags, environment names, the file's keys
// and `prickle config show` are made.
type setting struct {
	name  string // as in the file; the flag has hyphens, the environment name PRICKLE_ before it
	value string // the default
	why   string // what the default comes from, where it is not a constant
	usage string
	many  bool // the flag may be given several times
	// secret values are not shown.
	secret bool
	check  func(string) error
}

// allSettings is every setting that acts.
var allSettings = []setting{
	{name: "listen", value: "127.0.0.1:7742", usage: "`address` for HTTP and PostgreSQL, host:port or unix:/path", check: checkAddress},
	{name: "pg_listen", usage: "an `address` of its own for PostgreSQL, e.g. :5432; may be given several times", many: true, check: checkAddress},
	{name: "tls_cert", usage: "`file` with the certificate for TLS, as PEM, read again when it changes; self-signed: one is made"},
	{name: "tls_key", usage: "`file` with its key, if that is another"},
	{name: "tls_client_ca", usage: "`file` with certificates of those who sign certificates of PostgreSQL users"},
	{name: "ssl", value: "allow", usage: "off, allow or require: whether PostgreSQL clients of other machines may or must use TLS", check: oneOf("off", "allow", "require")},
	{name: "data", value: "./prickle-data", usage: "data `directory`"},
	{name: "memory", value: "60%", usage: "memory `budget`: 4GB, or a share of what the machine has", check: func(v string) error { _, err := parseMemory(v); return err }},
	{name: "spill_limit", value: "20GB", usage: "`size` on disk that all queries may take for what does not fit into memory", check: func(v string) error { _, err := parseSize(v); return err }},
	{name: "cpus", value: "all", usage: "`processors` that one query uses", check: func(v string) error { _, err := parseCPUs(v); return err }},
	{name: "query_timeout", value: "60s", usage: "`time` after which a query is ended", check: func(v string) error { _, err := parseDuration(v); return err }},
	{name: "query_max_rows", value: "10 G", usage: "`rows` that one query may read", check: func(v string) error { _, err := parseCount(v); return err }},
	{name: "query_max_bytes", value: "1TB", usage: "`size` of what one query may read, decoded", check: func(v string) error { _, err := parseSize(v); return err }},
	{name: "ballast", value: "auto", usage: "`size` of a file that is deleted when the disk is full; auto: 1 % of the disk, off: none", check: func(v string) error { _, err := parseBallast(v); return err }},
	{name: "backup_url", usage: "`target` of the log and of backups while the server runs: a path or s3://bucket/prefix"},
	{name: "backup_every", value: "24h", usage: "`time` between two backups to backup_url", check: func(v string) error { _, err := parseDuration(v); return err }},
	{name: "copy_directory", usage: "a `directory`, or s3://bucket/prefix, with files that statements may read and write; may be given several times", many: true},
	{name: "s3_endpoint", value: "s3.amazonaws.com", usage: "`host` of an S3-compatible service, with http:// before it for one without TLS"},
	{name: "s3_region", usage: "`region` of the buckets"},
	{name: "s3_access_key", usage: "`key` for S3; without it AWS_ACCESS_KEY_ID, ~/.aws/credentials and the machine's role count"},
	{name: "s3_secret_key", usage: "`secret` that belongs to the key", secret: true},
	{name: "log_level", value: "info", usage: "debug, info, warn or error", check: oneOf("debug", "info", "warn", "error")},
	{name: "log_format", value: "auto", usage: "text, json or auto: text on a terminal", check: oneOf("auto", "text", "json")},
}

func (s *setting) flag() string { return strings.ReplaceAll(s.name, "_", "-") }
func (s *setting) env() string  { return "PRICKLE_" + strings.ToUpper(s.name) }

func settingNames() []string {
	names := make([]string, len(allSettings))
	for i := range allSettings {
		names[i] = allSettings[i].name
	}
	return names
}

// config is the settings as they are in effect, each with where it comes from.
type config struct {
	values map[string][]string
	from   map[string]string
}

func (c *config) get(name string) string {
	if v := c.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// addFlags gives a command the flags of some settings, or of all.
func addFlags(flags *pflag.FlagSet, names ...string) {
	for i := range allSettings {
		s := &allSettings[i]
		if len(names) > 0 && !contains(names, s.name) {
			continue
		}
		if s.many {
			flags.StringArray(s.flag(), nil, s.usage)
		} else {
			flags.String(s.flag(), "", s.usage+defaultNote(s))
		}
	}
}

func defaultNote(s *setting) string {
	if s.value == "" {
		return ""
	}
	return " (default " + s.value + ")"
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// loadConfig finds every setting: flag, environment, file, default.
func loadConfig(cmd *cobra.Command, env func(string) string) (*config, error) {
	file, err := readConfigFile(cmd, env)
	if err != nil {
		return nil, err
	}
	c := &config{values: map[string][]string{}, from: map[string]string{}}
	for i := range allSettings {
		s := &allSettings[i]
		var values []string
		from := ""
		if f := cmd.Flags().Lookup(s.flag()); f != nil && f.Changed {
			from = "flag --" + s.flag()
			if s.many {
				values, _ = cmd.Flags().GetStringArray(s.flag()) // the flag is of this type
			} else {
				values = []string{f.Value.String()}
			}
		} else if v := env(s.env()); v != "" {
			values, from = splitMany(s, v), "environment: "+s.env()
		} else if path := env(s.env() + "_FILE"); path != "" {
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil, usage("%s_FILE: %v", s.env(), err)
			}
			values, from = splitMany(s, strings.TrimSpace(string(raw))), "environment: "+s.env()+"_FILE"
		} else if v, ok := file.values[s.name]; ok {
			values, from = v, "file: "+file.name
		} else if s.value != "" {
			values, from = []string{s.value}, "default"
			if s.why != "" {
				from += ": " + s.why
			}
		} else {
			from = "default"
		}
		if s.check != nil {
			for _, v := range values {
				if err := s.check(v); err != nil {
					return nil, &problem{Code: "bad_setting", What: fmt.Sprintf("%s: %v", s.name, err), Where: []string{"It comes from the " + from + "."}, Exit: exitUsage}
				}
			}
		}
		c.values[s.name], c.from[s.name] = values, from
	}
	return c, nil
}

func splitMany(s *setting, v string) []string {
	if !s.many {
		return []string{v}
	}
	parts := strings.Split(v, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// configFile is what a file of settings says.
type configFile struct {
	name   string
	values map[string][]string
}

// maxConfigFile bounds a file of settings: it has a line each.
const maxConfigFile = 1 << 20

func readConfigFile(cmd *cobra.Command, env func(string) string) (configFile, error) {
	named, _ := cmd.Flags().GetString("config") // every command has it
	if named == "" {
		named = env("PRICKLE_CONFIG")
	}
	names := []string{"./prickle.toml", "/etc/prickle/prickle.toml"}
	if named != "" {
		names = []string{named}
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) && named == "" {
			continue
		}
		if err != nil {
			return configFile{}, usage("settings: %v", err)
		}
		if info.Size() > maxConfigFile {
			return configFile{}, usage("%s: %d bytes are too many for a file of settings", name, info.Size())
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return configFile{}, usage("settings: %v", err)
		}
		values, err := parseConfig(name, string(raw))
		return configFile{name, values}, err
	}
	return configFile{}, nil
}

// parseConfig reads the part of TOML that settings need: key = value, where a value is a
// string, a number, a word, or a list of strings on one line.
func parseConfig(name, text string) (map[string][]string, error) {
	out := map[string][]string{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		where := fmt.Sprintf("%s, line %d", name, i+1)
		key, rest, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		if !ok {
			return nil, usage("%s: a line here is key = value", where)
		}
		if !contains(settingNames(), key) {
			p := usage("%s: there is no setting %q", where, key)
			if near := nearest(key, settingNames()); near != "" {
				p.Try = []string{near}
			}
			return nil, p
		}
		values, err := parseValue(strings.TrimSpace(rest))
		if err != nil {
			return nil, usage("%s: %s: %v", where, key, err)
		}
		out[key] = values
	}
	return out, nil
}

func parseValue(s string) ([]string, error) {
	one := func(s string) (value, rest string, err error) {
		if s != "" && (s[0] == '"' || s[0] == '\'') {
			end := 1
			for end < len(s) && s[end] != s[0] {
				if s[end] == '\\' && s[0] == '"' {
					end++
				}
				end++
			}
			if end >= len(s) {
				return "", "", errors.New("the string has no end")
			}
			raw := s[1:end]
			if s[0] == '"' {
				if raw, err = strconv.Unquote(s[:end+1]); err != nil {
					return "", "", errors.New("the string has an escape that means nothing")
				}
			}
			return raw, strings.TrimSpace(s[end+1:]), nil
		}
		end := strings.IndexAny(s, " \t,]#")
		if end < 0 {
			end = len(s)
		}
		return s[:end], strings.TrimSpace(s[end:]), nil
	}
	tail := func(rest string) error {
		if rest != "" && rest[0] != '#' {
			return fmt.Errorf("%q after the value means nothing", rest)
		}
		return nil
	}
	if !strings.HasPrefix(s, "[") {
		v, rest, err := one(s)
		if err == nil {
			err = tail(rest)
		}
		if err == nil && v == "" && !strings.HasPrefix(s, `""`) && !strings.HasPrefix(s, "''") {
			err = errors.New("the value is missing")
		}
		return []string{v}, err
	}
	var out []string
	for s = strings.TrimSpace(s[1:]); ; {
		if strings.HasPrefix(s, "]") {
			return out, tail(strings.TrimSpace(s[1:]))
		}
		v, rest, err := one(s)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		switch {
		case strings.HasPrefix(rest, ","):
			s = strings.TrimSpace(rest[1:])
		case strings.HasPrefix(rest, "]"):
			s = rest
		default:
			return nil, errors.New("the list has no end on this line")
		}
	}
}

func checkAddress(v string) error {
	if path, ok := strings.CutPrefix(v, "unix:"); ok {
		if path == "" {
			return errors.New("unix: needs a path after it")
		}
		return nil
	}
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return fmt.Errorf("%q is not an address; write host:port, :port or unix:/path", v)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if contains(words, v) {
			return nil
		}
		return fmt.Errorf("%q is not one of %s", v, strings.Join(words, ", "))
	}
}

// parseDuration reads 15s, 5m, 90d.
func parseDuration(v string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(v, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n > 0 && n < 1e5 {
			return time.Duration(n * 24 * float64(time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a time; write 15s, 5m, 90d", v)
	}
	return d, nil
}

var units = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// parseSize reads 20GB, 512MiB.
func parseSize(v string) (int64, error) {
	for _, u := range units {
		if digits, ok := strings.CutSuffix(v, u.suffix); ok {
			if n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64); err == nil && n >= 0 && n*u.bytes < 1<<60 {
				return int64(n * u.bytes), nil
			}
			break
		}
	}
	return 0, fmt.Errorf("%q is not a size; write 20GB or 512MiB", v)
}

// parseCount reads 1000, 5 M, 10 G.
func parseCount(v string) (int64, error) {
	digits, factor := v, 1.0
	for suffix, f := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} {
		if d, ok := strings.CutSuffix(v, suffix); ok {
			digits, factor = strings.TrimSpace(d), f
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n >= 1) || n*factor >= 1<<60 {
		return 0, fmt.Errorf("%q is not a number; write 500 M or 10 G", v)
	}
	return int64(n * factor), nil
}

// parseBallast gives the size in bytes, 0 for auto, negative for none.
func parseBallast(v string) (int64, error) {
	switch v {
	case "auto":
		return 0, nil
	case "off":
		return -1, nil
	}
	n, err := parseSize(v)
	if err == nil && n == 0 {
		n = -1
	}
	return n, err
}

// minMemory is what a server cannot do without.
const minMemory = 64 << 20

// parseMemory reads a size or a share of the memory there is.
func parseMemory(v string) (int64, error) {
	n := int64(0)
	if share, ok := strings.CutSuffix(v, "%"); ok {
		p, err := strconv.ParseFloat(share, 64)
		if err != nil || p <= 0 || p > 100 {
			return 0, fmt.Errorf("%q is not a share", v)
		}
		n = int64(p / 100 * float64(machineMemory()))
	} else {
		var err error
		if n, err = parseSize(v); err != nil {
			return 0, err
		}
	}
	if n < minMemory {
		return 0, fmt.Errorf("%s is too little; at least %s are needed", v, size(minMemory))
	}
	return n, nil
}

func parseCPUs(v string) (int, error) {
	if v == "all" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 4096 {
		return 0, fmt.Errorf("%q is not a number of processors", v)
	}
	return min(n, runtime.NumCPU()), nil
}

// show is the line of `prickle config show`.
func (c *config) show(name string) string {
	value, from := c.get(name), c.from[name]
	switch {
	case name == "memory" && strings.HasSuffix(value, "%"):
		n, _ := parseMemory(value) // it was checked
		from += ": " + strings.TrimSuffix(value, "%") + " % of " + size(float64(machineMemory()))
		value = strings.ReplaceAll(size(float64(n)), " ", "")
		from = strings.Replace(from, " % of", "% of", 1)
	case name == "cpus" && value == "all":
		value = strconv.Itoa(runtime.NumCPU())
		from += ": all"
	case value != "" && isSecret(name):
		value = hidden
	case name == "pg_listen":
		if value = strings.Join(c.values[name], ", "); value == "" {
			value = "(same port)"
		}
	case name == "copy_directory":
		if value = strings.Join(c.values[name], ", "); value == "" {
			value = "(none)"
		}
	}
	return fmt.Sprintf("%s = %s   (%s)", name, value, from)
}

// hidden is shown instead of a secret.
const hidden = "•••"

func isSecret(name string) bool {
	for i := range allSettings {
		if allSettings[i].name == name {
			return allSettings[i].secret
		}
	}
	return false
}

func configCommand(c *console) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Effective settings and where each came from"}
	show := &cobra.Command{
		Use: "show", Short: "Print every setting, its value and where that comes from", Args: noArgs,
		Example: "  prickle config show\n  PRICKLE_MEMORY=4GB prickle config show",
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := loadConfig(cmd, c.env)
			if err != nil {
				return err
			}
			if c.json {
				type row struct {
					Name   string   `json:"name"`
					Values []string `json:"values"`
					From   string   `json:"from"`
				}
				rows := make([]row, 0, len(allSettings))
				for _, s := range allSettings {
					values := append([]string{}, conf.values[s.name]...)
					if s.secret && len(values) > 0 {
						values = []string{hidden}
					}
					rows = append(rows, row{s.name, values, conf.from[s.name]})
				}
				return printJSON(c.out, map[string]any{"settings": rows})
			}
			for _, s := range allSettings {
				fmt.Fprintln(c.out, conf.show(s.name))
			}
			return nil
		},
	}
	addFlags(show.Flags(), except("data")...)
	docs := &cobra.Command{
		Use: "docs", Short: "Print the table of settings", Args: noArgs,
		Example: "  prickle config docs\n  prickle config docs > settings.md",
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(c.out, "| Setting | Flag | Environment | Default | |\n|---|---|---|---|---|")
			for i := range allSettings {
				s := &allSettings[i]
				fmt.Fprintf(c.out, "| `%s` | `--%s` | `%s` | %s | %s |\n", s.name, s.flag(), s.env(), s.value, strings.ReplaceAll(s.usage, "`", ""))
			}
			return nil
		},
	}
	cmd.AddCommand(show, docs)
	return cmd
}

// except names all settings but some.
func except(names ...string) []string {
	var out []string
	for _, n := range settingNames() {
		if !contains(names, n) {
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return out
}

// milliseconds is a duration for a JSON key that ends in _ms.
func milliseconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }
