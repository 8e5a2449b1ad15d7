// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/balloon"
	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/host/usernet"
	"github.com/hvgo/hvgo/host/vmbus"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/test/witness"
	"github.com/hvgo/hvgo/test/witness/linux/report"
)

// recordings names the folder for recordings of Linux; scripts/recordings sets it.
const recordings = "HVGO_TEST_RECORDINGS"

// TestRecord records what Linux says from INITIATE_CONTACT to UNLOAD, as
// test/witness/golden keeps it to compare our own drivers with.
func TestRecord(t *testing.T) {
	dir := os.Getenv(recordings)
	if dir == "" {
		t.Skipf("%s names no folder: the recordings that are kept were made before (scripts/recordings)", recordings)
	}
	for _, series := range seriesNames {
		for _, cpus := range []int{1, 2} {
			name := fmt.Sprintf("linux-%s-%dcpu", series, cpus)
			t.Run(name, func(t *testing.T) { recordLinux(t, filepath.Join(dir, name+".rec"), series, cpus) })
		}
	}
}

// TestRecordBalloon records the Dynamic Memory service alone: hv_balloon cannot be
// unloaded, so there is no UNLOAD.
func TestRecordBalloon(t *testing.T) {
	dir := os.Getenv(recordings)
	if dir == "" {
		t.Skipf("%s names no folder: the recordings that are kept were made before (scripts/recordings)", recordings)
	}
	const pages = 32 * mib / 4096
	row := witness.Start(t, "Debian Linux", "Dynamic Memory recorded")
	rec, finish := startRecording(t, filepath.Join(dir, "balloon-6.12.rec"))
	device := balloon.New(balloon.Options{MaxPages: 384 * mib / 4096})
	l := boot(t, row, options{
		series: "6.12", tasks: []string{report.Balloon}, params: map[string]string{"mib": "32"},
		Config: guest.Config{
			Machine: machine.Config{VCPUs: 1, Devices: []vmbus.Device{device}, VMBus: vmbus.Options{Record: rec}}, NoDisk: true,
		},
	})
	l.awaitEvent(report.Balloon, "ready")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := device.WaitReports(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if n, err := device.Inflate(ctx, pages); err != nil || n != pages {
		t.Fatalf("%d pages, %v", n, err)
	}
	l.awaitEvent(report.Balloon, "less")
	if n, err := device.Deflate(ctx, pages); err != nil || n != pages {
		t.Fatalf("%d pages back, %v", n, err)
	}
	l.awaitResult(report.Balloon)
	l.finish()
	finish("Linux " + l.awaitResult(report.System)["release"] + " of Debian, Dynamic Memory")
}

// startRecording begins a file; finish ends it with a note.
func startRecording(t *testing.T, path string) (rec *record.Recorder, finish func(note string)) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	rec, err = record.New(f, record.Options{Ended: func(line string) { t.Error(line) }})
	if err != nil {
		t.Fatal(err)
	}
	return rec, func(note string) {
		rec.Note(note)
		if err := rec.Close(); err != nil {
			t.Error(err)
		}
	}
}

// goodbye watches for the messages that end a guest's VMBus: UNLOAD, and then
// Linux releases each channel that it was offered.
type goodbye struct {
	mu       sync.Mutex // guards what follows
	offers   int
	unloaded bool
	all      chan struct{} // closed after the last
}

func (g *goodbye) see(_ bool, message []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch t, _ := wire.DecodeType(message); t {
	case wire.MsgOfferChannel:
		g.offers++
	case wire.MsgUnload:
		g.unloaded = true
	case wire.MsgRelIDReleased:
		g.offers--
		if g.unloaded && g.offers == 0 {
			close(g.all)
		}
	}
}

func recordLinux(t *testing.T, path, series string, cpus int) {
	row := witness.Start(t, "Debian Linux", "everything from INITIATE_CONTACT to UNLOAD recorded")
	rec, finish := startRecording(t, path)
	network, err := usernet.New(usernet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	card, err := netvsp.New(netvsp.Options{Network: network, MAC: [6]byte{0, 0x15, 0x5D, 1, 2, 3}, Queues: cpus})
	if err != nil {
		t.Fatal(err)
	}
	network.Plug(card)
	gone := &goodbye{all: make(chan struct{})}
	l := boot(t, row, options{
		series: series, tasks: []string{report.Link, report.Shutdown, report.Unload},
		// hv_balloon cannot be unloaded, nor then can VMBus.
		params: map[string]string{"gateway": "192.168.127.1", "skip": "hv_balloon"},
		Config: guest.Config{
			Disks:   []guest.Block{newDisk(t, filepath.Join(t.TempDir(), "disk.img"))},
			Machine: machine.Config{VCPUs: cpus, Devices: []vmbus.Device{card}, VMBus: vmbus.Options{Record: rec, Trace: gone.see}},
		},
		allowed: map[string]string{vmbus.RuleMessageState: "hv_vmbus releases its channels after UNLOAD, when there are none any more"},
	})
	l.awaitEvent(report.Shutdown, "ready")
	if err := l.AskShutdown(t.Context()); err != nil {
		t.Errorf("ask for a shutdown: %v", err)
	}
	release := l.awaitResult(report.System)["release"]
	row.SetVersion(release)
	select {
	case <-gone.all: // Linux may not reach its power-off: its timers went with hv_vmbus
	case <-l.done:
		t.Error("Linux ended before it had unloaded VMBus")
	case <-time.After(patience):
		t.Error("Linux does not unload VMBus")
	}
	finish(fmt.Sprintf("Linux %s of Debian, %d processors", release, cpus))
}
