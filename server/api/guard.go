package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Guard lets a request pass only in local mode: it comes from this machine, asks for it
// by a local name, went through no proxy, and was not made by a page of another site. hosts
// are further names of this machine. Without accounts there is no other way in.
func Guard(next http.Handler, hosts []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := refuse(r, hosts); refusal != nil {
			WriteError(w, refusal)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuse(r *http.Request, hosts []string) *Error {
	no := func(detail, hint string) *Error {
		return &Error{Status: http.StatusForbidden, Type: "authentication_error", Code: "permission_denied", Detail: detail, Hint: hint}
	}
	if !Loopback(r.RemoteAddr) {
		return no("this server has no accounts yet, so it answers only requests from its own machine",
			"Use it through localhost, for example over an SSH tunnel.")
	}
	for name := range r.Header {
		if name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") {
			return no("the request came through a proxy, so who sent it is unknown, and this server has no accounts yet",
				"Ask the server directly, at localhost.")
		}
	}
	if !localHost(r.Host, hosts) {
		return no("the name "+quoted(r.Host)+" is not this machine's own", "Use localhost or 127.0.0.1.")
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
	case "":
		if r.Header.Get("Origin") != "" {
			return no("the request was made by another web page", "")
		}
	default:
		return no("the request was made by another web page", "")
	}
	return nil
}

func quoted(s string) string { return `"` + s[:min(len(s), 100)] + `"` }

// Loopback says whether an address is of this machine itself.
func Loopback(addr string) bool {
	if addr == "" || addr == "@" || strings.HasPrefix(addr, "/") {
		return true // a Unix socket
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// localHost says whether the Host header names this machine. A name that merely resolves
// to it does not count: that is how a foreign page would get in.
func localHost(host string, hosts []string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return host == "localhost" || host == "127.0.0.1" || host == "::1" || slices.Contains(hosts, host)
}
