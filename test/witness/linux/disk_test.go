// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/test/witness"
	"github.com/hvgo/hvgo/test/witness/linux/report"
)

// seriesNames are the kernels that are tested.
var seriesNames = []string{"6.12", "6.1"}

const (
	diskSize = 512 * mib
	dataSize = 256 * mib
)

// TestDisk has Linux give addresses to a device that is then taken away, partition a disk, make a file system, write 256 MiB and read them
// back, and then power off because the host asks for it. The disk is left in the folder
// of the inputs, for test/witness/linux/image.
func TestDisk(t *testing.T) {
	for _, series := range seriesNames {
		t.Run(series, func(t *testing.T) {
			row := witness.Start(t, "Debian Linux", "StorVSC disk; MMIO window; asked to shut down; powers off")
			path := filepath.Join(folder(t), "linux-"+series+".img")
			disk := newDisk(t, path)
			l := boot(t, row, options{
				series: series, tasks: []string{report.MMIO, report.Disk, report.Shutdown},
				params: map[string]string{"mib": strconv.Itoa(dataSize / mib), "pci": testBus.instance.String()},
				Config: guest.Config{
					Machine: machine.Config{Devices: []vmbus.Device{testBus}}, Disks: []guest.Block{disk},
				},
			})
			l.checkMMIO(testBus)
			d := l.awaitResult(report.Disk)
			l.awaitEvent(report.Shutdown, "ready")
			if err := l.AskShutdown(t.Context()); err != nil {
				t.Errorf("ask for a shutdown: %v", err)
			}
			l.finish()
			if clock := l.awaitResult(report.System)["rtc"]; clock == "" {
				t.Error("Linux found no real-time clock")
			}
			row.SetExercised(fmt.Sprintf("StorVSC disk: GPT, ext4, %d MiB written (%s) and read back (%s); MMIO window of ACPI; a device rescinded; powers off when asked",
				dataSize/mib, rate(dataSize, d["write_seconds"]), rate(dataSize, d["read_seconds"])))
		})
	}
}

// newDisk makes an empty raw disk.
func newDisk(t testing.TB, path string) guest.Block {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(diskSize); err != nil {
		t.Fatal(err)
	}
	disk, err := guest.Raw(f)
	if err != nil {
		t.Fatal(err)
	}
	return disk
}
