// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestReadAnswer(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc":           "",
		"HTTP/1.1 200 OK\r\ncontent-length:3\r\nA: b\r\n\r\nabc":    "",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab":            "EOF",
		"HTTP/1.1 200 OK\r\n\r\nabc":                                "Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc":          "Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc":           "Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n": "Content-Length",
		"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc":    "404",
		"SSH-2.0\r\n": "status line",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHeaders) + "\r\n": "too many",
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 100<<10) + "\r\n\r\n":    "buffer full",
	} {
		n, err := readAnswer(bufio.NewReaderSize(strings.NewReader(text), 4096))
		if want == "" && (n != 3 || err != nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60q: %d, %v", text, n, err)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := readAnswer(bufio.NewReaderSize(strings.NewReader(string(b)), 4096))
		if err == nil && (n < 0 || n > int64(len(b))) {
			t.Errorf("a body of %d bytes in %d", n, len(b))
		}
	})
}

func server(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Requests ends at its number, Duration at its time, and the context in between.
func TestEnds(t *testing.T) {
	at := server(t)
	if r, err := (HTTP{Address: at, Path: "/", Connections: 8, Requests: 101}).Run(t.Context()); err != nil || r.Requests != 101 || r.Bytes != 505 {
		t.Errorf("101 requests: %+v, %v", r.Requests, err)
	}
	if r, err := (HTTP{Address: at, Path: "/", Connections: 2, Duration: 50 * time.Millisecond}).Run(t.Context()); err != nil ||
		r.Requests == 0 || r.Elapsed < 50*time.Millisecond {
		t.Errorf("50 ms: %d in %v, %v", r.Requests, r.Elapsed, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (HTTP{Address: at, Path: "/", Connections: 1, Requests: 5}).Run(ctx); err == nil {
		t.Error("no error with a context that has ended")
	}
	for _, l := range []HTTP{{Requests: 1}, {Connections: 1}, {Connections: 1, Requests: -1}} {
		if _, err := l.Run(t.Context()); err == nil {
			t.Errorf("no error: %+v", l)
		}
	}
	if _, err := (HTTP{Address: "127.0.0.1:1", Path: "/", Connections: 1, Requests: 1}).Run(t.Context()); err == nil {
		t.Error("no error where nobody listens")
	}
}

// A peer that says nothing holds nobody up when the context ends.
func TestSilentPeer(t *testing.T) {
	asked := make(chan struct{}, 9)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := (HTTP{Address: s.Listener.Addr().String(), Path: "/", Connections: 3, Requests: 5}).Run(ctx); err == nil {
		t.Error("no error without an answer")
	}
}

func TestCeiling(t *testing.T) {
	rate, err := Ceiling(t.Context(), 4, 500, 64)
	if err != nil || rate <= 0 {
		t.Errorf("%v requests per second, %v", rate, err)
	}
}

// Rates and latencies beside wrk's, of the same server, which counts what it is asked.
// How near they are is only an error on demand, on a machine that does nothing else;
// docs/performance.md has figures.
func TestBesideWrk(t *testing.T) {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		t.Skip("no wrk: apt install wrk")
	}
	long := os.Getenv("HVGO_TEST_LONG") != ""
	var asked atomic.Int64
	const delay = 2 * time.Millisecond // so that rate and latency follow from the number of connections
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		time.Sleep(delay)
	}))
	defer s.Close()
	for _, n := range []int{16, 1, 64} {
		var ours, theirs float64
		turns := 1
		if long {
			turns = 4 // the best of each: other work on the machine falls on either
		}
		for range turns {
			r, err := HTTP{Address: s.Listener.Addr().String(), Path: "/", Connections: n, Duration: time.Second}.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := asked.Load(); got != int64(r.Requests) {
				t.Errorf("%d connections: %d requests, and the server counted %d", n, r.Requests, got)
			}
			rate, p50, p99 := runWrk(t, wrk, n, s.URL)
			asked.Store(0)
			q := r.Latency.Quantile
			t.Logf("%d connections: %.0f requests per second, p50 %v, p99 %v; wrk: %.0f, %v, %v", n, r.Rate(), q(0.5), q(0.99), rate, p50, p99)
			if q(0.5) < delay || p50 < delay {
				t.Errorf("%d connections: less than the server takes: %v, wrk %v", n, q(0.5), p50)
			}
			ours, theirs = max(ours, r.Rate()), max(theirs, rate)
		}
		if !long {
			break
		}
		if ours < theirs/1.25 || ours > theirs*1.25 {
			t.Errorf("%d connections: %.0f requests per second, wrk %.0f", n, ours, theirs)
		}
	}
}

func runWrk(t *testing.T, wrk string, n int, url string) (rate float64, p50, p99 time.Duration) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), wrk, "-t1", "-d1s", "--latency", "-c"+strconv.Itoa(n), url).CombinedOutput()
	if err != nil {
		t.Fatalf("wrk: %v\n%s", err, out)
	}
	field := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindSubmatch(out)
		if m == nil {
			t.Fatalf("wrk says no %s:\n%s", pattern, out)
		}
		return string(m[1])
	}
	var errs [3]error
	rate, errs[0] = strconv.ParseFloat(field(`Requests/sec:\s+([0-9.]+)`), 64)
	p50, errs[1] = time.ParseDuration(field(`50%\s+([0-9.a-z]+)`))
	p99, errs[2] = time.ParseDuration(field(`99%\s+([0-9.a-z]+)`))
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatalf("wrk: %v\n%s", err, out)
	}
	return rate, p50, p99
}
