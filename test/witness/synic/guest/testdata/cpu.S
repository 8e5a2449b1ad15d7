// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// What the checks need of a processor and Go cannot say: operations that may
// fault, interrupts that are counted, and the way of a second processor from real
// mode to here. Only the code of the processor's own packages may stand in the
// program's text (internal/imagecheck), so this is loaded at run time, into a page
// that is mapped executable (cpu.go), as the host's hypercall page is.
//
// Each processor has an area of 16 KiB, aligned to its size:
//
//	0x000 where to go on after a fault, and with which RSP; 0: nowhere
//	0x010 vector of the last fault, plus one
//	0x018 RSP of the caller
//	0x020 operation, 0 for none   0x028 a, b, c, d   0x048 three results
//	0x060 1 when the second processor waits for operations, 2 when it ended,
//	      0x100 + vector after an exception that nobody foresaw
//	0x080 GDT, 0x090 IDT registers, 0x0A0 task register (opTables)
//	0x200 a byte for each vector: 1 for an EOI in the handler
//	0x400 8 bytes for each vector: how often it came
//	0x1000 tables of the second processor   0x3000, 0x4000 upper ends of stacks

.intel_syntax noprefix
.set AREA, 0x4000
.set STACK, 0x3000
.set IRQSTACK, 0x4000
.set RECOVER, 0x00
.set RECOVERSP, 0x08
.set FAULT, 0x10
.set CALLER, 0x18
.set OP, 0x20
.set A, 0x28
.set B, 0x30
.set C, 0x38
.set D, 0x40
.set R1, 0x48
.set R2, 0x50
.set R3, 0x58
.set STATE, 0x60
.set TABLES, 0x80
.set EOIS, 0x200
.set COUNTS, 0x400
.set APGDTR, 0x1080
.set APIDTR, 0x1090

.text
.globl _start
_start:
// Offsets for cpu.go, and words that it sets.
	.long call - _start, vectors - _start, faultGP - _start, faultUD - _start
	.long enter - _start, real - _start, realEnd - _start, real64 - _start
	.long realFar - _start, realGDTR - _start, realParams - _start, unforeseen - _start
oldGP:	.quad 0 # the handlers that were there before
oldUD:	.quad 0
areas:	.quad 0 # the first of the two areas

// call: RAX is the area; as a Go function it must keep RBP, R14 and a zero X15.
call:
	mov [rax + CALLER], rsp
	lea rsp, [rax + STACK]
	push rbp
	push r14
	mov rbx, rax
	call execute
	pop r14
	pop rbp
	mov rsp, [rbx + CALLER]
	xorps xmm15, xmm15
	ret

// execute does the operation of area RBX.
execute:
	mov qword ptr [rbx + FAULT], 0
	mov [rbx + RECOVERSP], rsp
	lea rax, [rip + recovered]
	mov [rbx + RECOVER], rax
	mov rax, [rbx + OP]
	cmp rax, 1
	je readMSR
	cmp rax, 2
	je writeMSR
	cmp rax, 3
	je hypercall
	cmp rax, 4
	je output
	cmp rax, 5
	je input
	cmp rax, 6
	je tables
	cmp rax, 7
	je bracket
	cmp rax, 8
	je interrupt
	cmp rax, 9
	je park
	jmp finished

readMSR:
	mov ecx, [rbx + A]
	rdmsr
	shl rdx, 32
	or rax, rdx
	jmp finished
writeMSR:
	mov ecx, [rbx + A]
	mov eax, [rbx + B]
	mov edx, [rbx + B + 4]
	wrmsr
	xor eax, eax
	jmp finished
// A call of the hypercall page A: control B, input C, output D; XMM0 to XMM5 hold
// zeroes, for the fast form with vector registers.
hypercall:
	mov rcx, [rbx + B]
	mov rdx, [rbx + C]
	mov r8, [rbx + D]
	xorps xmm0, xmm0
	xorps xmm1, xmm1
	xorps xmm2, xmm2
	xorps xmm3, xmm3
	xorps xmm4, xmm4
	xorps xmm5, xmm5
	push rbx
	call [rbx + A]
	pop rbx
	jmp finished
output:
	mov edx, [rbx + A]
	mov eax, [rbx + B]
	out dx, eax
	jmp finished
input:
	mov edx, [rbx + A]
	xor eax, eax
	in eax, dx
	jmp finished
tables:
	sgdt [rbx + TABLES]
	sidt [rbx + TABLES + 0x10]
	xor eax, eax
	str ax
	mov [rbx + TABLES + 0x20], rax
	jmp finished
// The reference counter, the TSC, the reference counter again.
bracket:
	mov ecx, 0x40000020
	rdmsr
	shl rdx, 32
	or rax, rdx
	mov r8, rax
	lfence
	rdtsc
	lfence
	shl rdx, 32
	or rax, rdx
	mov [rbx + R2], rax
	rdmsr
	shl rdx, 32
	or rax, rdx
	mov [rbx + R3], rax
	mov rax, r8
	jmp finished
// The vector of VMBus, so that the runtime looks for what came meanwhile.
interrupt:
	int 0x21
	jmp finished
park:
	cli
	mov qword ptr [rbx + STATE], 2
	mov qword ptr [rbx + OP], 0
1:	hlt
	jmp 1b

finished:
	mov [rbx + R1], rax
recovered:
	mov rbx, rsp
	and rbx, -AREA
	mov qword ptr [rbx + RECOVER], 0
	cld
	ret

faultGP:
	push 13
	jmp fault
faultUD:
	push 0
	push 6
fault:
	push rax
	push rbx
	mov rax, rsp
	sub rax, [rip + areas]
	cmp rax, 2 * AREA
	jae foreign
	mov rbx, rsp
	and rbx, -AREA
	mov rax, [rsp + 16]
	inc rax
	mov [rbx + FAULT], rax
	mov rax, [rbx + RECOVER]
	test rax, rax
	jz foreign
	mov [rsp + 32], rax
	mov rax, [rbx + RECOVERSP]
	mov [rsp + 56], rax
	pop rbx
	pop rax
	add rsp, 16
	iretq
foreign:
	pop rbx
	pop rax
	cmp qword ptr [rsp], 13
	lea rsp, [rsp + 8]
	jne 1f
	jmp [rip + oldGP]
1:	add rsp, 8
	jmp [rip + oldUD]

// The exceptions of the second processor that nobody foresaw, 16 bytes each.
	.balign 16
unforeseen:
	.set v, 0
	.rept 32
	.balign 16
	push v
	jmp died
	.set v, v + 1
	.endr
died:
	mov rax, [rsp]
	add rax, 0x100
	mov rbx, rsp
	and rbx, -AREA
	mov [rbx + STATE], rax
1:	cli
	hlt
	jmp 1b

// Interrupts 32 to 255, 16 bytes each. They come on a stack of the area.
	.balign 16
vectors:
	.set v, 32
	.rept 224
	.balign 16
	.byte 0x68
	.long v
	jmp count
	.set v, v + 1
	.endr
count:
	push rax
	push rbx
	push rcx
	push rdx
	mov rbx, rsp
	and rbx, -AREA
	mov rax, [rsp + 32]
	inc qword ptr [rbx + rax * 8 + COUNTS]
	cmp byte ptr [rbx + rax + EOIS], 0
	je 1f
	mov ecx, 0x80B
	xor eax, eax
	xor edx, edx
	wrmsr
1:	pop rdx
	pop rcx
	pop rbx
	pop rax
	add rsp, 8
	iretq

// enter is where the second processor comes to in 64-bit mode; RBX is its area.
enter:
	lea rsp, [rbx + STACK]
	lgdt [rbx + APGDTR]
	lidt [rbx + APIDTR]
	push 8
	lea rax, [rip + 1f]
	push rax
	retfq
1:	mov eax, 0x10
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov eax, 0x18
	ltr ax
	mov ecx, 0x1B # the local APIC on, in x2APIC mode
	rdmsr
	or eax, 0xC00
	wrmsr
	mov ecx, 0x80F # software enable, spurious vector 0xFF
	mov eax, 0x1FF
	xor edx, edx
	wrmsr
	mov qword ptr [rbx + STATE], 1
wait:
	cli
	cmp qword ptr [rbx + OP], 0
	jne 1f
	sti
	hlt
	jmp wait
1:	call execute
	mov qword ptr [rbx + OP], 0
	jmp wait

// real is copied to a page below 1 MiB, where a startup interrupt leads to.
	.balign 16
	.code16
real:
	cli
	cld
	mov ax, cs
	mov ds, ax
	lgdt [realGDTR - real]
	mov eax, 0x6A0 # PAE, PGE, OSFXSR, OSXMMEXCPT
	mov cr4, eax
	mov eax, [realParams - real]
	mov cr3, eax
	mov ecx, 0xC0000080
	rdmsr
	or eax, 0x900 # LME, NXE
	wrmsr
	mov eax, cr0
	and eax, 0x9FFFFFFF # caches on
	or eax, 0x80010033 # PG, WP, NE, ET, MP, PE
	mov cr0, eax
	.byte 0x66, 0xEA
realFar:
	.long 0 # linear address of real64
	.word 8
	.code64
real64:
	mov eax, 0x10
	mov ss, eax
	mov ds, eax
	mov es, eax
	mov rbx, [rip + realParams + 8]
	jmp [rip + realParams + 16]
	.balign 8
realGDTR:
	.word 23
	.long 0 # linear address of realGDT
	.word 0
realGDT:
	.quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF
realParams:
	.quad 0, 0, 0 # CR3, area, address of enter
realEnd:
