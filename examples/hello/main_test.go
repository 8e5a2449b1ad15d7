// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestRoutes(t *testing.T) {
	s := httptest.NewUnstartedServer(routes())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	defer s.Close()

	code, body := get(t, s.URL+"/")
	host, _ := os.Hostname()
	for _, want := range []string{"Hello from " + host, "127.0.0.1:", runtime.Version(), "Time:   2"} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("/: %d, %q lacks %q", code, body, want)
		}
	}
	if code, _ := get(t, s.URL+"/nothing"); code != 404 {
		t.Errorf("/nothing: %d", code)
	}

	content := make([]byte, 2<<20)
	rand.New(rand.NewSource(1)).Read(content)
	disk = filepath.Join(t.TempDir(), "sdb")
	if code, body := get(t, s.URL+"/disk"); code != 404 || !strings.Contains(body, disk) {
		t.Errorf("/disk without a disk: %d, %q", code, body)
	}
	if err := os.WriteFile(disk, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, s.URL+"/disk"); code != 200 || body != fmt.Sprintf("%x\n", sha256.Sum256(content[:1<<20])) {
		t.Errorf("/disk: %d, %q", code, body)
	}
	if err := os.Truncate(disk, 1000); err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, s.URL+"/disk"); code != 500 {
		t.Errorf("/disk with a short disk: %d, %q", code, body)
	}

	if _, err := http.Get(s.URL + "/panic"); err == nil {
		t.Error("/panic gave an answer")
	}
	if code, _ := get(t, s.URL+"/"); code != 200 {
		t.Errorf("after /panic: %d", code)
	}
}

func TestEcho(t *testing.T) {
	s := httptest.NewServer(routes())
	defer s.Close()
	for _, n := range []int{0, 1, 10 << 20, 20<<20 + 1} {
		body := make([]byte, n)
		rand.New(rand.NewSource(int64(n))).Read(body)
		r, err := http.Post(s.URL+"/echo", "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes came back as %d, %v", n, len(got), err)
		}
	}
	if code, _ := get(t, s.URL+"/echo"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET /echo: %d", code)
	}
}

// /crash ends the whole program, with Go's trace.
func TestCrash(t *testing.T) {
	if os.Getenv("HELLO_CRASH") != "" {
		s := httptest.NewServer(routes())
		http.Get(s.URL + "/crash")
		os.Exit(0)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), "HELLO_CRASH=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nil pointer dereference") || !strings.Contains(string(out), ".crash.func1(") {
		t.Errorf("%v\n%s", err, out)
	}
}
