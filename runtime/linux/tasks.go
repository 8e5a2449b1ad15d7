// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// Task is a thread of the program, as /proc shows it.
type Task struct {
	ID                                int
	Name                              string
	UID, GID                          [4]uint32 // real, effective, saved, of file systems
	Groups                            []uint32
	Effective, Permitted, Inheritable uint64 // capabilities
	NoNewPrivs                        bool
}

// registerTasks makes /proc/1/task, and /proc/N of each thread, which can be opened but is not listed
// (proc(5)).
func registerTasks() {
	dir := newInode(&procFS, syscall.S_IFDIR|0o555)
	dir.list = func() map[string]*inode {
		kids := make(map[string]*inode)
		for _, t := range Tasks() {
			kids[strconv.Itoa(t.ID)] = taskDir(dir, t.ID)
		}
		return kids
	}
	dir.lookup = func(name string) *inode { return taskNamed(dir, name) }
	register("/proc/1/task", dir)
	proc := tree.root.child("proc")
	proc.lookup = func(name string) *inode {
		if name == strconv.Itoa(thePID) {
			return nil // in kids
		}
		return taskNamed(proc, name)
	}
}

func taskNamed(parent *inode, name string) *inode {
	id, err := strconv.Atoi(name)
	if err != nil || strconv.Itoa(id) != name {
		return nil
	}
	if _, ok := taskByID(id); !ok {
		return nil
	}
	return taskDir(parent, id)
}

func taskByID(id int) (Task, bool) {
	for _, t := range Tasks() {
		if t.ID == id {
			return t, true
		}
	}
	return Task{}, false
}

// taskName is a thread's name; that of the program for one that has ended.
func taskName(id int) string {
	if t, ok := taskByID(id); ok {
		return t.Name
	}
	return commandName()
}

// taskDir is the directory of a thread.
func taskDir(parent *inode, id int) *inode {
	dir := newInode(&procFS, syscall.S_IFDIR|0o555)
	dir.ino = 1<<33 + uint64(id)*16
	dir.parent, dir.name = parent, strconv.Itoa(id)
	for i, f := range []struct {
		name string
		text func() string
	}{
		{"comm", func() string { return taskName(id) + "\n" }},
		{"status", func() string { return procStatus(id) }},
		{"stat", procSelfStat},
	} {
		n := newInode(&procFS, syscall.S_IFREG|0o444)
		n.ino = dir.ino + uint64(i) + 1
		n.text = f.text
		dir.kids[f.name] = entry{n, int64(i + 1)}
	}
	return dir
}

// procStatus is the status of a thread (proc_pid_status(5)).
func procStatus(id int) string {
	t, _ := taskByID(id)
	_, _, rss := CPUTime()
	var b strings.Builder
	fmt.Fprintf(&b, "Name:\t%s\nUmask:\t%04o\nState:\tR (running)\nTgid:\t%d\nPid:\t%d\nPPid:\t0\n", taskName(id), umask.Load(), thePID, id)
	for _, l := range []struct {
		name string
		ids  [4]uint32
	}{{"Uid", t.UID}, {"Gid", t.GID}} {
		fmt.Fprintf(&b, "%s:\t%d\t%d\t%d\t%d\n", l.name, l.ids[0], l.ids[1], l.ids[2], l.ids[3])
	}
	b.WriteString("Groups:\t")
	for _, g := range t.Groups {
		fmt.Fprintf(&b, "%d ", g)
	}
	newPrivs := 0
	if t.NoNewPrivs {
		newPrivs = 1
	}
	fmt.Fprintf(&b, "\nVmHWM:\t%8d kB\nVmRSS:\t%8d kB\nThreads:\t%d\nCapInh:\t%016x\nCapPrm:\t%016x\nCapEff:\t%016x\nNoNewPrivs:\t%d\nCpus_allowed_list:\t%s",
		rss>>10, rss>>10, Threads(), t.Inheritable, t.Permitted, t.Effective, newPrivs, cpuRange())
	return b.String()
}
