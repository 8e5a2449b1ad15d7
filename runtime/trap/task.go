// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"golang.org/x/sys/unix"
)

// What a thread is and may (sched.Task): names and credentials. They are served
// in trap context because the Go runtime changes them on g0, thread by thread
// (syscall.AllThreadsSyscall).

//go:nosplit
func serveTask(f *ring0.Frame, a, b, c uintptr) int {
	t := &sched.Current().Task
	switch f.RAX {
	case unix.SYS_GETUID:
		return int(t.UID.Real)
	case unix.SYS_GETEUID:
		return int(t.UID.Effective)
	case unix.SYS_GETGID:
		return int(t.GID.Real)
	case unix.SYS_GETEGID:
		return int(t.GID.Effective)
	case unix.SYS_GETRESUID:
		return putIDs(t.UID, a, b, c)
	case unix.SYS_GETRESGID:
		return putIDs(t.GID, a, b, c)
	case unix.SYS_GETGROUPS:
		return getgroups(t, int32(a), b)
	case unix.SYS_SETGROUPS:
		return setgroups(t, uint32(a), b)
	case unix.SYS_PRCTL:
		return prctl(t, int32(a), b, c)
	case unix.SYS_CAPGET, unix.SYS_CAPSET:
		return capability(t, f.RAX == unix.SYS_CAPSET, a, b)
	}
	return setIDs(t, f.RAX, uint32(a), uint32(b), uint32(c))
}

//go:nosplit
func setIDs(t *sched.Task, nr uint64, a, b, c uint32) int {
	switch nr {
	case unix.SYS_SETUID:
		return t.SetUID(a)
	case unix.SYS_SETGID:
		return t.SetGID(a)
	case unix.SYS_SETREUID:
		return t.SetREUID(a, b)
	case unix.SYS_SETREGID:
		return t.SetREGID(a, b)
	case unix.SYS_SETRESUID:
		return t.SetRESUID(a, b, c)
	case unix.SYS_SETRESGID:
		return t.SetRESGID(a, b, c)
	case unix.SYS_SETFSUID:
		return t.SetFSUID(a)
	case unix.SYS_SETFSGID:
		return t.SetFSGID(a)
	}
	return notServed(nr)
}

// put32 stores a word; unlike putWord32 also nil is an address.
//
//go:nosplit
func put32(p uintptr, value uint32) int {
	if !userRange(p, 4) || !ring0.CopyUser(p, uintptr(unsafe.Pointer(&value)), 4) {
		return eFault
	}
	return 0
}

//go:nosplit
func putIDs(i sched.IDs, a, b, c uintptr) int {
	if e := put32(a, i.Real); e != 0 {
		return e
	}
	if e := put32(b, i.Effective); e != 0 {
		return e
	}
	return put32(c, i.Saved)
}

//go:nosplit
func getgroups(t *sched.Task, room int32, list uintptr) int {
	n := t.NGroups
	if room < 0 || room > 0 && uint32(room) < n {
		return eInval
	}
	if room > 0 {
		for i := uint32(0); i < n; i++ {
			if e := put32(list+uintptr(i)*4, t.Groups[i%sched.MaxGroups]); e != 0 {
				return e
			}
		}
	}
	return int(n)
}

//go:nosplit
func setgroups(t *sched.Task, n uint32, list uintptr) int {
	const linuxMost = 65536
	if !t.MaySetGroups() {
		return ePerm
	}
	if n > linuxMost {
		return eInval
	}
	if n > sched.MaxGroups {
		return eNoMem
	}
	var groups [sched.MaxGroups]uint32
	if bytes := uintptr(n) * 4; !userRange(list, bytes) || n > 0 && !ring0.CopyUser(uintptr(unsafe.Pointer(&groups)), list, bytes) {
		return eFault
	}
	for i := uint32(1); i < n; i++ { // getgroups shows them in order
		for k := i; k > 0 && groups[(k-1)%sched.MaxGroups] > groups[k%sched.MaxGroups]; k-- {
			groups[(k-1)%sched.MaxGroups], groups[k%sched.MaxGroups] = groups[k%sched.MaxGroups], groups[(k-1)%sched.MaxGroups]
		}
	}
	t.Groups, t.NGroups = groups, n
	return 0
}

//go:nosplit
func prctl(t *sched.Task, op int32, arg, arg2 uintptr) int {
	switch op {
	case unix.PR_SET_NAME:
		return setName(t, arg)
	case unix.PR_GET_NAME:
		if !userRange(arg, 16) || !ring0.CopyUser(arg, uintptr(unsafe.Pointer(&t.Name)), 16) {
			return eFault
		}
		return 0
	case unix.PR_SET_KEEPCAPS:
		if arg > 1 {
			return eInval
		}
		t.KeepCaps = arg == 1
		return 0
	case unix.PR_GET_KEEPCAPS:
		return oneIf(t.KeepCaps)
	case unix.PR_SET_DUMPABLE:
		if arg > 1 {
			return eInval
		}
		t.Dumpable = uint32(arg)
		return 0
	case unix.PR_GET_DUMPABLE:
		return int(t.Dumpable)
	case unix.PR_SET_PDEATHSIG:
		if arg > numSignals {
			return eInval
		}
		t.DeathSignal = uint32(arg)
		return 0
	case unix.PR_GET_PDEATHSIG:
		return put32(arg, t.DeathSignal)
	case unix.PR_CAPBSET_READ:
		if arg > sched.MaxCap {
			return eInval
		}
		return 1
	case unix.PR_SET_NO_NEW_PRIVS:
		if arg != 1 || arg2 != 0 {
			return eInval
		}
		t.NoNewPrivs = true
		return 0
	case unix.PR_GET_NO_NEW_PRIVS:
		return oneIf(t.NoNewPrivs)
	}
	return eInval // the Go runtime asks for names of memory areas, and does without
}

//go:nosplit
func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// setName reads a name up to its zero: what lies behind need not be readable.
//
//go:nosplit
func setName(t *sched.Task, at uintptr) int {
	var name [16]byte
	for i := uintptr(0); i < 15; i++ {
		if !userRange(at+i, 1) || !ring0.CopyUser(uintptr(unsafe.Pointer(&name))+i, at+i, 1) {
			return eFault
		}
		if name[i] == 0 {
			break
		}
	}
	t.SetName(&name)
	return 0
}

// Versions of struct __user_cap_header_struct (capget(2)).
const (
	capV1 = 0x19980330 // 32 capabilities; the others have 64
	capV2 = 0x20071026
	capV3 = 0x20080522
)

// capability is capget and capset.
//
//go:nosplit
func capability(t *sched.Task, set bool, header, data uintptr) int {
	var h [2]uint32 // version, thread
	if !userRange(header, 8) || !ring0.CopyUser(uintptr(unsafe.Pointer(&h)), header, 4) {
		return eFault
	}
	if h[0] != capV1 && h[0] != capV2 && h[0] != capV3 {
		if e := put32(header, capV3); e != 0 || data == 0 && !set {
			return e
		}
		return eInval
	}
	if data == 0 && !set {
		return 0
	}
	if !ring0.CopyUser(uintptr(unsafe.Pointer(&h)), header, 8) {
		return eFault
	}
	of := sched.Current()
	if int32(h[1]) < 0 {
		return eInval
	}
	if h[1] != 0 && int32(h[1]) != of.ID {
		if set {
			return ePerm
		}
		if of = sched.ByID(int32(h[1])); of == nil {
			return eSrch
		}
	}
	var d [2][3]uint32 // effective, permitted, inheritable: low half, high half
	bytes := unsafe.Sizeof(d)
	if h[0] == capV1 {
		bytes /= 2
	}
	if !userRange(data, bytes) {
		return eFault
	}
	if set {
		if !ring0.CopyUser(uintptr(unsafe.Pointer(&d)), data, bytes) {
			return eFault
		}
		return t.SetCaps(both(&d, 0), both(&d, 1), both(&d, 2))
	}
	o := &of.Task
	d[0] = [3]uint32{uint32(o.Effective), uint32(o.Permitted), uint32(o.Inheritable)}
	d[1] = [3]uint32{uint32(o.Effective >> 32), uint32(o.Permitted >> 32), uint32(o.Inheritable >> 32)}
	if !ring0.CopyUser(data, uintptr(unsafe.Pointer(&d)), bytes) {
		return eFault
	}
	return 0
}

//go:nosplit
func both(d *[2][3]uint32, i uint) uint64 { return uint64(d[1][i%3])<<32 | uint64(d[0][i%3]) }

// TaskInfo is what KernelTask tells of a thread.
type TaskInfo struct {
	ID   int64
	Next int64 // to ask for the thread behind it
	Task sched.Task
}

// taskInfo copies the first thread in slot i or later to dst; -ESRCH at the end.
//
//go:nosplit
func taskInfo(i uint32, dst uintptr) int {
	t, next := sched.Next(i)
	if t == nil {
		return eSrch
	}
	head := [2]int64{int64(t.ID), int64(next)}
	const headBytes = unsafe.Offsetof(TaskInfo{}.Task)
	if !userRange(dst, unsafe.Sizeof(TaskInfo{})) || !ring0.CopyUser(dst, uintptr(unsafe.Pointer(&head)), headBytes) ||
		!ring0.CopyUser(dst+headBytes, uintptr(unsafe.Pointer(&t.Task)), unsafe.Sizeof(t.Task)) {
		return eFault
	}
	return 0
}

// tasks lists the threads.
func tasks() (all []linux.Task) {
	for next := uintptr(0); ; {
		t := new(TaskInfo)
		if Kernel(KernelTask, next, uintptr(unsafe.Pointer(t)), 0) != 0 {
			return all
		}
		next = uintptr(t.Next)
		ids := func(i sched.IDs) [4]uint32 { return [4]uint32{i.Real, i.Effective, i.Saved, i.FS} }
		all = append(all, linux.Task{
			ID: int(t.ID), Name: unix.ByteSliceToString(t.Task.Name[:]), UID: ids(t.Task.UID), GID: ids(t.Task.GID),
			Groups: t.Task.Groups[:min(t.Task.NGroups, sched.MaxGroups)], Effective: t.Task.Effective, Permitted: t.Task.Permitted,
			Inheritable: t.Task.Inheritable, NoNewPrivs: t.Task.NoNewPrivs,
		})
	}
}
