// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/internal/testjob"
)

// testsKernel is the test program of testdata/gotest (hvgo test -c).
const testsKernel = "HVGO_TEST_TESTS"

// goTest boots the tests as hvgo test does, and gives their output, the exit status
// and the CPU profile.
func goTest(t *testing.T, args ...string) (output string, status int, profile []byte) {
	t.Helper()
	kernel, hvgo := need(t, testsKernel), need(t, hvgoCommand)
	pkg, err := filepath.Abs("testdata/gotest")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk, results := filepath.Join(dir, "job"), filepath.Join(dir, "results")
	f, err := os.Create(disk)
	if err != nil {
		t.Fatal(err)
	}
	const begin = "hvgo: here they begin"
	_, err = testjob.Write(f, testjob.Job{Dir: pkg, Env: []string{"HVGO_NOTE=two words"}, Begin: begin, Args: append(args, "-test.cpuprofile="+testjob.OutDir+"/cpuprofile", "-dir="+pkg)})
	if err := errors.Join(err, f.Close(), os.WriteFile(results, make([]byte, 4*mib), 0o644)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, hvgo, "test-guest", "--begin", begin, "--settings", "GOTRACEBACK=single", "--results", results, kernel, disk)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); ctx.Err() != nil || err != nil && c.ProcessState == nil {
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	if f, err = os.Open(results); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = testjob.ReadResults(f, map[string]bool{"cpuprofile": true}, func(_ string, r io.Reader) (err error) {
		profile, err = io.ReadAll(r)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return stdout.String(), c.ProcessState.ExitCode(), profile
}

// TestGoTest runs tests that end in all the ways that tests end.
func TestGoTest(t *testing.T) {
	for _, tt := range []struct {
		run    string
		status int
		want   string
		flags  []string
	}{
		{"TestPass", 0, "environment: two words", nil},
		{"TestDup3", 0, "--- PASS: TestDup3", nil},
		{"TestFail", 1, "--- FAIL: TestFail", nil},
		{"TestExit", 3, "=== RUN   TestExit", nil},
		{"TestPanic", 2, "panic: meant to panic", nil},
		{"TestHang", 2, "panic: test timed out after 1s", []string{"-test.timeout=1s"}},
		{"BenchmarkLoop", 0, "ns/op", []string{"-test.bench=Loop", "-test.benchtime=10x"}},
	} {
		t.Run(tt.run, func(t *testing.T) {
			output, status, profile := goTest(t, append(tt.flags, "-test.v", "-test.run="+tt.run+"$")...)
			if status != tt.status || !strings.Contains(output, tt.want) {
				t.Errorf("exit status %d, want %d; want %q in the output", status, tt.status, tt.want)
			}
			if strings.Contains(output, "VMBus") || strings.Contains(output, "\r") {
				t.Error("the console is in the output")
			}
			if gzip := []byte{0x1f, 0x8b}; status < 2 && !bytes.HasPrefix(profile, gzip) {
				t.Errorf("no profile: %d bytes", len(profile))
			}
			if t.Failed() {
				t.Log(output)
			}
		})
	}
}
