// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/bench"
	"github.com/hvgo/hvgo/bench/load"
)

// newServer is the program's HTTP part, and a file for a disk.
func newServer(t *testing.T) (*httptest.Server, string) {
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(routes(newStart(), disk))
	t.Cleanup(s.Close)
	return s, disk
}

// The load of the bench against the program.
func TestBodies(t *testing.T) {
	s, _ := newServer(t)
	for path, bytes := range map[string]int64{bench.SmallPath: bench.SmallBody, bench.LargePath: bench.LargeBody} {
		for _, own := range []bool{false, true} {
			r, err := load.HTTP{Address: s.Listener.Addr().String(), Path: path, Connections: 3, Requests: 50, Handshake: own}.Run(t.Context())
			if err != nil || r.Requests != 50 || r.Bytes != 50*bytes {
				t.Errorf("%s, a connection each %v: %d requests, %d bytes, %v", path, own, r.Requests, r.Bytes, err)
			}
		}
	}
	if _, err := (load.HTTP{Address: s.Listener.Addr().String(), Path: "/none", Connections: 2, Requests: 9}).Run(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "404") {
		t.Errorf("a path that is not there: %v", err)
	}
}

func TestTLS(t *testing.T) {
	l, err := listenTLS("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: routes(newStart(), "")}
	go h.Serve(l)
	defer h.Close()
	r, err := load.HTTP{
		Address: l.Addr().String(), Path: bench.SmallPath, Connections: 2, Requests: 6, Handshake: true,
		TLS: &tls.Config{InsecureSkipVerify: true},
	}.Run(t.Context())
	if err != nil || r.Requests != 6 {
		t.Errorf("%d requests, %v", r.Requests, err)
	}
}

func TestStartAndMemory(t *testing.T) {
	s, _ := newServer(t)
	var st bench.Start
	get(t, s.URL+bench.StartPath, &st)
	if len(st.Marks) != 1 || st.Marks[0].Name != bench.MarkMain || st.Marks[0].At > st.Now || st.Marks[0].At <= 0 {
		t.Errorf("%+v", st)
	}
	var m bench.Memory
	get(t, s.URL+bench.MemoryPath, &m)
	if m.Available < 1<<20 || m.Available > m.Total {
		t.Errorf("%+v", m)
	}
}

func get(t *testing.T, url string, to any) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(to); err != nil {
		t.Fatal(err)
	}
}

func TestJobs(t *testing.T) {
	s, disk := newServer(t)
	e, err := load.NewEcho()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	target := net.JoinHostPort("127.0.0.1", jsonText(t, e.Port()))
	for _, j := range []bench.Job{
		{Kind: bench.RandomRead, Count: 100, Bytes: 4096, Depth: 1},
		{Kind: bench.RandomRead, Count: 100, Bytes: 4096, Depth: 32},
		{Kind: bench.RandomWrite, Count: 100, Bytes: 4096, Depth: 4},
		{Kind: bench.SequentialRead, Count: 9, Bytes: 1 << 20, Depth: 1},
		{Kind: bench.SequentialWrite, Count: 9, Bytes: 1 << 20, Depth: 1},
		{Kind: bench.SyncWrite, Count: 3, Bytes: 4096, Depth: 1},
		{Kind: bench.Compute, Count: 50, Bytes: 1000, Depth: 2},
		{Kind: bench.Collect, Count: 200, Bytes: 8 << 20, Depth: 2},
		{Kind: bench.Datagrams, Count: 50, Bytes: 64, Depth: 4, Target: target},
	} {
		r := post(t, s.URL, j)
		if r.Error != "" && strings.Contains(r.Error, "invalid argument") && strings.Contains(r.Error, disk) {
			t.Skip("the temporary folder's file system has no O_DIRECT")
		}
		if r.Error != "" || r.Ops != j.Count || r.Elapsed <= 0 || r.Lost != 0 || r.P50 > r.P99 || r.P99 > r.P999 || r.P999 > r.Worst {
			t.Errorf("%+v: %+v", j, r)
		}
	}
}

// Jobs that are wrong say so, and do nothing.
func TestWrongJobs(t *testing.T) {
	s, _ := newServer(t)
	for want, j := range map[string]bench.Job{
		"no kind of job":   {Kind: "dance", Count: 1, Bytes: 1, Depth: 1},
		"out of its range": {Kind: bench.Compute, Count: -1, Bytes: 1, Depth: 1},
		"range":            {Kind: bench.Compute, Count: 1, Bytes: bench.MaxBytes + 1, Depth: 1},
		"its range":        {Kind: bench.Compute, Count: 1, Bytes: 1, Depth: bench.MaxDepth + 1},
		"number of blocks": {Kind: bench.RandomRead, Count: 1, Bytes: 1000, Depth: 1},
		"wants":            {Kind: bench.SequentialRead, Count: 1, Bytes: 8 << 20, Depth: 1},
		"less than a tree": {Kind: bench.Collect, Count: 1, Bytes: 4096, Depth: 1},
		"a datagram of":    {Kind: bench.Datagrams, Count: 1, Bytes: 4096, Depth: 1},
		"missing":          {Kind: bench.Datagrams, Count: 1, Bytes: 64, Depth: 1},
	} {
		if r := post(t, s.URL, j); !strings.Contains(r.Error, want) {
			t.Errorf("%+v: %q, want %q", j, r.Error, want)
		}
	}
	r, err := http.Post(s.URL+bench.JobPath, "", strings.NewReader("{"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusBadRequest {
		t.Errorf("a job that is no JSON: %s", r.Status)
	}
	if r, err := begin(context.Background(), bench.Job{Kind: bench.RandomRead, Count: 1, Bytes: 4096, Depth: 1}, ""); err == nil {
		t.Errorf("without a disk: %+v", r)
	}
}

func post(t *testing.T, url string, j bench.Job) (res bench.Result) {
	t.Helper()
	r, err := http.Post(url+bench.JobPath, "", bytes.NewReader([]byte(jsonText(t, j))))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&res); err != nil {
		t.Fatal(err)
	}
	return res
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStreams(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go serveStreams(l)
	for _, upload := range []bool{false, true} {
		d, err := load.Stream{Address: l.Addr().String(), Streams: 3, Bytes: 1<<20 + 7, Upload: upload}.Run(t.Context())
		if err != nil || d <= 0 {
			t.Errorf("upload %v: %v, %v", upload, d, err)
		}
	}
	for _, head := range []string{"x00000000", "r\xff0000000"} { // no direction; too many bytes
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		c.Write([]byte(head))
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%q: %d bytes, %v", head, n, err)
		}
		c.Close()
	}
}
