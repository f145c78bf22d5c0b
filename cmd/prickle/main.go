package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // zones are inside the binary: nothing else needs to be installed

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// version and commit are set by the Makefile.
var (
	version = "0.1.0"
	commit  = ""
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(leastGCPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, ownConsole(), os.Args[1:]))
}

// run carries out a command line and gives the exit code.
func run(ctx context.Context, c *console, args []string) int {
	root := rootCommand(c)
	root.SetArgs(args)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetIn(c.in)
	return report(c, root.ExecuteContext(ctx))
}

func rootCommand(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:           "prickle",
		Short:         "A database for product analytics",
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.DisableSuggestions = true
	flags := root.PersistentFlags()
	flags.BoolVar(&c.json, "json", false, "print one JSON document")
	flags.BoolVarP(&c.quiet, "quiet", "q", false, "print errors only")
	flags.BoolVarP(&c.more, "verbose", "v", false, "print more")
	flags.String("config", "", "`file` of settings")
	flags.String("url", "", "`address` of the server, e.g. http://localhost:7742; default: the one on the data directory")
	addFlags(flags, "data")
	root.AddCommand(
		serveCommand(c), importCommand(c), sqlCommand(c), tailCommand(c), statusCommand(c), topCommand(c),
		backupCommand(c), restoreCommand(c), verifyCommand(c), doctorCommand(c), recoverCommand(c),
		inspectCommand(c), benchCommand(c), configCommand(c), versionCommand(c),
	)
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(args[0], root)
		}
		return cmd.Help()
	}
	for _, cmd := range root.Commands() {
		if cmd.HasSubCommands() && cmd.RunE == nil {
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) > 0 {
					return unknownCommand(args[0], cmd)
				}
				return cmd.Help()
			}
		}
	}
	root.SetFlagErrorFunc(flagError)
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate("")
	return root
}

// helpTemplate is what -h prints: what it does, its forms, its commands, two examples.
const helpTemplate = `{{with (or .Long .Short)}}{{.}}{{end}}

Usage:  {{.UseLine}}{{if .HasAvailableSubCommands}}{{if not .HasParent}} <command>{{else}} <command>{{end}}{{end}}
{{if .HasExample}}
Examples:
{{.Example}}
{{end}}{{if .HasAvailableSubCommands}}
Commands:
{{range .Commands}}{{if .IsAvailableCommand}}  {{rpad .Name 12}}{{.Short}}
{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Everywhere:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if not .HasParent}}
prickle help <command> shows examples.
{{end}}`

func unknownCommand(word string, under *cobra.Command) error {
	var names []string
	for _, cmd := range under.Commands() {
		if cmd.IsAvailableCommand() || cmd.Name() == "help" {
			names = append(names, cmd.Name())
		}
	}
	what := fmt.Sprintf("Unknown command %q.", word)
	if near := nearest(word, names); near != "" {
		what += fmt.Sprintf(" Did you mean %q?", near)
	} else {
		what += fmt.Sprintf(" %s alone lists them.", under.CommandPath())
	}
	return &problem{Code: "unknown_command", What: what, Exit: exitUsage, Bare: true}
}

var (
	unknownFlag  = regexp.MustCompile(`^unknown flag: --(\S+)$`)
	unknownShort = regexp.MustCompile(`^unknown shorthand flag: '(.)'`)
)

// flagError words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	if m := unknownFlag.FindStringSubmatch(err.Error()); m != nil {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		what := fmt.Sprintf("Unknown flag %q.", "--"+m[1])
		if near := nearest(m[1], names); near != "" {
			what += fmt.Sprintf(" Did you mean %q?", "--"+near)
		} else {
			what += fmt.Sprintf(" %s -h lists them.", cmd.CommandPath())
		}
		return &problem{Code: "unknown_flag", What: what, Exit: exitUsage, Bare: true}
	}
	if m := unknownShort.FindStringSubmatch(err.Error()); m != nil {
		return &problem{Code: "unknown_flag", What: fmt.Sprintf("Unknown flag %q. %s -h lists them.", "-"+m[1], cmd.CommandPath()), Exit: exitUsage, Bare: true}
	}
	return &problem{Code: "usage", What: err.Error(), Try: []string{cmd.CommandPath() + " -h"}, Exit: exitUsage}
}

// noArgs refuses arguments in our words.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &problem{Code: "usage", What: fmt.Sprintf("%s takes no argument, and got %q", cmd.CommandPath(), args[0]),
			Try: []string{cmd.CommandPath() + " -h"}, Exit: exitUsage}
	}
	return nil
}

// someArgs wants between lo and hi arguments; hi < 0 means any number.
func someArgs(lo, hi int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < lo || hi >= 0 && len(args) > hi {
			return &problem{Code: "usage", What: fmt.Sprintf("%s wants %s", cmd.CommandPath(), what),
				Try: []string{cmd.CommandPath() + " -h"}, Exit: exitUsage}
		}
		return nil
	}
}

func versionCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, commit and platform", Args: noArgs,
		Example: "  prickle version\n  prickle version --json",
		RunE: func(*cobra.Command, []string) error {
			goVersion := runtime.Version()
			if word, _, ok := strings.Cut(goVersion, " "); ok { // experiments follow
				goVersion = word
			}
			if c.json {
				return printJSON(c.out, map[string]string{"version": version, "commit": ownCommit(), "go": goVersion, "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			fmt.Fprintf(c.out, "prickle %s (commit %s, %s, %s/%s)\n", version, ownCommit(), goVersion, runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// ownCommit is the commit that was built, as far as somebody wrote it down.
func ownCommit() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 7 {
				return s.Value[:7]
			}
		}
	}
	return "unknown"
}

// printJSON writes one document.
func printJSON(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", raw)
	return err
}
