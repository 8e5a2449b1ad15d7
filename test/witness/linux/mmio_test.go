// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/test/witness/linux/report"
)

// pciBus is a virtual PCI bus that agrees on a version of its protocol and says no
// more: as much as makes Linux's driver ask for addresses.
type pciBus struct{ instance guid.GUID }

// queryVersion is the message that asks for a version of the protocol (OpenVMM's
// vpci_protocol).
const queryVersion = 0x4249_0013

// Offer is vmbus.Device.
func (b pciBus) Offer() vmbus.Offer {
	return vmbus.Offer{Interface: wire.InterfacePCI, Instance: b.instance, MMIOMegabytes: 1}
}

// Serve is vmbus.Device.
func (b pciBus) Serve(ctx context.Context, ch *vmbus.Channel) error {
	for {
		p, err := ch.ReadPacket(ctx)
		if err != nil {
			return err
		}
		if p.WantsCompletion && len(p.Payload) >= 4 && binary.LittleEndian.Uint32(p.Payload) == queryVersion {
			if err := ch.Complete(ctx, p.Transaction, make([]byte, 8)); err != nil { // status 0: agreed
				return err
			}
		}
	}
}

// checkMMIO sees what addresses Linux gave the bus's device, and takes the device away.
func (l *linux) checkMMIO(bus pciBus) {
	l.t.Helper()
	window := l.awaitEvent(report.MMIO, "window")["addresses"]
	var first, last uint64
	if _, err := fmt.Sscanf(window, "%x-%x", &first, &last); err != nil || first < vmm.LowMemoryEnd || last < first {
		l.t.Errorf("the device has the addresses %q, outside the windows that ACPI tells of", window)
	}
	l.Bus().RemoveDevice(bus)
	l.awaitResult(report.MMIO)
}

var testBus = pciBus{guid.MustParse("5aa3c6b2-9d3e-4c11-8f2a-0d5c8e7b4a10")}
