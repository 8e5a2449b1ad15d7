// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package synic

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/qemu"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/image/vhdx"
	"github.com/hvgo/hvgo/test/witness"
)

// imageEnv names the guest as a VHDX, and elfEnv as an ELF program.
const (
	imageEnv = "HVGO_TEST_SYNIC"
	elfEnv   = "HVGO_TEST_SYNIC_ELF"
)

// patience is for a guest that hangs: the checks last seconds.
const patience = 4 * time.Minute

// need returns a file that the environment names.
func need(t *testing.T, variable string) string {
	t.Helper()
	hosttest.NeedKVM(t)
	name := os.Getenv(variable)
	if name == "" {
		t.Skipf("%s names no file (make witness sets it)", variable)
	}
	return name
}

// console collects what the guest writes.
type console struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

// onTestHost runs the checks on the project's own host. The machine needs processors
// and features only. The checks break rules on purpose: Lenient or Strict says what of it.
func onTestHost(t *testing.T, m machine.Config) *Results {
	t.Helper()
	disk, err := vhdx.OpenFile(need(t, imageEnv), true)
	if err != nil {
		t.Fatal(err)
	}
	var out console
	m.Memory, m.TestDevice, m.Console = 128<<20, true, &out
	m.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	g, err := guest.New(guest.Config{Disks: []guest.Block{guest.VHDX(disk)}, NoDisk: true, Machine: m})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	exit, err := g.Run(ctx)
	if err != nil {
		t.Fatalf("%v, console:\n%s", err, &out)
	}
	r, err := Parse(out.String())
	if err != nil {
		t.Fatalf("%v, ended with %v, console:\n%s", err, exit, &out)
	}
	if _, failed, _ := r.Counts(); failed == 0 && exit != (machine.Exit{Kind: vmm.Shutdown}) {
		t.Errorf("the guest did not power off, but ended with %v", exit)
	}
	return r
}

// report fails the test for each check that failed, and logs why others were not run.
func report(t *testing.T, host string, r *Results) {
	t.Helper()
	why := map[string]int{}
	for _, c := range r.Checks {
		switch c.Result {
		case Failed:
			t.Errorf("%s: %v", host, c)
		case NotRun:
			why[c.Detail]++
		}
	}
	ok, failed, notRun := r.Counts()
	t.Logf("%s: %d checks: %d ok, %d failed, %d not run", host, len(r.Checks), ok, failed, notRun)
	for reason, n := range why {
		t.Logf("%s: %d not run: %s", host, n, reason)
	}
}

// TestSame is the witness: both hosts, with the same features, give the same results,
// and no check fails. The test host is strict, as in all tests: what it watches must
// not change what the guest sees. QEMU cannot announce the invariant TSC, so the test host does not.
func TestSame(t *testing.T) {
	row := witness.Start(t, "QEMU hyperv-testdev", "SynIC, messages, events, timers, clock, MSRs, hypercalls")
	theirs, version := onQEMU(t, 2, "")
	row.SetVersion(version)
	var broken atomic.Int64
	ours := onTestHost(t, machine.Config{
		VCPUs: 2, Mask: hyperv.NoInvariantTSC, Strict: func(string, string) { broken.Add(1) },
	})
	if broken.Load() == 0 {
		t.Error("the strict host noticed nothing")
	}
	report(t, "QEMU", theirs)
	report(t, "test host", ours)
	for _, d := range Differ("QEMU", theirs, "test host", ours) {
		t.Error(d)
	}
	for _, d := range DifferInDetail("QEMU", theirs, "test host", ours) {
		t.Log(d)
	}
	ok, failed, notRun := theirs.Counts()
	row.SetExercised(fmt.Sprintf("%d checks of SynIC, messages, events, timers, clock, MSRs and hypercalls on two processors, "+
		"%d ok, %d failed, %d not run; the same results on the test host, line by line", len(theirs.Checks), ok, failed, notRun))
	// One is the invariant TSC's, four are of hypercalls without their privilege.
	if len(theirs.Checks) < leastChecks || notRun > 1+4 {
		t.Errorf("%d checks, %d of them not run", len(theirs.Checks), notRun)
	}
}

// leastChecks is a guard against checks that are lost.
const leastChecks = 286

// TestFewest is QEMU with the fewest features: what CPUID does not announce must not
// be there (hv-enforce-cpuid), and the rest must work on one processor.
func TestFewest(t *testing.T) {
	row := witness.Start(t, "QEMU hyperv-testdev", "the fewest features, with hv-enforce-cpuid")
	r, version := onQEMU(t, 1, qemu.FewestFlags)
	row.SetVersion(version)
	report(t, "QEMU", r)
	ok, failed, notRun := r.Counts()
	row.SetExercised(fmt.Sprintf("the checks with the fewest features and hv-enforce-cpuid, on one processor: %d ok, %d failed, %d not run", ok, failed, notRun))
	for _, c := range r.Checks {
		if strings.HasPrefix(c.Name, "timer 0 once") && !strings.Contains(c.Name, "vp1") && c.Result != OK {
			t.Errorf("timers are announced, but: %v", c)
		}
	}
}

// TestMasked is the test host with few features. It refuses the others itself, since
// it is strict; elsewhere KVM does. A check must pass or not apply.
func TestMasked(t *testing.T) {
	r := onTestHost(t, machine.Config{
		VCPUs: 1, Strict: func(string, string) {},
		Mask: hyperv.NoReferenceCounter | hyperv.NoDirectTimers | hyperv.NoCrash | hyperv.NoFrequencies | hyperv.NoReset |
			hyperv.NoInvariantTSC | hyperv.NoPostMessages | hyperv.NoSignalEvents,
	})
	report(t, "test host", r)
	for _, c := range r.Checks {
		if strings.HasSuffix(c.Name, "is denied without its privilege vp0") && c.Result != OK {
			t.Error(c)
		}
	}
}

// TestNotices is a host that is wrong: it has registers that it does not announce.
// The checks see just that. The rest passes on one processor too.
func TestNotices(t *testing.T) {
	r := onTestHost(t, machine.Config{VCPUs: 1, Mask: hyperv.NoFrequencies | hyperv.NoReset, NoEnforce: true, Lenient: true})
	var failed []string
	for _, c := range r.Checks {
		second := strings.Contains(c.Name, "vp1") || strings.Contains(c.Name, "both processors")
		switch {
		case c.Result == Failed:
			failed = append(failed, c.Name)
		case second != (c.Result == NotRun) && !strings.Contains(c.Name, "denied"):
			t.Error(c)
		}
	}
	if want := []string{"MSR RESET exists if CPUID says so", "MSR TSC_FREQUENCY exists if CPUID says so"}; !slices.Equal(failed, want) {
		t.Errorf("failed: %q, want %q", failed, want)
	}
}
