// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"math/rand/v2"
	"os"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func raw(nr uintptr, a, b, c uint32) int {
	r, _, e := syscall.RawSyscall(nr, uintptr(a), uintptr(b), uintptr(c))
	if e != 0 {
		return -int(e)
	}
	return int(r)
}

// linuxTask asks Linux for the calling thread's credentials.
func linuxTask() (t Task) {
	ids := func(nr, fs uintptr) (i IDs) {
		syscall.RawSyscall(nr, uintptr(unsafe.Pointer(&i.Real)), uintptr(unsafe.Pointer(&i.Effective)), uintptr(unsafe.Pointer(&i.Saved)))
		i.FS = uint32(raw(fs, noID, 0, 0))
		return i
	}
	t.UID = ids(unix.SYS_GETRESUID, unix.SYS_SETFSUID)
	t.GID = ids(unix.SYS_GETRESGID, unix.SYS_SETFSGID)
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	unix.Capget(&h, &d[0])
	join := func(lo, hi uint32) uint64 { return uint64(hi)<<32 | uint64(lo) }
	t.Effective = join(d[0].Effective, d[1].Effective)
	t.Permitted = join(d[0].Permitted, d[1].Permitted)
	t.Inheritable = join(d[0].Inheritable, d[1].Inheritable)
	return t
}

// The same changes on a thread of Linux and on a Task.
func TestCredentials(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may change its credentials")
	}
	ids := []uint32{0, 0, 1, 2, 77, noID}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		done := make(chan bool)
		go func() {
			defer close(done)
			runtime.LockOSThread() // and never unlocked: the thread ends with its credentials
			task := linuxTask()
			if task.Effective&(1<<capSetUID|1<<capSetGID) != 1<<capSetUID|1<<capSetGID {
				t.Log("this root may not change its credentials")
				return
			}
			bounds := task.Permitted // of what may be inherited: not ours to know
			for range 12 {
				a, b, c := ids[r.IntN(len(ids))], ids[r.IntN(len(ids))], ids[r.IntN(len(ids))]
				var what string
				var got, want int
				switch r.IntN(10) {
				case 0:
					what, got, want = "setuid", task.SetUID(a), raw(unix.SYS_SETUID, a, 0, 0)
				case 1:
					what, got, want = "setgid", task.SetGID(a), raw(unix.SYS_SETGID, a, 0, 0)
				case 2:
					what, got, want = "setreuid", task.SetREUID(a, b), raw(unix.SYS_SETREUID, a, b, 0)
				case 3:
					what, got, want = "setregid", task.SetREGID(a, b), raw(unix.SYS_SETREGID, a, b, 0)
				case 4:
					what, got, want = "setresuid", task.SetRESUID(a, b, c), raw(unix.SYS_SETRESUID, a, b, c)
				case 5:
					what, got, want = "setresgid", task.SetRESGID(a, b, c), raw(unix.SYS_SETRESGID, a, b, c)
				case 6:
					what, got, want = "setfsgid", task.SetFSGID(a), raw(unix.SYS_SETFSGID, a, 0, 0)
				case 7:
					task.KeepCaps = a == 0
					unix.Prctl(unix.PR_SET_KEEPCAPS, uintptr(btoi(task.KeepCaps)), 0, 0, 0)
				default:
					e, p, i := r.Uint64()&task.Permitted, r.Uint64()|1<<capSetUID|1<<capSetGID, r.Uint64()&r.Uint64()
					if r.IntN(4) != 0 {
						p &= task.Permitted
						e &= p
					}
					p, i = p&AllCaps, i&bounds
					what, got, want = "capset", task.SetCaps(e, p, i), setCaps(e, p, i)
				}
				now := linuxTask()
				if got != want || task.UID != now.UID || task.GID != now.GID || task.Effective != now.Effective ||
					task.Permitted != now.Permitted || task.Inheritable != now.Inheritable {
					t.Errorf("seed %d: %s(%d, %d, %d) = %d, Linux %d:\n ours  %+v %+v %x %x %x\n Linux %+v %+v %x %x %x", seed, what, int32(a), int32(b), int32(c),
						got, want, task.UID, task.GID, task.Effective, task.Permitted, task.Inheritable,
						now.UID, now.GID, now.Effective, now.Permitted, now.Inheritable)
					return
				}
			}
		}()
		<-done
		if t.Failed() {
			return
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func setCaps(e, p, i uint64) int {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	d := [2]unix.CapUserData{{Effective: uint32(e), Permitted: uint32(p), Inheritable: uint32(i)},
		{Effective: uint32(e >> 32), Permitted: uint32(p >> 32), Inheritable: uint32(i >> 32)}}
	return errno(0, unix.Capset(&h, &d[0]))
}

func TestTaskName(t *testing.T) {
	var task Task
	task.First()
	task.SetName((*[16]byte)([]byte("a very long name")))
	if got := string(task.Name[:]); got != "a very long nam\x00" {
		t.Errorf("name %q", got)
	}
	task.SetName(&[16]byte{'x', 0, 'y'})
	if got := string(task.Name[:3]); got != "x\x00\x00" {
		t.Errorf("name %q", got)
	}
}
