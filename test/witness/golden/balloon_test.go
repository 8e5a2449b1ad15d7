// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/hvgo/hvgo/drivers/balloon"
	"github.com/hvgo/hvgo/drivers/vmbus"
	hostballoon "github.com/hvgo/hvgo/host/balloon"
	"github.com/hvgo/hvgo/host/record"
	hostbus "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/loopback"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/test/witness"
)

// TestBalloonAgainstLinux compares our Dynamic Memory service with hv_balloon.
func TestBalloonAgainstLinux(t *testing.T) {
	row := witness.Start(t, "Debian Linux, recorded", "our Dynamic Memory messages compared with Linux's, field by field")
	f, err := os.Open("testdata/balloon-6.12.rec.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	linux, ours := onlyBalloon(split(read(t, z))), onlyBalloon(split(recordBalloon(t)))
	messages := 0
	for _, s := range linux {
		messages += len(s)
	}
	if messages < 8 {
		t.Fatalf("%d messages of Linux's about Dynamic Memory", messages)
	}
	differences := compare(linux, ours)
	used := map[int]bool{}
	for _, d := range differences {
		if i := explain(balloonExplanations, d); i >= 0 {
			used[i] = true
		} else if explain(chances, d) < 0 {
			t.Errorf("not explained: %v", d)
		}
	}
	for i, e := range balloonExplanations {
		if !used[i] {
			t.Errorf("this explains nothing any more, remove it: %v (%s)", e.difference, e.why)
		}
	}
	row.SetVersion("6.12")
	row.SetExercised(fmt.Sprintf("%d messages of Dynamic Memory compared with our driver's, field by field: %d differences, all explained", messages, len(differences)))
}

// onlyBalloon keeps what belongs to the service.
func onlyBalloon(all streams) streams {
	out := streams{}
	for name, s := range all {
		if strings.HasPrefix(name, "dynamic memory") {
			out[name] = s
		}
	}
	return out
}

// spare is a guest's memory that it can do without: some pages of the loopback's.
type spare struct {
	mu    sync.Mutex
	pages []uint64
}

// Take is drivers/balloon.Memory. Pages are not adjacent here.
func (s *spare) Take(uint32, uint64) dynmem.Range {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pages) == 0 {
		return dynmem.Range{}
	}
	pfn := s.pages[0]
	s.pages = s.pages[1:]
	return dynmem.Range{Start: pfn, Count: 1}
}

// Give is drivers/balloon.Memory.
func (s *spare) Give(r dynmem.Range) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pfn := r.Start; pfn < r.End(); pfn++ {
		s.pages = append(s.pages, pfn)
	}
}

// Stats is drivers/balloon.Memory.
func (s *spare) Stats() balloon.Stats { return balloon.Stats{Total: 4096, Free: 2048} }

// recordBalloon has our driver do what Linux did.
func recordBalloon(t *testing.T) []record.Record {
	t.Helper()
	var file bytes.Buffer
	rec, err := record.New(&file, record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	device := hostballoon.New(hostballoon.Options{MaxPages: 384 << 20 / wire.PageSize})
	m := loopback.New(t, loopback.Options{Host: hostbus.Options{Record: rec, Log: log}})
	m.Server.AddDevice(device)
	bus, err := vmbus.Connect(m.Guest, log)
	if err != nil {
		t.Fatal(err)
	}
	const pages = 8
	mem, err := m.Guest.AllocPages(pages)
	if err != nil {
		t.Fatal(err)
	}
	b, err := balloon.Attach(bus, bus.Find(wire.InterfaceDynamicMemory)[0], &spare{pages: mem.PFN}, balloon.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := device.WaitReports(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if n, err := device.Inflate(t.Context(), pages); err != nil || n != pages {
		t.Fatalf("%d pages, %v", n, err)
	}
	if n, err := device.Deflate(t.Context(), pages); err != nil || n != pages {
		t.Fatalf("%d pages back, %v", n, err)
	}
	b.Close()
	if err := bus.Unload(); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return read(t, &file)
}

var balloonExplanations = []explanation{
	{difference{"*", "*", "*pages", "*", "*"}, "memory is where each guest has it"},
	{difference{"*", "*", "ring position", "*", "*"}, "what was sent before differs in number or size"},
	{difference{"*", "*", "GPADL", "*", "*"}, "a GPADL's number is the guest's choice"},
	{difference{"dynamic memory", "*", "balloon transaction", "*", "*"}, "messages are counted, and Linux sent more status reports"},
	{difference{"dynamic memory", "CAPABILITIES_REPORT", "balloon body", "{Balloon:true HotAdd:true HotAddAlignment:7 HotRemove:false MinPages:0 *", "{Balloon:true HotAdd:false HotAddAlignment:0 HotRemove:false MinPages:0 *"},
		"Linux takes hot-added memory, in multiples of 128 MiB; our memory map is fixed at the start"},
	{difference{"dynamic memory", "STATUS_REPORT", "balloon body", "{Available:* ZeroFree:0 PageFileWrites:0 IODifference:0}", "{Available:2048 Committed:* ZeroFree:2048 PageFileWrites:0 IODifference:0}"},
		"other figures; Linux leaves zero where the number of free pages stands, ours says it"},
	{difference{stream: "dynamic memory", message: "STATUS_REPORT", field: onlyLinux, linux: "*"}, "one each second: Linux was asked for longer"},
	{difference{"dynamic memory", "BALLOON_RESPONSE", "balloon body", "{More:false *", "{More:false *"}, "other pages"},
	{difference{"dynamic memory", "BALLOON_RESPONSE", "balloon size", "144", "80"}, "16 ranges, and 8"},
	{difference{"dynamic memory", "BALLOON_RESPONSE", "balloon message size", "144", "80"}, "16 ranges, and 8"},
	{difference{"dynamic memory", "BALLOON_RESPONSE", "ring size", "160", "96"}, "16 ranges, and 8"},
	{difference{stream: "dynamic memory messages", message: "CLOSE_CHANNEL", field: onlyOurs, ours: "*"}, "hv_balloon cannot be unloaded"},
	{difference{stream: "dynamic memory messages", message: "GPADL_TEARDOWN", field: onlyOurs, ours: "*"}, "hv_balloon cannot be unloaded"},
}
