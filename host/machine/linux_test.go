// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/storvsp"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/host/vmm"
)

// memoryDisk is a disk in memory.
type memoryDisk struct{ b []byte }

func (d memoryDisk) ReadAt(p []byte, off int64) (int, error)  { return copy(p, d.b[off:]), nil }
func (d memoryDisk) WriteAt(p []byte, off int64) (int, error) { return copy(d.b[off:], p), nil }
func (d memoryDisk) Size() int64                              { return int64(len(d.b)) }
func (d memoryDisk) Flush() error                             { return nil }
func (d memoryDisk) BlockSize() int                           { return 512 }
func (d memoryDisk) ReadOnly() bool                           { return false }

// TestLinux boots a Linux kernel nobody here wrote, with its own VMBus and storage
// drivers. HVGO_TEST_LINUX names the kernel, HVGO_TEST_INITRD an initial RAM disk
// whose init loads the drivers, prints the SHA-256 of the first disk, and powers off.
func TestLinux(t *testing.T) {
	kernel, initrd := os.Getenv("HVGO_TEST_LINUX"), os.Getenv("HVGO_TEST_INITRD")
	if kernel == "" || initrd == "" {
		t.Skip("HVGO_TEST_LINUX and HVGO_TEST_INITRD name no kernel and initial RAM disk")
	}
	hosttest.NeedKVM(t)
	image, err1 := os.ReadFile(kernel)
	ramdisk, err2 := os.ReadFile(initrd)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	disk := memoryDisk{make([]byte, 8<<20)}
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(disk.b)
	controller, err := storvsp.New(storvsp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := controller.AddDisk(0, disk); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m, err := New(Config{
		Image: image, Initrd: ramdisk, Memory: 512 << 20, Console: &out, VCPUs: 2, Devices: []vmbus.Device{controller},
		LoadOptions: "linux console=ttyS0 panic=-1", Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Strict: func(rule, detail string) { t.Logf("broken rule %s: %s", rule, detail) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	e, err := m.Run(t.Context())
	t.Logf("%v, %v, %+v", e, err, m.Figures())
	sum := sha256.Sum256(disk.b)
	if err != nil || e.Kind != vmm.Shutdown || !strings.Contains(out.String(), hex.EncodeToString(sum[:])) {
		t.Errorf("Linux ended with %v, %v\n%s\n%s", e, err, e.Detail, out.String())
	}
}
