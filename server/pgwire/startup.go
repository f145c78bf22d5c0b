package pgwire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/prickledb/prickle/engine/pgerr"
)

// The codes of the first packet.
const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSS    = 80877104
)

// maxStartup is PostgreSQL's limit of a start-up packet in bytes.
const maxStartup = 10_000

// startup is the first packet of a connection that says anything.
type startup struct {
	code   uint32 // protocol version, or one of the codes above
	params [][2]string
	pid    uint32 // of a cancel request
	key    []byte
}

func fatal(code, format string, args ...any) *pgerr.Error {
	e := pgerr.New(code, format, args...)
	e.Severity = "FATAL"
	return e
}

// readStartup reads one packet without a type byte.
func readStartup(r io.Reader) (*startup, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 8 || size > maxStartup {
		return nil, fatal(pgerr.ProtocolViolation, "invalid length of startup packet")
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	s := &startup{code: binary.BigEndian.Uint32(body)}
	body = body[4:]
	switch {
	case s.code == codeSSL || s.code == codeGSS:
	case s.code == codeCancel:
		if len(body) < 5 || len(body) > 4+256 {
			return nil, fatal(pgerr.ProtocolViolation, "invalid length of cancel request")
		}
		s.pid, s.key = binary.BigEndian.Uint32(body), body[4:]
	case s.code>>16 == 3:
		return s, s.parameters(body)
	default:
		return nil, fatal(pgerr.FeatureNotSupported, "unsupported frontend protocol %d.%d: server supports 3.0 to 3.0",
			s.code>>16, s.code&0xffff)
	}
	return s, nil
}

// parameters reads names and values, each ended by a zero byte, up to an empty name.
func (s *startup) parameters(body []byte) error {
	next := func() (string, bool) {
		i := bytes.IndexByte(body, 0)
		if i < 0 {
			return "", false
		}
		word := string(body[:i])
		body = body[i+1:]
		return word, true
	}
	for {
		name, ok := next()
		if ok && name == "" {
			return nil
		}
		value, ok2 := next()
		if !ok || !ok2 {
			return fatal(pgerr.ProtocolViolation, "invalid startup packet layout: expected terminator as last byte")
		}
		s.params = append(s.params, [2]string{name, value})
	}
}

// request is what a start-up asks for.
type request struct {
	user, database string
	settings       map[string]string
	unknown        []string // protocol options, _pq_.*
	minor          uint32   // of the protocol
}

// request sorts the parameters of a start-up.
func (s *startup) request() (*request, error) {
	r := &request{settings: map[string]string{}, minor: s.code & 0xffff}
	options := ""
	for _, p := range s.params {
		switch name := strings.ToLower(p[0]); {
		case name == "user":
			r.user = p[1]
		case name == "database":
			r.database = p[1]
		case name == "options":
			options = p[1]
		case name == "replication":
			if v := strings.ToLower(p[1]); v != "false" && v != "off" && v != "0" && v != "no" && v != "" {
				return nil, fatal(pgerr.FeatureNotSupported, "replication is not supported")
			}
		case strings.HasPrefix(name, "_pq_."):
			r.unknown = append(r.unknown, p[0])
		default:
			r.settings[name] = strings.Trim(p[1], "'") // asyncpg sends 'utf-8' in quotes
		}
	}
	if r.user == "" {
		return nil, fatal(pgerr.InvalidAuthorization, "no PostgreSQL user name specified in startup packet")
	}
	if r.database == "" {
		r.database = r.user
	}
	if err := parseOptions(options, r.settings); err != nil {
		return nil, err
	}
	return r, nil
}

// parseOptions reads command-line words: -c name=value, -cname=value and --name=value.
func parseOptions(options string, into map[string]string) error {
	words := optionWords(options)
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w = words[i]
		case strings.HasPrefix(w, "--"):
			w = w[2:]
		case strings.HasPrefix(w, "-c"):
			w = w[2:]
		default:
			return fatal(pgerr.SyntaxError, "invalid command-line argument for server process: %s", w)
		}
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			return fatal(pgerr.SyntaxError, "-c %s requires a value", w)
		}
		into[strings.ToLower(strings.ReplaceAll(name, "-", "_"))] = value
	}
	return nil
}

// optionWords splits at blanks; a backslash takes the next character as it is.
func optionWords(s string) []string {
	var words []string
	var word []byte
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			word, in = append(word, s[i]), true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if in {
				words = append(words, string(word))
			}
			word, in = word[:0], false
		default:
			word, in = append(word, c), true
		}
	}
	if in {
		words = append(words, string(word))
	}
	return words
}

// errCanceled ends a connection that was there to cancel another.
var errCanceled = errors.New("cancel request")

// greet answers encryption requests until the client says who it is, or cancels.
func (c *conn) greet(ctx context.Context) (*request, error) {
	for range 3 {
		s, err := readStartup(c.in)
		if err != nil {
			return nil, err
		}
		switch s.code {
		case codeSSL, codeGSS:
			// What already lies in the buffer was sent before the client knew whether
			// it speaks in the clear: someone else may have put it there.
			if c.in.Buffered() > 0 {
				return nil, fatal(pgerr.ProtocolViolation, "received unencrypted data after encryption request")
			}
			if s.code == codeGSS {
				_, err = c.nc.Write([]byte{'N'})
			} else {
				err = c.encrypt(ctx)
			}
			if err != nil {
				return nil, err
			}
		case codeCancel:
			c.server.cancel(s.pid, s.key)
			return nil, errCanceled
		default:
			return s.request()
		}
	}
	return nil, fatal(pgerr.ProtocolViolation, "too many encryption requests")
}

// readMessage reads one message: its type and its body, which is valid until the next
// call. The body grows with what arrives, so a length alone takes no memory.
func readMessage(r *bufio.Reader, buf []byte, limit int) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, buf, err
	}
	kind = head[0]
	if strings.IndexByte("BCDEFfdcHPpQSX", kind) < 0 {
		return 0, buf, fatal(pgerr.ProtocolViolation, "invalid frontend message type %d", kind)
	}
	size := int(binary.BigEndian.Uint32(head[1:])) - 4
	if size < 0 || size > 1<<30 {
		return 0, buf, fatal(pgerr.ProtocolViolation, "invalid message length")
	}
	if size > limit {
		return 0, buf, fatal(pgerr.ProgramLimitExceeded, "message of %d bytes is longer than max_message_size, %d bytes", size, limit)
	}
	const piece = 1 << 20
	body = buf[:0]
	for len(body) < size {
		n := min(size-len(body), piece)
		at := len(body)
		if cap(body)-at < n {
			body = append(make([]byte, 0, max(2*cap(body), at+n)), body...)
		}
		body = body[:at+n]
		if _, err := io.ReadFull(r, body[at:]); err != nil {
			return 0, body, fmt.Errorf("message body: %w", err)
		}
	}
	return kind, body, nil
}
