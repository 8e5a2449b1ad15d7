// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import "golang.org/x/sys/unix"

var machineCalls = []call{
	{nr: unix.SYS_GETRANDOM, args: []arg{ptr(sixteenBytes), num(16, 0, 1, -1<<63, 1<<47), flags(0)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_UNAME, args: []arg{ptr(make([]byte, 390))}},
	{nr: unix.SYS_SYSINFO, args: []arg{ptr(make([]byte, 112))}},
	{nr: unix.SYS_TIMES, args: []arg{ptr(words(0, 0, 0, 0))}, result: some},
	{nr: unix.SYS_GETRUSAGE, args: []arg{num(0, 1, -1, 2, -2, 1<<31, 1<<32), ptr(make([]byte, 144))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_GETRLIMIT, args: []arg{num(7, 0, 15, 16, -1, 1<<31, 1<<32+7), ptr(words(0, 0))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_SETRLIMIT, args: []arg{num(unix.RLIMIT_NOFILE, 16, -1, 1<<31, 1<<32+7), limits()}, pairs: [][2]int{{0, 1}}, undo: resetLimit},
	{nr: unix.SYS_PRLIMIT64, args: []arg{num(0, nobody[1:]...), num(unix.RLIMIT_NOFILE, 16, -1, 1<<31), limits(), null(words(1024, 1024))}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}, undo: resetLimit},
	{nr: unix.SYS_GETPPID, result: some},
	{nr: unix.SYS_GETPGRP, result: some},
	{nr: unix.SYS_GETPGID, args: []arg{num(0, nobody[1:]...)}, result: some},
	{nr: unix.SYS_GETSID, args: []arg{num(0, nobody[1:]...)}, result: some},
	{nr: unix.SYS_SETPGID, args: []arg{num(1<<30, -1, 1<<31), num(0, -1)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_GETUID, result: some},
	{nr: unix.SYS_CAPGET, args: []arg{ptr(halves(0x20080522, 0), content{"version 0", halves(0, 0)}, content{"pid -1", halves(0x20080522, 1<<32-1)}, content{"pid 1<<30", halves(0x20080522, 1<<30)}), ptr(make([]byte, 24))}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_GETPRIORITY, args: []arg{num(0, 3, -1, 1<<31), num(0, 1<<30, -1)}, pairs: [][2]int{{0, 1}}, result: some},
	{nr: unix.SYS_SETPRIORITY, args: []arg{num(3, -1, 1<<31), num(0, 1<<30, -1), num(0)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_WAIT4, args: []arg{num(-1, 1<<30, 1<<31), null(words(0)), flags(unix.WNOHANG, unix.WNOHANG), null(make([]byte, 144))}, pairs: [][2]int{{0, 2}, {1, 2}}},
	{nr: unix.SYS_WAITID, args: []arg{num(unix.P_ALL, unix.P_PID, 5, -1), num(0, 1<<30), null(make([]byte, 128)), flags(unix.WNOHANG|unix.WEXITED, unix.WNOHANG), null(make([]byte, 144))}, pairs: [][2]int{{0, 3}, {2, 3}}},
	{nr: unix.SYS_GETEUID, result: some},
	{nr: unix.SYS_GETGID, result: some},
	{nr: unix.SYS_GETEGID, result: some},
	{nr: unix.SYS_GETRESUID, args: []arg{ptr(halves(0)), ptr(halves(0)), ptr(halves(0))}, pairs: [][2]int{{0, 2}}},
	{nr: unix.SYS_GETRESGID, args: []arg{ptr(halves(0)), ptr(halves(0)), ptr(halves(0))}, pairs: [][2]int{{0, 2}}},
	{nr: unix.SYS_GETGROUPS, args: []arg{num(32, 0, -1, 1<<31, 1<<32), ptr(make([]byte, 128))}, pairs: [][2]int{{0, 1}}, result: some},
}

// limits is a pointer to what RLIMIT_NOFILE is, with wrong limits.
func limits() arg {
	return ptr(words(1024, 1024), content{"soft above hard", words(1025, 1024)}, content{"above all", words(1<<63, 1<<63)}, content{"no limit", words(1<<64-1, 1<<64-1)})
}

func resetLimit(*state) { unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1024, Max: 1024}) }
