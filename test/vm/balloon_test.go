// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"syscall"
	"testing"

	"github.com/hvgo/hvgo/host/balloon"
	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/host/vmm"
)

// pagesOf gives the pages of so many MiB.
func pagesOf(size uint64) uint64 { return size * mib / vmm.PageSize }

// withBalloon is a machine of 256 MiB that can give memory.
func withBalloon(opt balloon.Options) (machine.Config, *balloon.Balloon) {
	b := balloon.New(opt)
	return machine.Config{Memory: 256 * mib, Devices: []vmbus.Device{b}}, b
}

// TestBalloon takes memory from a guest that serves, and gives it back: the guest
// serves on all the while, and never touches a page that the host has.
func TestBalloon(t *testing.T) {
	disk, sum := dataDisk()
	m, b := withBalloon(balloon.Options{Verify: true, MaxPages: pagesOf(256)})
	v := boot(t, options{disks: []guest.Block{disk}, Config: guest.Config{Machine: m}})
	if err := b.WaitReports(within(t), 1); err != nil {
		t.Fatal(err)
	}
	url, client := v.publish(helloPort), newClient(t)
	helloWorks(v, sum)
	first, floor := b.Guest(), pagesOf(104) // what a guest of 256 MiB keeps free
	if first.Status.Available < pagesOf(128) || first.Status.Available > pagesOf(256) ||
		first.Status.Committed < floor || first.Status.Committed > pagesOf(256) {
		t.Errorf("the guest says of itself: %+v", first)
	}
	before := v.Figures().Memory
	if n, err := b.Inflate(within(t), uint32(pagesOf(64))); err != nil || n != pagesOf(64) {
		t.Fatalf("%d pages, %v", n, err)
	}
	echoBodies(t, client, url, mib)
	for round := range 3 {
		if n, err := b.Deflate(within(t), pagesOf(16)); err != nil || n != pagesOf(16) {
			t.Fatalf("round %d: %d pages back, %v", round, n, err)
		}
		echoBodies(t, client, url, mib)
		if n, err := b.Inflate(within(t), uint32(pagesOf(16))); err != nil || n != pagesOf(16) {
			t.Fatalf("round %d: %d pages, %v", round, n, err)
		}
	}
	// All that the guest does not need: it keeps its floor.
	rest, err := b.Inflate(within(t), ^uint32(0))
	if err != nil || rest == 0 {
		t.Fatalf("%d pages, %v", rest, err)
	}
	if err := b.WaitReports(within(t), b.Guest().Reports+2); err != nil {
		t.Fatal(err)
	}
	small := b.Guest()
	if small.Held != pagesOf(64)+rest || small.Status.Available+pagesOf(8) < floor {
		t.Errorf("with all that it gives: %+v", small)
	}
	echoBodies(t, client, url, 12*mib)
	t.Logf("%d MiB in use before, %d MiB with %d MiB at the host", before/mib, v.Figures().Memory/mib, small.Held/pagesOf(1))
	if n, err := b.Deflate(within(t), small.Held); err != nil || n != small.Held {
		t.Fatalf("%d pages back, %v", n, err)
	}
	helloWorks(v, sum)
	if err := b.WaitReports(within(t), b.Guest().Reports+2); err != nil {
		t.Fatal(err)
	}
	if last := b.Guest(); last.Held != 0 || last.Status.Available+pagesOf(32) < first.Status.Available {
		t.Errorf("at first %+v, at last %+v", first.Status, last.Status)
	}
	v.shutDown()
}

// within bounds one step of a test: how long all take together is the machine's matter.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestBalloonSeenByProgram has the program look at /proc/meminfo and at the collector's
// limit, and use what came back.
func TestBalloonSeenByProgram(t *testing.T) {
	const command = "balloon 64"
	m, b := withBalloon(balloon.Options{Verify: true, NoReports: true})
	v := bootProbe(t, options{noNetwork: true, Config: guest.Config{Machine: m}}, command, "gc")
	v.waitFor("waiting for the balloon")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Inflate(ctx, uint32(pagesOf(72))); err != nil || n != pagesOf(72) {
		t.Fatalf("%d pages, %v", n, err)
	}
	v.waitFor("the host has its memory")
	if n, err := b.Deflate(ctx, pagesOf(72)); err != nil || n != pagesOf(72) {
		t.Fatalf("%d pages back, %v", n, err)
	}
	v.passes(command, "gc")
	if n := b.Guest().Reports; n != 0 {
		t.Errorf("%d reports that the host did not want", n)
	}
}

// TestRunBalloon has the command take more than a guest can give.
func TestRunBalloon(t *testing.T) {
	c := hvgoRun(t, helloImage, "--no-network", "-m", "96", "--balloon", "90")
	c.waitFor(c.console, helloListens)
	c.waitFor(c.stderr, "MiB of 90 MiB: it needs the rest itself")
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if s := c.status(); s != 0 {
		t.Errorf("exit status %d", s)
	}
}
