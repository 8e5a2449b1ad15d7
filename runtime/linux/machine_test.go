// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// readAll reads a file as os.ReadFile does.
func (k *kernel) readAll(path string) (string, syscall.Errno) {
	fd, e := k.call(unix.SYS_OPENAT, unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if e != 0 {
		return "", e
	}
	defer k.call(unix.SYS_CLOSE, fd)
	var all []byte
	b := make([]byte, 512)
	for {
		n, e := k.call(unix.SYS_READ, fd, b, len(b))
		if n == 0 || e != 0 {
			return string(all), e
		}
		all = append(all, b[:n]...)
	}
}

func TestTextFiles(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door}
	RegisterText("/proc/self/maps", func() string { return "0-1 r--p\n" })
	RegisterText("/etc/resolv.conf", func() string { return "nameserver 10.0.2.3\n" })
	for path, want := range map[string]string{
		"/proc/sys/net/core/somaxconn":   "4096\n",
		"/proc/self/maps":                "0-1 r--p\n",
		"/proc/1/maps":                   "0-1 r--p\n",
		"/etc/resolv.conf":               "nameserver 10.0.2.3\n",
		"/etc/hostname":                  "hvgo\n",
		"/sys/devices/system/cpu/online": "0\n",
		"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size": "2097152\n",
		"/proc/self/cgroup": "0::/\n",
	} {
		if got, e := k.readAll(path); got != want || e != 0 {
			t.Errorf("%s = %q, %v, want %q", path, got, e, want)
		}
	}
	for _, path := range []string{"version", "uptime", "loadavg", "meminfo", "stat", "cpuinfo", "mounts", "self/status",
		"self/stat", "self/statm", "self/limits", "self/mountinfo", "self/cmdline"} {
		if got, e := k.readAll("/proc/" + path); len(got) < 5 || e != 0 {
			t.Errorf("/proc/%s = %q, %v", path, got, e)
		}
	}
	if f := strings.Fields(must(k.readAll("/proc/self/stat"))); len(f) != 52 {
		t.Errorf("/proc/self/stat has %d fields, want 52 (proc(5))", len(f))
	}
	for _, path := range []string{"/etc/localtime", "/etc/mime.types", "/etc/none"} {
		if _, e := k.readAll(path); e != syscall.ENOENT {
			t.Errorf("%s: %v, want ENOENT", path, e)
		}
	}
	for what, e := range map[string]syscall.Errno{
		"create":  errnoFrom(k.call(unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/new", unix.O_CREAT|unix.O_RDWR, 0o644)),
		"write":   errnoFrom(k.call(unix.SYS_OPENAT, unix.AT_FDCWD, "/etc/hosts", unix.O_WRONLY, 0)),
		"mkdir":   errnoFrom(k.call(unix.SYS_MKDIRAT, unix.AT_FDCWD, "/sys/new", 0o755)),
		"unlink":  errnoFrom(k.call(unix.SYS_UNLINKAT, unix.AT_FDCWD, "/proc/version", 0)),
		"rename":  errnoFrom(k.call(unix.SYS_RENAMEAT, unix.AT_FDCWD, "/proc/version", unix.AT_FDCWD, "/proc/x")),
		"chmod":   errnoFrom(k.call(unix.SYS_FCHMODAT, unix.AT_FDCWD, "/proc/version", 0)),
		"symlink": errnoFrom(k.call(unix.SYS_SYMLINKAT, "x", unix.AT_FDCWD, "/sys/y")),
	} {
		if e != syscall.EROFS {
			t.Errorf("%s in /proc or /sys: %v, want EROFS", what, e)
		}
	}
	for what, e := range map[string]syscall.Errno{
		"unlink /proc": errnoFrom(k.call(unix.SYS_UNLINKAT, unix.AT_FDCWD, "/proc", unix.AT_REMOVEDIR)),
		"rename /sys":  errnoFrom(k.call(unix.SYS_RENAMEAT, unix.AT_FDCWD, "/sys", unix.AT_FDCWD, "/x")),
		"rename to":    errnoFrom(k.call(unix.SYS_RENAMEAT, unix.AT_FDCWD, "/run", unix.AT_FDCWD, "/sys")),
	} {
		if e != syscall.EBUSY {
			t.Errorf("%s: %v, want EBUSY", what, e)
		}
	}
	if fd, e := k.call(unix.SYS_OPENAT, unix.AT_FDCWD, "/usr/local/new", unix.O_CREAT|unix.O_RDWR, 0o644); e != 0 {
		t.Errorf("a new file outside /tmp: %v", e)
	} else {
		k.call(unix.SYS_CLOSE, fd)
		k.call(unix.SYS_UNLINKAT, unix.AT_FDCWD, "/usr/local/new", 0)
	}
}

func must(s string, _ syscall.Errno) string          { return s }
func errnoFrom(_ int, e syscall.Errno) syscall.Errno { return e }

func TestProcFD(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door, dir: "/tmp"}
	fd := k.open("procfd", unix.O_CREAT|unix.O_RDWR)
	b := make([]byte, 200)
	n, e := k.call(unix.SYS_READLINKAT, unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), b, 200)
	if string(b[:n]) != "/tmp/procfd" || e != 0 {
		t.Errorf("readlink = %q, %v", b[:n], e)
	}
	if got, e := k.call(unix.SYS_OPENAT, unix.AT_FDCWD, "/dev/stdout", unix.O_WRONLY, 0); e != 0 || fakeFDs.kind[got] != KindConsole {
		t.Errorf("open of /dev/stdout = %d, %v, want a descriptor of the console", got, e)
	} else {
		k.call(unix.SYS_CLOSE, got)
	}
	if n, e := k.call(unix.SYS_CHDIR, "/proc/self/fd"); e != 0 {
		t.Errorf("chdir = %d, %v", n, e)
	}
	defer k.call(unix.SYS_CHDIR, "/")
	if n, e = k.call(unix.SYS_GETCWD, b, 200); string(b[:n]) != "/proc/1/fd\x00" {
		t.Errorf("getcwd = %q, %v", b[:n], e)
	}
}

// What the trap leaf serves can still be asked for its state here.
func TestTrapFiles(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door}
	b := make([]byte, 144)
	if _, e := k.call(unix.SYS_FSTAT, 1, b); e != 0 || le.Uint32(b[24:])&syscall.S_IFMT != syscall.S_IFCHR {
		t.Errorf("fstat of the console: %v, mode %o", e, le.Uint32(b[24:]))
	}
	for what, got := range map[string][2]syscall.Errno{
		"lseek":      {errnoFrom(k.call(unix.SYS_LSEEK, 1, 0, 0)), syscall.ESPIPE},
		"pwrite":     {errnoFrom(k.call(unix.SYS_PWRITE64, 1, b, 1, 0)), syscall.ESPIPE},
		"TCGETS":     {errnoFrom(k.call(unix.SYS_IOCTL, 1, unix.TCGETS, b)), syscall.ENOTTY},
		"fsync":      {errnoFrom(k.call(unix.SYS_FSYNC, 1)), syscall.EINVAL},
		"getsockopt": {errnoFrom(k.call(unix.SYS_GETSOCKOPT, 1, 1, 1, b, b)), syscall.ENOTSOCK},
	} {
		if got[0] != got[1] {
			t.Errorf("%s of the console: %v, want %v", what, got[0], got[1])
		}
	}
}

func TestTmpLimit(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door, dir: "/tmp"}
	before, limit := usedBytes()
	SetTmpLimit(before + 64<<10)
	defer SetTmpLimit(limit)
	fd := k.open("limit", unix.O_CREAT|unix.O_RDWR)
	big := bytes.Repeat([]byte("x"), 100<<10)
	if n, e := k.call(unix.SYS_WRITE, fd, big, len(big)); n != 64<<10 || e != 0 {
		t.Errorf("write = %d, %v, want what there was room for", n, e)
	}
	if _, e := k.call(unix.SYS_WRITE, fd, big, 1); e != syscall.ENOSPC {
		t.Errorf("write to a full file system: %v, want ENOSPC", e)
	}
	if _, e := k.call(unix.SYS_FTRUNCATE, fd, 1<<39); e != 0 {
		t.Errorf("a hole takes no room: %v", e)
	}
	k.call(unix.SYS_UNLINKAT, unix.AT_FDCWD, "/tmp/limit", 0)
	if used, _ := usedBytes(); used == before {
		t.Error("an open file lost its data with its name")
	}
	k.call(unix.SYS_CLOSE, fd)
	if used, _ := usedBytes(); used != before {
		t.Errorf("%d bytes in use after the file has gone, %d before", used, before)
	}
}

func TestDescriptorsRunOut(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door}
	var fds []int
	var last syscall.Errno
	for len(fds) < 2*FDLimit {
		fd, e := k.call(unix.SYS_OPENAT, unix.AT_FDCWD, "/dev/null", 0, 0)
		if last = e; e != 0 {
			break
		}
		fds = append(fds, fd)
	}
	if last != syscall.EMFILE {
		t.Errorf("open with no descriptor free: %v, want EMFILE", last)
	}
	k.call(unix.SYS_CLOSE_RANGE, fds[0], -1, 0)
	if fd, e := k.call(unix.SYS_OPENAT, unix.AT_FDCWD, "/dev/null", 0, 0); fd != fds[0] || e != 0 {
		t.Errorf("open after close_range = %d, %v, want the lowest, %d", fd, e, fds[0])
	} else {
		k.call(unix.SYS_CLOSE, fd)
	}
}

func TestRandom(t *testing.T) {
	reset := func() { clear(random.key[:]); random.seeded, random.since, random.left = false, 0, 0 }
	reset()
	k := &kernel{t: t, name: "door", raw: Door}
	b := make([]byte, 64)
	ask := func(flags int) syscall.Errno { return errnoFrom(k.call(unix.SYS_GETRANDOM, b, 64, flags)) }
	if ask(0) != syscall.EIO || ask(unix.GRND_NONBLOCK) != syscall.EAGAIN || ask(unix.GRND_INSECURE) == 0 {
		t.Error("random bytes before there was a seed")
	}
	SeedRandom(make([]byte, MinSeed-1))
	if _, e := k.readAll("/dev/urandom"); ask(0) == 0 || e != syscall.EIO || slices.Max(b) != 0 {
		t.Error("random bytes from a seed that is too short")
	}
	take := func() []byte {
		if e := ask(0); e != 0 {
			t.Fatal(e)
		}
		return bytes.Clone(b)
	}
	reset()
	SeedRandom(bytes.Repeat([]byte{1}, MinSeed))
	first, second := take(), take()
	reset()
	SeedRandom(bytes.Repeat([]byte{2}, MinSeed))
	other := take()
	reset()
	SeedRandom(bytes.Repeat([]byte{1}, MinSeed))
	if !bytes.Equal(take(), first) || bytes.Equal(first, second) || bytes.Equal(first, other) {
		t.Error("the stream does not follow from the seed alone")
	}
	asked := 0
	defer func(f func([]byte) bool) { Reseed = f }(Reseed)
	Reseed = func(b []byte) bool { asked++; b[0]++; return true }
	big := make([]byte, reseedEvery+1)
	k.call(unix.SYS_GETRANDOM, big, len(big), 0)
	if asked != 1 || bytes.Equal(take(), second) {
		t.Errorf("hardware asked %d times after %d bytes, want once", asked, len(big))
	}
	if bytes.Contains(big, random.key[:]) {
		t.Error("the key was handed out")
	}
	SeedRandom(nil) // empties the pool
	var all []byte
	for len(all) < 3*len(random.pool) { // some requests go over the end of a pool
		b = b[:min(len(all)%61+1, cap(b))]
		k.call(unix.SYS_GETRANDOM, b, len(b), 0)
		all = append(all, b...)
		if used := random.pool[:len(random.pool)-random.left]; bytes.Contains(random.pool[:], b) && len(b) > 8 || bytes.Count(used, []byte{0}) != len(used) {
			t.Fatal("the pool keeps what was handed out")
		}
	}
	seen := map[[8]byte]bool{}
	for piece := range slices.Chunk(all[:len(all)&^7], 8) {
		if seen[[8]byte(piece)] {
			t.Fatal("the same bytes were handed out twice")
		}
		seen[[8]byte(piece)] = true
	}
	key := make([]byte, 32)
	arenaSet(key)
	if n := testing.AllocsPerRun(100, func() {
		clear(key)
		if n := Door(unix.SYS_GETRANDOM, &[6]uintptr{arena.lo, 32}); n != 32 || slices.Max(key) == 0 {
			t.Errorf("%d bytes: %x", n, key)
		}
	}); n != 0 {
		t.Errorf("a request from the stack makes %v objects", n)
	}
}

func TestTable(t *testing.T) {
	for nr, leaf := range Leaf {
		if leaf != LeafNone && CallName[nr] == "" {
			t.Errorf("call %d is served and has no name", nr)
		}
	}
	const header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
	text, err := os.ReadFile(header)
	if err != nil {
		t.Skipf("no second source of the numbers: %v", err)
	}
	for _, m := range regexp.MustCompile(`__NR_(\w+) (\d+)`).FindAllStringSubmatch(string(text), -1) {
		if nr, _ := strconv.Atoi(m[2]); nr < MaxCall && CallName[nr] != m[1] {
			t.Errorf("call %d is %q, in %s it is %q", nr, CallName[nr], header, m[1])
		}
	}
}

// Every call that the table sends through the door is served there, and no other.
func TestDoorServesItsLeaf(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.DiscardHandler))
	k := &kernel{t: t, name: "door", raw: Door}
	for nr, leaf := range Leaf {
		_, e := k.call(uintptr(nr), -1, badPage, badPage, badPage, badPage, badPage)
		door := leaf == LeafDoor || leaf == LeafByFD || leaf == LeafByArgs
		if nr == unix.SYS_EXIT_GROUP {
			door = false // runtime/trap serves it before it would come here
		}
		if door == (e == syscall.ENOSYS) {
			t.Errorf("%s (%d): leaf %d, answer %v", CallName[nr], nr, leaf, e)
		}
	}
	umask.Store(0o022)
}

// Package os learns from epoll_ctl's EPERM that a file needs no poller.
func TestFilesAreNotPollable(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door}
	fd := k.open("/etc/hosts", unix.O_RDONLY)
	k.call(unix.SYS_FCNTL, fd, unix.F_SETFD, unix.FD_CLOEXEC)
	if _, ok := Ready(fd); ok || fakeFDs.flags[fd] != NotPollable|unix.O_CLOEXEC {
		t.Errorf("flags %#x, want NotPollable and O_CLOEXEC", fakeFDs.flags[fd])
	}
	if _, ok := Ready(badFD); ok {
		t.Error("a free descriptor is ready")
	}
}

// told is what FilesChanged was told.
var told = make(chan int64, 100)

// TestFilesChanged is that whoever sets the collector's limit learns how much files hold, at last.
func TestFilesChanged(t *testing.T) {
	_, limit := Store.Usage()
	k := &kernel{t: t, name: "door", raw: Door, dir: "/tmp"}
	fd := k.open("changed", unix.O_CREAT|unix.O_RDWR)
	big := make([]byte, limit/8*tmpPage)
	if n, e := k.call(unix.SYS_WRITE, fd, big, len(big)); n != len(big) || e != 0 {
		t.Fatalf("write = %d, %v", n, e)
	}
	for <-told < limit/8 {
	}
	k.call(unix.SYS_UNLINKAT, unix.AT_FDCWD, "/tmp/changed", 0)
	k.call(unix.SYS_CLOSE, fd)
	for <-told > limit/16 {
	}
}
