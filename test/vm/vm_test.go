// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image/vhdx"
)

const (
	// patience is for a guest that hangs; no test waits for it otherwise.
	patience = 90 * time.Second
	mib      = 1 << 20
)

// Names of the files under test in the environment.
const (
	helloImage   = "HVGO_TEST_IMAGE"
	probeImage   = "HVGO_TEST_PROBE"
	hvgoCommand  = "HVGO_TEST_COMMAND"
	helloPort    = 8080
	helloListens = "hello: listening on port 8080"
)

// need returns a file that the environment names, or skips the test.
func need(t testing.TB, variable string) string {
	t.Helper()
	hosttest.NeedKVM(t)
	name := os.Getenv(variable)
	if name == "" {
		t.Skipf("%s names no file (make vm-test sets it)", variable)
	}
	return name
}

// console is what a guest writes, and who waits for it.
type console struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{}
}

func newConsole() *console { return &console{changed: make(chan struct{})} }

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
	return c.b.Write(p)
}

// text returns all that was written, and what is closed when there is more.
func (c *console) text() (string, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String(), c.changed
}

// options are what a test wants of its guest. The zero value is hello in 128 MiB
// with a network card.
type options struct {
	image     string        // variable; empty is helloImage
	kernel    string        // variable; what to start instead of an image
	disks     []guest.Block // behind the boot disk
	noNetwork bool
	net       netvsp.Options
	guest.Config
	allowBroken bool // rules of the protocols
}

// vm is a guest that runs.
type vm struct {
	*guest.Guest
	t       testing.TB
	console *console
	net     *usernet.Network
	start   time.Time
	done    chan struct{}
	closed  bool
	exit    machine.Exit // after done
	err     error
}

// boot starts a guest. It is stopped at the end of the test, if it still runs.
func boot(t testing.TB, o options) *vm {
	t.Helper()
	o.load(t)
	v := &vm{t: t, console: newConsole(), done: make(chan struct{})}
	o.Disks = append(o.Disks, o.disks...)
	m := &o.Machine
	m.Console = v.console
	m.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	m.VMBus.Garbage = true
	if m.Lenient = o.allowBroken; !o.allowBroken {
		m.Strict = func(rule, detail string) { t.Errorf("the guest broke rule %s: %s", rule, detail) }
	}
	if m.Memory == 0 {
		m.Memory = 128 * mib
	}
	if !o.noNetwork {
		m.Devices = append(m.Devices, v.plug(o.net, m.Log))
	}
	var err error
	if v.Guest, err = guest.New(o.Config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.close)
	v.start = time.Now()
	go func() {
		defer close(v.done)
		v.exit, v.err = v.Run(context.Background())
	}()
	return v
}

// load takes the boot disk, or the kernel.
func (o *options) load(t testing.TB) {
	t.Helper()
	if o.kernel != "" {
		image, err := os.ReadFile(need(t, o.kernel))
		if err != nil {
			t.Fatal(err)
		}
		o.Machine.Image = image
		return
	}
	if o.image == "" {
		o.image = helloImage
	}
	disk, err := vhdx.OpenFile(need(t, o.image), true)
	if err != nil {
		t.Fatal(err)
	}
	o.Disks = append(o.Disks, guest.VHDX(disk))
}

// plug makes a network and its card.
func (v *vm) plug(o netvsp.Options, log *slog.Logger) *netvsp.NIC {
	v.t.Helper()
	net, err := usernet.New(usernet.Options{Log: log, Hostname: "tested"})
	if err != nil {
		v.t.Fatal(err)
	}
	v.net, o.Network = net, net
	v.t.Cleanup(func() {
		if err := net.Close(); err != nil {
			v.t.Error(err)
		}
	})
	card, err := netvsp.New(o)
	if err != nil {
		v.t.Fatal(err)
	}
	net.Plug(card)
	return card
}

// close ends the guest and frees it; a second call does nothing.
func (v *vm) close() {
	if v.closed {
		return
	}
	v.closed = true
	if v.t.Failed() {
		v.t.Logf("processors:\n%s", v.Describe())
	}
	v.Stop()
	<-v.done
	if v.t.Failed() {
		text, _ := v.console.text()
		v.t.Logf("exit %v, %v\n%s\nconsole:\n%s", v.exit, v.err, v.exit.Detail, text)
	}
	if err := v.Close(); err != nil {
		v.t.Error(err)
	}
}

// waitFor waits until the console holds text.
func (v *vm) waitFor(text string) {
	v.t.Helper()
	timeout := time.After(patience)
	for ended := false; ; {
		got, changed := v.console.text()
		switch {
		case strings.Contains(got, text):
			return
		case ended:
			v.t.Fatalf("the guest ended without %q", text)
		}
		select {
		case <-changed:
		case <-v.done:
			ended = true
		case <-timeout:
			v.t.Fatalf("the guest did not write %q in %v", text, patience)
		}
	}
}

// wait waits for the guest's end.
func (v *vm) wait(limit time.Duration) machine.Exit {
	v.t.Helper()
	select {
	case <-v.done:
	case <-time.After(limit):
		v.t.Fatalf("the guest did not end in %v", limit)
	}
	if v.err != nil {
		v.t.Fatal(v.err)
	}
	return v.exit
}

// shutDown ends the guest as an administrator does.
func (v *vm) shutDown() {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := v.AskShutdown(ctx); err != nil {
		v.t.Fatal(err)
	}
	if e := v.wait(patience); e != (machine.Exit{Kind: vmm.Shutdown}) {
		v.t.Errorf("ended with %v", e)
	}
}

// publish returns the URL of a port of the guest's.
func (v *vm) publish(port uint16) string {
	v.t.Helper()
	p, err := v.net.Publish(netip.MustParseAddrPort("127.0.0.1:0"), port)
	if err != nil {
		v.t.Fatal(err)
	}
	return "http://" + p.Addr().String()
}

// newClient makes an HTTP client whose connections end with the test.
func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// get returns the body of a successful answer.
func get(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}

// memoryDisk is a disk of 512-byte blocks in memory.
type memoryDisk struct {
	mu       sync.RWMutex
	b        []byte
	flushes  int
	readOnly bool
}

func (d *memoryDisk) ReadAt(p []byte, off int64) (int, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return copy(p, d.b[off:]), nil
}

func (d *memoryDisk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return copy(d.b[off:], p), nil
}

func (d *memoryDisk) Flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushes++
	return nil
}

func (d *memoryDisk) Size() int64    { return int64(len(d.b)) }
func (d *memoryDisk) BlockSize() int { return 512 }
func (d *memoryDisk) ReadOnly() bool { return d.readOnly }
func (d *memoryDisk) Close() error   { return nil }
