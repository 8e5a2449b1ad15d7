// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qemu

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/host/qemu"
	"github.com/hvgo/hvgo/test/witness"
)

// Messages by QEMU's numbers (MS-VMBus has none of its own; Linux's hyperv.h).
const (
	offerChannel       = 1
	requestOffers      = 3
	allOffersDelivered = 4
	initiateContact    = 14
	versionResponse    = 15
	unload             = 16
	unloadComplete     = 17
)

// messages are the numbers of the messages that an event of the trace was for.
func messages(t *testing.T, trace []qemu.TraceLine, event string) (types []int) {
	t.Helper()
	for _, l := range trace {
		if l.Event != event {
			continue
		}
		var n int
		if _, err := fmt.Sscanf(l.Text, "type %d", &n); err != nil {
			t.Fatalf("trace: %s %s: %v", l.Event, l.Text, err)
		}
		types = append(types, n)
	}
	return types
}

// versions are those that the guest asked for on a connection that QEMU has.
func versions(t *testing.T, trace []qemu.TraceLine) (list []string) {
	t.Helper()
	for _, l := range trace {
		if l.Event == "vmbus_initiate_contact" {
			version, _, _ := strings.Cut(strings.TrimPrefix(l.Text, "version "), " ")
			list = append(list, version)
		}
	}
	return list
}

// TestNegotiation meets a VMBus of version 4.0 that has nothing to offer. QEMU's
// trace is the outside's word for what the guest said.
func TestNegotiation(t *testing.T) {
	r := witness.Start(t, "QEMU vmbus-bridge", "version negotiation and offers")
	negotiate(t, r, qemu.Config{NoBalloon: true})
}

// TestInstalled is the same with the QEMU that is installed, where that is another.
func TestInstalled(t *testing.T) {
	findProgram(t)
	line := os.Getenv(qemuInstalled)
	if line == "" { // no row: there is no such witness
		t.Skip("no other QEMU is installed than that of the other tests")
	}
	r := witness.Start(t, "QEMU vmbus-bridge", "version negotiation and offers, on the installed QEMU")
	p, err := qemu.ParseProgram(line)
	if err != nil {
		t.Fatal(err)
	}
	negotiate(t, r, qemu.Config{Program: p, NoBalloon: true})
}

func negotiate(t *testing.T, r *witness.Row, c qemu.Config) {
	t.Helper()
	v := boot(t, c, "clock", "timers")
	r.SetVersion(v.program.Version)
	v.ends("VMBus 4.0, 0 offers", "no disk found", "no network card found")
	trace := v.traced()
	// 6.0 to 5.0 go to connection 4, which QEMU does not have: it never sees them.
	if got := versions(t, trace); !slices.Equal(got, []string{"4.1", "4.0"}) {
		t.Errorf("QEMU saw the versions %v", got)
	}
	if got := messages(t, trace, "vmbus_process_incoming_message"); !slices.Equal(got, []int{initiateContact, initiateContact, requestOffers, unload}) {
		t.Errorf("QEMU received the messages %v", got)
	}
	// A message that finds its slot full is sent again: repetitions say nothing.
	if got := slices.Compact(messages(t, trace, "vmbus_post_msg")); !slices.Equal(got, []int{versionResponse, allOffersDelivered, unloadComplete}) {
		t.Errorf("QEMU sent the messages %v", got)
	}
	r.SetExercised("connection 4 refused, 4.1 refused, 4.0 agreed by short VERSION_RESPONSE, offers, UNLOAD; QEMU's trace has these and no other messages")
}

// TestFullSlot lets QEMU send messages faster than the guest takes them: one that finds
// the slot full sets its flag and waits for the guest's EOM.
func TestFullSlot(t *testing.T) {
	p := findProgram(t)
	if !p.Has(qemu.Balloon) {
		t.Skipf("QEMU %s has no %s to offer", p.Version, qemu.Balloon)
	}
	r := witness.Start(t, "QEMU vmbus-bridge", "messages in a row")
	r.SetVersion(p.Version)
	const tries = 10 // who is quicker depends on the scheduler
	for range tries {
		v := boot(t, qemu.Config{}, "clock")
		v.yieldToQEMU()
		v.ends("VMBus 4.0, 1 offers")
		delivered, full := checkMessages(t, v.traced())
		if full > 0 {
			r.SetExercised(fmt.Sprintf("%d messages delivered, %d times one waited in QEMU for the guest's EOM", delivered, full))
			return
		}
	}
	if runtime.NumCPU() == 1 {
		t.Errorf("in %d boots no message found the slot full, though QEMU runs before the guest", tries)
	}
	// On several processors that can be: the SynIC checks fill a slot on purpose.
	r.SetExercised(fmt.Sprintf("messages of %d boots delivered; the guest was always quicker than QEMU, none found the slot full", tries))
}

// yieldToQEMU makes the processor of the guest one that does not interrupt QEMU's own
// thread.
func (v *vm) yieldToQEMU() {
	v.t.Helper()
	var cpus []struct {
		Thread int `json:"thread-id"`
	}
	v.query("query-cpus-fast", &cpus)
	if len(cpus) == 0 {
		v.t.Fatal("QEMU names no thread of a processor")
	}
	for _, c := range cpus {
		idle := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
		if err := unix.SchedSetAttr(c.Thread, &idle, 0); err != nil {
			v.t.Fatal(err)
		}
	}
}

// checkMessages counts the messages that QEMU delivered, and how often one found the
// slot full.
func checkMessages(t *testing.T, trace []qemu.TraceLine) (delivered, full int) {
	t.Helper()
	sent := messages(t, trace, "vmbus_post_msg")
	for _, want := range []int{offerChannel, allOffersDelivered, unloadComplete} {
		if !slices.Contains(sent, want) {
			t.Errorf("QEMU did not send message %d: %v", want, sent)
		}
	}
	for _, l := range trace {
		switch {
		case l.Event != "vmbus_msg_cb":
		case l.Text == "message status 0":
			delivered++
		case l.Text == "message status -11": // EAGAIN: full
			full++
		default:
			t.Errorf("QEMU could not deliver a message: %s", l.Text)
		}
	}
	// The last one may still be under way when the machine ends.
	if delivered < len(sent)-full-1 {
		t.Errorf("of %d messages %d were delivered, and %d found the slot full", len(sent), delivered, full)
	}
	return delivered, full
}
