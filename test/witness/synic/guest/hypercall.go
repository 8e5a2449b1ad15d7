// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// nobody is a connection that no host has.
const nobody = 0x55

// hypercalls are what a host refuses, and what it allows only by CPUID.
func (m *machine) hypercalls() {
	m.each("hypercall of no code gives invalid code", gives(0xBEEF, 0, tlfs.StatusInvalidHypercallCode))
	m.posts()
	m.signals()
	m.each("flush if CPUID recommends it", flush)
	m.each("flush with vector registers if CPUID says so", flushFast)
	m.each("IPI to an empty set if CPUID recommends it", emptyIPI)
	m.each("IPI if CPUID recommends it", ipi)
}

// privileged makes a check on each processor that needs a privilege to make a
// hypercall (EBX of leaf 0x40000003). Without it all that can be checked is denied.
func (m *machine) privileged(bit uint32, name string, f func(*processor) (string, error)) {
	m.each(name, func(p *processor) (string, error) {
		if hv.Host.Privileges&bit == 0 {
			return "", notRun("the host does not grant the hypercall")
		}
		return f(p)
	})
}

// denied checks a hypercall without its privilege, though nothing else is wrong with it.
func (m *machine) denied(bit uint32, name string, control uint64) {
	m.each(name+" is denied without its privilege", func(p *processor) (string, error) {
		if hv.Host.Privileges&bit != 0 {
			return "", notRun("the host grants it")
		}
		p.message(nobody, 1, 8)
		input := p.input
		if control&tlfs.HypercallFast != 0 {
			input = nobody
		}
		return gives(control, input, tlfs.StatusAccessDenied)(p)
	})
}

// posts are calls of HvCallPostMessage.
func (m *machine) posts() {
	check := func(name string, f func(*processor) (string, error)) { m.privileged(tlfs.PostMessages, name, f) }
	check("PostMessage, no connection", func(p *processor) (string, error) {
		p.message(nobody, 1, 8)
		if p.remote {
			return gives(tlfs.HvCallPostMessage, p.input, tlfs.StatusInvalidConnectionID)(p)
		}
		return status(hv.PostMessage(nobody, mem.Phys(p.input), 8), tlfs.StatusInvalidConnectionID)
	})
	check("PostMessage with repetitions gives invalid input", func(p *processor) (string, error) {
		return gives(tlfs.HvCallPostMessage|1<<tlfs.HypercallRepCountShift, p.input, tlfs.StatusInvalidHypercallInput)(p)
	})
	check("PostMessage, input not aligned", func(p *processor) (string, error) {
		return gives(tlfs.HvCallPostMessage, p.input+2, tlfs.StatusInvalidAlignment)(p)
	})
	check("PostMessage of 241 bytes is refused", func(p *processor) (string, error) {
		p.message(nobody, 1, tlfs.MessagePayloadSize+1)
		return refuses(tlfs.HvCallPostMessage, p.input)(p)
	})
	check("PostMessage of type 0 is refused", func(p *processor) (string, error) {
		p.message(nobody, tlfs.MessageTypeNone, 8)
		return refuses(tlfs.HvCallPostMessage, p.input)(p)
	})
	check("PostMessage from outside memory is refused", refuses(tlfs.HvCallPostMessage, 1<<45))
	check("PostMessage as a fast call is refused", refuses(tlfs.HvCallPostMessage|tlfs.HypercallFast, nobody))
	m.denied(tlfs.PostMessages, "PostMessage", tlfs.HvCallPostMessage)
}

// signals are calls of HvCallSignalEvent.
func (m *machine) signals() {
	const fast = tlfs.HvCallSignalEvent | tlfs.HypercallFast
	check := func(name string, f func(*processor) (string, error)) { m.privileged(tlfs.SignalEvents, name, f) }
	check("SignalEvent, no connection", func(p *processor) (string, error) {
		if p.remote {
			return gives(fast, nobody, tlfs.StatusInvalidConnectionID)(p)
		}
		return status(hv.SignalEvent(nobody, 0), tlfs.StatusInvalidConnectionID)
	})
	check("SignalEvent with reserved bits gives invalid input", gives(fast, 1<<48|nobody, tlfs.StatusInvalidHypercallInput))
	check("SignalEvent, flag number 1 is refused", refuses(fast, 1<<32|nobody))
	// QEMU gives another status: KVM has replaced the input's address by its content,
	// which QEMU takes for an address.
	check("SignalEvent, slow, no connection, is refused", func(p *processor) (string, error) {
		*word(mem.Phys(p.input)) = nobody
		return refuses(tlfs.HvCallSignalEvent, p.input)(p)
	})
	m.denied(tlfs.SignalEvents, "SignalEvent", fast)
}

func status(got, want tlfs.Status) (string, error) {
	if got != want {
		return "", fmt.Errorf("status %#x instead of %#x", uint16(got), uint16(want))
	}
	return "", nil
}

// gives makes a hypercall that ends with a certain status.
func gives(control, input uint64, want tlfs.Status) func(*processor) (string, error) {
	return func(p *processor) (string, error) {
		got, ok := p.hypercall(control, input, 0)
		if !ok {
			return "", errors.New("an exception")
		}
		return status(got, want)
	}
}

// refuses makes a hypercall for whose error the specification has several
// statuses: hosts differ.
func refuses(control, input uint64) func(*processor) (string, error) {
	return func(p *processor) (string, error) {
		got, ok := p.hypercall(control, input, 0)
		if !ok {
			return "", errors.New("an exception")
		}
		if got == tlfs.StatusSuccess {
			return "", errors.New("success")
		}
		return fmt.Sprintf("status %#x", uint16(got)), nil
	}
}

// message writes an input block of HvCallPostMessage: n bytes that are not zero.
func (p *processor) message(connection, kind uint32, n int) {
	in := mem.Phys(p.input)
	*half(in), *half(in + 4), *half(in + 8), *half(in + 12) = connection, 0, kind, uint32(n)
	for i := range uintptr(tlfs.MessagePayloadSize) {
		*octet(in + tlfs.MessageHeaderSize + i) = patternByte(i, uint32(n))
	}
}

// patternByte is byte i of the payload of a message with a certain seed.
func patternByte(i uintptr, seed uint32) byte { return byte(i)*7 + byte(seed) + 1 }

const allProcessors = 1 << 0 // of the flush calls' flags (TLFS 9.4.2)

// allowed checks a call that the host must serve if CPUID's leaf 0x40000004 has a
// bit, and must deny if not.
func allowed(p *processor, bit uint32, control, input uint64) (string, error) {
	says := hv.Host.Recommendations&bit == bit
	want := tlfs.StatusAccessDenied
	if says {
		want = tlfs.StatusSuccess
	}
	if _, err := gives(control, input, want)(p); err != nil {
		return "", err
	}
	return fmt.Sprintf("recommended: %v", says), nil
}

// flush is HvCallFlushVirtualAddressSpace: address space, flags, processor mask.
func flush(p *processor) (string, error) {
	in := mem.Phys(p.input)
	*word(in), *word(in + 8), *word(in + 16) = 0, allProcessors, 0
	return allowed(p, tlfs.RecommendRemoteFlush, tlfs.HvCallFlushVirtualAddressSpace, p.input)
}

// flushFast is the same by registers: the mask of processors comes in XMM0, and is
// zero. Without XMM input such a call is no instruction (#UD), if it is allowed at all.
func flushFast(p *processor) (string, error) {
	says := hv.Host.Misc&tlfs.FeatureXMMHypercallInput != 0
	result, fault := p.do(opHypercall, hv.HypercallVA, tlfs.HvCallFlushVirtualAddressSpace|tlfs.HypercallFast, 0, allProcessors)
	switch {
	case hv.Host.Recommendations&tlfs.RecommendRemoteFlush == 0 && fault < 0:
		_, err := status(tlfs.ResultStatus(result), tlfs.StatusAccessDenied)
		return "flush recommended: false", err
	case says && fault < 0:
		return status(tlfs.ResultStatus(result), tlfs.StatusSuccess)
	case !says && fault == ring0.VecInvalidOp:
		return "announced: false", nil
	}
	return "", fmt.Errorf("announced: %v, exception %d, result %#x", says, fault, result)
}

// emptyIPI is HvCallSendSyntheticClusterIpiEx: vector, VTL, a sparse set of banks
// (format 0, no bank).
func emptyIPI(p *processor) (string, error) {
	in := mem.Phys(p.input)
	*word(in), *word(in + 8), *word(in + 16) = 0xA2, 0, 0
	before := p.count(0xA2)
	detail, err := allowed(p, tlfs.RecommendClusterIPI|tlfs.RecommendExProcessorMasks, tlfs.HvCallSendSyntheticClusterIpiEx, p.input)
	if err == nil {
		err = p.quiet(0xA2, before)
	}
	return detail, err
}

// ipi is HvCallSendSyntheticClusterIpi, fast: vector and a mask of processors.
func ipi(p *processor) (string, error) {
	const vector = 0xA1
	before := p.count(vector)
	got, ok := p.hypercall(tlfs.HvCallSendSyntheticClusterIpi|tlfs.HypercallFast, vector, 1<<p.index)
	if !ok {
		return "", errors.New("an exception")
	}
	says := hv.Host.Recommendations&tlfs.RecommendClusterIPI != 0
	if !says {
		_, err := status(got, tlfs.StatusAccessDenied)
		return "recommended: false", err
	}
	if _, err := status(got, tlfs.StatusSuccess); err != nil {
		return "", err
	}
	err := p.once(vector, before)
	p.eoi()
	return "recommended: true", err
}
