// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv_test

import (
	"context"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// echo sends back what the guest posts on connection 1, and answers signals on
// connections 7 and 8 with an event flag each.
type echo struct {
	t *testing.T
	p *hyperv.Partition
}

func (e *echo) PostMessage(connection, msgType uint32, payload []byte) tlfs.Status {
	if connection != 1 {
		return tlfs.StatusInvalidConnectionID
	}
	if err := e.p.PostMessage(0, 2, msgType, payload); err != nil {
		e.t.Error(err)
	}
	return tlfs.StatusSuccess
}

func (e *echo) SignalEvent(connection uint32, _ uint16) tlfs.Status {
	var err error
	switch connection {
	case 7:
		err = e.p.SignalEvent(0, 2, 77)
	case 8:
		err = e.p.SignalEvent(0, 3, 2047)
	default:
		return tlfs.StatusInvalidConnectionID
	}
	if err != nil {
		e.t.Error(err)
	}
	return tlfs.StatusSuccess
}

// The guest checks both hypercalls, messages with a free and a taken slot and EOM,
// events, and what must be refused; its exit status is the number of a failed check
// in testdata/guests.S of package hosttest.
func TestSynIC(t *testing.T) {
	hosttest.NeedKVM(t)
	vm, err := vmm.New(vmm.Config{Memory: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	e := &echo{t: t}
	if e.p, err = hyperv.New(vm, hyperv.Config{Server: e}); err != nil {
		t.Fatal(err)
	}
	defer e.p.Close()
	if _, err := firmware.Boot(vm, firmware.Config{Image: hosttest.SynIC.Image()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	exit, err := vm.Run(ctx)
	if err != nil || exit != (vmm.Exit{Kind: vmm.Shutdown}) {
		t.Errorf("%v, %v\n%s", exit, err, exit.Detail)
	}
	f := e.p.Figures()
	want := hyperv.Figures{PostMessage: 8, SignalEvent: 5, Messages: 3, Events: 4, Interrupts: 6, Other: f.Other}
	if f != want {
		t.Errorf("figures %+v, want %+v", f, want)
	}
}

func TestPostMessageRefuses(t *testing.T) {
	hosttest.NeedKVM(t)
	vm, err := vmm.New(vmm.Config{Memory: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	p, err := hyperv.New(vm, hyperv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.PostMessage(1, 2, 1, nil) == nil || p.PostMessage(0, 16, 1, nil) == nil {
		t.Error("a message to nobody was accepted")
	}
	if p.PostMessage(0, 2, 0, nil) == nil || p.PostMessage(0, 2, 1, make([]byte, 241)) == nil {
		t.Error("an impossible message was accepted")
	}
	if p.SignalEvent(0, 2, 2048) == nil || p.SignalEvent(0, 2, 0) == nil {
		t.Error("an event that cannot arrive was accepted")
	}
	n := 0
	for p.PostMessage(0, 2, 1, []byte("waits")) == nil {
		if n++; n > 1<<20 {
			t.Fatal("the queue has no bound")
		}
	}
	if n == 0 {
		t.Error("no message may wait")
	}
}
