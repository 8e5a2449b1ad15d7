// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/power"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"github.com/hvgo/hvgo/runtime/serial"
	"github.com/hvgo/hvgo/runtime/trap"
)

// What entry needs before there is anything else: a stack, a g and its place
// in thread-local storage.
const bootStackBytes = 64 << 10

var (
	//lint:ignore U1000 entry_amd64.s uses it
	bootStack [bootStackBytes]byte
	//lint:ignore U1000 entry_amd64.s uses it
	bootG [512]byte
	//lint:ignore U1000 entry_amd64.s uses it
	bootTLS [2]uintptr
)

// cpu0 is the first processor's data.
var cpu0 ring0.CPU

// start brings the machine up and does not return. It runs on bootStack; see
// the package comment for what it may not do.
//
//lint:ignore U1000 entry_amd64.s calls it
func start(by, a, b uintptr) {
	serial.Init()
	hv.Detect(&hv.Host)
	from := source{by: by}
	why := from.open(a, b)
	survey()
	if why != "" {
		refuse(&from, why)
	}
	if missing := hv.Host.Missing(); missing != "" {
		refuse(&from, missing)
	}
	if !ring0.HasXSAVE() {
		refuse(&from, "no XSAVE (CPUID.1:ECX bit 26 is clear)")
	}
	from.seed()
	if !addEntropy() {
		refuse(&from, "no source of random numbers (none from the firmware or the host, no RDSEED, no RDRAND)")
	}
	wall := from.now()
	reset, reach := from.resetSystem(), from.reach()
	if !from.leave() {
		refuse(nil, "the firmware does not let go (ExitBootServices failed)")
	}
	ring0.Cli()
	fail(ownTables(reset, reach))

	stacks, ok := prepare(&cpu0, 0)
	if !ok {
		fail("no memory for the runtime's stacks")
	}
	cpu0.Setup(stacks.fault, stacks.fatal)
	fail(hv.Init())
	cpu0.Enter()
	cpu0.State = ring0.CPUOn
	if wall != 0 {
		hv.SetRealtime(wall)
	}
	trap.PrepareCrash()
	trap.RouteConsole(com1.Address, com1.Pin, com1.Low, com1.ByLevel)
	Machine.LoadAddress = imageBase()
	Machine.Started = hv.Now()
	trap.Booted = true
	startOthers()
	startProgram()
}

// startProgram makes the program's first thread and runs it.
func startProgram() {
	if !mapRest() {
		fail("no memory for the program's data")
	}
	var random [16]byte
	for i := range random {
		random[i] = trap.Seed[48+i]
		trap.Seed[48+i] = 0
	}
	vdso := makeVDSO()
	sp := processStack(vdso, &random)
	if vdso == 0 || sp == 0 {
		fail("no memory for the program's stack")
	}
	frame := ring0.Frame{
		RIP: uint64(goEntry()), RSP: uint64(sp),
		CS: ring0.SelCode, SS: ring0.SelData, RFLAGS: ring0.UserFlags, Vector: ring0.VecResume,
	}
	if !sched.Init(&frame, bootFS()) {
		fail("no memory for the first thread")
	}
	sched.RunIdle()
}

// refuse ends a machine that hvgo cannot run on, and says why on COM1 and on the
// firmware's console. Without from it leaves the latter out: once ExitBootServices
// was tried, the firmware may not be asked to print.
func refuse(from *source, why string) {
	h := &hv.Host
	for _, firmware := range [...]bool{false, true} {
		say := serial.Print
		if firmware {
			if from == nil || from.by != byUEFI {
				break
			}
			say = from.fw.print
		}
		say("hvgo: this machine cannot run this image: ")
		say(why)
		say("\nhvgo: CPUID says: ")
		if !h.Present {
			say("no hypervisor")
		} else {
			say("hypervisor \"")
			say(vendor())
			say("\", interface \"")
			say(interfaceName())
			say("\"")
		}
		say("\nhvgo: the firmware reports ")
		say(decimal(mib(Machine.MemoryBytes)))
		say(" MiB of memory, enabled processors: ")
		say(decimal(uint64(Machine.Processors)))
		say("\nhvgo: start it on Hyper-V as a Generation 2 machine, or with hvgo run\n")
	}
	power.Off(false)
}

// vendor and interfaceName show CPUID's registers as the text they are.
func vendor() string { return unsafe.String((*byte)(unsafe.Pointer(&hv.Host.Vendor)), 12) }

func interfaceName() string {
	if hv.Host.Interface == 0 {
		return "none"
	}
	return unsafe.String((*byte)(unsafe.Pointer(&hv.Host.Interface)), 4)
}

// fail ends the machine when boot services are gone and something is wrong;
// with an empty string it does nothing.
func fail(why string) {
	if why == "" {
		return
	}
	serial.Print("hvgo: cannot start: ")
	serial.Print(why)
	serial.Print("\n")
	power.Off(false)
}

// addEntropy mixes the processor's generators into the seed; false when no
// source gave anything.
func addEntropy() bool {
	_, _, ecx, _ := ring0.Cpuid(1, 0)
	_, ebx, _, _ := ring0.Cpuid(7, 0)
	rdrand, rdseed := ecx&(1<<30) != 0, ebx&(1<<18) != 0
	for i := 0; i < len(trap.Seed); i += 8 {
		var v uint64
		if rdseed {
			if x, ok := tryRandom(ring0.Rdseed); ok {
				v ^= x
				Machine.SeedSources |= seedRdseed
			}
		}
		if rdrand {
			if x, ok := tryRandom(ring0.Rdrand); ok {
				v ^= x
				Machine.SeedSources |= seedRdrand
			}
		}
		for b := range 8 {
			trap.Seed[i+b] ^= byte(v >> (8 * b))
		}
	}
	return Machine.SeedSources != 0
}

// tryRandom asks a generator again when it was drained (Intel SDM volume 1,
// 7.3.17.1).
func tryRandom(source func() (uint64, bool)) (v uint64, ok bool) {
	for range 10 {
		if v, ok = source(); ok && v != 0 && v != ^uint64(0) {
			return v, true
		}
		ring0.Pause()
	}
	return 0, false
}
