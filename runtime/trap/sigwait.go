// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"math/bits"
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
)

// eRestart is what a call gives that a signal interrupted before it did anything, and
// that is made again when the handler has SA_RESTART, or there is none (signal(7),
// "Interruption of system calls"). The program never sees it.
const eRestart = -512

// restartable makes the EINTR of a call of that kind eRestart.
//
//go:nosplit
func restartable(result int) int {
	if result == eIntr {
		return eRestart
	}
	return result
}

// syscallBytes is the size of SYSCALL.
const syscallBytes = 2

// interrupted ends a system call that gave eRestart: with EINTR, or by making it again.
//
//go:nosplit
func interrupted(f *ring0.Frame, again bool) {
	if f.Vector != ring0.VecSyscall || int64(f.RAX) != eRestart {
		return
	}
	if !again {
		f.RAX = negative64(eIntr)
		return
	}
	f.RAX, f.RIP = f.Error, f.RIP-syscallBytes // handleSyscall keeps the number there
}

//go:nosplit
func negative64(errno int) uint64 { return uint64(errno) }

//go:nosplit
func loadSet(p, bytes uintptr) (set uint64, errno int) {
	if bytes != 8 {
		return 0, eInval
	}
	if !userRange(p, 8) || !ring0.CopyUser(uintptr(unsafe.Pointer(&set)), p, 8) {
		return 0, eFault
	}
	return set &^ unblockable, 0
}

// sigsuspend waits for a signal with another mask.
//
//go:nosplit
func sigsuspend(set, setBytes uintptr) int {
	mask, errno := loadSet(set, setBytes)
	if errno != 0 {
		return errno
	}
	s := &sched.Current().Signals
	s.Saved, s.HasSaved = s.Mask, true // deliverSignals brings it back
	s.Mask = mask
	for sched.Block(sched.WaitSignal, 0, 0) != sched.Interrupted {
	}
	return eIntr
}

// sigtimedwait takes a pending signal of a set, or waits for one.
//
//go:nosplit
func sigtimedwait(set, siginfo, timeout, setBytes uintptr) int {
	want, errno := loadSet(set, setBytes)
	if errno != 0 {
		return errno
	}
	due := int64(0)
	if timeout != 0 {
		ns, errno := loadTimespec(timeout)
		if errno != 0 {
			return errno
		}
		due = after(hv.Now(), ns)
	}
	t := sched.Current()
	s := &t.Signals
	for {
		if ready := (s.Pending | sched.SharedPending) & want; ready != 0 {
			sig := uint64(bits.TrailingZeros64(ready)) + 1
			take(t, sig)
			return putInfo(siginfo, sig)
		}
		if due != 0 && due <= hv.Now() {
			return eAgain
		}
		s.Awaited = want
		why := sched.Block(sched.WaitSignal, 0, due)
		s.Awaited = 0
		if why == sched.Interrupted && (s.Pending|sched.SharedPending)&want == 0 {
			return eIntr
		}
	}
}

// putInfo stores what there is to say of the signal that was taken last.
//
//go:nosplit
func putInfo(p uintptr, sig uint64) int {
	w := &frameScratch.si
	*w = info{signo: int32(sig), code: about.code, value: about.value, sigval: about.sigval}
	if p != 0 && (!userRange(p, unsafe.Sizeof(*w)) || !ring0.CopyUser(p, uintptr(unsafe.Pointer(w)), unsafe.Sizeof(*w))) {
		return eFault
	}
	return int(sig)
}
