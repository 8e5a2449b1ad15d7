// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qemu

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/qemu"
	"github.com/hvgo/hvgo/test/witness"
)

const (
	mib = 1 << 20
	// memory and smallMemory are what the guest has without and with the balloon.
	memory, smallMemory = 256 * mib, 160 * mib
	// taken is what the probe waits for; the balloon moves in steps, so not all.
	taken = (memory - smallMemory) / mib * 3 / 4
)

// statusReport is QEMU's reading of the guest's last status report, in bytes.
type statusReport struct {
	Committed uint64 `json:"committed"`
	Available uint64 `json:"available"`
}

// report waits for the guest's next status report and returns it. Reports come a
// second apart, so nothing of the guest's is in the ring for a while: QEMU 10.0 does
// not survive a message there while it acts on a command of ours (it reads the ring
// outside of the function that prepares for it, and an assertion ends it).
func (v *vm) report() (s statusReport) {
	v.t.Helper()
	seen, _ := v.Events()
	for {
		events, more := v.Events()
		for _, e := range events[len(seen):] {
			if e.Name == "HV_BALLOON_STATUS_REPORT" {
				v.query("query-hv-balloon-status-report", &s)
				return s
			}
		}
		select {
		case <-more:
		case <-v.Done():
			v.t.Fatal("the guest ended before its next status report")
		}
	}
}

// waitIdle waits until QEMU's balloon is ready to move: 45 s after the guest has
// said what it can do.
func (v *vm) waitIdle() {
	v.t.Helper()
	for deadline := time.Now().Add(patience / 2); ; time.Sleep(200 * time.Millisecond) {
		for _, l := range v.traced() {
			if l.Event == "hv_balloon_state_change" && l.Text == "-> S_IDLE" {
				return
			}
		}
		if time.Now().After(deadline) {
			v.t.Fatal("QEMU's balloon does not become idle")
		}
	}
}

// query runs a command of QEMU's and reads its answer.
func (v *vm) query(command string, into any) {
	v.t.Helper()
	b, err := v.Command(v.t.Context(), command, nil)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		v.t.Fatalf("%s: %v", command, err)
	}
}

// setBalloon tells QEMU how much memory the guest is to keep. The guest stands still
// meanwhile, for the reason of report: it might answer before QEMU is done with sending.
func (v *vm) setBalloon(bytes uint64) {
	v.t.Helper()
	v.command("stop", nil)
	v.command("balloon", map[string]uint64{"value": bytes})
	v.command("cont", nil)
}

// command runs a command of QEMU's that has no answer.
func (v *vm) command(name string, arguments any) {
	v.t.Helper()
	if _, err := v.Command(v.t.Context(), name, arguments); err != nil {
		v.t.Fatalf("%s: %v", name, err)
	}
}

// waitActual waits until QEMU believes that the guest has so many bytes.
func (v *vm) waitActual(bytes uint64) {
	v.t.Helper()
	var q struct {
		Actual uint64 `json:"actual"`
	}
	for deadline := time.Now().Add(patience / 2); ; time.Sleep(100 * time.Millisecond) {
		if v.query("query-balloon", &q); q.Actual == bytes {
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("QEMU counts %d MiB, and should come to %d", q.Actual/mib, bytes/mib)
		}
	}
}

// count returns how many times the trace has an event, and the first one's text.
func count(trace []qemu.TraceLine, event string) (n int, first string) {
	for _, l := range trace {
		if l.Event == event {
			if n++; n == 1 {
				first = l.Text
			}
		}
	}
	return n, first
}

// TestBalloon opens the one channel that QEMU offers, and lets the host take memory
// and give it back.
func TestBalloon(t *testing.T) {
	p := findProgram(t)
	if !p.Has(qemu.Balloon) {
		t.Skipf("QEMU %s has no %s", p.Version, qemu.Balloon)
	}
	r := witness.Start(t, "QEMU hv-balloon", "Dynamic Memory: capabilities, status reports, balloon up and down")
	r.SetVersion(p.Version)
	command := fmt.Sprint("balloon ", taken)
	v := boot(t, qemu.Config{Memory: memory}, command, "gc")
	v.waitFor("waiting for the balloon")
	v.waitIdle()
	s := v.report()
	if s.Available == 0 || s.Available > memory || s.Committed == 0 || s.Committed > memory {
		t.Errorf("QEMU reads the status report as %+v", s)
	}
	v.setBalloon(smallMemory)
	v.waitFor("the host has its memory")
	v.waitActual(smallMemory)
	small := v.report()
	v.setBalloon(memory)
	v.ends(passed([]string{command, "gc"})...)
	checkBalloonTrace(t, v.traced())
	r.SetExercised(fmt.Sprintf("channel opened, %d MiB of %d taken and given back, then used; status reports (%d and %d MiB available); channel closed",
		(memory-smallMemory)/mib, memory/mib, s.Available/mib, small.Available/mib))
}

// checkBalloonTrace looks at the whole conversation as QEMU saw it.
func checkBalloonTrace(t *testing.T, trace []qemu.TraceLine) {
	t.Helper()
	for _, want := range []struct{ event, text string }{
		{"vmbus_gpadl_created", ""},
		{"vmbus_channel_open", "channel #1 status 0"},
		{"hv_balloon_incoming_version", "incoming proto version 2.0"},
		{"hv_balloon_incoming_caps", ""},
		{"hv_balloon_outgoing_balloon", ""},
		{"hv_balloon_incoming_balloon", ""},
		{"hv_balloon_outgoing_unballoon", ""},
		{"hv_balloon_incoming_unballoon", ""},
		{"vmbus_close_channel", "channel #1"},
		{"vmbus_gpadl_torndown", ""},
	} {
		n, first := count(trace, want.event)
		if n == 0 || want.text != "" && first != want.text {
			t.Errorf("QEMU's trace has %d times %s, the first %q", n, want.event, first)
		}
	}
	asked, _ := count(trace, "hv_balloon_outgoing_unballoon")
	answered, _ := count(trace, "hv_balloon_incoming_unballoon")
	if asked != answered {
		t.Errorf("the guest answered %d of %d requests to take memory back", answered, asked)
	}
}
