// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/hvgo/hvgo/drivers/ic"
	"github.com/hvgo/hvgo/drivers/netvsc"
	"github.com/hvgo/hvgo/drivers/storvsc"
	"github.com/hvgo/hvgo/drivers/vmbus"
	hostic "github.com/hvgo/hvgo/host/ic"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/host/storvsp"
	"github.com/hvgo/hvgo/host/usernet"
	hostbus "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/guid"
	"github.com/hvgo/hvgo/internal/loopback"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// patience is for a test that hangs.
const patience = 30 * time.Second

// macAddress is the card's, as in the recordings.
var macAddress = [6]byte{0, 0x15, 0x5D, 1, 2, 3}

// emptyDisk is a disk of zeros, of the size that Linux had.
type emptyDisk struct{}

func (emptyDisk) ReadAt(p []byte, _ int64) (int, error)  { clear(p); return len(p), nil }
func (emptyDisk) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (emptyDisk) Flush() error                           { return nil }
func (emptyDisk) Size() int64                            { return 512 << 20 }
func (emptyDisk) BlockSize() int                         { return 512 }
func (emptyDisk) ReadOnly() bool                         { return false }

// devices are the host's, as Linux had them.
type devices struct {
	card       *netvsp.NIC
	controller *storvsp.Controller
	shutdown   *hostic.Shutdown
	heartbeat  *hostic.Heartbeat
	timeSync   *hostic.TimeSync
	network    *usernet.Network
}

func newDevices(t *testing.T, processors int) *devices {
	t.Helper()
	d := &devices{shutdown: hostic.NewShutdown(), heartbeat: hostic.NewHeartbeat(), timeSync: hostic.NewTimeSync()}
	d.timeSync.SetClock(func() (time.Time, uint64, error) { return time.Now(), 0, nil })
	var err error
	if d.network, err = usernet.New(usernet.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.network.Close() })
	if d.card, err = netvsp.New(netvsp.Options{Network: d.network, MAC: macAddress, Queues: processors}); err != nil {
		t.Fatal(err)
	}
	d.network.Plug(d.card)
	if d.controller, err = storvsp.New(storvsp.Options{SubChannels: uint16(processors - 1)}); err != nil {
		t.Fatal(err)
	}
	if err := d.controller.AddDisk(0, emptyDisk{}); err != nil {
		t.Fatal(err)
	}
	return d
}

// list is the order of the offers.
func (d *devices) list() []hostbus.Device {
	return []hostbus.Device{d.card, d.shutdown, d.heartbeat, d.timeSync, d.controller}
}

// recordOurs has our drivers do what Linux did, from INITIATE_CONTACT to UNLOAD, and
// returns the recording.
func recordOurs(t *testing.T) []record.Record {
	t.Helper()
	var file bytes.Buffer
	rec, err := record.New(&file, record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	d := newDevices(t, 1)
	m := loopback.New(t, loopback.Options{Host: hostbus.Options{Record: rec, Log: log}})
	for _, dev := range d.list() {
		m.Server.AddDevice(dev)
	}
	bus, err := vmbus.Connect(m.Guest, log)
	if err != nil {
		t.Fatal(err)
	}
	drive(t, d, m, bus, log)
	if err := bus.Unload(); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return read(t, &file)
}

// drive uses all devices and leaves them.
func drive(t *testing.T, d *devices, m *loopback.Machine, bus *vmbus.Bus, log *slog.Logger) {
	t.Helper()
	offer := func(id guid.GUID) vmbus.Offer {
		found := bus.Find(id)
		if len(found) != 1 {
			t.Fatalf("%d offers of %s", len(found), wire.InterfaceName(id))
		}
		return found[0]
	}
	controller, err := storvsc.Attach(bus, m.Guest, offer(wire.InterfaceSCSI), log)
	if err != nil {
		t.Fatal(err)
	}
	useDisk(t, controller)
	nic, err := netvsc.Attach(m.Guest, bus, offer(wire.InterfaceNetwork), netvsc.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	useCard(t, nic)
	asked := make(chan ic.Request, 1)
	shutdown, err1 := ic.AttachShutdown(bus, offer(wire.InterfaceShutdown), log, func(r ic.Request) { asked <- r })
	heartbeat, err2 := ic.AttachHeartbeat(bus, offer(wire.InterfaceHeartbeat), log)
	timeSync, err3 := ic.AttachTimeSync(bus, offer(wire.InterfaceTimeSync), log, clock{})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	useServices(t, d)
	<-asked
	if err := nic.Close(); err != nil {
		t.Fatal(err)
	}
	controller.Close()
	timeSync.Close()
	shutdown.Close()
	heartbeat.Close()
}

// clock is a guest's clock that nobody reads.
type clock struct{}

func (clock) Reference() int64  { return 0 }
func (clock) Realtime() int64   { return time.Now().UnixNano() }
func (clock) SetRealtime(int64) {}

// useServices waits until each service has been asked, and asks for a shutdown.
func useServices(t *testing.T, d *devices) {
	t.Helper()
	if err := d.shutdown.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.shutdown.RequestShutdown(t.Context(), false, false); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); d.heartbeat.Beat().Answered == 0 || d.timeSync.Stats().Synced == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("heartbeat or time synchronisation is not answered")
		}
	}
}

func useDisk(t *testing.T, controller *storvsc.Controller) {
	t.Helper()
	disks := controller.Disks()
	if len(disks) != 1 {
		t.Fatalf("%d disks", len(disks))
	}
	if _, err := disks[0].ReadAt(make([]byte, 4096), 0); err != nil {
		t.Fatal(err)
	}
	if err := disks[0].Flush(); err != nil {
		t.Fatal(err)
	}
}

// useCard asks who has the gateway's address, and waits for the answer.
func useCard(t *testing.T, nic *netvsc.NIC) {
	t.Helper()
	answered := make(chan bool, 64)
	err := nic.Start(func([]byte, bool) { answered <- true }, func() {}, func() {}, func(bool) {})
	if err != nil {
		t.Fatal(err)
	}
	queued, err := nic.Transmit([][]byte{whoHas(192, 168, 127, 1)}, 0, 0)
	if err != nil || !queued {
		t.Fatal(queued, err)
	}
	if err := nic.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-answered:
	case <-time.After(patience):
		t.Fatal("no answer")
	}
}

// whoHas is an ARP request (RFC 826), as Linux sent it.
func whoHas(a, b, c, d byte) []byte {
	mac := macAddress[:]
	f := append([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, mac...)
	f = append(f, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
	f = append(append(f, mac...), 0, 0, 0, 0)
	f = append(f, 0, 0, 0, 0, 0, 0, a, b, c, d)
	return append(f, make([]byte, 60-len(f))...)
}

// read reads a recording.
func read(t *testing.T, r io.Reader) []record.Record {
	t.Helper()
	rd, err := record.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	all, err := rd.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all
}
