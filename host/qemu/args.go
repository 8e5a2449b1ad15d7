// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const mib = 1 << 20

// AllFlags are the enlightenments that Linux 6.1's KVM and later have on any
// processor, and hv-enforce-cpuid: a guest that uses what CPUID does not announce
// gets #GP or an error. Not among them is what only nested hypervisors use.
const AllFlags = "hv-relaxed,hv-vapic,hv-spinlocks=0xfff,hv-vpindex,hv-runtime,hv-crash,hv-time,hv-synic,hv-stimer," +
	"hv-stimer-direct,hv-tlbflush,hv-ipi,hv-reset,hv-frequencies,hv-reenlightenment,hv-xmm-input,hv-avic,hv-enforce-cpuid"

// FewestFlags are what a guest of hvgo cannot do without, and vmbus-bridge.
const FewestFlags = "hv-vpindex,hv-time,hv-synic,hv-stimer,hv-enforce-cpuid"

// Passthrough is all that this KVM has.
const Passthrough = "hv-passthrough"

// Config says what machine QEMU makes.
type Config struct {
	Program *Program
	Memory  uint64 // bytes, whole MiB
	CPUs    int    // default 1
	Flags   string // hv-* flags of the processor, separated by commas; default AllFlags

	// Kernel is an ELF file with a PVH entry, or a Linux kernel; Initrd and
	// CommandLine are for it. The alternative is Firmware, OVMF's code, with the
	// image of a disk to boot from in VHDX, which stays as it is.
	Kernel, Initrd, CommandLine string
	Firmware, Disk              string

	NoBalloon  bool     // no hv-balloon, even where QEMU has it
	TestDevice bool     // add hyperv-testdev
	Trace      []string // patterns of QEMU's trace events
	TraceFile  string   // what they are written to
	Extra      []string // more arguments, as they are
}

// qmpFD is the file descriptor of the control protocol's socket in QEMU.
const qmpFD = 3

// Args returns QEMU's arguments, behind Program.Command.
func (c *Config) Args() ([]string, error) {
	if c.Memory == 0 || c.Memory%mib != 0 {
		return nil, fmt.Errorf("QEMU: %d bytes of memory are not whole MiB", c.Memory)
	}
	if (c.Kernel == "") == (c.Disk == "") || (c.Firmware == "") != (c.Disk == "") {
		return nil, errors.New("QEMU: either a kernel, or firmware and a disk")
	}
	flags := c.Flags
	if flags == "" {
		flags = AllFlags
	}
	args := []string{
		// kvm=off hides KVM's own leaves: guests that know both prefer those.
		"-accel", "kvm", "-machine", "q35", "-cpu", "host,kvm=off," + flags,
		"-smp", strconv.Itoa(max(c.CPUs, 1)), "-m", strconv.FormatUint(c.Memory/mib, 10),
		"-S", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", qmpFD), "-mon", "chardev=qmp,mode=control",
		"-device", Bridge,
	}
	if !c.NoBalloon && c.Program.Has(Balloon) {
		args = append(args, "-device", Balloon+",status-report=on")
	}
	if c.TestDevice {
		args = append(args, "-device", TestDevice)
	}
	for _, pattern := range c.Trace {
		args = append(args, "-trace", pattern)
	}
	if c.TraceFile != "" {
		args = append(args, "-D", c.TraceFile)
	}
	return append(append(args, c.bootArgs()...), c.Extra...), nil
}

// bootArgs say what is booted.
func (c *Config) bootArgs() (args []string) {
	if c.Disk != "" {
		return []string{
			"-bios", c.Firmware,
			"-drive", "if=none,id=disk,format=vhdx,snapshot=on,file=" + escape(c.Disk),
			"-device", "ahci,id=ahci", "-device", "ide-hd,drive=disk,bus=ahci.0",
		}
	}
	args = []string{"-kernel", c.Kernel}
	if c.Initrd != "" {
		args = append(args, "-initrd", c.Initrd)
	}
	if c.CommandLine != "" {
		args = append(args, "-append", c.CommandLine)
	}
	return args
}

// escape makes a path part of an argument that commas separate.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }
