// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ring0

import (
	"debug/dwarf"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"
)

// TestGoLayout holds our idea of g and m against the installed toolchain's.
func TestGoLayout(t *testing.T) {
	dir := t.TempDir()
	source, program := filepath.Join(dir, "p.go"), filepath.Join(dir, "p")
	if err := os.WriteFile(source, []byte("package main\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", program, source)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	g, m := structOf(t, program, "runtime.g"), structOf(t, program, "runtime.m")
	buf := structOf(t, program, "runtime.gobuf")
	var ours G
	for _, tt := range []struct {
		name      string
		want, got int64
	}{
		{"g.stack", int64(unsafe.Offsetof(ours.Lo)), g["stack"]},
		{"g.m", int64(unsafe.Offsetof(ours.M)), g["m"]},
		{"g.m in assembly", gM, g["m"]},
		{"g.syscallsp", int64(unsafe.Offsetof(ours.SyscallSP)), g["syscallsp"]},
		{"g.syscallpc", int64(unsafe.Offsetof(ours.SyscallPC)), g["syscallpc"]},
		{"g.syscallbp", int64(unsafe.Offsetof(ours.SyscallBP)), g["syscallbp"]},
		{"m.curg in assembly", mCurg, m["curg"]},
		{"m.locks", mLocks, m["locks"]},
		{"g.sched.sp", GSchedSP, g["sched"] + buf["sp"]},
		{"g.sched.pc", GSchedPC, g["sched"] + buf["pc"]},
		{"g.sched.bp", GSchedBP, g["sched"] + buf["bp"]},
		{"g.goid", GID, g["goid"]},
	} {
		if tt.want != tt.got {
			t.Errorf("%s: we have offset %d, the toolchain %d", tt.name, tt.want, tt.got)
		}
	}
}

// structOf gives the offsets of a structure's fields.
func structOf(t *testing.T, program, name string) map[string]int64 {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	for r := d.Reader(); ; {
		e, err := r.Next()
		if err != nil || e == nil {
			t.Fatalf("no %s in DWARF: %v", name, err)
		}
		if e.Tag != dwarf.TagStructType || e.Val(dwarf.AttrName) != name {
			continue
		}
		typ, err := d.Type(e.Offset)
		if err != nil {
			t.Fatal(err)
		}
		offsets := map[string]int64{}
		for _, field := range typ.(*dwarf.StructType).Field {
			offsets[field.Name] = field.ByteOffset
		}
		return offsets
	}
}

// TestFrameOrder pins what the processor and the entries push.
func TestFrameOrder(t *testing.T) {
	var f Frame
	for _, tt := range []struct {
		name      string
		got, want uintptr
	}{
		{"vector", unsafe.Offsetof(f.Vector), 16 * 8},
		{"error", unsafe.Offsetof(f.Error), 17 * 8},
		{"rip", unsafe.Offsetof(f.RIP), 18 * 8},
		{"ss", unsafe.Offsetof(f.SS), 22 * 8},
		{"size", unsafe.Sizeof(f), 23 * 8},
		{"rbp before rbx rdx rcx rax", unsafe.Offsetof(f.RAX) - unsafe.Offsetof(f.RBP), 4 * 8},
	} {
		if tt.got != tt.want {
			t.Errorf("%s at %d, want %d", tt.name, tt.got, tt.want)
		}
	}
}

// TestTSS pins where the interrupt stacks lie in the 64-bit TSS (Intel SDM
// volume 3, figure 8-11): IST1 at byte 36.
func TestTSS(t *testing.T) {
	var c CPU
	c.setIST(1, 0x1111)
	tss := uintptr(unsafe.Pointer(&c.tss)) + 4
	if got := *(*uint64)(Pointer(tss + 36)); got != 0x1111 {
		t.Errorf("IST1 is %#x", got)
	}
	if unsafe.Offsetof(c.tss)%8 != 0 {
		t.Error("the TSS is not aligned")
	}
}
