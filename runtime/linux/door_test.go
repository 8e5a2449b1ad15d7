// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fakeFDs is the trap side's descriptor table.
var fakeFDs struct {
	sync.Mutex
	kind  [8192]uint8
	flags [8192]uint32
	edges [8192][]uint32
	level [8192]uint32
}

// arena is memory that stands for the goroutine's stack. It can be moved.
var arena struct {
	lo, hi uintptr
	keep   []byte
}

func arenaSet(b []byte) {
	arena.keep = b
	arena.lo = uintptr(unsafe.Pointer(&b[0]))
	arena.hi = arena.lo + uintptr(len(b))
}

// badPage is memory that exists but may be neither read nor written.
var badPage uintptr

func TestMain(m *testing.M) {
	if Valid(uintptr(unsafe.Pointer(&badPage)), 1, false) { // hvgo test: the hooks are plugged
		fmt.Println("skipping all tests: in a guest this package answers the test program's own system calls, and the tests put fakes in the place of its hooks")
		flag.Parse()
		if err := flag.Set("test.skip", "."); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	}
	page, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mmap:", err)
		os.Exit(1)
	}
	badPage = uintptr(unsafe.Pointer(unsafe.SliceData(page)))
	OnStack = func(a uintptr) bool { return a >= arena.lo && a < arena.hi }
	StackHi = func() uintptr { return arena.hi }
	Valid = func(addr, n uintptr, write bool) bool {
		return addr >= 4096 && addr+n < 1<<47 && (addr+n <= badPage || addr >= badPage+4096)
	}
	f := &fakeFDs
	AllocFD = func(kind uint8, flags uint32, min int) int {
		f.Lock()
		defer f.Unlock()
		for fd := min; fd < len(f.kind); fd++ {
			if f.kind[fd] == KindFree {
				f.kind[fd], f.flags[fd], f.edges[fd], f.level[fd] = kind, flags, nil, 0
				return fd
			}
		}
		return -int(syscall.EMFILE)
	}
	DupFD = func(fd int, flags uint32, min int) int {
		kind, _, _ := FDKind(fd)
		return AllocFD(kind, flags, min)
	}
	FreeFD = func(fd int) { f.Lock(); f.kind[fd] = KindFree; f.Unlock() }
	FDKind = func(fd int) (uint8, uint32, bool) {
		f.Lock()
		defer f.Unlock()
		if fd < 0 || fd >= len(f.kind) || f.kind[fd] == KindFree {
			return 0, 0, false
		}
		return f.kind[fd], f.flags[fd], true
	}
	NextFD = func(fd int) int {
		f.Lock()
		defer f.Unlock()
		for ; fd < len(f.kind) && f.kind[fd] == KindFree; fd++ {
		}
		return min(fd, FDLimit)
	}
	SetFDFlags = func(fd int, flags uint32) { f.Lock(); f.flags[fd] = flags; f.Unlock() }
	NotifyFD = func(fd int, ready uint32) {
		f.Lock()
		f.edges[fd], f.level[fd] = append(f.edges[fd], ready), ready
		if len(f.edges[fd]) > 100 {
			f.edges[fd] = f.edges[fd][50:]
		}
		f.Unlock()
	}
	LevelFD = func(fd int, ready uint32) { f.Lock(); f.level[fd] = ready; f.Unlock() }
	for range 3 {
		AllocFD(KindConsole, 0, 0)
	}
	Store = newMemStore()
	FilesChanged = func(pages int64) {
		select {
		case told <- pages:
		default: // nobody reads it
		}
	}
	RegisterNetwork(newFakeNetwork())
	os.Exit(m.Run())
}

// kernel is something that serves system calls: Linux, or Door.
type kernel struct {
	t    *testing.T
	name string
	raw  func(nr uintptr, a *[6]uintptr) uintptr
	dir  string // an empty directory
	log  []string
}

// onHost asks the kernel this test runs on.
func onHost(nr uintptr, a *[6]uintptr) uintptr {
	r, _, e := syscall.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return -uintptr(e)
	}
	return r
}

// call makes a system call. An argument is a number, a string (zero-terminated), a slice or a pointer.
func (k *kernel) call(nr uintptr, args ...any) (int, syscall.Errno) {
	var a [6]uintptr
	var keep []any
	for i, arg := range args {
		switch x := arg.(type) {
		case int:
			a[i] = uintptr(x)
		case uintptr:
			a[i] = x
		case string:
			b := append([]byte(x), 0)
			keep = append(keep, b)
			a[i] = uintptr(unsafe.Pointer(&b[0]))
		case []byte:
			keep = append(keep, x)
			a[i] = uintptr(unsafe.Pointer(unsafe.SliceData(x)))
		case unsafe.Pointer:
			keep = append(keep, x)
			a[i] = uintptr(x)
		case nil:
		default:
			k.t.Helper()
			k.t.Fatalf("argument of type %T", arg)
		}
	}
	r := int(k.raw(nr, &a))
	runtime.KeepAlive(keep)
	if r < 0 && r > -4096 {
		return 0, syscall.Errno(-r)
	}
	return r, 0
}

// note writes a line into the log that is compared.
func (k *kernel) note(format string, args ...any) {
	k.log = append(k.log, fmt.Sprintf(format, args...))
}

// do makes a call and notes what it gave.
func (k *kernel) do(what string, nr uintptr, args ...any) int {
	k.t.Helper()
	r, e := k.call(nr, args...)
	k.result(what, r, e)
	return r
}

func (k *kernel) result(what string, r int, e syscall.Errno) {
	if e != 0 {
		k.note("%s = %s", what, unix.ErrnoName(e))
		return
	}
	k.note("%s = %d", what, r)
}

// fd makes a call that must give a descriptor. It notes that, but not its number.
func (k *kernel) fd(what string, nr uintptr, args ...any) int {
	k.t.Helper()
	r, e := k.call(nr, args...)
	if e != 0 {
		k.t.Fatalf("%s: %s: %v", k.name, what, e)
	}
	k.note("%s is a descriptor", what)
	k.t.Cleanup(func() { k.call(unix.SYS_CLOSE, r) })
	return r
}

// open opens a file of the test directory.
func (k *kernel) open(name string, flags int) int {
	k.t.Helper()
	return k.fd("open "+name, unix.SYS_OPENAT, unix.AT_FDCWD, k.path(name), flags, 0o644)
}

func (k *kernel) path(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return k.dir + "/" + name
}

// conformed counts the comparisons made, to give each a directory of its own.
var conformed int

// conform runs the same calls on Linux and through the door, and compares what was noted.
func conform(t *testing.T, script func(k *kernel)) {
	t.Helper()
	logs := make([][]string, 2)
	conformed++
	ours := fmt.Sprintf("/tmp/%d-%s", conformed, strings.ReplaceAll(t.Name(), "/", "_"))
	for i, k := range []*kernel{
		{name: "linux", raw: onHost, dir: filepath.Clean(t.TempDir())},
		{name: "door", raw: Door, dir: ours},
	} {
		t.Run(k.name, func(t *testing.T) {
			k.t = t
			if k.name == "door" {
				k.call(unix.SYS_MKDIR, k.dir, 0o755)
			}
			script(k)
			logs[i] = k.log
		})
	}
	for i := range max(len(logs[0]), len(logs[1])) {
		var want, got string
		if i < len(logs[0]) {
			want = logs[0][i]
		}
		if i < len(logs[1]) {
			got = logs[1][i]
		}
		if want != got {
			t.Errorf("line %d:\n linux %s\n door  %s", i, want, got)
		}
	}
}
