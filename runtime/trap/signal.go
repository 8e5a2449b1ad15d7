// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"math/bits"
	"unsafe"

	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"github.com/hvgo/hvgo/runtime/serial"
	"golang.org/x/sys/unix"
)

// Signals by number (signal(7)).
const (
	sigInt   = 2
	sigQuit  = 3
	sigIll   = 4
	sigTrap  = 5
	sigBus   = 7
	sigFpe   = 8
	sigKill  = 9
	sigSegv  = 11
	sigTerm  = 15
	sigChld  = 17
	sigCont  = 18
	sigStop  = 19
	sigUrg   = 23
	sigWinch = 28
)

// action is struct kernel_sigaction of x86-64.
type action struct{ handler, flags, restorer, mask uint64 }

const (
	actionBytes = 32
	sigDefault  = 0
	sigIgnore   = 1

	saOnStack = 0x08000000
	saRestart = 0x10000000
	saNoDefer = 0x40000000

	numSignals = 64

	// unblockable are SIGKILL and SIGSTOP.
	unblockable = 1<<(sigKill-1) | 1<<(sigStop-1)
)

// actions by signal number. Guarded by the kernel lock.
var actions [numSignals + 1]action

//go:nosplit
func actionOf(sig uint64) *action {
	if sig > numSignals {
		sig = 0
	}
	return (*action)(unsafe.Add(unsafe.Pointer(&actions), sig*actionBytes))
}

// context is struct ucontext with struct sigcontext in it (Linux's
// asm/sigcontext.h), as Go's signal handler reads and changes it.
type context struct {
	flags, link                uint64
	stackSP                    uint64
	stackFlags                 uint64
	stackSize                  uint64
	r8, r9, r10, r11, r12, r13 uint64
	r14, r15, rdi, rsi, rbp    uint64
	rbx, rdx, rax, rcx, rsp    uint64
	rip, rflags                uint64
	segments                   uint64 // cs, gs, fs, ss
	err, trapno, oldmask, cr2  uint64
	fp                         uint64 // address of the XSAVE area
	_                          [8]uint64
	mask                       uint64
}

// info is the part of struct siginfo that is used: 128 bytes.
type info struct {
	signo, errno, code, _ int32
	value                 uint64 // address of a fault; or sender's pid and uid; or a timer's number and overrun
	sigval                uint64 // what timer_create was given
	_                     [12]uint64
}

// signalFrame is what lies on the signal stack when a handler starts.
type signalFrame struct {
	restorer uint64
	uc       context
	si       info
}

// frameScratch is too large for the trap stack's budget. Guarded by the kernel lock.
var frameScratch signalFrame

// about is what siginfo says of the signal that is delivered now. Guarded by the kernel
// lock.
var about struct {
	code          int32
	value, sigval uint64
}

// fault delivers a synchronous signal to the running thread at once. A thread
// that masks it, or has no handler, ends the program.
//
//go:nosplit
func fault(f *ring0.Frame, sig uint64, code int32, addr uint64) {
	t := sched.Current()
	a := actionOf(sig)
	if a.handler == sigDefault || a.handler == sigIgnore || t.Signals.Mask&(1<<(sig-1)) != 0 {
		crash(f, "fault with nobody to handle it")
	}
	sched.Lock()
	about.code, about.value, about.sigval = code, addr, 0
	enterHandler(f, t, sig, a, true)
	sched.Unlock()
}

// hasSignals tells whether there is something for deliverSignals. Without the kernel lock
// it is a guess; who sends a signal to a thread that runs interrupts its processor behind
// it (sched.Alert).
//
//go:nosplit
func hasSignals(t *sched.Thread) bool {
	return t.ReadySignals() != 0 || t.Signals.HasSaved
}

// deliverSignals makes the running thread's pending signals happen before f
// is returned to. The kernel lock is held.
//
//go:nosplit
func deliverSignals(f *ring0.Frame) {
	t := sched.Current()
	for {
		s := &t.Signals
		ready := t.ReadySignals()
		if s.HasSaved && ready == 0 {
			s.Mask, s.HasSaved = s.Saved, false
			ready = t.ReadySignals()
		}
		if ready == 0 {
			interrupted(f, true) // by nothing that the program sees
			return
		}
		sig := uint64(bits.TrailingZeros64(ready)) + 1
		take(t, sig)
		a := actionOf(sig)
		switch a.handler {
		case sigIgnore:
		case sigDefault:
			defaultAction(sig)
		default:
			interrupted(f, a.flags&saRestart != 0)
			enterHandler(f, t, sig, a, false)
			return // the rest follows when the handler is through
		}
	}
}

// take takes a pending signal off a thread, or off the program: one from timers as often
// as timers sent it, all others once.
//
//go:nosplit
func take(t *sched.Thread, sig uint64) {
	s := &t.Signals
	bit := uint64(1) << ((sig - 1) & 63)
	about.code, about.value, about.sigval = siKernel, 0, 0
	switch {
	case s.Pending&bit == 0:
		sched.SharedPending &^= bit
		about.code, about.value = siUser, pid
		return
	case s.FromTimer&bit != 0:
		if tm := sched.TakeTimer(t, uint32(sig)); tm != nil && !tm.Itimer {
			about.code = siTimer
			about.value = uint64(uint32(tm.ID)) | uint64(tm.Overrun)<<32
			about.sigval = tm.Value
		}
		return
	case s.FromUser&bit != 0:
		about.code, about.value = siTKill, pid
	}
	s.Pending &^= bit
	s.FromUser &^= bit
	s.FromKernel &^= bit
}

// ShutdownAsked says that the host wants the machine to end. boot sets it.
var ShutdownAsked bool

// defaultAction ends the program, as signal(7) has it; a signal that it stops at there
// ends it too, since nobody could let it go on.
//
//go:nosplit
func defaultAction(sig uint64) {
	if ignoredByDefault>>sig&1 != 0 {
		return
	}
	if sig == sigTerm && ShutdownAsked {
		powerOff(0) // all went as the host wants it
	}
	serial.Print("hvgo: the program was ended by signal ")
	serial.Dec(sig)
	serial.Print("\n")
	powerOff(statusSignal + sig)
}

const ignoredByDefault = 1<<sigUrg | 1<<sigChld | 1<<sigWinch | 1<<sigCont

// enterHandler builds a signal frame and points f to the handler. Where the
// frame has no room the program ends.
//
//go:nosplit
func enterHandler(f *ring0.Frame, t *sched.Thread, sig uint64, a *action, synchronous bool) {
	s := &t.Signals
	sp := uintptr(f.RSP) - 128 // the ABI's red zone
	onAlt := sp >= s.AltSP && sp < s.AltSP+s.AltSize
	if a.flags&saOnStack != 0 && s.AltSize != 0 && !onAlt {
		sp = s.AltSP + s.AltSize
	}
	fp := (sp - ring0.XSaveBytes()) &^ 63
	at := (fp-unsafe.Sizeof(signalFrame{}))&^15 - 8
	if !mem.Prepare(at, sp-at, true) {
		crash(f, "no room on the signal stack")
	}
	if f.FP == 0 {
		ring0.SaveFP(fp)
	} else {
		ring0.CopyUser(fp, uintptr(f.FP), ring0.XSaveBytes())
	}
	w := &frameScratch
	*w = signalFrame{restorer: a.restorer}
	fillContext(&w.uc, f, s)
	w.uc.fp = uint64(fp)
	w.si.signo, w.si.code, w.si.value, w.si.sigval = int32(sig), about.code, about.value, about.sigval
	if synchronous {
		w.uc.trapno, w.uc.err, w.uc.cr2 = f.Vector, f.Error, ring0.CR2()
	}
	if !ring0.CopyUser(at, uintptr(unsafe.Pointer(w)), unsafe.Sizeof(*w)) {
		crash(f, "the signal stack went away")
	}
	s.HasSaved = false
	s.Mask |= a.mask &^ unblockable
	if a.flags&saNoDefer == 0 {
		s.Mask |= 1 << (sig - 1)
	}
	f.RIP = a.handler
	f.RSP = uint64(at)
	f.RDI = sig
	f.RSI = uint64(at + unsafe.Offsetof(w.si))
	f.RDX = uint64(at + unsafe.Offsetof(w.uc))
	f.RAX = 0
	f.RFLAGS = ring0.UserFlags
	f.FP = 0
	f.Vector = ring0.VecResume
}

//go:nosplit
func fillContext(c *context, f *ring0.Frame, s *sched.Signals) {
	c.r8, c.r9, c.r10, c.r11 = f.R8, f.R9, f.R10, f.R11
	c.r12, c.r13, c.r14, c.r15 = f.R12, f.R13, f.R14, f.R15
	c.rdi, c.rsi, c.rbp, c.rbx = f.RDI, f.RSI, f.RBP, f.RBX
	c.rdx, c.rax, c.rcx, c.rsp = f.RDX, f.RAX, f.RCX, f.RSP
	c.rip, c.rflags = f.RIP, f.RFLAGS
	c.segments = 0x33 | 0x2b<<48 // as on Linux; nobody looks
	c.mask = s.Mask
	if s.HasSaved {
		c.mask = s.Saved
	}
	c.stackSP, c.stackSize, c.stackFlags = uint64(s.AltSP), uint64(s.AltSize), uint64(s.AltFlags)
}

// signalReturn is rt_sigreturn: the context that a handler was given, and may
// have changed, becomes the thread's.
//
//go:nosplit
func signalReturn(f *ring0.Frame) {
	c := &frameScratch.uc
	at := uintptr(f.RSP) // the restorer's address was taken off by RET
	if !userRange(at, unsafe.Sizeof(*c)) || !ring0.CopyUser(uintptr(unsafe.Pointer(c)), at, unsafe.Sizeof(*c)) {
		crash(f, "rt_sigreturn without a frame")
	}
	f.R8, f.R9, f.R10, f.R11 = c.r8, c.r9, c.r10, c.r11
	f.R12, f.R13, f.R14, f.R15 = c.r12, c.r13, c.r14, c.r15
	f.RDI, f.RSI, f.RBP, f.RBX = c.rdi, c.rsi, c.rbp, c.rbx
	f.RDX, f.RAX, f.RCX, f.RSP = c.rdx, c.rax, c.rcx, c.rsp
	f.RIP = c.rip
	f.RFLAGS = c.rflags&0xcd5 | ring0.UserFlags
	f.Vector = ring0.VecResume
	sched.Current().Signals.Mask = c.mask &^ unblockable
	if !restoreFP(f, uintptr(c.fp)) {
		crash(f, "rt_sigreturn with bad vector registers")
	}
}

// restoreFP checks what XRSTOR would fault on (Intel SDM volume 1, 13.8).
//
//go:nosplit
func restoreFP(f *ring0.Frame, from uintptr) bool {
	if from == 0 {
		return true
	}
	n := ring0.XSaveBytes()
	area := ring0.This().FPScratch
	if n > mem.PageSize || !userRange(from, n) || !ring0.CopyUser(area, from, n) {
		return false
	}
	*(*uint32)(ring0.Pointer(area + 24)) &= 0xffff // MXCSR
	header := (*[8]uint64)(ring0.Pointer(area + 512))
	if header[0]&^ring0.XSaveMask() != 0 || header[1]|header[2] != 0 {
		return false
	}
	f.FP = uint64(area)
	return true
}

//go:nosplit
func serveSignal(f *ring0.Frame, a, b, c uintptr) int {
	switch f.RAX {
	case unix.SYS_RT_SIGACTION:
		return sigaction(uint64(uint32(a)), b, c, uintptr(f.R10))
	case unix.SYS_RT_SIGPROCMASK:
		return sigprocmask(int32(a), b, c, uintptr(f.R10))
	case unix.SYS_SIGALTSTACK:
		return sigaltstack(f, a, b)
	case unix.SYS_TGKILL:
		if int32(a) <= 0 || int32(b) <= 0 {
			return eInval
		}
		if int32(a) != pid {
			return eSrch
		}
		return tkill(int32(b), uint64(uint32(c)))
	case unix.SYS_TKILL:
		return tkill(int32(a), uint64(uint32(b)))
	case unix.SYS_KILL:
		if id := int32(a); id != pid && id != 0 && id != -1 {
			return eSrch
		}
		return signalProgram(uint64(uint32(b)))
	case unix.SYS_RT_SIGPENDING:
		return sigpending(a, b)
	case unix.SYS_PAUSE:
		sched.Block(sched.WaitSignal, 0, 0)
		return eIntr
	case unix.SYS_RT_SIGSUSPEND:
		return sigsuspend(a, b)
	case unix.SYS_RT_SIGTIMEDWAIT:
		return sigtimedwait(a, b, c, uintptr(f.R10))
	}
	return serveTask(f, a, b, c)
}

//go:nosplit
func sigaction(sig uint64, act, old, setBytes uintptr) int {
	if setBytes != 8 {
		return eInval
	}
	var now action
	if act != 0 && (!userRange(act, actionBytes) || !ring0.CopyUser(uintptr(unsafe.Pointer(&now)), act, actionBytes)) {
		return eFault
	}
	if sig == 0 || sig > numSignals || act != 0 && 1<<(sig-1)&unblockable != 0 {
		return eInval
	}
	a := actionOf(sig)
	was := *a
	if act != 0 {
		*a = now
	}
	if old != 0 && (!userRange(old, actionBytes) || !ring0.CopyUser(old, uintptr(unsafe.Pointer(&was)), actionBytes)) {
		return eFault
	}
	return 0
}

//go:nosplit
func sigprocmask(how int32, set, old, setBytes uintptr) int {
	if setBytes != 8 {
		return eInval
	}
	s := &sched.Current().Signals
	was := s.Mask
	if set != 0 {
		var m uint64
		if !userRange(set, 8) || !ring0.CopyUser(uintptr(unsafe.Pointer(&m)), set, 8) {
			return eFault
		}
		switch how {
		case unix.SIG_BLOCK:
			m |= was
		case unix.SIG_UNBLOCK:
			m = was &^ m
		case unix.SIG_SETMASK:
		default:
			return eInval
		}
		s.Mask = m &^ unblockable
		leaveShared(s.Mask &^ was)
	}
	if old != 0 {
		return putWord64(old, was, 0)
	}
	return 0
}

// sigpending gives as many bytes of the set as asked for.
//
//go:nosplit
func sigpending(set, setBytes uintptr) int {
	if setBytes > 8 {
		return eInval
	}
	s := &sched.Current().Signals
	pending := (s.Pending | sched.SharedPending) & s.Mask // what is not masked is on its way
	if !userRange(set, setBytes) || !ring0.CopyUser(set, uintptr(unsafe.Pointer(&pending)), setBytes) {
		return eFault
	}
	return 0
}

// waitMask makes a set of the program's, if it gives one, the running thread's
// mask until the call ends: deliverSignals takes it back.
//
//go:nosplit
func waitMask(set, setBytes uintptr) int {
	if set == 0 {
		return 0
	}
	if setBytes != 8 {
		return eInval
	}
	var mask uint64
	if !userRange(set, 8) || !ring0.CopyUser(uintptr(unsafe.Pointer(&mask)), set, 8) {
		return eFault
	}
	s := &sched.Current().Signals
	s.Saved, s.HasSaved = s.Mask, true
	s.Mask = mask &^ unblockable
	return 0
}

const (
	ssOnStack   = 1
	ssDisable   = 2
	minAltStack = 2048
)

//go:nosplit
func sigaltstack(f *ring0.Frame, set, old uintptr) int {
	s := &sched.Current().Signals
	was := [3]uint64{uint64(s.AltSP), ssDisable, uint64(s.AltSize)}
	sp := uintptr(f.RSP)
	onAlt := s.AltSize != 0 && sp >= s.AltSP && sp < s.AltSP+s.AltSize
	if s.AltSize != 0 {
		was[1] = 0
		if onAlt {
			was[1] = ssOnStack
		}
	}
	if set != 0 {
		var now [3]uint64
		if !userRange(set, 24) || !ring0.CopyUser(uintptr(unsafe.Pointer(&now)), set, 24) {
			return eFault
		}
		switch {
		case onAlt:
			return ePerm
		case uint32(now[1]) == ssDisable:
			s.AltSP, s.AltSize = 0, 0
		case uint32(now[1])&^ssOnStack != 0:
			return eInval
		case now[2] < minAltStack:
			return eNoMem
		default:
			s.AltSP, s.AltSize = uintptr(now[0]), uintptr(now[2])
		}
	}
	if old != 0 && (!userRange(old, 24) || !ring0.CopyUser(old, uintptr(unsafe.Pointer(&was)), 24)) {
		return eFault
	}
	return 0
}

// send makes a signal pending for a thread and wakes it if it waits.
//
//go:nosplit
func send(t *sched.Thread, sig uint64, fromUser bool) {
	bit := uint64(1) << (sig - 1)
	if ignored(sig) && (t.Signals.Mask|t.Signals.Awaited)&bit == 0 {
		return // it does not end a wait either
	}
	t.Signals.Pending |= bit
	if fromUser {
		t.Signals.FromUser |= bit
	} else {
		t.Signals.FromKernel |= bit
	}
	if t.Signals.Mask&^t.Signals.Awaited&bit == 0 {
		sched.Alert(t)
	}
}

//go:nosplit
func ignored(sig uint64) bool {
	a := actionOf(sig)
	return a.handler == sigIgnore || a.handler == sigDefault && ignoredByDefault>>sig&1 != 0
}

//go:nosplit
func tkill(id int32, sig uint64) int {
	if id <= 0 {
		return eInval
	}
	t := sched.ByID(id)
	if t == nil {
		return eSrch
	}
	if sig > numSignals {
		return eInval
	}
	if sig != 0 {
		send(t, sig, true)
	}
	return 0
}

// signalProgram sends a signal to the program: any thread takes it.
//
//go:nosplit
func signalProgram(sig uint64) int {
	if sig > numSignals {
		return eInval
	}
	if sig == 0 {
		return 0
	}
	bit := uint64(1) << (sig - 1)
	if t := taker(bit); t != nil {
		if ignored(sig) && t.Signals.Awaited&bit == 0 {
			return 0
		}
		sched.Alert(t)
	}
	sched.SharedPending |= bit
	return 0
}

// taker gives a thread that does not mask a signal, or nil.
//
//go:nosplit
func taker(bit uint64) *sched.Thread {
	for t, i := sched.Next(0); t != nil; t, i = sched.Next(i) {
		if t.Signals.Mask&^t.Signals.Awaited&bit == 0 {
			return t
		}
	}
	return nil
}

// leaveShared hands the program's signals of a set to other threads: the running one,
// which may have been alerted for them, masks them now.
//
//go:nosplit
func leaveShared(set uint64) {
	for left := sched.SharedPending & set; left != 0; left &= left - 1 {
		if t := taker(left & -left); t != nil {
			sched.Alert(t)
		}
	}
}

// exit ends the running thread.
//
//go:nosplit
func exit() {
	s := &sched.Current().Signals
	s.Mask, s.Awaited = ^uint64(0), 0
	leaveShared(s.Mask)
	sched.Exit()
}
