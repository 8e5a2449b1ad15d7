// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestHostname(t *testing.T) {
	for path, want := range map[string]string{
		"/x/hello.vhdx": "hello", "My Service_2.vhdx": "my-service-2", "-.vhdx": "hvgo", ".vhdx": "hvgo",
		"ü.vhdx": "hvgo", strings.Repeat("a", 80): strings.Repeat("a", 63),
	} {
		if got := hostname(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// A port that was taken after it had been checked is an error that says what to do.
func TestNetworkPortTaken(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := netip.MustParseAddrPort(l.Addr().String())
	p := &runPlan{image: &diskFile{path: "hello.vhdx"}, publish: []publish{{at, 80}}}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if _, err := p.newNetwork(log); err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), "-p ") {
		t.Errorf("%v", err)
	}
	l.Close()
	n, err := p.newNetwork(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
	p.noNetwork = true
	if n, err := p.newNetwork(log); n != nil || err != nil || n.close() != nil {
		t.Errorf("%v, %v", n, err)
	}
}
