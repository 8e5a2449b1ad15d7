// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package firmware is a small UEFI for the test host's guests: it loads
// \EFI\BOOT\BOOTX64.EFI, gives it a system table, boot and runtime services, a
// memory map, ACPI and SMBIOS tables, and starts it.
//
// None of it is guest code but stubs of three bytes. A service is an entry of a
// stub page,
//
//	out port, al
//	ret
//
// and the exit to the host runs the service in Go: it finds its number by the
// place of the instruction in the page (so it works under whatever address the
// guest maps the page), its arguments in registers and on the stack by the
// Microsoft calling convention, and sets RAX. Exceptions under the firmware's IDT
// come the same way and end the run with a report.
//
// The firmware is strict where real ones are lax: the map key changes with every
// allocation, descriptors are 48 bytes while the structure has 40, boot services
// after ExitBootServices end the run, and a seed moves the image and cuts the
// free memory into pieces. Every address a guest passes is looked up in its page
// tables and must be RAM.
//
// Source: UEFI Specification 2.10 (tables: chapter 4; services: chapters 7 and 8;
// processor state: 2.3.4), ACPI Specification 6.5, SMBIOS Specification 3.6.
package firmware
