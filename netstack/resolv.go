// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"strings"
)

// ResolvConf is the text of /etc/resolv.conf as the lease has it; without a
// lease it names no server.
func (n *Stack) ResolvConf() string {
	l := n.Lease()
	if l == nil {
		return ""
	}
	var b strings.Builder
	for _, a := range l.DNS {
		b.WriteString("nameserver " + a.String() + "\n")
	}
	if len(l.Search) > 0 {
		b.WriteString("search " + strings.Join(l.Search, " ") + "\n")
	}
	return b.String()
}

// Hostname is the name that the lease gives this machine, or empty.
func (n *Stack) Hostname() string {
	if l := n.Lease(); l != nil {
		return l.Hostname
	}
	return ""
}

// Lease is the current lease, nil for none.
func (n *Stack) Lease() *Lease {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lease
}

// cleanName returns s if it is a host or domain name (RFC 1123), else empty:
// names from the network end up in files that others parse.
func cleanName(s string) string {
	s = strings.TrimRight(s, ".\x00")
	if s == "" || len(s) > 253 {
		return ""
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return ""
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return ""
			}
		}
	}
	return s
}
