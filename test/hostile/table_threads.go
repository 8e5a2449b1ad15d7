// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"os"

	"golang.org/x/sys/unix"
)

// Operations of futex that neither wait for ever nor need an owner: LOCK_PI (6),
// UNLOCK_PI (7), TRYLOCK_PI (8), WAIT_REQUEUE_PI (11) and LOCK_PI2 (13) do.
var futexOps = []int64{0, 1, 129, 2, 9, 10, 137, 138, 256, 128 | 256, 1 | 256, 9 | 256, 10 | 256, 14, 15, 100, 127, 1 << 31, 1<<32 | 128, -1}

const private = 128

// self stands for the process and thread that makes the calls.
func self(thread bool, wrong ...int64) arg {
	a := num(0, wrong...)
	a.right = value{"self", func(*state, uintptr) (uintptr, bool) {
		if thread {
			return uintptr(unix.Gettid()), true
		}
		return uintptr(os.Getpid()), true
	}}
	high := a.right
	a.wrong = append(a.wrong, value{"self + 1<<32", func(s *state, slot uintptr) (uintptr, bool) {
		v, ok := high.get(s, slot)
		return v | 1<<32, ok
	}})
	return a
}

// nobody are numbers of no process.
var nobody = []int64{0, -1, -2, 1 << 30, 1 << 31, -1 << 31}

var threadCalls = []call{
	// The word is 1, and nobody waits when it is 0.
	{nr: unix.SYS_FUTEX, args: []arg{ptr(halves(1)), num(private, futexOps...), num(0, 2, -1, 1<<32), null(words(0, 1), badTimes()...), num(0), num(-1, 0, 1)},
		pairs: [][2]int{{0, 1}, {0, 3}, {1, 3}, {1, 5}, {1, 2}}},
	{name: "futex that times out", nr: unix.SYS_FUTEX, args: []arg{ptr(halves(1)), num(private, 9, 137, 9|256, 1<<32), num(1, 1<<32+1), ptr(words(0, 1), badTimes()...).except("null"), num(0), num(-1, 1)},
		pairs: [][2]int{{0, 3}, {1, 3}}},
	{name: "futex wake", nr: unix.SYS_FUTEX, args: []arg{ptr(halves(1)), num(1|private, 1, 10, 138, 1|256), num(1, 0, -1, 1<<31-1, 1<<31), num(0), num(0), num(-1, 0)}, pairs: [][2]int{{0, 1}, {1, 5}}},
	// Only what fails: a thread that starts here would run on Go's stack.
	{nr: unix.SYS_CLONE, args: []arg{num(unix.CLONE_THREAD, unix.CLONE_SIGHAND, unix.CLONE_THREAD|unix.CLONE_SIGHAND, unix.CLONE_THREAD|unix.CLONE_VM, unix.CLONE_NEWNS|unix.CLONE_FS,
		unix.CLONE_VM|unix.CLONE_SIGHAND|unix.CLONE_THREAD|unix.CLONE_NEWUSER, unix.CLONE_VM|unix.CLONE_SIGHAND|unix.CLONE_THREAD|unix.CLONE_PIDFD|unix.CLONE_DETACHED)}},
	{name: "clone with a bad TLS", nr: unix.SYS_CLONE, args: []arg{num(unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SETTLS | unix.CLONE_SYSVSEM),
		ptr(make([]byte, 4096)).only(), num(0), num(0), num(userEnd, 1<<47, -1<<63, -1, -4096)}},
	{nr: unix.SYS_GETPID, result: some},
	{nr: unix.SYS_GETTID, result: some},
	{nr: unix.SYS_SCHED_YIELD},
	{nr: unix.SYS_GETCPU, args: []arg{ptr(make([]byte, 4)), ptr(make([]byte, 4)), ptr(words(0)).only("null", "hole")}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_SCHED_GETAFFINITY, args: []arg{num(0, nobody...), num(8, 0, 1, 4, 7, 9, 12, 16, 24, -1, 1<<31, 1<<29, 1<<32, 1<<32+8), ptr(make([]byte, 128))}, pairs: [][2]int{{0, 2}, {1, 2}}, result: some},
	{nr: unix.SYS_SCHED_SETAFFINITY, args: []arg{num(0, nobody...), num(8, 0, 1), ptr(words(0))}, pairs: [][2]int{{0, 2}}},
	{nr: unix.SYS_SET_TID_ADDRESS, args: []arg{ptr(words(0))}, result: some, undo: func(*state) { makeCall(unix.SYS_SET_TID_ADDRESS, [6]uintptr{}) }},
	{nr: unix.SYS_SET_ROBUST_LIST, args: []arg{ptr(words(0, 0, 0)), num(24, 0, 23, 25, -1)}, undo: func(*state) { makeCall(unix.SYS_SET_ROBUST_LIST, [6]uintptr{0, 24}) }},
	{nr: unix.SYS_MEMBARRIER, args: []arg{num(0, 3, -1, 1<<20), num(0, 2, -1)}, result: some},
	{name: "arch_prctl ARCH_SET_FS", nr: unix.SYS_ARCH_PRCTL, args: []arg{num(0x1002), num(userEnd, 1<<47, -1<<63, -1, -4096)}},
	{name: "arch_prctl ARCH_GET_FS", nr: unix.SYS_ARCH_PRCTL, args: []arg{num(0x1003, 0, -1, 0x1000, 0x1005, 0xffff), ptr(words(0))}},
	{nr: unix.SYS_PRCTL, args: []arg{num(unix.PR_SET_NAME, unix.PR_GET_NAME, -1, 0, 1<<31), ptr(append([]byte("hostile"), make([]byte, 9)...))}, pairs: [][2]int{{0, 1}}, result: some},
}

// only drops all wrong values but those.
func (a arg) only(names ...string) arg {
	var kept []value
	for _, w := range a.wrong {
		for _, n := range names {
			if w.name == n {
				kept = append(kept, w)
			}
		}
	}
	a.wrong = kept
	return a
}

// action is a sigaction that ignores a signal; nothing is sent while it is set.
var action = words(1, 0, 0, 0)

const usr2 = int64(unix.SIGUSR2)

var badSignals = []int64{0, -1, 65, 64, 128, 1 << 31, 1<<32 + 12, int64(unix.SIGKILL), int64(unix.SIGSTOP)}

var signalCalls = []call{
	{nr: unix.SYS_RT_SIGACTION, args: []arg{num(usr2, badSignals...), null(make([]byte, 32)).only("none"), ptr(make([]byte, 32)), num(8, 0, 4, 16, -1, 1<<32+8)}, pairs: [][2]int{{0, 2}, {2, 3}}},
	{name: "rt_sigaction that sets", nr: unix.SYS_RT_SIGACTION, args: []arg{num(62, -1, 0, 65, 1<<32, int64(unix.SIGKILL)), ptr(action), null(make([]byte, 32)), num(8, 0, 16)}, pairs: [][2]int{{0, 1}, {1, 2}, {1, 3}},
		undo: func(*state) {
			store(data, words(0, 0, 0, 0))
			makeCall(unix.SYS_RT_SIGACTION, [6]uintptr{62, data, 0, 8})
		}},
	// Nothing changes: what is blocked is no signal that comes.
	{nr: unix.SYS_RT_SIGPROCMASK, args: []arg{num(unix.SIG_BLOCK, unix.SIG_UNBLOCK, 3, -1, 1<<31, 1<<32), ptr(words(1 << 60)), null(words(0)), num(8, 0, 4, 16, -1)}, pairs: [][2]int{{0, 1}, {1, 2}, {1, 3}, {0, 3}},
		undo: func(*state) {
			store(data, words(1<<60))
			makeCall(unix.SYS_RT_SIGPROCMASK, [6]uintptr{unix.SIG_UNBLOCK, data, 0, 8})
		}},
	{nr: unix.SYS_RT_SIGPENDING, args: []arg{ptr(words(0)), num(8, 0, 1, 4, 9, 16, -1, 1<<32+8)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_RT_SIGSUSPEND, args: []arg{ptr(words(0)), num(0, 4, 16, -1)}},
	{nr: unix.SYS_RT_SIGTIMEDWAIT, args: []arg{ptr(words(1 << 60)), null(make([]byte, 128)), ptr(words(0, 0), badTimes()...).except("null"), num(8, 0, 4, 16, -1)}, pairs: [][2]int{{0, 2}, {0, 3}}},
	{nr: unix.SYS_SIGALTSTACK, args: []arg{ptr(words(ground, 0, 32768), content{"disabled", words(0, 2, 0)}, content{"on stack", words(ground, 1, 32768)}, content{"unknown flag", words(ground, 4, 32768)},
		content{"flags 3", words(ground, 3, 32768)}, content{"auto-disarm", words(ground, 1<<31, 32768)}, content{"small", words(ground, 0, 2047)}, content{"smallest", words(ground, 0, 2048)}, content{"no size", words(ground, 0, 0)},
		content{"not mapped", words(hole, 0, 32768)}, content{"upper half", words(0xffff_8000_0010_0000, 0, 32768)}), null(make([]byte, 24))},
		pairs: [][2]int{{0, 1}}, undo: func(*state) { store(data, altStack); makeCall(unix.SYS_SIGALTSTACK, [6]uintptr{data}) }},
	{nr: unix.SYS_TGKILL, args: []arg{self(false, nobody...), self(true, nobody...), num(0, 65, -1, 128, 1<<31, 1<<32)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_TKILL, args: []arg{self(true, nobody...), num(0, 65, -1, 128, 1<<31, 1<<32)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_KILL, args: []arg{self(false, 1<<30, 1<<31, -1<<30), num(0, 65, -1, 128, 1<<31, 1<<32)}, pairs: [][2]int{{0, 1}}},
}

// altStack is the Go runtime's own alternate stack of the thread.
var altStack []byte

// Clocks: unused numbers, CPU clocks of processes (negative ones), and more than
// 32 bits.
var badClocks = []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 32, -1, 1 << 31, 1<<32 + 1}

// interval is a struct itimerspec or itimerval that stops a timer.
func interval(unit string, most uint64) arg {
	const minus1 = 1<<64 - 1
	return ptr(words(0, 0, 0, 0), content{unit + " too many", words(0, 0, 0, most)}, content{"-1 " + unit, words(0, 0, 0, minus1)}, content{"-1 s", words(0, 0, minus1, 0)},
		content{"interval too many " + unit, words(0, most, 0, 0)}, content{"interval -1 s", words(minus1, 0, 0, 0)}, content{"interval -1 " + unit, words(0, minus1, 0, 0)},
		content{"for ever", words(1<<63-1, 0, 1<<63-1, 0)}, content{"an hour", words(3600, 0, 3600, 0)})
}

// timer is the number of a timer.
func timer() arg {
	return arg{value{"timer", func(s *state, _ uintptr) (uintptr, bool) {
		store(data, make([]byte, 72))
		store(data+8, halves(0, 1))
		_, e := makeCall(unix.SYS_TIMER_CREATE, [6]uintptr{unix.CLOCK_MONOTONIC, data, data + 64})
		s.timer = uintptr(le.Uint32(bytesAt(data+64, 4)))
		return s.timer, e == 0
	}}, []value{number(1 << 20), number(1<<64 - 1), number(1 << 31), number(4095), number(4096)}}
}

func deleteTimer(s *state) { makeCall(unix.SYS_TIMER_DELETE, [6]uintptr{s.timer}) }

// deleteMade deletes what timer_create made: its number is where the third argument
// may have pointed.
func deleteMade(*state) {
	for _, at := range []uintptr{arena + 2*slotBytes, arena + 2*slotBytes + 1, hole - 4} {
		makeCall(unix.SYS_TIMER_DELETE, [6]uintptr{uintptr(le.Uint32(bytesAt(at, 4)))})
		store(at, halves(1<<32-1))
	}
}

// noSignal is a struct sigevent for a timer that sends none.
func noSignal() arg {
	event := func(signo, notify, tid uint32) []byte {
		return append(halves(0, 0, signo, notify, tid), make([]byte, 44)...)
	}
	return ptr(event(0, 1, 0), content{"SIGEV_SIGNAL", event(12, 0, 0)}, content{"signal 0", event(0, 0, 0)}, content{"signal 65", event(65, 0, 0)}, content{"signal -1", event(1<<32-1, 0, 0)},
		content{"SIGEV_THREAD", event(12, 2, 0)}, content{"notify 3", event(12, 3, 0)}, content{"thread 0", event(12, 4, 0)}, content{"thread -1", event(12, 4, 1<<32-1)}, content{"notify -1", event(12, 1<<32-1, 0)},
		content{"notify 5", event(12, 5, 0)}, content{"notify 8", event(12, 8, 0)})
}

var timeCalls = []call{
	{nr: unix.SYS_NANOSLEEP, args: []arg{ptr(words(0, 1), badTimes()...), null(words(0, 0))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_CLOCK_NANOSLEEP, args: []arg{num(1, badClocks...).except("0x2"), num(0, 1, 2, 1<<31, -1), ptr(words(0, 1), badTimes()...), null(words(0, 0))}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_CLOCK_GETTIME, args: []arg{num(1, badClocks...), ptr(words(0, 0))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_CLOCK_GETRES, args: []arg{num(1, badClocks...), ptr(words(0, 0))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_GETTIMEOFDAY, args: []arg{ptr(words(0, 0)), null(words(0))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_TIME, args: []arg{null(words(0))}, result: some},
	{nr: unix.SYS_GETITIMER, args: []arg{num(0, 1, 2, 3, -1, 1<<31, 1<<32), ptr(words(0, 0, 0, 0))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_SETITIMER, args: []arg{num(0, 1, 2, 3, -1, 1<<31, 1<<32), interval("us", 1e6), null(words(0, 0, 0, 0))}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}},
		undo: func(*state) {
			store(data, words(0, 0, 0, 0))
			for which := range uintptr(3) {
				makeCall(unix.SYS_SETITIMER, [6]uintptr{which, data, 0})
			}
		}},
	{nr: unix.SYS_TIMER_CREATE, args: []arg{num(1, badClocks...), noSignal(), ptr(halves(1<<32 - 1))}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}, undo: deleteMade},
	{nr: unix.SYS_TIMER_SETTIME, args: []arg{timer(), num(0, 1, 2, -1, 1<<31), interval("ns", 1e9), null(words(0, 0, 0, 0))}, pairs: [][2]int{{0, 2}, {0, 3}, {1, 2}, {2, 3}}, undo: deleteTimer},
	{nr: unix.SYS_TIMER_GETTIME, args: []arg{timer(), ptr(words(0, 0, 0, 0))}, pairs: [][2]int{{0, 1}}, undo: deleteTimer},
	{nr: unix.SYS_TIMER_GETOVERRUN, args: []arg{timer()}, undo: deleteTimer},
	{nr: unix.SYS_TIMER_DELETE, args: []arg{timer()}, undo: deleteTimer},
}
