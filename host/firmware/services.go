// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"fmt"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/guid"
)

// call is one call of a service.
type call struct {
	c    *vmm.VCPU
	regs kvm.Regs
}

// service is a service's name and body; a nil body is EFI_UNSUPPORTED.
type service struct {
	name string
	body func(f *Firmware, k *call) (status uint64)
}

// arg returns argument i, counted from 0: RCX, RDX, R8, R9, then the stack above
// the return address and the 32 bytes of shadow space. ok is false when the stack
// is unreadable.
func (k *call) arg(i int) (v uint64, ok bool) {
	switch i {
	case 0:
		return k.regs.RCX, true
	case 1:
		return k.regs.RDX, true
	case 2:
		return k.regs.R8, true
	case 3:
		return k.regs.R9, true
	}
	return k.read64(k.regs.RSP + 8 + 8*uint64(i))
}

func (k *call) read64(va uint64) (uint64, bool) {
	var b [8]byte
	err := k.c.ReadVirtual(va, b[:])
	return le.Uint64(b[:]), err == nil
}

func (k *call) readGUID(va uint64) (g guid.GUID, ok bool) {
	return g, k.c.ReadVirtual(va, g[:]) == nil
}

func (k *call) write(va uint64, b []byte) bool {
	return va != 0 && k.c.WriteVirtual(va, b) == nil
}

func (k *call) write64(va, v uint64) bool { return k.write(va, le.AppendUint64(nil, v)) }

// status is success, or an invalid parameter if a write failed.
func written(ok ...bool) uint64 {
	for _, o := range ok {
		if !o {
			return efiInvalidParameter
		}
	}
	return efiSuccess
}

// serve runs one of the services by the stub the exit came from.
func (f *Firmware) serve(c *vmm.VCPU, table map[int]service, x kvm.IO) {
	r, err := c.Regs()
	if err != nil {
		f.vm.Fail(err)
		return
	}
	s, ok := table[stubNumber(r.RIP)]
	if !ok || x.In {
		f.vm.Fail(fmt.Errorf("firmware: the guest used port %#x at RIP %#x, which is no service", x.Port, r.RIP))
		return
	}
	if f.exited && x.Port == portBoot {
		f.vm.Fail(fmt.Errorf("firmware: the guest called boot service %s after ExitBootServices", s.name))
		return
	}
	k := &call{c, r}
	r.RAX = efiUnsupported
	if s.body != nil {
		r.RAX = s.body(f, k)
	}
	if r.RAX >= efiError {
		f.log.Debug("firmware service failed", "service", s.name, "status", fmt.Sprintf("%#x", r.RAX))
	}
	if err := c.SetRegs(r); err != nil {
		f.vm.Fail(err)
	}
}

func (f *Firmware) serveBoot(c *vmm.VCPU, x kvm.IO) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serve(c, bootServices, x)
}

func (f *Firmware) serveRuntime(c *vmm.VCPU, x kvm.IO) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serve(c, runtimeServices, x)
}

// bootServices are the functions behind portBoot: EFI_BOOT_SERVICES in its order
// (UEFI 4.4), then those of the protocols.
var bootServices map[int]service

// runtimeServices are EFI_RUNTIME_SERVICES in its order (UEFI 4.5).
var runtimeServices map[int]service

func init() {
	succeed := func(*Firmware, *call) uint64 { return efiSuccess }
	bootServices = map[int]service{
		0:  {"RaiseTPL", func(*Firmware, *call) uint64 { return 4 }}, // the old level: TPL_APPLICATION
		1:  {"RestoreTPL", succeed},
		2:  {"AllocatePages", (*Firmware).allocatePages},
		3:  {"FreePages", (*Firmware).freePages},
		4:  {"GetMemoryMap", (*Firmware).getMemoryMap},
		5:  {"AllocatePool", (*Firmware).allocatePool},
		6:  {"FreePool", (*Firmware).freePool},
		7:  {"CreateEvent", nil},
		8:  {"SetTimer", nil},
		9:  {"WaitForEvent", nil},
		10: {"SignalEvent", nil},
		11: {"CloseEvent", nil},
		12: {"CheckEvent", nil},
		13: {"InstallProtocolInterface", nil},
		14: {"ReinstallProtocolInterface", nil},
		15: {"UninstallProtocolInterface", nil},
		16: {"HandleProtocol", (*Firmware).handleProtocol},
		18: {"RegisterProtocolNotify", nil},
		19: {"LocateHandle", (*Firmware).locateHandle},
		20: {"LocateDevicePath", (*Firmware).locateDevicePath},
		21: {"InstallConfigurationTable", (*Firmware).installConfigurationTable},
		22: {"LoadImage", nil},
		23: {"StartImage", nil},
		24: {"Exit", (*Firmware).exitImage},
		25: {"UnloadImage", nil},
		26: {"ExitBootServices", (*Firmware).exitBootServices},
		27: {"GetNextMonotonicCount", nil},
		28: {"Stall", (*Firmware).stall},
		29: {"SetWatchdogTimer", succeed},
		30: {"ConnectController", nil},
		31: {"DisconnectController", nil},
		32: {"OpenProtocol", (*Firmware).handleProtocol}, // its first three arguments are the same
		33: {"CloseProtocol", succeed},
		34: {"OpenProtocolInformation", nil},
		35: {"ProtocolsPerHandle", nil},
		36: {"LocateHandleBuffer", (*Firmware).locateHandleBuffer},
		37: {"LocateProtocol", (*Firmware).locateProtocol},
		38: {"InstallMultipleProtocolInterfaces", nil},
		39: {"UninstallMultipleProtocolInterfaces", nil},
		40: {"CalculateCrc32", (*Firmware).calculateCRC32},
		41: {"CopyMem", (*Firmware).copyMem},
		42: {"SetMem", (*Firmware).setMem},
		43: {"CreateEventEx", nil},

		stubTextOut + 0: {"ConOut.Reset", succeed},
		stubTextOut + 1: {"ConOut.OutputString", (*Firmware).outputString},
		stubTextOut + 2: {"ConOut.TestString", succeed},
		stubTextOut + 3: {"ConOut.QueryMode", (*Firmware).queryMode},
		stubTextOut + 4: {"ConOut.SetMode", succeed},
		stubTextOut + 5: {"ConOut.SetAttribute", succeed},
		stubTextOut + 6: {"ConOut.ClearScreen", succeed},
		stubTextOut + 7: {"ConOut.SetCursorPosition", succeed},
		stubTextOut + 8: {"ConOut.EnableCursor", succeed},
		stubTextIn + 0:  {"ConIn.Reset", succeed},
		stubTextIn + 1:  {"ConIn.ReadKeyStroke", func(*Firmware, *call) uint64 { return efiError | 6 }}, // EFI_NOT_READY
		stubRNG + 0:     {"RNG.GetInfo", (*Firmware).rngInfo},
		stubRNG + 1:     {"RNG.GetRNG", (*Firmware).rngBytes},
		stubInitrd:      {"LoadFile2.LoadFile", (*Firmware).loadInitrd},
	}
	runtimeServices = map[int]service{
		0:  {"GetTime", (*Firmware).getTime},
		1:  {"SetTime", nil},
		2:  {"GetWakeupTime", nil},
		3:  {"SetWakeupTime", nil},
		4:  {"SetVirtualAddressMap", (*Firmware).setVirtualAddressMap},
		5:  {"ConvertPointer", nil},
		6:  {"GetVariable", func(*Firmware, *call) uint64 { return efiNotFound }},
		7:  {"GetNextVariableName", func(*Firmware, *call) uint64 { return efiNotFound }},
		8:  {"SetVariable", nil},
		9:  {"GetNextHighMonotonicCount", nil},
		10: {"ResetSystem", (*Firmware).resetSystem},
		11: {"UpdateCapsule", nil},
		12: {"QueryCapsuleCapabilities", nil},
		13: {"QueryVariableInfo", nil},
	}
}
