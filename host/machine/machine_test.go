// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image"
	"github.com/hvgo/hvgo/image/vhdx"
)

// buffer is a console that can be read while the guest writes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// patience is for a guest that hangs; no test waits for it otherwise.
const patience = 60 * time.Second

// run boots a guest and returns how it ended and what it wrote.
func run(t *testing.T, g hosttest.Guest, cfg Config) (Exit, string, *Machine, error) {
	t.Helper()
	hosttest.NeedKVM(t)
	var out buffer
	cfg.Image, cfg.Console = g.Image(), &out
	if cfg.Memory == 0 {
		cfg.Memory = 32 << 20
	}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := m.Run(ctx)
	t.Logf("exit: %v, figures: %+v", e, m.Figures())
	if e.Kind != vmm.Stopped && ctx.Err() != nil {
		t.Error("the guest had to be stopped")
	}
	return e, out.String(), m, err
}

func TestServices(t *testing.T) {
	bases := map[uint64]bool{}
	high := false
	for seed := range uint64(6) {
		cfg := Config{Seed: seed, Memory: 64 << 20, LowMemory: 32 << 20, StaleMapKey: seed%2 == 1}
		e, out, m, err := run(t, hosttest.Hello, cfg)
		if err != nil || e != (Exit{Kind: vmm.Shutdown}) {
			t.Fatalf("seed %d: %v, %v", seed, e, err)
		}
		want := "hello ☺\r\nattempts 1"
		if cfg.StaleMapKey {
			want = "hello ☺\r\nattempts 2"
		}
		if out != want {
			t.Errorf("seed %d: the guest wrote %q, want %q", seed, out, want)
		}
		bases[m.ImageBase()] = true
		high = high || m.ImageBase() >= vmm.HighMemory
		// KVM leaves the guest for each byte of REP OUTSB (Linux 6.12); one that does
		// not is welcome.
		if n := m.Figures().VM.Ports["COM1"]; n == 0 || n > 10 {
			t.Errorf("COM1 took %d exits for 10 bytes", n)
		}
	}
	if len(bases) < 5 || !high {
		t.Errorf("load addresses are not varied: %v", bases)
	}
}

// The whole way: a VHDX from the image builder, its GPT and FAT file system, the
// PE file in it.
func TestBootFromDisk(t *testing.T) {
	hosttest.NeedKVM(t)
	name := filepath.Join(t.TempDir(), "boot.vhdx")
	if err := image.WriteDisk(t.Context(), name, hosttest.Hello.Image(), image.DynamicVHDX); err != nil {
		t.Fatal(err)
	}
	disk, err := vhdx.OpenFile(name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	m, err := New(Config{BootDisk: disk, BootDiskSize: disk.Size(), Memory: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if e, err := m.Run(ctx); err != nil || e != (Exit{Kind: vmm.Shutdown}) {
		t.Errorf("%v, %v", e, err)
	}
}

func TestBadConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"nothing to boot": {},
		"empty disk":      {BootDisk: bytes.NewReader(make([]byte, 1<<20)), BootDiskSize: 1 << 20},
		"little memory":   {Image: hosttest.Hello.Image(), Memory: 1 << 20},
		"odd memory":      {Image: hosttest.Hello.Image(), Memory: 64<<20 + 1},
		"no PE":           {Image: []byte("MZ")},
		"processors":      {Image: hosttest.Hello.Image(), VCPUs: 1000},
	} {
		if m, err := New(cfg); err == nil {
			m.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCrash(t *testing.T) {
	e, _, _, err := run(t, hosttest.Crash, Config{})
	if err != nil || e.Kind != vmm.Crash || e.Message != "it is over" {
		t.Fatalf("%v, %v", e, err)
	}
	if e.Params[0] != 0x4F475648 || e.Params[1] != 7 || e.Params[2] != 0 || e.Params[4] != 10 {
		t.Errorf("parameters %#x", e.Params)
	}
}

func TestTripleFault(t *testing.T) {
	e, _, _, err := run(t, hosttest.Triple, Config{})
	if err != nil || e.Kind != vmm.TripleFault || !strings.Contains(e.Detail, "ud2") && !strings.Contains(e.Detail, "AMD-V") {
		t.Errorf("%v, %v\n%s", e, err, e.Detail)
	}
}

func TestExceptionUnderFirmware(t *testing.T) {
	e, _, _, err := run(t, hosttest.Invalid, Config{})
	if err != nil || e.Kind != vmm.TripleFault || !strings.Contains(e.Detail, "#UD") || !strings.Contains(e.Detail, "ud2") {
		t.Errorf("%v, %v\n%s", e, err, e.Detail)
	}
}

func TestBootServiceTooLate(t *testing.T) {
	e, _, _, err := run(t, hosttest.Late, Config{})
	if e.Kind != vmm.Failed || err == nil || !strings.Contains(err.Error(), "AllocatePages after ExitBootServices") {
		t.Errorf("%v, %v", e, err)
	}
}

// A guest that may not use the reference TSC page gets a fault with enforcement.
func TestMaskIsEnforced(t *testing.T) {
	if e, _, _, err := run(t, hosttest.Enforced, Config{}); err != nil || e.Kind != vmm.Shutdown {
		t.Errorf("unmasked: %v, %v", e, err)
	}
	e, _, _, err := run(t, hosttest.Enforced, Config{Mask: hyperv.NoReferenceTSC, Lenient: true})
	if err != nil || e.Kind != vmm.TripleFault || !strings.Contains(e.Detail, "#GP") {
		t.Errorf("masked: %v, %v\n%s", e, err, e.Detail)
	}
	if e, _, _, err := run(t, hosttest.Enforced, Config{Mask: hyperv.NoReferenceTSC, NoEnforce: true}); err != nil || e.Kind != vmm.Shutdown {
		t.Errorf("masked, not enforced: %v, %v", e, err)
	}
}

func TestStop(t *testing.T) {
	hosttest.NeedKVM(t)
	m, err := New(Config{Image: hosttest.Spin.Image(), Memory: 32 << 20, VCPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if e, err := m.Run(ctx); err != nil || e.Kind != vmm.Stopped {
		t.Errorf("%v, %v", e, err)
	}
}

func TestConsoleInput(t *testing.T) {
	hosttest.NeedKVM(t)
	var out buffer
	m, err := New(Config{Image: hosttest.Console.Image(), Memory: 32 << 20, Console: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Input().Write([]byte("up and down.")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if e, err := m.Run(ctx); err != nil || e.Kind != vmm.Shutdown || out.String() != "up and down." {
		t.Errorf("%v, %v, %q", e, err, out.String())
	}
}

func TestSecondProcessor(t *testing.T) {
	if e, _, _, err := run(t, hosttest.Second, Config{VCPUs: 2}); err != nil || e != (Exit{Kind: vmm.Shutdown}) {
		t.Errorf("%v, %v", e, err)
	}
}
