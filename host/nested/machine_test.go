// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nested

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/kvm"
)

// The test binary is PID 1 inside, and each program that runs there: childEnv
// names which.
const childEnv = "HVGO_NESTED_TEST_CHILD"

func TestMain(m *testing.M) {
	if IsInit() {
		Init()
	}
	if name := os.Getenv(childEnv); name != "" {
		children[name]()
		return
	}
	os.Exit(m.Run())
}

var children = map[string]func(){
	"echo": func() {
		n, _ := io.Copy(os.Stdout, os.Stdin)
		fmt.Fprintf(os.Stderr, "%d bytes, arguments %q", n, os.Args[1:])
		os.Exit(7)
	},
	"kvm": func() {
		if err := kvm.Usable(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	},
	"signal": func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGINT)
		fmt.Println("waiting")
		fmt.Println(<-c)
		os.Exit(3)
	},
	"killed": func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} },
	"orphan": func() { // leaves a child that holds the output open
		c := exec.Command("/proc/self/exe")
		c.Env = []string{childEnv + "=sleep"}
		c.Stdout = os.Stdout
		if err := c.Start(); err != nil {
			panic(err)
		}
	},
	"clock": func() { fmt.Print(time.Now().UnixNano()) },
	"sleep": func() { time.Sleep(time.Hour) },
	"files": func() { // argument: a writable folder and a read-only one
		b, err := os.ReadFile(filepath.Join(os.Args[1], "in"))
		if err != nil {
			panic(err)
		}
		if err := os.WriteFile(filepath.Join(os.Args[1], "out"), append(b, " back"...), 0o644); err != nil {
			panic(err)
		}
		fmt.Print(os.WriteFile(filepath.Join(os.Args[2], "out"), nil, 0o644))
	},
	"serve": func() {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stop" {
				defer time.AfterFunc(100*time.Millisecond, func() { os.Exit(0) })
			}
			sum := sha256.New()
			n, err := io.Copy(sum, r.Body)
			fmt.Fprintf(w, "%d %x %v", n, sum.Sum(nil), err)
		})
		// All addresses: the forwarder must not be in the way.
		fmt.Println(http.ListenAndServe(":"+os.Args[1], h))
		os.Exit(1)
	},
}

// requireVM skips without what the machine needs; where HVGO_REQUIRE_QEMU is set
// (make test), nothing may be missing.
func requireVM(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts QEMU: not with -short")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckStatic(self); err != nil {
		skipOrFail(t, err.Error())
	}
	requireQEMU(t)
}

func requireQEMU(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(qemuProgram); err != nil {
		skipOrFail(t, err.Error())
	}
}

func skipOrFail(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("HVGO_REQUIRE_QEMU") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// result is how a child ended.
type result struct {
	status         int
	stdout, stderr string
	err            error
}

func runChild(m *Machine, name string, c Command, args ...string) result {
	self, err := os.Executable()
	if err != nil {
		return result{err: err}
	}
	var out, errOut bytes.Buffer
	c.Path, c.Args, c.Env = self, args, append(c.Env, childEnv+"="+name)
	if c.Stdout == nil {
		c.Stdout = &out
	}
	c.Stderr = &errOut
	status, err := m.Run(context.Background(), c)
	return result{status, out.String(), errOut.String(), err}
}

// One machine for all: a start takes seconds.
func TestMachine(t *testing.T) {
	requireVM(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port, rw, ro := freePort(t), t.TempDir(), t.TempDir()
	start := time.Now()
	m, err := Start(context.Background(), Config{
		Shares:   []Share{{filepath.Dir(self), false}, {rw, true}, {ro, false}},
		Forward:  []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)},
		Progress: func(s string) { t.Log(s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	t.Logf("Linux %s, up after %v", m.Kernel(), time.Since(start))

	t.Run("KVM has Hyper-V", func(t *testing.T) {
		if r := runChild(m, "kvm", Command{}); r.err != nil || r.status != 0 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("clock", func(t *testing.T) {
		before := time.Now().UnixNano()
		r := runChild(m, "clock", Command{})
		if n, err := strconv.ParseInt(r.stdout, 10, 64); r.err != nil || err != nil || n < before {
			t.Errorf("%+v, started at %d", r, before)
		}
	})
	t.Run("streams and status", func(t *testing.T) {
		in := make([]byte, 3<<20)
		for i := range in {
			in[i] = byte(rand.Uint32())
		}
		r := runChild(m, "echo", Command{Stdin: bytes.NewReader(in)}, "a b", "")
		if r.err != nil || r.status != 7 || r.stdout != string(in) {
			t.Errorf("status %d, error %v, output equal: %v", r.status, r.err, r.stdout == string(in))
		}
		if want := fmt.Sprintf(`%d bytes, arguments ["a b" ""]`, len(in)); r.stderr != want {
			t.Errorf("stderr %q, want %q", r.stderr, want)
		}
	})
	t.Run("signal", func(t *testing.T) {
		signals := make(chan os.Signal, 1)
		out := &notifyWriter{onWrite: func() { signals <- syscall.SIGINT }}
		r := runChild(m, "signal", Command{Stdout: out, Signals: signals})
		if r.err != nil || r.status != 3 || out.b.String() != "waiting\ninterrupt\n" {
			t.Errorf("%+v, output %q", r, out.b.String())
		}
	})
	t.Run("killed by a signal", func(t *testing.T) {
		if r := runChild(m, "killed", Command{}); r.err != nil || r.status != 128+9 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("what it leaves behind is killed", func(t *testing.T) {
		if r := runChild(m, "orphan", Command{}); r.err != nil || r.status != 0 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("no such program", func(t *testing.T) {
		if _, err := m.Run(context.Background(), Command{Path: "/none"}); err == nil || !strings.Contains(err.Error(), "/none") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("shared folders", func(t *testing.T) { testShares(t, m, rw, ro) })
	t.Run("forwarded port", func(t *testing.T) { testForward(t, m, port) })
	t.Run("end of QEMU", func(t *testing.T) {
		started := &notifyWriter{onWrite: func() { _ = m.q.process.Kill() }}
		r := runChild(m, "signal", Command{Stdout: started})
		if r.err == nil || !strings.Contains(r.err.Error(), "QEMU ended unexpectedly") {
			t.Errorf("%+v", r)
		}
		if _, err := m.Run(context.Background(), Command{Path: "/none"}); err == nil {
			t.Error("a dead machine runs programs")
		}
	})
}

// testShares also changes a file from the outside between two programs.
func testShares(t *testing.T, m *Machine, rw, ro string) {
	for _, text := range []string{"there", "there again"} {
		if err := os.WriteFile(filepath.Join(rw, "in"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r := runChild(m, "files", Command{}, rw, ro)
		if r.err != nil || r.status != 0 || !strings.Contains(r.stdout, "read-only file system") {
			t.Errorf("%+v", r)
		}
		if b, err := os.ReadFile(filepath.Join(rw, "out")); err != nil || string(b) != text+" back" {
			t.Errorf("out: %q, %v", b, err)
		}
	}
}

func testForward(t *testing.T, m *Machine, port uint16) {
	done := make(chan result)
	go func() { done <- runChild(m, "serve", Command{}, strconv.Itoa(int(port))) }()
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	body := bytes.Repeat([]byte("0123456789abcdef"), 256<<10) // 4 MiB
	want := fmt.Sprintf("%d %x <nil>", len(body), sha256.Sum256(body))
	deadline := time.Now().Add(time.Minute)
	for {
		got, err := post(url, body)
		if err == nil {
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			break
		}
		// QEMU accepts before the program listens: a reset is all that shows.
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, err := post(url+"/stop", nil); err != nil {
		t.Error(err)
	}
	if r := <-done; r.err != nil || r.status != 0 {
		t.Errorf("%+v", r)
	}
}

func post(url string, body []byte) (string, error) {
	r, err := http.Post(url, "", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

// notifyWriter keeps what is written and calls onWrite once.
type notifyWriter struct {
	b       bytes.Buffer
	onWrite func()
}

func (w *notifyWriter) Write(p []byte) (int, error) {
	if w.onWrite != nil {
		w.onWrite()
		w.onWrite = nil
	}
	return w.b.Write(p)
}

func TestStartCancelled(t *testing.T) {
	requireVM(t)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, Config{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
