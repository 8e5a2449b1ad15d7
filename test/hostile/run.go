// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What a call's result is, when it is no error.
type result int

const (
	exact   result = iota // the number
	descr                 // a descriptor, which is closed
	address               // the address of memory, which is unmapped
	some                  // any number
)

// call is a call with what is right for it. Each is made with the right arguments,
// and with one wrong; with two where pairs names them.
type call struct {
	name   string // where it is not the system call's
	nr     uintptr
	args   []arg
	pairs  [][2]int
	result result
	files  bool // it may change files when it succeeds, or fails with EFAULT on the way
	memory bool // it may change mappings
	undo   func(s *state)
}

// state is what one call needs.
type state struct {
	dir   string
	open  []int // descriptors, in the order in which they were made
	timer uintptr

	files, memory bool // they are as prepareFiles and build make them
}

// poller keeps descriptors open, which the garbage collector would close.
var poller []*os.File

// firstFree is the lowest descriptor that is free between calls.
var firstFree int

// choice is the wrong value that an argument has, -1 for the right one.
type choice [6]int

var right = choice{-1, -1, -1, -1, -1, -1}

// choices are all the ways in which a call is made.
func (c *call) choices() []choice {
	all := []choice{right}
	for i, a := range c.args {
		for w := range a.wrong {
			one := right
			one[i] = w
			all = append(all, one)
		}
	}
	for _, p := range c.pairs {
		all = append(all, c.both(p[0], p[1])...)
	}
	return all
}

// PerPair bounds the choices with the same two arguments wrong. Answers can only be
// compared with those of the same bound.
var PerPair = 60

// both are choices with two arguments wrong: not all, but spread over all.
func (c *call) both(i, k int) (all []choice) {
	n, m := len(c.args[i].wrong), len(c.args[k].wrong)
	if PerPair == 0 {
		return nil
	}
	step := max(1, n*m/PerPair)
	for step > 1 && (n%step == 0 || m%step == 0) {
		step++ // else it would be the same columns again and again
	}
	for at := 0; at < n*m; at += step {
		two := right
		two[i], two[k] = at/m, at%m
		all = append(all, two)
	}
	return all
}

// Every, if it is more than 1, leaves most wrong calls out: of each Every-th the answer
// is given. What is right is always called.
var Every = 1

// leftOut is the answer of a call that was not made.
const leftOut = "-"

// made says whether the k-th choice of calls[i] is made.
func made(i, k int) bool { return k == 0 || (i+k)%max(Every, 1) == 0 }

func (c *call) value(i int, ch choice) value {
	if ch[i] < 0 {
		return c.args[i].right
	}
	return c.args[i].wrong[ch[i]]
}

// describe is the call as a person reads it.
func (c *call) describe(ch choice) string {
	var names []string
	for i := range c.args {
		names = append(names, c.value(i, ch).name)
	}
	return c.name + "(" + strings.Join(names, ", ") + ")"
}

// Run makes all calls in dir, which must be empty, and writes to w what
// [Parse] reads.
func Run(w io.Writer, dir string) error {
	runtime.LockOSThread() // masks, alternate stacks and timers are the thread's
	defer runtime.UnlockOSThread()
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := build(); err != nil {
		return err
	}
	if err := quiet(); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "\nhostile: begin %d\n", os.Getpid())
	s := &state{dir: dir}
	for i := range calls {
		if err := s.prepareFiles(); err != nil {
			return err
		}
		s.all(out, i)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "hostile: end\n")
	return out.Flush()
}

// perLine is how many different answers a line has.
const perLine = 40

// all makes one call, calls[n], in all ways. Equal answers in a row are one, with their
// number behind a *: a guest's console is slow.
func (s *state) all(w io.Writer, n int) {
	c := &calls[n]
	var answers []string
	for i, ch := range c.choices() {
		answer := leftOut
		if made(n, i) {
			answer = s.one(c, ch)
		}
		answers = append(answers, answer)
	}
	for written := 0; len(answers) > 0; written++ {
		if written%perLine == 0 {
			if written > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "hostile: %s:", c.name)
		}
		equal := 1
		for equal < len(answers) && answers[equal] == answers[0] {
			equal++
		}
		fmt.Fprintf(w, " %s", answers[0])
		if equal > 1 {
			fmt.Fprintf(w, "*%d", equal)
		}
		answers = answers[equal:]
	}
	fmt.Fprintln(w)
}

// one makes a call, and undoes what it did.
func (s *state) one(c *call, ch choice) string {
	if !s.memory {
		if err := build(); err != nil {
			return "broken"
		}
		s.memory = true
	}
	if !s.files {
		if err := s.prepareFiles(); err != nil {
			return "broken"
		}
	}
	defer s.clean(c)
	var a [6]uintptr
	for i := range c.args {
		v, ok := c.value(i, ch).get(s, arena+uintptr(i)*slotBytes)
		if !ok {
			return "skip"
		}
		a[i] = v
	}
	r, e := makeCall(c.nr, a)
	s.changed(c, e)
	if e != 0 {
		if name := unix.ErrnoName(e); name != "" {
			return name
		}
		return "errno=" + strconv.Itoa(int(e))
	}
	return s.success(c, a, r)
}

// changed notes what has to be made anew. To do so always would take most of the time.
func (s *state) changed(c *call, e unix.Errno) {
	if c.files && (e == 0 || e == unix.EFAULT) {
		s.files = false
	}
	if c.memory && e != unix.EINVAL && e != unix.EBADF { // others may come when a part is done
		s.memory = false
	}
}

func (s *state) success(c *call, a [6]uintptr, r uintptr) string {
	switch c.result {
	case address:
		n := a[1]
		if c.nr == unix.SYS_MREMAP {
			n = a[2]
		}
		if r < arena || r >= arenaEnd {
			makeCall(unix.SYS_MUNMAP, [6]uintptr{r, n})
		}
		return "ok"
	case descr, some:
		return "ok"
	}
	return "=" + strconv.FormatUint(uint64(r), 10)
}

func (s *state) clean(c *call) {
	if c.undo != nil {
		c.undo(s)
	}
	makeCall(unix.SYS_CLOSE_RANGE, [6]uintptr{uintptr(firstFree), 1<<32 - 1})
	s.open = s.open[:0]
}

// quiet brings the process into a state that calls are made in: the thread gets no
// signals, and nothing but calls makes descriptors.
func quiet() error {
	store(data, words(1<<64-1))
	if _, e := makeCall(unix.SYS_RT_SIGPROCMASK, [6]uintptr{unix.SIG_BLOCK, data, 0, 8}); e != 0 {
		return e
	}
	if _, e := makeCall(unix.SYS_SIGALTSTACK, [6]uintptr{0, data}); e != 0 {
		return e
	}
	altStack = append([]byte(nil), bytesAt(data, 24)...)
	unix.Umask(0o022)
	resetLimit(nil)
	// Kept open: the Go runtime's poller, which this brings to life, has the descriptors behind it.
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	poller = append(poller, r, w)
	if firstFree, err = unix.Eventfd(0, 0); err != nil {
		return err
	}
	// What the process was started with is in the way, too.
	if _, e := makeCall(unix.SYS_CLOSE_RANGE, [6]uintptr{uintptr(firstFree), 1<<32 - 1}); e != 0 {
		return e
	}
	return nil
}

// makeCall is the system call, with the thread's signals masked.
func makeCall(nr uintptr, a [6]uintptr) (uintptr, unix.Errno) {
	r, _, e := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	return r, e
}
