// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"github.com/hvgo/hvgo/runtime/ring0"
	"golang.org/x/sys/unix"
)

// kernel is Linux, or this package.
type kernel interface {
	epoll(flags int) int
	event(count, flags int) int
	ctl(ep, op, fd int, ev *[3]uint32) int
	wait(ep, n int) (int, []byte)
	read(fd int) (int, uint64)
	write(fd int, value uint64) int
	dup(fd int) int
	close(fd int)
}

type onLinux struct{}

func errno(r int, err error) int {
	if err != nil {
		return -int(err.(syscall.Errno))
	}
	return r
}

func (onLinux) epoll(flags int) int { return errno(unix.EpollCreate1(flags)) }
func (onLinux) event(c, f int) int  { return errno(unix.Eventfd(uint(c), f)) }
func (onLinux) dup(fd int) int      { return errno(unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 0)) }
func (onLinux) close(fd int)        { unix.Close(fd) }
func (onLinux) write(fd int, v uint64) int {
	return errno(unix.Write(fd, (*[8]byte)(unsafe.Pointer(&v))[:]))
}

func (onLinux) read(fd int) (int, uint64) {
	var v uint64
	n, err := unix.Read(fd, (*[8]byte)(unsafe.Pointer(&v))[:])
	return errno(n, err), v
}

func (onLinux) ctl(ep, op, fd int, ev *[3]uint32) int {
	_, _, e := syscall.Syscall6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return -int(e)
}

func (onLinux) wait(ep, n int) (int, []byte) {
	b := make([]byte, 64*eventBytes)
	r, _, e := syscall.Syscall6(unix.SYS_EPOLL_WAIT, uintptr(ep), uintptr(unsafe.Pointer(&b[0])), uintptr(n), 0, 0, 0)
	if e != 0 {
		return -int(e), nil
	}
	return int(r), b[:r*eventBytes]
}

type ours struct{}

func (ours) epoll(flags int) int        { return NewEpoll(uint32(flags), 0) }
func (ours) event(c, f int) int         { return NewEvent(uint64(c), uint32(f), 0) }
func (ours) dup(fd int) int             { return DupFD(uint64(fd), 0, 0) }
func (ours) close(fd int)               { FreeFD(int32(fd)) }
func (ours) write(fd int, v uint64) int { return WriteEvent(int32(fd), uintptr(unsafe.Pointer(&v)), 8) }

func (ours) read(fd int) (int, uint64) {
	var v uint64
	return ReadEvent(int32(fd), uintptr(unsafe.Pointer(&v)), 8), v
}

func (ours) ctl(ep, op, fd int, ev *[3]uint32) int {
	return EpollCtl(uint64(ep), uint64(op), uint64(fd), uintptr(unsafe.Pointer(ev)))
}

func (ours) wait(ep, n int) (int, []byte) {
	b := make([]byte, 64*eventBytes)
	r := EpollWait(uint64(ep), uintptr(unsafe.Pointer(&b[0])), int32(n), -1)
	if r < 0 {
		return r, nil
	}
	return r, b[:r*eventBytes]
}

// world is a kernel and the descriptors made there, by numbers of our own.
type world struct {
	k   kernel
	fds []int
	log []string
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

// fd is a descriptor by our number; -1 is one that is not open.
func (w *world) fd(i int) int {
	if i < 0 || w.fds[i] < 0 {
		return 8000
	}
	return w.fds[i]
}

func (w *world) made(what string, fd int) {
	w.note("%s: %v", what, fd >= 0)
	w.fds = append(w.fds, fd)
}

func (w *world) ctl(ep, op, fd int, events uint32) {
	ev := [3]uint32{events, uint32(fd), 0x5eed}
	w.note("ctl(%d, %d, %d, %#x) = %d", ep, op, fd, events, w.k.ctl(w.fd(ep), op, w.fd(fd), &ev))
}

func (w *world) wait(ep, n int) {
	r, b := w.k.wait(w.fd(ep), n)
	w.note("wait(%d, %d) = %d", ep, n, r)
	first := len(w.log)
	for ; len(b) > 0; b = b[eventBytes:] {
		e := [3]uint32(unsafe.Slice((*uint32)(unsafe.Pointer(&b[0])), 3))
		w.note("  data %d %#x events %#x", e[1], e[2], e[0])
	}
	slices.Sort(w.log[first:]) // Linux keeps in its list what is not ready any more
}

func (w *world) write(fd int, v uint64) { w.note("write(%d, %d) = %d", fd, v, w.k.write(w.fd(fd), v)) }

func (w *world) read(fd int) {
	n, v := w.k.read(w.fd(fd))
	w.note("read(%d) = %d, %d", fd, n, v)
}

func (w *world) close(fd int) {
	w.k.close(w.fd(fd))
	w.fds[fd] = -1
}

func (w *world) end() {
	for i, fd := range w.fds {
		if fd >= 0 {
			w.close(i)
		}
	}
}

// same runs a script in both worlds and compares what it noted.
func same(t *testing.T, script func(w *world)) {
	t.Helper()
	a, b := &world{k: onLinux{}}, &world{k: ours{}}
	for _, w := range []*world{a, b} {
		script(w)
		w.end()
	}
	for i := range a.log {
		if i >= len(b.log) || a.log[i] != b.log[i] {
			for _, line := range a.log[:i] {
				t.Log(line)
			}
			t.Fatalf("Linux: %s\nours:  %s", a.log[i], b.log[min(i, len(b.log)-1)])
		}
	}
	for i := int32(1); i <= usedRegs; i++ {
		if regAt(i).epoll != 0 {
			t.Fatalf("registration %d is left over: %+v", i, *regAt(i))
		}
	}
	for i := int32(1); i <= usedObjects; i++ {
		if o := objectAt(i); o.refs != 0 || o.watch != 0 {
			t.Fatalf("object %d is left over: %+v", i, *o)
		}
	}
	if levelRegs != 0 || firstChanged != 0 {
		t.Fatalf("%d level-triggered registrations, %d in the queue are left over", levelRegs, firstChanged)
	}
}

func TestMain(m *testing.M) {
	initFDs()
	m.Run()
}

const (
	in, out = unix.EPOLLIN, unix.EPOLLOUT
	edge    = uint32(unix.EPOLLET & 0xffffffff)
)

func TestEpollErrors(t *testing.T) {
	same(t, func(w *world) {
		w.made("epoll", w.k.epoll(0))
		w.made("event", w.k.event(0, unix.EFD_NONBLOCK))
		w.made("epoll 2", w.k.epoll(unix.EPOLL_CLOEXEC))
		w.note("flags: %d %d", w.k.epoll(1), w.k.event(0, 2))
		for _, op := range []int{0, 1, 2, 3, 4, -1} {
			for _, ep := range []int{-1, 0, 1} {
				for _, fd := range []int{-1, 0, 1, 1, 2} {
					w.ctl(ep, op, fd, in)
				}
			}
		}
		for _, events := range []uint32{unix.EPOLLEXCLUSIVE, unix.EPOLLEXCLUSIVE | in | unix.EPOLLPRI, unix.EPOLLEXCLUSIVE | in | unix.EPOLLONESHOT,
			unix.EPOLLEXCLUSIVE | in | edge, unix.EPOLLEXCLUSIVE | unix.EPOLLWAKEUP} {
			for _, op := range []int{1, 3, 2} {
				w.ctl(0, op, 1, events)
			}
			w.ctl(0, 1, 2, events)
		}
		for _, n := range []int{0, -1, 1, maxEvents + 1} {
			w.wait(0, n)
			w.wait(1, n)
		}
		w.wait(-1, 1)
	})
}

func TestEpollLoops(t *testing.T) {
	same(t, func(w *world) {
		for range 6 {
			w.made("epoll", w.k.epoll(0))
		}
		for i := range 4 {
			w.ctl(i, 1, i+1, in)
		}
		w.ctl(4, 1, 0, in) // a ring
		w.ctl(1, 1, 0, in)
		w.ctl(0, 1, 2, in) // a short cut
		w.ctl(0, 1, 4, in)
		w.made("event", w.k.event(0, 0))
		w.ctl(4, 1, 6, in)
		w.ctl(3, 1, 6, in|edge)
		for range 2 {
			w.write(6, 1)
			for i := range 5 {
				w.wait(i, 10)
				w.wait(i, 10)
			}
			w.read(6)
			for i := range 5 {
				w.wait(i, 10)
			}
		}
	})
}

func TestEpollOneTarget(t *testing.T) {
	same(t, func(w *world) {
		for range 3 {
			w.made("epoll", w.k.epoll(0))
		}
		w.made("event", w.k.event(0, unix.EFD_NONBLOCK))
		w.ctl(0, 1, 3, in)
		w.ctl(1, 1, 3, in|out|edge)
		w.ctl(2, 1, 3, in|unix.EPOLLONESHOT)
		for i := range 4 {
			w.write(3, uint64(i))
			for ep := range 3 {
				w.wait(ep, 1)
				w.wait(ep, 1)
			}
			if i == 2 {
				w.ctl(2, 3, 3, out|unix.EPOLLONESHOT)
			}
			w.read(3)
			for ep := range 3 {
				w.wait(ep, 1)
			}
		}
		w.write(3, 1<<64-2)
		w.write(3, 1)
		w.write(3, 1<<64-1)
		for ep := range 3 {
			w.wait(ep, 1)
		}
	})
}

// Random calls, among them epolls that watch epolls.
func TestEpollRandom(t *testing.T) {
	for seed := range uint64(3000) {
		same(t, func(w *world) {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 2 + r.IntN(2) {
				w.made("epoll", w.k.epoll(0))
			}
			epolls := len(w.fds)
			for range 1 + r.IntN(3) {
				flags := unix.EFD_NONBLOCK
				if r.IntN(3) == 0 {
					flags |= unix.EFD_SEMAPHORE
				}
				w.made("event", w.k.event(r.IntN(2), flags))
			}
			all := len(w.fds)
			for range 60 {
				ep, event := r.IntN(epolls), epolls+r.IntN(all-epolls)
				events := []uint32{0, in, out, in | out, in | unix.EPOLLPRI, unix.EPOLLRDNORM | in}[r.IntN(6)]
				events |= []uint32{0, 0, edge, unix.EPOLLONESHOT, edge | unix.EPOLLONESHOT}[r.IntN(5)]
				switch r.IntN(9) {
				case 0, 1:
					w.ctl(ep, 1, event, events)
				case 2:
					w.ctl(ep, 2+r.IntN(2), event, events)
				case 3:
					if child := r.IntN(epolls); child > ep { // no loops
						w.ctl(ep, 1+r.IntN(3), child, events)
					}
				case 4:
					w.write(event, 1+uint64(r.IntN(2))) // 0 gives Linux's parents an edge, ours none
				case 5:
					w.read(event)
				default:
					w.wait(ep, 10)
				}
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestDescriptors(t *testing.T) {
	same(t, func(w *world) {
		w.made("event", w.k.event(0, unix.EFD_NONBLOCK))
		w.made("dup", w.k.dup(w.fd(0)))
		w.write(0, 5)
		w.close(0)
		w.read(1)
		w.made("epoll", w.k.epoll(0))
		w.made("dup", w.k.dup(w.fd(2)))
		w.ctl(2, 1, 1, in)
		w.ctl(3, 1, 1, in)
		w.write(1, 1)
		w.close(2)
		w.wait(3, 5)
	})
	fd := NewEvent(0, 0, 0)
	if fd != 3 || DupFD(0, cloexec, 0) != 4 || Flags(4) != cloexec || DupFD(uint64(fd), 0, 100) != 100 {
		t.Errorf("descriptor %d, flags %#x", fd, Flags(4))
	}
	if SetNonblock(100, true); !Nonblock(uint64(fd)) || Nonblock(4) {
		t.Error("duplicates have the same O_NONBLOCK, others their own")
	}
	FreeFD(3)
	if fd := NewEpoll(0, 0); fd != 3 {
		t.Errorf("descriptor %d, not the lowest", fd)
	}
	LimitFDs(6)
	if a, b := NewEvent(0, 0, 0), NewEvent(0, 0, 0); a != 5 || b != eMFile {
		t.Errorf("with a limit of 6: %d, %d", a, b)
	}
	if DupFD(0, 0, 200) != eMFile {
		t.Error("a descriptor behind the limit")
	}
	LimitFDs(1 << 40)
	for _, fd := range []int32{3, 4, 5, 100} {
		FreeFD(fd)
	}
	for want := 3; ; want++ {
		if fd := NewEvent(0, 0, 0); fd == eMFile {
			if want != ring0.ProgramFDs {
				t.Errorf("%d descriptors", want)
			}
			break
		} else if fd != want {
			t.Fatalf("descriptor %d, want %d", fd, want)
		}
	}
	for own := ring0.ProgramFDs; own < ring0.MaxFD; own++ { // also when the program has taken all of its own
		if fd := NewEvent(0, 0, ring0.ProgramFDs); fd != own {
			t.Fatalf("the runtime's own descriptor %d, want %d", fd, own)
		}
	}
	if fd := NewEvent(0, 0, ring0.ProgramFDs); fd != eMFile {
		t.Errorf("a descriptor %d behind all", fd)
	}
	for fd := int32(3); fd < int32(len(fdKind)); fd++ {
		FreeFD(fd)
	}
}

// TestNextFD: what close_range goes through is what is open, and not the runtime's own.
func TestNextFD(t *testing.T) {
	own := NewEpoll(0, ring0.ProgramFDs)
	a, b := NewEvent(0, 0, 0), NewEvent(0, 0, 700)
	var open []uint64
	for fd := NextFD(3); fd < ring0.ProgramFDs; fd = NextFD(fd + 1) {
		open = append(open, fd)
	}
	if want := []uint64{uint64(a), uint64(b)}; !slices.Equal(open, want) {
		t.Errorf("open are %d, want %d", open, want)
	}
	if NextFD(1<<40) != ring0.ProgramFDs || NextFD(ring0.ProgramFDs) != ring0.ProgramFDs {
		t.Error("a descriptor behind all")
	}
	for _, fd := range []int{own, a, b} {
		FreeFD(int32(fd))
	}
}

// TestPathOnly: to epoll a descriptor that was opened with O_PATH is none.
func TestPathOnly(t *testing.T) {
	ep, path := NewEpoll(0, 0), AllocFD(ring0.FDDoor, NoPoll|PathOnly, 0)
	ev := &[3]uint32{epollIn}
	at := uintptr(unsafe.Pointer(ev))
	buf := make([]byte, eventBytes)
	for name, got := range map[string]int{
		"epoll_ctl of it": EpollCtl(uint64(ep), epollAdd, uint64(path), at), "epoll_ctl on it": EpollCtl(uint64(path), epollAdd, uint64(ep), at),
		"epoll_wait": EpollWait(uint64(path), uintptr(unsafe.Pointer(&buf[0])), 1, -1),
	} {
		if got != eBadF {
			t.Errorf("%s: %d, want %d", name, got, eBadF)
		}
	}
	FreeFD(int32(ep))
	FreeFD(int32(path))
}

// A door file's readiness comes from outside.
func TestEpollDoor(t *testing.T) {
	fd := AllocFD(4, 0, 0)
	level, edges, once := NewEpoll(0, 0), NewEpoll(0, 0), NewEpoll(0, 0)
	w := &world{k: ours{}, fds: []int{level, edges, once, fd}}
	w.ctl(0, 1, 3, in)
	w.ctl(1, 1, 3, in|out|edge|unix.EPOLLRDHUP)
	w.ctl(2, 1, 3, in|unix.EPOLLONESHOT)
	if !LevelTriggered() {
		t.Error("level-triggered registrations are not seen")
	}
	expect := func(what string, want ...uint32) {
		t.Helper()
		for i, ep := range []int{level, edges, once} {
			_, b := w.k.wait(ep, 4)
			got := uint32(0)
			if len(b) > 0 {
				got = *(*uint32)(unsafe.Pointer(&b[0]))
			}
			if got != want[i] {
				t.Errorf("%s: epoll %d reports %#x, want %#x", what, i, got, want[i])
			}
		}
	}
	expect("at first", 0, 0, 0)
	Notify(int32(fd), in)
	expect("readable", in, in, in)
	expect("still", in, 0, 0)
	Level(int32(fd), in|out)
	expect("writable, without an edge", in, 0, 0)
	Notify(int32(fd), in|out)
	expect("an edge", in, in|out, 0)
	Level(int32(fd), 0)
	expect("not ready", 0, 0, 0)
	Notify(int32(fd), unix.EPOLLHUP)
	expect("hung up", unix.EPOLLHUP, unix.EPOLLHUP, 0)
	w.ctl(2, 3, 3, in|unix.EPOLLONESHOT)
	expect("armed again", unix.EPOLLHUP, 0, unix.EPOLLHUP)
	Notify(int32(fd), 0)
	FreeFD(int32(fd))
	expect("closed", 0, 0, 0)
	w.fds = w.fds[:3]
	w.end()
	if LevelTriggered() {
		t.Error("level-triggered registrations are left")
	}
	Notify(-5, in)
	Level(1<<30, in)
	Notify(int32(fd), in)
}

func TestEpollExclusive(t *testing.T) {
	fd := AllocFD(4, 0, 0)
	w := &world{k: ours{}, fds: []int{NewEpoll(0, 0), NewEpoll(0, 0), NewEpoll(0, 0), fd}}
	for i := range 3 {
		w.ctl(i, 1, 3, in|unix.EPOLLEXCLUSIVE)
	}
	hot := func() (n int) {
		for _, ep := range w.fds[:3] {
			if r, _ := w.k.wait(ep, 1); r == 1 {
				n++
			}
		}
		return n
	}
	Notify(int32(fd), in)
	if n := hot(); n != 1 {
		t.Errorf("%d of three exclusive epolls are told, want 1", n)
	}
	Notify(int32(fd), 0)
	objectAt(fileAt(int32(w.fds[2])).object).waiting = 1
	Notify(int32(fd), in)
	if r, _ := w.k.wait(w.fds[2], 1); r != 1 {
		t.Error("the epoll where a thread waits is not told")
	}
	objectAt(fileAt(int32(w.fds[2])).object).waiting = 0
	w.end()
}
