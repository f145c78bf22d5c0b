package server

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// PortError says that an address is taken and, where that can be found, by whom.
type PortError struct {
	Host, Port string
	PID        int    // 0: unknown
	Command    string // its program and command, as in "prickle serve"
	Data       string // its data directory, if it is one of ours
}

// Error is the first line of what a person is told.
func (e *PortError) Error() string {
	s := fmt.Sprintf("port %s on %s is taken", e.Port, e.Host)
	if e.PID > 0 {
		s += fmt.Sprintf(" by process %d", e.PID)
		if e.Command != "" {
			s += " (" + e.Command + ")"
		}
	}
	return s
}

// Listen opens an address: host:port or unix:/path. An address in use is a *PortError.
func Listen(addr string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return net.Listen("unix", path)
	}
	ln, err := net.Listen("tcp", addr)
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
		return ln, err
	}
	taken := &PortError{}
	taken.Host, taken.Port, _ = net.SplitHostPort(addr)
	if taken.Host == "" {
		taken.Host = "every address"
	}
	taken.findHolder()
	return nil, taken
}

// findHolder looks in /proc for the process that listens on the port. It leaves the
// fields empty where the system does not say.
func (e *PortError) findHolder() {
	port, err := strconv.Atoi(e.Port)
	if err != nil {
		return
	}
	sockets := map[string]bool{}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listening(sockets, name, fmt.Sprintf(":%04X", port))
	}
	if len(sockets) == 0 {
		return
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is a good one
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil || !sockets[link] {
			continue
		}
		words := strings.Split(fd, "/")
		if e.PID, err = strconv.Atoi(words[2]); err != nil {
			continue
		}
		e.describe("/proc/" + words[2])
		return
	}
}

// listening collects the sockets of a table of the kernel's that listen on a port.
func listening(into map[string]bool, name, port string) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // it was only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// sl local_address rem_address st … uid timeout inode; 0A is LISTEN.
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], port) && fields[3] == "0A" {
			into["socket:["+fields[9]+"]"] = true
		}
	}
}

func (e *PortError) describe(proc string) {
	line, err := os.ReadFile(proc + "/cmdline")
	if err != nil {
		return
	}
	words := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	e.Command = filepath.Base(words[0])
	if e.Command != "prickle" {
		return
	}
	data := "./prickle-data"
	for i, w := range words[1:] {
		if i == 0 && !strings.HasPrefix(w, "-") {
			e.Command += " " + w
		}
		if v, ok := strings.CutPrefix(w, "--data="); ok {
			data = v
		} else if w == "--data" && i+2 < len(words) {
			data = words[i+2]
		}
	}
	if !filepath.IsAbs(data) {
		if cwd, err := os.Readlink(proc + "/cwd"); err == nil {
			data = filepath.Join(cwd, data)
		}
	}
	e.Data = data
}
