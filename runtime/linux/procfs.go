// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxBacklog is /proc/sys/net/core/somaxconn.
const maxBacklog = 4096

// registerProc makes the files of /proc and /sys that Go programs read. boot registers over them what it
// knows better (/proc/self/maps, /proc/self/auxv, /proc/cpuinfo).
func registerProc() {
	for path, text := range map[string]func() string{
		"/proc/version":                   func() string { return "Linux version " + Release + " (" + runtime.Version() + ") " + version + "\n" },
		"/proc/uptime":                    procUptime,
		"/proc/loadavg":                   func() string { return "0.00 0.00 0.00 1/1 1\n" },
		"/proc/meminfo":                   procMeminfo,
		"/proc/stat":                      procStat,
		"/proc/cpuinfo":                   procCPUInfo,
		"/proc/mounts":                    procMounts,
		"/proc/filesystems":               func() string { return "nodev\tsysfs\nnodev\tproc\nnodev\ttmpfs\n" },
		"/proc/1/cmdline":                 func() string { return strings.Join(os.Args, "\x00") + "\x00" },
		"/proc/1/comm":                    func() string { return taskName(thePID) + "\n" },
		"/proc/1/environ":                 func() string { return strings.Join(os.Environ(), "\x00") + "\x00" },
		"/proc/1/status":                  func() string { return procStatus(thePID) },
		"/proc/1/stat":                    procSelfStat,
		"/proc/1/statm":                   procStatm,
		"/proc/1/maps":                    empty,
		"/proc/1/auxv":                    empty,
		"/proc/1/limits":                  procLimits,
		"/proc/1/mounts":                  procMounts,
		"/proc/1/mountinfo":               procMountinfo,
		"/proc/1/cgroup":                  func() string { return "0::/\n" },
		"/proc/1/oom_score_adj":           func() string { return "0\n" },
		"/proc/sys/net/core/somaxconn":    func() string { return strconv.Itoa(maxBacklog) + "\n" },
		"/proc/sys/kernel/hostname":       func() string { return Hostname() + "\n" },
		"/proc/sys/kernel/ostype":         func() string { return "Linux\n" },
		"/proc/sys/kernel/osrelease":      func() string { return Release + "\n" },
		"/proc/sys/kernel/pid_max":        func() string { return "32768\n" },
		"/proc/sys/fs/file-max":           func() string { return strconv.Itoa(FDLimit) + "\n" },
		"/proc/sys/fs/nr_open":            func() string { return strconv.Itoa(FDLimit) + "\n" },
		"/proc/sys/fs/pipe-max-size":      func() string { return strconv.Itoa(pipeMaxSize) + "\n" },
		"/proc/sys/vm/overcommit_memory":  func() string { return "1\n" },
		"/sys/devices/system/cpu/online":  cpuRange,
		"/sys/devices/system/cpu/present": cpuRange,
		"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size": func() string { return "2097152\n" },
		"/sys/kernel/mm/transparent_hugepage/enabled":        func() string { return "always madvise [never]\n" },
	} {
		RegisterText(path, text)
	}
	registerProcNet()
	RegisterLink("/proc/self", "1")
	RegisterLink("/proc/1/exe", "/init")
	RegisterLink("/proc/1/cwd", ".") // replaced below: it has to be read each time
	tree.root.child("proc").child("1").child("cwd").link = procCwd
	RegisterLink("/proc/1/root", "/")
	fd := newInode(&procFS, syscall.S_IFDIR|0o500)
	fd.list, fd.lookup = procFDs, procFDNamed
	register("/proc/1/fd", fd)
	registerTasks()
}

func empty() string { return "" }

func cpuRange() string {
	if n := CPUs(); n > 1 {
		return fmt.Sprintf("0-%d\n", n-1)
	}
	return "0\n"
}

func commandName() string {
	name := "init"
	if len(os.Args) > 0 {
		name = os.Args[0][strings.LastIndexByte(os.Args[0], '/')+1:]
	}
	return name[:min(len(name), 15)]
}

func procUptime() string {
	user, system, _ := CPUTime()
	up := Uptime()
	idle := max(0, up*time.Duration(CPUs())-user-system)
	return fmt.Sprintf("%.2f %.2f\n", up.Seconds(), idle.Seconds())
}

func procMeminfo() string {
	total, free := Memory()
	pages, _ := Store.Usage()
	used := uint64(pages) * tmpPage
	var b strings.Builder
	for _, l := range []struct {
		name  string
		bytes uint64
	}{
		{"MemTotal", total}, {"MemFree", free}, {"MemAvailable", free}, {"Buffers", 0}, {"Cached", used},
		{"SwapTotal", 0}, {"SwapFree", 0}, {"Shmem", used},
	} {
		fmt.Fprintf(&b, "%-15s %8d kB\n", l.name+":", l.bytes>>10)
	}
	return b.String()
}

func procStat() string {
	user, system, _ := CPUTime()
	up := Uptime()
	idle := max(0, up*time.Duration(CPUs())-user-system)
	line := fmt.Sprintf(" %d 0 %d %d 0 0 0 0 0 0\n", user/clockTick, system/clockTick, idle/clockTick)
	return "cpu " + line + fmt.Sprintf("btime %d\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n", time.Now().Add(-up).Unix())
}

func procCPUInfo() string {
	var b strings.Builder
	for i := range CPUs() {
		fmt.Fprintf(&b, "processor\t: %d\nphysical id\t: 0\nsiblings\t: %d\ncore id\t\t: %d\ncpu cores\t: %d\n\n", i, CPUs(), i, CPUs())
	}
	return b.String()
}

func procMounts() string {
	return "tmpfs / tmpfs rw 0 0\nproc /proc proc ro 0 0\nsysfs /sys sysfs ro 0 0\n"
}

func procMountinfo() string {
	return "1 0 0:1 / / rw - tmpfs tmpfs rw\n2 1 0:5 / /proc ro - proc proc ro\n3 1 0:6 / /sys ro - sysfs sysfs ro\n"
}

// procSelfStat is /proc/self/stat (proc(5)): 52 fields, zero where there is nothing to tell.
func procSelfStat() string {
	user, system, rss := CPUTime()
	fields := make([]string, 52)
	for i := range fields {
		fields[i] = "0"
	}
	fields[0], fields[1], fields[2] = "1", "("+commandName()+")", "R"
	fields[4], fields[5] = "1", "1"
	fields[13] = strconv.FormatInt(int64(user/clockTick), 10)
	fields[14] = strconv.FormatInt(int64(system/clockTick), 10)
	fields[19] = strconv.Itoa(Threads())
	fields[22] = strconv.FormatUint(rss, 10)
	fields[23] = strconv.FormatUint(rss/tmpPage, 10)
	return strings.Join(fields, " ") + "\n"
}

func procStatm() string {
	_, _, rss := CPUTime()
	return fmt.Sprintf("%d %d 0 0 0 0 0\n", rss/tmpPage, rss/tmpPage)
}

func procLimits() string {
	const row = "%-25s %-20v %-20v %-10s\n"
	soft, hard := limits.get(unix.RLIMIT_NOFILE)
	return fmt.Sprintf(row, "Limit", "Soft Limit", "Hard Limit", "Units") +
		fmt.Sprintf(row, "Max open files", soft, hard, "files")
}

// procCwd runs inside the tree's lock.
func procCwd() string {
	if path := tree.cwd.pathOf(); path != "" {
		return path
	}
	return "(deleted)"
}

// procFDs lists /proc/self/fd. It and procFD run inside the tree's lock, and so call nothing that takes it.
func procFDs() map[string]*inode {
	kids := make(map[string]*inode)
	for fd := range FDLimit {
		if n := procFD(fd); n != nil {
			kids[strconv.Itoa(fd)] = n
		}
	}
	return kids
}

// procFDNamed finds a name in /proc/self/fd.
func procFDNamed(name string) *inode {
	fd, err := strconv.Atoi(name)
	if err != nil || strconv.Itoa(fd) != name {
		return nil
	}
	return procFD(fd)
}

// procFD is the link for a descriptor; nil when it is not open.
func procFD(fd int) *inode {
	kind, _, ok := FDKind(fd)
	if !ok || fd >= FDLimit {
		return nil
	}
	var d *description
	files.mu.RLock()
	switch {
	case kind == KindDoor && fd < len(files.byFD):
		d = files.byFD[fd]
	case int(kind) < len(trapFiles):
		d = trapFiles[kind]
	}
	files.mu.RUnlock()
	if d == nil {
		return nil
	}
	n := &inode{fs: &procFS, ino: 1<<32 + uint64(fd), mode: syscall.S_IFLNK | 0o700, nlink: 1}
	deleted := d.node != nil && d.node.nlink == 0 && kind == KindDoor
	n.link = func() string { return d.target(deleted) }
	n.jump = func() *description { return d }
	return n
}

// target is what /proc/self/fd says of a descriptor.
func (d *description) target(deleted bool) string {
	switch s := d.stream.(type) {
	case *pipeEnd:
		if s.node.fs == &pipeFS {
			return fmt.Sprintf("pipe:[%d]", s.node.ino)
		}
	case *socket:
		return fmt.Sprintf("socket:[%d]", s.ino)
	}
	if deleted {
		return d.path + " (deleted)"
	}
	return d.path
}
