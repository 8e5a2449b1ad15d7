// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/direct"
	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
	wire "github.com/hvgo/hvgo/internal/wire/direct"
)

// Kernels under test (hvgo build --format elf), and an EFI application.
const (
	helloKernel = "HVGO_TEST_KERNEL"
	wordsKernel = "HVGO_TEST_WORDS"
	wordsEFI    = "HVGO_TEST_WORDS_EFI"
)

var protocols = []direct.Protocol{direct.Linux64, direct.PVH}

// TestDirect starts hello without firmware and asks it for what needs disk and
// network.
func TestDirect(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			disk, sum := dataDisk()
			v := boot(t, options{kernel: helloKernel, disks: []guest.Block{&memoryDisk{b: make([]byte, mib)}, disk},
				Config: guest.Config{Machine: machine.Config{Memory: 64 * mib, Direct: direct.Config{Protocol: p}}}})
			helloWorks(v, sum)
			v.shutDown()
		})
	}
}

// words runs the guest of that name to its end, and returns what it printed.
func words(t *testing.T, kernel string, m machine.Config) (string, machine.Exit) {
	t.Helper()
	v := boot(t, options{kernel: kernel, noNetwork: true, Config: guest.Config{Machine: m, NoDisk: true}})
	exit := v.wait(patience)
	text, _ := v.console.text()
	return strings.ReplaceAll(text, "\r\n", "\n"), exit
}

// TestDirectWords gives a command line by each way there is.
func TestDirectWords(t *testing.T) {
	const line = `panic=-1 debug console=ttyS0 LEVEL=low root=/dev/sda1 LEVEL=high TMPDIR=/elsewhere NOTE="two words" a.b=c Mixed=x -- -v "one two" k="v w" --`
	want := []string{
		fmt.Sprintf("cmdline %q <nil>", line+"\n"),
		`args ["/init" "-v" "one two" "k=v w" "--"]`,
		`env "NOTE=two words"`, `env "TMPDIR=/elsewhere"`, `env "LEVEL=high"`, `env "HOME=/"`,
		`tables [APIC FACP]`, `product "Virtual Machine\n" <nil>`, `-------- done`,
	}
	check := func(t *testing.T, text string, exit machine.Exit) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w+"\n") {
				t.Errorf("no %s", w)
			}
		}
		for _, w := range []string{"Mixed", "panic", "console", "root", "a.b", "LEVEL=low"} {
			if strings.Contains(text, "env \""+w) {
				t.Errorf("%s was not for the program", w)
			}
		}
		checkTime(t, text)
		if exit.Kind != vmm.Shutdown || t.Failed() {
			t.Errorf("exit %v\n%s", exit, text)
		}
	}
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			text, exit := words(t, wordsKernel, machine.Config{LoadOptions: line, Direct: direct.Config{Protocol: p, TellRSDP: true}})
			check(t, text, exit)
		})
	}
	t.Run("UEFI", func(t *testing.T) {
		text, exit := words(t, wordsEFI, machine.Config{LoadOptions: line})
		check(t, text, exit)
	})
}

// checkTime compares the guest's wall clock, from the real-time clock, with ours.
func checkTime(t *testing.T, text string) {
	t.Helper()
	for l := range strings.Lines(text) {
		if s, ok := strings.CutPrefix(strings.TrimSpace(l), "time "); ok {
			at, err := strconv.ParseInt(s, 10, 64)
			if d := time.Since(time.Unix(at, 0)); err != nil || d < -patience || d > patience {
				t.Errorf("the guest's clock is off by %v (%v)", d, err)
			}
			return
		}
	}
	t.Error("the guest tells no time")
}

// TestDirectStatus: a program's exit status comes through where there is no firmware.
func TestDirectStatus(t *testing.T) {
	_, exit := words(t, wordsKernel, machine.Config{LoadOptions: "EXIT=7"})
	if exit.Kind != vmm.Crash || exit.Params[1] != 7 {
		t.Errorf("%v, want status 7 by the crash registers", exit)
	}
}

// TestDirectRestart: the host asks for a restart, and gets it by ACPI's reset register.
func TestDirectRestart(t *testing.T) {
	v := boot(t, options{kernel: helloKernel})
	v.waitFor(helloListens)
	if err := v.Shutdown.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Shutdown.RequestShutdown(t.Context(), false, true); err != nil {
		t.Fatal(err)
	}
	if exit := v.wait(patience); exit.Kind != vmm.Reset {
		t.Errorf("exit %v, want a reset", exit)
	}
}

// TestDirectMemory fills machines of several sizes, some with a hole, and some with a
// memory map that is in disorder.
func TestDirectMemory(t *testing.T) {
	const gib = 1 << 30
	for _, test := range []struct {
		name        string
		memory, low uint64
		fill        int // MiB
		m           []wire.Range
	}{
		{name: "64 MiB", memory: 64 * mib, fill: 16},
		{name: "5 GiB", memory: 5 * gib, fill: 32},
		{name: "RAM above 4 GiB first", memory: 256 * mib, low: 32 * mib, fill: 48},
		{name: "disorder", memory: 256 * mib, fill: 32, m: disorder(256 * mib)},
	} {
		for _, p := range protocols {
			t.Run(test.name+"/"+p.String(), func(t *testing.T) {
				text, exit := words(t, wordsKernel, machine.Config{
					Memory: test.memory, LowMemory: test.low, LoadOptions: "FILL=" + strconv.Itoa(test.fill),
					Direct: direct.Config{Protocol: p, MemoryMap: test.m},
				})
				for _, want := range []string{fmt.Sprintf("filled %d MiB", test.fill), fmt.Sprintf(" %d MiB, processors: 1", test.memory/mib)} {
					if !strings.Contains(text, want) {
						t.Errorf("no %q; exit %v\n%s", want, exit, text)
					}
				}
			})
		}
	}
}

// disorder describes that much memory in more ranges than boot_params have room for:
// backwards, with overlaps, empty ranges, unknown types and numbers that wrap.
func disorder(memory uint64) []wire.Range {
	var m []wire.Range
	const piece = 1 << 20
	for at := memory; at > mib; at -= piece {
		m = append(m, wire.Range{Start: at - piece, Size: piece, Type: wire.RAM})
	}
	return append(m,
		wire.Range{Start: 0, Size: 0x10000, Type: wire.RAM},
		wire.Range{Start: 0x10000, Size: 0x30000, Type: wire.ACPI},
		wire.Range{Start: 0x8000, Size: 0x98000, Type: wire.RAM},
		wire.Range{Start: 64 * mib, Size: 128 * mib, Type: wire.RAM},
		wire.Range{Start: 0, Size: 0, Type: wire.Reserved},
		wire.Range{Start: 1 << 40, Size: 1 << 20, Type: 77},
		wire.Range{Start: ^uint64(0) - 4095, Size: 1 << 30, Type: wire.Reserved},
		wire.Range{Start: 1 << 63, Size: 1 << 63, Type: wire.Unusable},
	)
}

// TestDirectRefusals: what cannot be started says why before it runs, and a machine
// that hands over nonsense gets a reason and an end.
func TestDirectRefusals(t *testing.T) {
	image, err := os.ReadFile(need(t, wordsKernel))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		m    []wire.Range
		want string
	}{
		{"no memory", []wire.Range{{Start: 1 << 30, Size: 1 << 20, Type: wire.Reserved}}, "the host tells of no memory"},
		{"only little memory", []wire.Range{{Start: 0, Size: 0x9F000, Type: wire.RAM}}, "not enough memory"},
	} {
		for _, p := range protocols {
			t.Run(test.name+"/"+p.String(), func(t *testing.T) {
				text, exit := words(t, wordsKernel, machine.Config{Direct: direct.Config{Protocol: p, MemoryMap: test.m}})
				if !strings.Contains(text, test.want) || exit.Kind != vmm.Shutdown {
					t.Errorf("exit %v, no %q in %s", exit, test.want, text)
				}
			})
		}
	}
	t.Run("too little memory", func(t *testing.T) {
		m, err := machine.New(machine.Config{Memory: vmm.MinMemory, Image: bigKernel(image)})
		if !errors.Is(err, firmware.ErrMemory) {
			t.Errorf("%v, want ErrMemory", err)
		}
		if err == nil {
			m.Close()
		}
	})
}

// bigKernel makes the last segment of a kernel 64 MiB large in memory.
func bigKernel(image []byte) []byte {
	const headers, header, count, memSize = 64, 56, 56, 40
	b := bytes.Clone(image)
	last := headers + header*(int(binary.LittleEndian.Uint16(b[count:]))-1)
	binary.LittleEndian.PutUint64(b[last+memSize:], 64*mib)
	return b
}
