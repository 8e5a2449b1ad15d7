// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"github.com/hvgo/hvgo/runtime/serial"
	"golang.org/x/sys/unix"
)

// Linux's errno values, negative, as trap context returns them.
const (
	ePerm  = -1
	eNoEnt = -2
	eSrch  = -3
	eIntr  = -4
	eBadF  = -9
	eAgain = -11
	eNoMem = -12
	eFault = -14
	eNoDev = -19
	eInval = -22
	eRange = -34
	eNoSys = -38
	eOpNot = -95
)

// pid is the program's process number: there is no other.
const pid = 1

// handleSyscall serves a call on the running thread's trap stack. Trap context.
//
//go:nosplit
//go:linkname handleSyscall github.com/hvgo/hvgo/runtime/trap.handleSyscall
func handleSyscall(f *ring0.Frame) {
	if !serveAlone(f) {
		sched.Lock()
		if f.RAX == unix.SYS_RT_SIGRETURN {
			signalReturn(f)
		} else if f.RAX >= KernelNotify && f.R9 == kernelMark {
			f.RAX = uint64(kernelCall(f))
		} else {
			f.Error = f.RAX // for interrupted
			f.RAX = uint64(serve(f))
		}
		deliverSignals(f)
		sched.Unlock()
	} else if hasSignals(sched.Current()) {
		sched.Lock()
		deliverSignals(f)
		sched.Unlock()
	}
}

// serveAlone serves calls that need no kernel lock: those that only look at the running
// thread, those of memory, which has a lock of its own, and the console's output. It
// gives false for all others.
//
//go:nosplit
func serveAlone(f *ring0.Frame) bool {
	a, b, c := uintptr(f.RDI), uintptr(f.RSI), uintptr(f.RDX)
	r := 0
	switch f.RAX {
	case unix.SYS_GETPID:
		r = pid
	case unix.SYS_GETTID:
		r = int(sched.Current().ID)
	case unix.SYS_MMAP:
		r = mmap(f)
	case unix.SYS_MUNMAP:
		r = -int(mem.Munmap(a, b))
	case unix.SYS_MPROTECT:
		r = -int(mem.Mprotect(a, b, int32(c)))
	case unix.SYS_MADVISE:
		r = -int(mem.Madvise(a, b, int32(c)))
	case unix.SYS_MINCORE:
		r = -int(mem.Mincore(a, b, c))
	case unix.SYS_MSYNC:
		r = -int(mem.Msync(a, b, int32(c)))
	case unix.SYS_MREMAP:
		at, errno := mem.Mremap(a, b, c, int32(f.R10), uintptr(f.R8))
		r = result(at, errno)
	case KernelStore:
		r = storeCalled(a)
	case unix.SYS_WRITE:
		if sched.Kind(uint64(uint32(a))) != ring0.FDConsole {
			return false
		}
		r = console(b, uint64(c))
	case unix.SYS_SCHED_YIELD:
		if sched.Others() {
			return false
		}
	case unix.SYS_GETCPU:
		r = getcpu(a, b)
	default:
		return false
	}
	f.RAX = uint64(r)
	return true
}

//go:nosplit
func getcpu(cpu, node uintptr) int {
	if e := putWord32(node, 0); e != 0 { // one NUMA node
		return e
	}
	return putWord32(cpu, ring0.This().ID)
}

//go:nosplit
func serve(f *ring0.Frame) int {
	a, b, c := uintptr(f.RDI), uintptr(f.RSI), uintptr(f.RDX)
	switch f.RAX {
	case unix.SYS_FUTEX:
		return futex(a, uint32(b), uint32(c), uintptr(f.R10), uint32(f.R9))
	case unix.SYS_SCHED_YIELD:
		sched.Yield()
		return 0
	case unix.SYS_EPOLL_WAIT:
		return sched.EpollWait(uint64(uint32(a)), b, int32(c), dueMillis(int32(f.R10)))
	case unix.SYS_EPOLL_PWAIT:
		if errno := waitMask(uintptr(f.R8), uintptr(f.R9)); errno != 0 {
			return errno
		}
		return sched.EpollWait(uint64(uint32(a)), b, int32(c), dueMillis(int32(f.R10)))
	case unix.SYS_NANOSLEEP:
		return nanosleep(hv.Now(), a, b)
	case unix.SYS_CLOCK_NANOSLEEP:
		return clockNanosleep(int32(a), b, c, uintptr(f.R10))
	case unix.SYS_READ:
		return trapRead(uint64(uint32(a)), b, uint64(c))
	case unix.SYS_WRITE:
		return trapWrite(uint64(uint32(a)), b, uint64(c))
	}
	return serveRare(f, a, b, c)
}

//go:nosplit
func serveRare(f *ring0.Frame, a, b, c uintptr) int {
	switch f.RAX {
	case unix.SYS_CLONE:
		return clone(f)
	case unix.SYS_EXIT:
		exit()
	case unix.SYS_EXIT_GROUP:
		powerOff(uint64(a) & 0xff)
	case unix.SYS_ARCH_PRCTL:
		return archPrctl(a, b)
	case unix.SYS_SET_TID_ADDRESS:
		sched.Current().ClearTID = a
		return int(sched.Current().ID)
	case unix.SYS_CLOCK_GETTIME:
		return clockGettime(int32(a), b)
	case unix.SYS_CLOCK_GETRES:
		return clockGetres(int32(a), b)
	case unix.SYS_GETTIMEOFDAY:
		return gettimeofday(a, b)
	case unix.SYS_SETITIMER, unix.SYS_GETITIMER, unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_GETTIME,
		unix.SYS_TIMER_GETOVERRUN, unix.SYS_TIMER_DELETE:
		return serveTimer(f, a, b, c)
	case unix.SYS_SCHED_GETAFFINITY:
		return getaffinity(int32(a), uint32(b), c)
	case unix.SYS_MLOCK, unix.SYS_MUNLOCK:
		return -int(mem.Mlock(a, b, f.RAX == unix.SYS_MLOCK))
	case unix.SYS_MLOCKALL:
		const all = unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT
		if a = uintptr(uint32(a)); a == 0 || a&^all != 0 || a == unix.MCL_ONFAULT {
			return eInval
		}
		return 0
	case unix.SYS_MUNLOCKALL:
		return 0
	case unix.SYS_CLOSE, unix.SYS_FCNTL, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_DUP,
		unix.SYS_EPOLL_CREATE, unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EVENTFD, unix.SYS_EVENTFD2:
		return serveDescriptor(f, uint64(uint32(a)), b, c)
	}
	return serveSignal(f, a, b, c)
}

// serveDescriptor serves the descriptors of trap context.
//
//go:nosplit
func serveDescriptor(f *ring0.Frame, fd uint64, b, c uintptr) int {
	switch f.RAX {
	case unix.SYS_EPOLL_CTL:
		return sched.EpollCtl(fd, uint64(b), uint64(c), uintptr(f.R10))
	case unix.SYS_EPOLL_CREATE:
		if int32(fd) <= 0 {
			return eInval
		}
		return sched.NewEpoll(0, lowestFD())
	case unix.SYS_EPOLL_CREATE1:
		return sched.NewEpoll(uint32(fd), lowestFD())
	case unix.SYS_EVENTFD:
		return sched.NewEvent(fd&0xffffffff, 0, lowestFD())
	case unix.SYS_EVENTFD2:
		return sched.NewEvent(fd&0xffffffff, uint32(b), lowestFD())
	}
	if sched.Kind(fd) == ring0.FDFree || fd >= ring0.ProgramFDs && (f.RAX != unix.SYS_FCNTL || b != unix.F_GETFL) {
		return eBadF // of the runtime's own package os asks for the flags
	}
	switch f.RAX {
	case unix.SYS_CLOSE:
		sched.FreeFD(int32(fd))
		return 0
	case unix.SYS_FCNTL:
		return fcntl(fd, b, c)
	case unix.SYS_READV, unix.SYS_WRITEV:
		return vector(f, fd, b, c)
	case unix.SYS_DUP:
		return sched.DupFD(fd, 0, 0)
	}
	return eInval
}

// lowestFD is where the running thread's descriptors begin: KernelOwn changes that.
//
//go:nosplit
func lowestFD() uint64 {
	if sched.Current().Own {
		return ring0.ProgramFDs
	}
	return 0
}

//go:nosplit
func fcntl(fd uint64, cmd, arg uintptr) int {
	flags := sched.Flags(fd)
	switch cmd {
	case unix.F_GETFD:
		return int(flags & unix.O_CLOEXEC / unix.O_CLOEXEC)
	case unix.F_SETFD:
		sched.SetFlags(fd, flags&^unix.O_CLOEXEC|uint32(arg&1)*unix.O_CLOEXEC)
		return 0
	case unix.F_GETFL:
		if sched.Nonblock(fd) {
			return unix.O_NONBLOCK | unix.O_RDWR
		}
		return unix.O_RDWR
	case unix.F_SETFL:
		if arg&unix.O_DIRECT != 0 {
			return eInval
		}
		sched.SetNonblock(fd, arg&unix.O_NONBLOCK != 0)
		return 0
	case unix.F_DUPFD, unix.F_DUPFD_CLOEXEC:
		if arg = uintptr(uint32(arg)); arg >= ring0.ProgramFDs {
			return eInval
		}
		flags = 0
		if cmd == unix.F_DUPFD_CLOEXEC {
			flags = unix.O_CLOEXEC
		}
		return sched.DupFD(fd, flags, uint64(arg))
	}
	return eInval
}

// vector serves readv and writev part by part, when all parts were looked at.
//
//go:nosplit
func vector(f *ring0.Frame, fd uint64, parts, n uintptr) int {
	if n = uintptr(uint32(n)); n > 1024 {
		return eInval
	}
	total, errno := checkVector(parts, n)
	switch {
	case errno != 0:
		return errno
	case sched.Kind(fd) == ring0.FDEpoll:
		return eInval
	case total == 0:
		return 0 // whatever can be read is not asked for nothing
	}
	done := 0
	for ; n > 0; n, parts = n-1, parts+16 {
		var part [2]uint64
		if !ring0.CopyUser(uintptr(unsafe.Pointer(&part)), parts, 16) {
			return eFault
		}
		got := 0
		if f.RAX == unix.SYS_READV {
			got = trapRead(fd, uintptr(part[0]), part[1])
		} else {
			got = trapWrite(fd, uintptr(part[0]), part[1])
		}
		if got < 0 {
			if done > 0 {
				return done
			}
			return got
		}
		if done += got; uint64(got) < part[1] {
			break
		}
	}
	return done
}

// checkVector refuses an array with a part that no program can have. The total is that
// of those before it.
//
//go:nosplit
func checkVector(parts, n uintptr) (total uint64, errno int) {
	if n > 0 && !userRange(parts, 16*n) {
		return 0, eFault
	}
	for end := parts + 16*n; parts < end; parts += 16 {
		var part [2]uint64
		if !ring0.CopyUser(uintptr(unsafe.Pointer(&part)), parts, 16) {
			return 0, eFault
		}
		if int64(part[1]) < 0 {
			return 0, eInval
		}
		if !userRange(uintptr(part[0]), uintptr(part[1])) {
			errno = eFault
		}
		total += min(part[1], 1<<32) // 1024 of them do not overflow
	}
	return total, errno
}

//go:nosplit
func trapRead(fd uint64, buf uintptr, n uint64) int {
	switch sched.Kind(fd) {
	case ring0.FDEvent:
		if !userRange(buf, uintptr(n)) {
			return eFault
		}
		return restartable(sched.ReadEvent(int32(fd), buf, n))
	case ring0.FDConsole:
		return readConsole(buf, n)
	case ring0.FDDoor:
		return eAgain // not on a goroutine: nothing there can read it now
	case ring0.FDEpoll:
		return eInval
	}
	return eBadF
}

//go:nosplit
func trapWrite(fd uint64, buf uintptr, n uint64) int {
	switch sched.Kind(fd) {
	case ring0.FDEvent:
		if !userRange(buf, uintptr(n)) {
			return eFault
		}
		return sched.WriteEvent(int32(fd), buf, n)
	case ring0.FDConsole:
		return console(buf, n)
	case ring0.FDDoor:
		return writeLate(int32(fd), buf, n)
	case ring0.FDEpoll:
		return eInval
	}
	return eBadF
}

// consoleMost bounds how long one call keeps interrupts out.
const consoleMost = 4096

// console writes to COM1, a copy at a time: the buffer may be unmapped. It takes the
// console's lock only.
//
//go:nosplit
func console(buf uintptr, n uint64) int {
	var chunk [128]byte
	n = min(n, consoleMost)
	serial.Lock()
	for done := uint64(0); done < n; {
		k := uintptr(min(n-done, uint64(len(chunk))))
		at := uintptr(unsafe.Pointer(&chunk))
		if !userRange(buf+uintptr(done), k) || !ring0.CopyUser(at, buf+uintptr(done), k) {
			serial.Unlock()
			if done > 0 {
				return int(done)
			}
			return eFault
		}
		serial.Write(at, k)
		done += uint64(k)
	}
	serial.Unlock()
	return int(n)
}

// userRange tells whether [p, p+n) is below the kernel's half: a pointer of
// the program may not make trap context read or write elsewhere.
//
//go:nosplit
func userRange(p, n uintptr) bool { return p+n >= p && p+n <= mem.UserEnd }

//go:nosplit
func result(value, errno uintptr) int {
	if errno != 0 {
		return -int(errno)
	}
	return int(value)
}

//go:nosplit
func mmap(f *ring0.Frame) int {
	if f.R10&unix.MAP_ANONYMOUS == 0 {
		return eNoDev // a file, and not on a goroutine: the Go runtime maps none
	}
	if f.R9%mem.PageSize != 0 { // looked at although it has no meaning here
		return eInval
	}
	at, errno := mem.Mmap(uintptr(f.RDI), uintptr(f.RSI), int32(f.RDX), int32(f.R10))
	if errno == mem.ENOMEM {
		tellShort("no memory for another mapping")
	}
	return result(at, errno)
}

// getaffinity is sched_getaffinity for any thread: all may run everywhere.
//
//go:nosplit
func getaffinity(id int32, n uint32, mask uintptr) int {
	cpus := uintptr(ring0.NumCPUs())
	if n&7 != 0 || uintptr(n*8) < cpus { // n counts bytes; as on Linux the product has 32 bits
		return eInval
	}
	if id != 0 && (id < 0 || sched.ByID(id) == nil) {
		return eSrch
	}
	words := (cpus + 63) / 64
	for i := uintptr(0); i < words; i++ {
		word := ^uint64(0)
		if left := cpus - i*64; left < 64 {
			word = 1<<left - 1
		}
		if e := putWord64(mask+i*8, word, 0); e != 0 {
			return e
		}
	}
	return int(words * 8)
}

// putWord64 stores a word of the program's and gives ok, or -EFAULT.
//
//go:nosplit
func putWord64(p uintptr, value uint64, ok int) int {
	if !userRange(p, 8) || !ring0.CopyUser(p, uintptr(unsafe.Pointer(&value)), 8) {
		return eFault
	}
	return ok
}

//go:nosplit
func putWord32(p uintptr, value uint32) int {
	if p != 0 && (!userRange(p, 4) || !ring0.CopyUser(p, uintptr(unsafe.Pointer(&value)), 4)) {
		return eFault
	}
	return 0
}

const (
	archSetFS = 0x1002
	archGetFS = 0x1003
)

//go:nosplit
func archPrctl(op, arg uintptr) int {
	switch op {
	case archSetFS:
		if !userRange(arg, 8) {
			return ePerm
		}
		sched.Current().FS = uint64(arg)
		ring0.Wrmsr(ring0.MSRFSBase, uint64(arg))
		return 0
	case archGetFS:
		return putWord64(arg, sched.Current().FS, 0)
	}
	return eInval
}

// clone makes a thread. Only threads are had: all of the program is one
// address space.
//
//go:nosplit
func clone(f *ring0.Frame) int {
	const (
		must  = unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND
		never = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
			unix.CLONE_NEWNET | unix.CLONE_PIDFD | unix.CLONE_VFORK
	)
	flags := f.RDI
	switch {
	case flags&(unix.CLONE_THREAD|unix.CLONE_SIGHAND) == unix.CLONE_THREAD, flags&(unix.CLONE_SIGHAND|unix.CLONE_VM) == unix.CLONE_SIGHAND:
		return eInval
	case flags&must != must:
		return eNoSys
	case flags&never != 0:
		return eInval // no thread of one program may have these
	case flags&unix.CLONE_SETTLS != 0 && !userRange(uintptr(f.R8), 1):
		return ePerm
	}
	parent := sched.Current()
	child := *f
	child.RAX = 0
	child.RSP = f.RSI
	child.Vector = ring0.VecResume
	fs := parent.FS
	if flags&unix.CLONE_SETTLS != 0 {
		fs = f.R8
	}
	t := sched.New(&child, fs)
	if t == nil {
		tellShort("no memory for another thread")
		return eAgain
	}
	t.Signals.Mask = parent.Signals.Mask
	if flags&unix.CLONE_CHILD_CLEARTID != 0 {
		t.ClearTID = uintptr(f.R10)
	}
	if flags&unix.CLONE_PARENT_SETTID != 0 {
		putWord32(uintptr(f.RDX), uint32(t.ID))
	}
	return int(t.ID)
}

// notServed logs a number once, by name, and gives ENOSYS.
//
//go:nosplit
func notServed(nr uint64) int {
	if nr < linux.MaxCall {
		if linux.Leaf[nr%linux.MaxCall] == linux.LeafDoor || linux.Leaf[nr%linux.MaxCall] == linux.LeafByFD {
			return notHere(nr)
		}
		if !linux.Absent[nr%linux.MaxCall] && !unservedTrap[nr%linux.MaxCall] {
			unservedTrap[nr%linux.MaxCall] = true
			serial.Lock()
			serial.Print("hvgo: system call ")
			serial.Print(linux.CallName[nr%linux.MaxCall])
			serial.Print(" (")
			serial.Dec(nr)
			serial.Print(") is not served\n")
			serial.Unlock()
		}
	}
	return eNoSys
}

var unservedTrap [linux.MaxCall]bool

// notHere answers a call of the door that comes from where no Go can run: the
// runtime's own, on g0. It asks for files of /sys and /proc, and does without.
//
//go:nosplit
func notHere(nr uint64) int {
	switch nr {
	case unix.SYS_OPEN, unix.SYS_OPENAT, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2:
		return eNoEnt
	case unix.SYS_CONNECT, unix.SYS_PREAD64, unix.SYS_FSTAT:
		return eBadF
	}
	return eAgain
}
