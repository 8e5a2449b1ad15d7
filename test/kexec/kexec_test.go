// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package kexec starts a kernel by a loader of Linux's 64-bit boot protocol that nobody
// here wrote: Debian's kernel with kexec-tools. What that leaves behind is less tidy than
// what monitors do: page tables of five levels, and interrupts of its own that are
// pending.
package kexec

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/debian"
	"github.com/hvgo/hvgo/image/build"
	"github.com/hvgo/hvgo/test/witness"
)

const (
	qemu        = "qemu-system-x86_64"
	loader      = "/sbin/kexec"
	hvgoCommand = "HVGO_TEST_COMMAND"
	patience    = 5 * time.Minute
)

// missing skips the test; where HVGO_REQUIRE_QEMU is set (make test), nothing may
// be missing.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("HVGO_REQUIRE_QEMU") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// fixture is what is booted.
type fixture struct{ kernel, initrd string }

// prepare packs init, kexec with its libraries, and a program as a kernel.
func prepare(t *testing.T) fixture {
	t.Helper()
	if testing.Short() {
		t.Skip("starts QEMU: not with -short")
	}
	if _, err := os.Stat(loader); err != nil {
		missing(t, err.Error()+": apt-get install kexec-tools")
	}
	k, err := debian.Get(t.Context(), "6.12", func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pid1, words := filepath.Join(dir, "init"), filepath.Join(dir, "words.elf")
	cmd := exec.Command("go", "build", "-o", pid1, "./init")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := build.Build(t.Context(), build.Options{Package: "./test/vm/guests/words", Dir: "../..", Output: words, ELF: true}); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"init": pid1, "kernel.elf": words, loader[1:]: loader}
	out, err := exec.Command("ldd", loader).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllStringSubmatch(string(out), -1) {
		files[m[1][1:]] = m[1]
	}
	f := fixture{k.Image, filepath.Join(dir, "initrd.img")}
	if err := os.WriteFile(f.initrd, archive(t, files), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// archive is an initial RAM disk: cpio's "newc" format (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst), compressed.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	entry := func(name string, mode int, contents []byte) {
		fmt.Fprintf(&b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
			0, mode, 0, 0, 1, 0, len(contents), 0, 0, 0, 0, len(name)+1, 0, name)
		b.Write(make([]byte, -b.Len()&3))
		b.Write(contents)
		b.Write(make([]byte, -b.Len()&3))
	}
	have := map[string]bool{".": true}
	var folder func(dir string)
	folder = func(dir string) {
		if !have[dir] {
			folder(filepath.Dir(dir))
			entry(dir, 0o40755, nil)
			have[dir] = true
		}
	}
	for name, path := range files {
		contents, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		folder(filepath.Dir(name))
		entry(name, 0o100755, contents)
	}
	entry("TRAILER!!!", 0, nil)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

// version is that of kexec-tools, and of the kernel.
func (f fixture) version(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(loader, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first + ", Linux 6.12"
}

const appended = "console=ttyS0 quiet rdinit=/init"

// TestRefusal is in QEMU's plain emulation: no Hyper-V, and a power-off by ACPI.
func TestRefusal(t *testing.T) {
	f := prepare(t)
	if _, err := exec.LookPath(qemu); err != nil {
		missing(t, err.Error())
	}
	row := witness.Start(t, "Linux kexec", "start of the ELF kernel by the 64-bit boot protocol on a q35: memory told right, no Hyper-V told, power-off by ACPI")
	row.SetVersion(f.version(t))
	f.run(t, exec.Command(qemu, "-accel", "tcg", "-cpu", "max", "-machine", "q35", "-m", "512", "-display", "none", "-nodefaults", "-serial", "stdio",
		"-kernel", f.kernel, "-initrd", f.initrd, "-append", appended),
		"hvgo: this machine cannot run this image", "512 MiB of memory, enabled processors: 1")
}

// TestHyperV is on the test host, where Linux has used Hyper-V's interfaces before:
// the program runs, with a network card on VMBus.
func TestHyperV(t *testing.T) {
	command := os.Getenv(hvgoCommand)
	if command == "" {
		t.Skipf("%s names no command (make witness sets it)", hvgoCommand)
	}
	f := prepare(t)
	row := witness.Start(t, "Linux kexec", "start of the ELF kernel on the test host, behind a Linux that used Hyper-V's clock and timers: "+
		"command line, VMBus, DHCP, power-off")
	row.SetVersion(f.version(t))
	f.run(t, exec.Command(command, "run", "--kernel", f.kernel, "--initrd", f.initrd, "--append", appended, "-m", "512"),
		`args ["/init" "one" "two words"]`, `env "LEVEL=debug"`, "hvgo: network: 192.168.127.2/24", "-------- done")
}

// run runs a machine to its end and looks for texts on the console.
func (f fixture) run(t *testing.T, cmd *exec.Cmd, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	bounded.WaitDelay = 10 * time.Second
	out, err := bounded.CombinedOutput()
	if err != nil {
		t.Errorf("%v (%v)", err, ctx.Err())
	}
	for _, text := range texts {
		if !bytes.Contains(out, []byte(text)) {
			t.Errorf("the console does not say %q", text)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}
