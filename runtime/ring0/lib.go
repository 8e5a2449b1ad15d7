// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ring0

import "unsafe"

// The functions below are one instruction each, in lib_amd64.s. All but
// Cpuid, Rdtsc, Rdrand and Rdseed fault outside ring 0.

// Rdmsr reads a model-specific register.
//
//go:noescape
func Rdmsr(msr uint32) uint64

// Wrmsr writes a model-specific register.
//
//go:noescape
func Wrmsr(msr uint32, value uint64)

// Cpuid executes CPUID.
//
//go:noescape
func Cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// Rdtsc reads the time-stamp counter, after all earlier loads.
func Rdtsc() uint64

// Rdrand and Rdseed give 64 random bits; ok is false when the processor has
// none at the moment.
func Rdrand() (value uint64, ok bool)

// Rdseed is like [Rdrand], but for seeding.
func Rdseed() (value uint64, ok bool)

// In8 reads a byte from an I/O port.
func In8(port uint16) uint8

// Out8 writes a byte to an I/O port.
func Out8(port uint16, value uint8)

// In16 reads a word from an I/O port.
func In16(port uint16) uint16

// Out16 writes a word to an I/O port.
func Out16(port uint16, value uint16)

// OutBytes writes n bytes from p to an I/O port with one REP OUTSB, which a
// hypervisor serves in one exit.
//
//go:noescape
func OutBytes(port uint16, p unsafe.Pointer, n uintptr)

// CR0, CR2, CR3, CR4 read control registers.
func CR0() uint64
func CR2() uint64
func CR3() uint64
func CR4() uint64

// SetCR0, SetCR3, SetCR4 write control registers. CR8 is never written: the
// interrupt priority stays at zero.
func SetCR0(value uint64)
func SetCR3(value uint64)
func SetCR4(value uint64)

// Xsetbv writes an extended control register.
func Xsetbv(index uint32, value uint64)

// Invlpg drops the translation of the page at va.
func Invlpg(va uintptr)

// Lgdt loads the GDT and reloads CS, SS and the data segments, and Lidt the
// IDT; p points to a 10-byte pseudo-descriptor.
//
//go:noescape
func Lgdt(p unsafe.Pointer, code, data uint16)

//go:noescape
func Lidt(p unsafe.Pointer)

// Ltr loads the task register.
func Ltr(selector uint16)

// Cli masks interrupts, Sti unmasks them.
func Cli()
func Sti()

// Pause tells the processor that this is a spin loop.
func Pause()

// HaltOnce unmasks interrupts and halts until one arrived, in one step that
// no interrupt can slip into, then masks them again.
func HaltOnce()

// Mfence orders all loads and stores.
func Mfence()

// StopForever halts with interrupts masked. It does not return.
func StopForever()
