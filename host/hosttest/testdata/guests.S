// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Small guests that test the host: UEFI applications, linked at 0x401000 as the
// .text section of a PE file with image base 0x400000 (see hosttest.go). The table
// at the front holds their entry points. A failed check ends the guest with
// ResetSystem(EfiResetShutdown, number of the check).

.intel_syntax noprefix
.text
.globl _start
_start:
	.long hello - _start, synic - _start, crash - _start, triple - _start
	.long invalid - _start, spin - _start, late - _start, enforced - _start
	.long console - _start, second - _start, absolute - _start, breaker - _start
	.long which - _start, starter - _start, all - _start, 0

.macro BOOT off
	mov rax, [rip + systab]
	mov rax, [rax + 96]
	call [rax + \off]
.endm
.macro OK n
	test rax, rax
	mov r10d, \n
	jnz fail
.endm
.macro SETMSR msr
	mov ecx, \msr
	mov rdx, rax
	shr rdx, 32
	wrmsr
.endm

.set AllocatePages, 40
.set GetMemoryMap, 56
.set HandleProtocol, 152
.set ExitBootServices, 232
.set LocateProtocol, 320
.set GetTime, 24
.set ResetSystem, 104

save:
	mov [rip + handle], rcx
	mov [rip + systab], rdx
	mov rax, [rdx + 88]
	mov [rip + runtime], rax
	ret

fail:
	mov rdx, r10
	jmp off
done:
	xor edx, edx
off:
	and rsp, -16
	sub rsp, 32
	mov ecx, 2
	xor r8, r8
	xor r9, r9
	mov rax, [rip + runtime]
	call [rax + ResetSystem]
	ud2

// exit: ExitBootServices, at most three attempts; their number in r12.
exit:
	push rbp
	sub rsp, 48
	xor r12d, r12d
1:	inc r12d
	mov qword ptr [rip + size], 16384
	lea rcx, [rip + size]
	lea rdx, [rip + map]
	lea r8, [rip + key]
	lea r9, [rip + stride]
	lea rax, [rip + version]
	mov [rsp + 32], rax
	BOOT GetMemoryMap
	OK 70
	cmp qword ptr [rip + stride], 48
	mov r10d, 71
	jne fail
	mov rcx, [rip + handle]
	mov rdx, [rip + key]
	BOOT ExitBootServices
	test rax, rax
	jz 2f
	cmp r12d, 3
	jb 1b
	mov r10d, 72
	jmp fail
2:	add rsp, 48
	pop rbp
	ret

// hello calls each service once and leaves the firmware.
hello:
	sub rsp, 0x48
	call save
	lea rax, [rip + hello]
	cmp rax, [rip + absolute]
	mov r10d, 1
	jne fail
	mov rcx, [rip + systab]
	mov rcx, [rcx + 64]
	lea rdx, [rip + greeting]
	call [rcx + 8]
	OK 2
	xor ecx, ecx
	mov edx, 2
	mov r8d, 4
	lea r9, [rip + result]
	BOOT AllocatePages
	OK 3
	mov rax, [rip + result]
	mov qword ptr [rax + 16376], -1
	mov rcx, [rip + handle]
	lea rdx, [rip + guidImage]
	lea r8, [rip + result]
	BOOT HandleProtocol
	OK 4
	mov rax, [rip + result]
	lea rcx, [rip + _start - 0x1000]
	sub rcx, [rax + 64]
	mov r10d, 5
	jnz fail
	lea rcx, [rip + guidRNG]
	xor edx, edx
	lea r8, [rip + result]
	BOOT LocateProtocol
	OK 6
	mov rcx, [rip + result]
	xor edx, edx
	mov r8d, 8
	lea r9, [rip + size]
	call [rcx + 8]
	OK 7
	cmp qword ptr [rip + size], 0
	mov r10d, 8
	je fail
	call exit
	lea rcx, [rip + map]
	xor edx, edx
	mov rax, [rip + runtime]
	call [rax + GetTime]
	OK 9
	cmp word ptr [rip + map], 2024
	mov r10d, 10
	jb fail
	add [rip + digit], r12b
	lea rsi, [rip + attempts]
	mov ecx, 10
	mov edx, 0x3F8
	rep outsb
	jmp done

// late calls a boot service after ExitBootServices.
late:
	sub rsp, 0x48
	call save
	mov rax, [rdx + 96]
	mov [rip + result], rax
	call exit
	mov rax, [rip + result]
	call [rax + AllocatePages]
	mov r10d, 11
	jmp fail

// setup: four zeroed pages at r15, hypercall page, SynIC with SINT 2 at vector
// 0x50 (auto-EOI) and SINT 3 at vector 0x51, and an IDT that counts their interrupts.
setup:
	push rbp
	sub rsp, 48
	xor ecx, ecx
	mov edx, 2
	mov r8d, 5
	lea r9, [rip + result]
	BOOT AllocatePages
	OK 20
	cli
	mov r15, [rip + result]
	mov rdi, r15
	mov ecx, 5 * 512
	rep stosq
	lea rax, [rip + count]
	lea rdi, [r15 + 0x4000 + 0x50 * 16]
	call gate
	lea rax, [rip + countEOI]
	lea rdi, [r15 + 0x4000 + 0x51 * 16]
	call gate
	mov word ptr [rip + idtr], 0x51 * 16 + 15
	lea rax, [r15 + 0x4000]
	mov [rip + idtr + 2], rax
	lidt [rip + idtr]
	mov eax, 1
	mov rdx, 0x8100000000000000
	or rax, rdx
	SETMSR 0x40000000
	lea rax, [r15 + 1]
	SETMSR 0x40000001
	lea rax, [r15 + 0x1001]
	SETMSR 0x40000083
	lea rax, [r15 + 0x2001]
	SETMSR 0x40000082
	mov eax, 0x20050
	SETMSR 0x40000092
	mov eax, 0x51
	SETMSR 0x40000093
	mov eax, 1
	SETMSR 0x40000080
	mov ecx, 0x1B
	rdmsr
	mov eax, [rip + spurious]
	mov ecx, 0xFEE000F0
	mov [rcx], eax
	sti
	add rsp, 48
	pop rbp
	ret
gate:
	mov [rdi], ax
	mov word ptr [rdi + 2], 8
	mov word ptr [rdi + 4], 0x8E00
	shr rax, 16
	mov [rdi + 6], ax
	shr rax, 16
	mov [rdi + 8], eax
	ret
count:
	inc dword ptr [rip + interrupts]
	iretq
countEOI:
	inc dword ptr [rip + interrupts]
	push rcx
	mov ecx, 0xFEE000B0
	mov dword ptr [rcx], 0
	pop rcx
	iretq

// await: halts until there were eax interrupts, and fails with r10 on more.
await:
	cli
	cmp [rip + interrupts], eax
	jae 1f
	sti
	hlt
	jmp await
1:	sti
	jne fail
	ret

// post: HvCallPostMessage on connection ecx with eight bytes from rax.
post:
	mov [r15 + 0x3000], ecx
	mov dword ptr [r15 + 0x3008], 1
	mov dword ptr [r15 + 0x300C], 8
	mov [r15 + 0x3010], rax
	lea rdx, [r15 + 0x3000]
hypercall:
	mov ecx, 0x5C
	xor r8d, r8d
	call r15
	ret

// message: checks that SINT 2's slot holds eight bytes equal to rax, flags in edx.
message:
	cmp dword ptr [r15 + 0x1200], 1
	jne fail
	cmp byte ptr [r15 + 0x1204], 8
	jne fail
	cmp [r15 + 0x1205], dl
	jne fail
	cmp [r15 + 0x1210], rax
	jne fail
	ret

// synic: the server of the test sends back what is posted on connection 1 to SINT
// 2, and answers a signal on connection 7 with event flag 77 of SINT 2, on 8 with
// flag 2047 of SINT 3.
synic:
	sub rsp, 0x48
	call save
	call setup

	// A message goes round.
	mov ecx, 1
	mov rax, 0x1111111111111111
	call post
	OK 21
	mov eax, 1
	mov r10d, 22
	call await
	mov rax, 0x1111111111111111
	xor edx, edx
	call message

	// Two more find the slot taken: pending is set, no interrupt, the old one stays.
	mov ecx, 1
	mov rax, 0x2222222222222222
	call post
	OK 23
	mov ecx, 1
	mov rax, 0x3333333333333333
	call post
	OK 24
	mov eax, 1
	mov r10d, 25
	call await
	mov rax, 0x1111111111111111
	mov edx, 1
	mov r10d, 26
	call message

	// Freed and EOM: the next, which says that one more waits.
	mov dword ptr [r15 + 0x1200], 0
	xor eax, eax
	SETMSR 0x40000084
	mov eax, 2
	mov r10d, 27
	call await
	mov rax, 0x2222222222222222
	mov edx, 1
	mov r10d, 28
	call message
	mov dword ptr [r15 + 0x1200], 0
	xor eax, eax
	SETMSR 0x40000084
	mov eax, 3
	mov r10d, 29
	call await
	mov rax, 0x3333333333333333
	xor edx, edx
	mov r10d, 30
	call message
	mov dword ptr [r15 + 0x1200], 0

	// An event: one interrupt; none while the flag is set.
	mov ecx, 0x1005D
	mov edx, 7
	xor r8d, r8d
	call r15
	OK 31
	mov eax, 4
	mov r10d, 32
	call await
	bt dword ptr [r15 + 0x2200 + 8], 13
	mov r10d, 33
	jnc fail
	mov ecx, 0x1005D
	mov edx, 7
	xor r8d, r8d
	call r15
	OK 34
	mov eax, 4
	mov r10d, 35
	call await

	// The slow form, another SINT, its EOI at the local APIC.
	mov qword ptr [r15 + 0x3000], 8
	lea rdx, [r15 + 0x3000]
	mov ecx, 0x5D
	xor r8d, r8d
	call r15
	OK 36
	mov eax, 5
	mov r10d, 37
	call await
	cmp byte ptr [r15 + 0x2300 + 255], 0x80
	mov r10d, 38
	jne fail
	mov byte ptr [r15 + 0x2300 + 255], 0
	mov ecx, 0x1005D
	mov edx, 8
	xor r8d, r8d
	call r15
	mov eax, 6
	mov r10d, 39
	call await

	// What must be refused.
	mov ecx, 99
	call post
	mov r10d, 40
	cmp eax, 0x12
	jne fail
	mov ecx, 0x1005D
	mov edx, 99
	call r15
	mov r10d, 41
	cmp eax, 0x12
	jne fail
	lea rdx, [r15 + 0x3001]
	call hypercall
	mov r10d, 42
	cmp eax, 4
	jne fail
	lea rdx, [r15 + 0x3F08]
	call hypercall
	mov r10d, 43
	cmp eax, 4
	jne fail
	mov rdx, 0xF9000000
	call hypercall
	mov r10d, 44
	cmp eax, 3
	jne fail
	mov dword ptr [r15 + 0x300C], 241
	lea rdx, [r15 + 0x3000]
	call hypercall
	mov r10d, 45
	cmp eax, 5
	jne fail
	mov ecx, 0x4321
	xor edx, edx
	call r15
	mov r10d, 46
	cmp eax, 2
	jne fail
	call exit
	jmp done

// crash reports a crash with a text.
crash:
	call save
	mov eax, 0x4F475648
	SETMSR 0x40000100
	mov eax, 7
	SETMSR 0x40000101
	xor eax, eax
	SETMSR 0x40000102
	lea rax, [rip + text]
	SETMSR 0x40000103
	mov eax, 10
	SETMSR 0x40000104
	mov rax, 0xC000000000000000
	SETMSR 0x40000105
	mov r10d, 50
	jmp fail

// triple has no IDT when it faults; invalid still has the firmware's.
triple:
	call save
	mov qword ptr [rip + idtr], 0
	mov word ptr [rip + idtr + 8], 0
	lidt [rip + idtr]
invalid:
	ud2

// spin halts for ever.
spin:
	hlt
	jmp spin

// enforced reads the reference TSC register.
enforced:
	call save
	mov ecx, 0x40000021
	rdmsr
	jmp done

// console sends back bytes from COM1 until a full stop.
console:
	call save
1:	mov edx, 0x3FD
	in al, dx
	test al, 1
	jz 1b
	mov edx, 0x3F8
	in al, dx
	out dx, al
	cmp al, '.'
	jne 1b
	jmp done

// second starts processor 1 at 0x8000 and waits for its sign.
second:
	call save
	mov rdi, 0x8000
	mov byte ptr [rdi + 0x800], 0
	lea rsi, [rip + trampoline]
	mov ecx, 16
	rep movsb
	mov eax, 0x1FF
	mov ecx, 0xFEE000F0
	mov [rcx], eax
	mov ecx, 0xFEE00310
	mov ebx, 0xFEE00300
	mov dword ptr [rcx], 1 << 24
	mov dword ptr [rbx], 0x4500
	mov dword ptr [rcx], 1 << 24
	mov dword ptr [rbx], 0x4608
	mov dword ptr [rcx], 1 << 24
	mov dword ptr [rbx], 0x4608
1:	pause
	cmp byte ptr [rdi - 16 + 0x800], 0x5A
	jne 1b
	jmp done
.code16
trampoline:
	mov al, 0x5A
	mov cs:[0x800], al
1:	hlt
	jmp 1b
	.fill 16, 1, 0x90
.code64

// all starts each processor by INIT and startup interrupts, one after the other.
all:
	call save
	mov eax, 1
	cpuid
	shr ebx, 16
	movzx r13d, bl
	mov rdi, 0x8000
	mov byte ptr [rdi + 0x800], 1
	lea rsi, [rip + countSelf]
	mov ecx, 16
	rep movsb
	mov rdi, 0x8800
	mov eax, 0x1FF
	mov ecx, 0xFEE000F0
	mov [rcx], eax
	mov ecx, 0xFEE00310
	mov ebx, 0xFEE00300
	mov r12d, 1
1:	cmp r12d, r13d
	jae done
	mov eax, r12d
	shl eax, 24
	mov [rcx], eax
	mov dword ptr [rbx], 0x4500
	mov [rcx], eax
	mov dword ptr [rbx], 0x4608
	mov [rcx], eax
	mov dword ptr [rbx], 0x4608
	inc r12d
2:	pause
	cmp [rdi], r12b
	jb 2b
	mov r10d, 1
	ja fail
	jmp 1b
.code16
countSelf:
	lock inc byte ptr cs:[0x800]
1:	hlt
	jmp 1b
	.fill 16, 1, 0x90
.code64

// EXPECT: the hypercall of input value rcx gives a result, or check n has failed. The
// input block is at r15 + 0x3000, the output block at r15 + 0x3800.
.macro EXPECT n, result
	mov r10d, \n
	lea rdx, [r15 + 0x3000]
	lea r8, [r15 + 0x3800]
	call r15
	mov rdx, \result
	cmp rax, rdx
	mov r10d, \n
	jne fail
.endm
// WITHOUT: the same with a field of the input block changed.
.macro WITHOUT n, result, at, value
	mov rax, \value
	xor [r15 + 0x3000 + \at], rax
	mov ecx, 0x99
	EXPECT \n, \result
	mov rax, \value
	xor [r15 + 0x3000 + \at], rax
.endm
.macro SEGMENT at, selector, attributes, limit
	mov dword ptr [rdi + \at + 8], \limit
	mov word ptr [rdi + \at + 12], \selector
	mov word ptr [rdi + \at + 14], \attributes
.endm

// starter starts each processor by HvCallStartVirtualProcessor, after it has tried what
// the host must refuse. Processor n writes its RSP to r15 + 0x4800 + 16 * n, and counts
// its starts behind it.
starter:
	sub rsp, 0x48
	call save
	call setup
	mov eax, 0x40000003
	cpuid
	bt ebx, 21
	mov r10d, 200
	jnc fail
	mov eax, 1
	cpuid
	shr ebx, 16
	movzx r13d, bl

	// What KVM answers goes to KVM.
	mov ecx, 0xBEEF
	EXPECT 201, 2
	mov ecx, 0x1005D
	mov edx, 99
	call r15
	mov r10d, 202
	cmp rax, 0x12
	jne fail

	// APIC ids: head, then numbers from 0 on.
	mov qword ptr [r15 + 0x3000], -1
	xor eax, eax
1:	mov [r15 + 0x3010 + rax * 4], eax
	inc eax
	cmp eax, r13d
	jbe 1b
	mov rcx, r13
	shl rcx, 32
	mov r14, rcx
	or rcx, 0x9A
	EXPECT 203, r14
	xor eax, eax
1:	mov r10d, 204
	cmp [r15 + 0x3800 + rax * 4], eax
	jne fail
	inc eax
	cmp eax, r13d
	jb 1b
	mov rcx, r13
	inc rcx
	shl rcx, 32
	or rcx, 0x9A
	mov r12, r14
	or r12, 5
	// The last id is nobody's.
	EXPECT 205, r12
	mov ecx, 0x9A
	EXPECT 206, 3
	mov rcx, r14
	or rcx, 0x1009A
	EXPECT 207, 3
	mov rcx, 0xFFF0000009A
	EXPECT 208, 3
	mov rcx, r14
	or rcx, 0x9A
	lea rdx, [r15 + 0x3000]
	lea r8, [r15 + 0x3FFC]
	call r15
	mov r10d, 209
	cmp eax, 4
	jne fail
	mov rcx, r14
	or rcx, 0x9A
	lea rdx, [r15 + 0x3000]
	mov r8, 1 << 45
	call r15
	mov r10d, 210
	cmp eax, 3
	jne fail
	mov dword ptr [r15 + 0x3010], 0

	call context
	// What must be refused, and the same guest goes on.
	mov r14d, r13d
	xor r14d, 1
	WITHOUT 220, 0x0E, 8, r14
	mov qword ptr [r15 + 0x3008], 0
	mov ecx, 0x99
	// It runs already: it is the caller.
	EXPECT 221, 0x15
	mov qword ptr [r15 + 0x3008], 1
	WITHOUT 222, 0x0D, 0, 1
	WITHOUT 223, 5, 8, 0x100000000
	WITHOUT 224, 5, 8, 0x8000000000000000
	mov ecx, 0x10099
	EXPECT 225, 3
	mov rcx, 0x100000099
	EXPECT 226, 3
	mov ecx, 0x99
	lea rdx, [r15 + 0x3004]
	call r15
	mov r10d, 227
	cmp rax, 4
	jne fail
	mov ecx, 0x99
	lea rdx, [r15 + 0x3F18]
	call r15
	mov r10d, 228
	cmp rax, 4
	jne fail
	mov ecx, 0x99
	mov rdx, 1 << 45
	call r15
	mov r10d, 229
	cmp rax, 3
	jne fail
	// EFER.SVME; EFER.LMA, which must be 1; a bit that CR4 has not; CR0.PE, with paging;
	// the fixed bit of RFLAGS; RFLAGS.VM; RIP; a type of memory in PAT
	WITHOUT 230, 5, 200, 0x1000
	WITHOUT 231, 5, 200, 0x400
	WITHOUT 232, 5, 224, 0x8000000000000000
	WITHOUT 233, 5, 208, 1
	WITHOUT 234, 5, 32, 2
	WITHOUT 235, 5, 32, 0x20000
	WITHOUT 236, 5, 16, 0x8000000000000000
	WITHOUT 237, 5, 232, 4

	mov r12d, 1
1:	mov [r15 + 0x3008], r12
	lea rax, [r12 + 0x1000]
	mov [r15 + 0x3018], rax
	mov eax, r12d
	shl eax, 4
	lea rax, [r15 + 0x4800 + rax]
	mov [r15 + 0x3068], rax
	mov r14, rax
	mov ecx, 0x99
	EXPECT 240, 0
2:	pause
	cmp dword ptr [r14 + 8], 0
	je 2b
	mov ecx, 0x99
	EXPECT 241, 0x15
	lea rax, [r12 + 0x1000]
	mov r10d, 242
	cmp [r14], rax
	jne fail
	mov r10d, 243
	cmp dword ptr [r14 + 8], 1
	jne fail
	inc r12d
	cmp r12d, r13d
	jb 1b
	jmp done
// started is where they come to: GS.base is their place.
started:
	mov qword ptr gs:[0], rsp
	lock inc dword ptr gs:[8]
1:	hlt
	jmp 1b

// context fills the input block in: as we are, but on started.
context:
	mov qword ptr [r15 + 0x3000], -1
	mov qword ptr [r15 + 0x3008], 1
	lea rdi, [r15 + 0x3010]
	lea rax, [rip + started]
	mov [rdi], rax
	mov qword ptr [rdi + 16], 2
	SEGMENT 24, 8, 0xA09B, 0xFFFFFFFF
	SEGMENT 40, 0x10, 0xC093, 0xFFFFFFFF
	SEGMENT 56, 0x10, 0xC093, 0xFFFFFFFF
	SEGMENT 72, 0x10, 0xC093, 0xFFFFFFFF
	SEGMENT 88, 0x10, 0xC093, 0xFFFFFFFF
	SEGMENT 104, 0x10, 0xC093, 0xFFFFFFFF
	SEGMENT 120, 0, 0x8B, 0x67
	sidt [rdi + 152 + 6]
	sgdt [rdi + 168 + 6]
	mov ecx, 0xC0000080
	rdmsr
	mov [rdi + 184], eax
	mov rax, cr0
	mov [rdi + 192], rax
	mov rax, cr3
	mov [rdi + 200], rax
	mov rax, cr4
	mov [rdi + 208], rax
	mov ecx, 0x277
	rdmsr
	mov [rdi + 216], eax
	mov [rdi + 220], edx
	ret

// breaker breaks the rule of the interface whose number is in "which", the order being
// that of the table "ways". Its server sends back what is posted on connection 1.
breaker:
	sub rsp, 0x48
	call save
	call setup
	mov eax, [rip + which]
	lea rbx, [rip + ways]
	movsxd rax, dword ptr [rbx + rax * 4]
	add rax, rbx
	jmp rax
.balign 4
ways:
	.long none - ways, noEOM - ways, dirtySIMP - ways, dirtySIEFP - ways
	.long noRegister - ways, lowVector - ways, twice - ways, noPrivilege - ways
	.long reserved - ways, fast - ways, unaligned - ways, crossing - ways
	.long nowhere - ways, tooLong - ways, typeless - ways, reservedField - ways
	.long lateEOM - ways, maskedFirst - ways, varHeader - ways, repeated - ways
	.long noEOMWaits - ways

// three posts three messages; two of them wait behind the first.
three:
	mov r12d, 3
1:	mov ecx, 1
	mov rax, 0x1111111111111111
	call post
	OK 80
	dec r12d
	jnz 1b
	mov eax, 1
	mov r10d, 81
	jmp await

none:
	call three
	mov r12d, 3
1:	mov dword ptr [r15 + 0x1200], 0
	xor eax, eax
	SETMSR 0x40000084
	dec r12d
	jnz 1b
	jmp done
noEOM:
	call three
	mov dword ptr [r15 + 0x1200], 0
	jmp done
noEOMWaits: // for what the host would not send
	call three
	mov dword ptr [r15 + 0x1200], 0
	mov eax, 2
	mov r10d, 85
	call await
	jmp done
lateEOM: // EOM before the slot is free is none
	call three
	xor eax, eax
	SETMSR 0x40000084
	mov dword ptr [r15 + 0x1200], 0
	jmp done
dirtySIMP:
	xor eax, eax
	SETMSR 0x40000083
	mov byte ptr [r15 + 0x1FF0], 1
	lea rax, [r15 + 0x1001]
	SETMSR 0x40000083
	jmp done
dirtySIEFP:
	xor eax, eax
	SETMSR 0x40000082
	mov byte ptr [r15 + 0x2FF0], 1
	lea rax, [r15 + 0x2001]
	SETMSR 0x40000082
	jmp done
noRegister:
	mov ecx, 0x400001F0
	rdmsr
	jmp done
lowVector:
	mov eax, 8
	SETMSR 0x40000094
	jmp done
twice:
	mov eax, 0x51
	SETMSR 0x40000092
	jmp done
maskedFirst: // this is how it is done
	mov eax, 0x10050
	SETMSR 0x40000092
	mov eax, 0x51
	SETMSR 0x40000092
	jmp done
noPrivilege:
	mov ecx, 1
	call post
	mov r10d, 82
	cmp eax, 6
	jne fail
	mov ecx, 0x1005D
	mov edx, 7
	call r15
	mov r10d, 83
	cmp eax, 6
	jne fail
	jmp done
// KVM refuses these itself, and tells nobody.
reserved:
	mov rcx, 0x100000000000005C
	jmp refused
varHeader:
	mov ecx, 0x2005C
	jmp refused
repeated:
	mov rcx, 0x10000005C
refused:
	call called
	mov r10d, 84
	cmp eax, 3
	jne fail
	jmp done
fast:
	mov ecx, 0x1005C
	call called
	jmp done
unaligned:
	lea rdx, [r15 + 0x3004]
	call hypercall
	jmp done
crossing:
	lea rdx, [r15 + 0x3F08]
	call hypercall
	jmp done
nowhere:
	mov rdx, 0xF9000000
	call hypercall
	jmp done
tooLong:
	mov dword ptr [r15 + 0x3008], 1
	mov dword ptr [r15 + 0x300C], 241
	lea rdx, [r15 + 0x3000]
	call hypercall
	jmp done
typeless:
	mov dword ptr [r15 + 0x3008], 0
	mov dword ptr [r15 + 0x300C], 8
	lea rdx, [r15 + 0x3000]
	call hypercall
	jmp done
reservedField:
	mov dword ptr [r15 + 0x3004], 1
	mov ecx, 1
	call post
	jmp done

// called makes the hypercall of input value rcx, with a good input block.
called:
	mov dword ptr [r15 + 0x3000], 1
	mov dword ptr [r15 + 0x3008], 1
	mov dword ptr [r15 + 0x300C], 8
	lea rdx, [r15 + 0x3000]
	xor r8d, r8d
	call r15
	ret

.balign 16
greeting:
	.short 'h', 'e', 'l', 'l', 'o', ' ', 0x263A, 13, 10, 0
attempts:
	.ascii "attempts "
digit:
	.ascii "0"
text:
	.ascii "it is over"
.balign 16
guidImage:
	.byte 0xA1, 0x31, 0x1B, 0x5B, 0x62, 0x95, 0xD2, 0x11, 0x8E, 0x3F, 0x00, 0xA0, 0xC9, 0x69, 0x72, 0x3B
guidRNG:
	.byte 0xA5, 0xBC, 0x52, 0x31, 0xDE, 0xEA, 0x3D, 0x43, 0x86, 0x2E, 0xC0, 0x1C, 0xDC, 0x29, 0x1F, 0x44
which:
	.long 0
spurious:
	.long 0x1FF
.balign 8
absolute:
	.quad hello
handle:	.quad 0
systab:	.quad 0
runtime: .quad 0
result:	.quad 0
size:	.quad 0
key:	.quad 0
stride:	.quad 0
version: .quad 0
interrupts: .long 0
	.long 0
idtr:	.fill 16, 1, 0
map:
