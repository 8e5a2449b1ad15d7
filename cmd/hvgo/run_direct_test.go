// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// elfKernel is the smallest ELF kernel: one page of HLT at an address.
func elfKernel(address uint64) []byte {
	const entrySize = 56
	le := binary.LittleEndian
	b := append([]byte(elf.ELFMAG), byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint16(le.AppendUint16(b, uint16(elf.ET_EXEC)), uint16(elf.EM_X86_64))
	b = le.AppendUint64(le.AppendUint32(b, 1), address)
	b = le.AppendUint64(le.AppendUint64(b, 64), 0)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, entrySize, 1, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(le.AppendUint32(b, uint32(elf.PT_LOAD)), uint32(elf.PF_R|elf.PF_X))
	for _, v := range []uint64{0, address, address, 64 + entrySize, 4096, 4096} {
		b = le.AppendUint64(b, v)
	}
	return b
}

func TestTakeKernel(t *testing.T) {
	good, low := write(t, "svc.elf", elfKernel(2*mib)), write(t, "low", elfKernel(mib/2))
	o := runOptions{image: good, memory: "64", cpus: 1}
	o.kernel.append = "A=b -- c"
	p, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.image != nil || p.kernel == nil || p.kernel.kernel != good || p.kernel.append != "A=b -- c" {
		t.Errorf("image %v, kernel %+v", p.image, p.kernel)
	}
	if args := strings.Join(p.args(), " "); !strings.Contains(args, "--kernel "+good+" --append=A=b -- c") {
		t.Errorf("args %q", args)
	}

	o = runOptions{image: low, memory: "64", cpus: 1}
	if _, err := o.plan(); err == nil || !strings.Contains(err.Error(), "is a Linux program, not a VHDX") {
		t.Errorf("%v", err)
	}
	o = runOptions{image: write(t, "short.elf", elfKernel(2 * mib)[:100]), memory: "64", cpus: 1}
	if _, err := o.plan(); err == nil || !strings.Contains(err.Error(), "not a kernel that can be started directly") {
		t.Errorf("%v", err)
	}
	o = runOptions{memory: "64", cpus: 1}
	o.kernel.kernel = low
	if _, err := o.plan(); err == nil || !strings.Contains(err.Error(), "not between 1 MiB and 4 GiB") {
		t.Errorf("%v", err)
	}
	o.kernel.kernel, o.memory = write(t, "high.elf", elfKernel(100*mib)), "64"
	if _, err := o.plan(); err == nil || !strings.Contains(err.Error(), "give it 101 MiB or more") {
		t.Errorf("%v", err)
	}
}

// An image is not read to find out that it is no kernel: it may be larger than memory,
// or a device that never ends.
func TestTakeKernelLarge(t *testing.T) {
	name := filepath.Join(t.TempDir(), "large.vhdx")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 256*mib); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, image := range []string{name, t.TempDir(), "/dev/null"} {
		o := runOptions{image: image}
		if o.takeKernel(); o.image != image || o.kernel.kernel != "" {
			t.Errorf("%s is taken for a kernel", image)
		}
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > mib {
		t.Errorf("%d bytes for looking at images", after.TotalAlloc-before.TotalAlloc)
	}
}
