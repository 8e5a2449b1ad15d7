// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package bench compares hvgo with a small Linux virtual machine that runs the same Go
// program: what its users would take instead. This package is the words that the parts
// have in common:
//
//	bench/serve  the program in the guest, the same source on both sides
//	bench/load   the load from outside the guest, and what it measures
//	bench/run    both guests by turns, the rows, the report, the budget
//	bench/sys    system calls beside Linux's, a bench of its own
//
// The way of a figure:
//
//	bench/run sides.go   boots a guest -> vm (an address for each port, counters)
//	          rows.go    a row measures a vm -> figures
//	          rounds.go  hvgo, Linux, hvgo, Linux ... -> rounds.json
//	          report.go  medians, spread, ratios -> report.md; plot.go -> SVG
//	          budget.go  counts against bench/budget.json -> exit status
//
// A new row is a function in rows.go or a file beside it, and a line in the list there.
// What it needs of the guest is a path of HTTP or a Job of bench/serve; what it
// does from outside is a function of bench/load. A row that fails is one line in the
// report, and the others go on.
//
// Both guests have the same host, memory, processors, card and data disk, and both
// come up by the host's firmware. Linux is Debian's kernel, tuned (sides.go says how),
// whose initial RAM disk holds the program as PID 1 and the drivers for Hyper-V.
//
// Counts come first: hypercalls for each request, MiB and read hardly depend on how
// fast the machine is, and so mean the same where KVM itself is emulated. Exits do
// but for those of timers, which are as many as the time is long. Rates and latencies mean something as ratios, and on a host of its own.
package bench

import "time"

// Ports of the program.
const (
	HTTPPort   = 8080
	StreamPort = 8081 // TCP alone: see bench/serve's stream.go
	TLSPort    = 8443 // HTTP by TLS 1.3, a certificate that it made itself
)

// Paths of HTTPPort and TLSPort.
const (
	SmallPath  = "/"       // a body of SmallBody bytes
	LargePath  = "/large"  // a body of LargeBody bytes
	StartPath  = "/start"  // a Start
	MemoryPath = "/memory" // a Memory
	JobPath    = "/job"    // POST a Job, get a Result
)

// Sizes of bodies in bytes.
const (
	SmallBody = 64
	LargeBody = 64 << 10
)

// Environment of the program.
const (
	DiskEnv = "BENCH_DISK" // the block device for jobs; they overwrite it
	InitEnv = "BENCH_INIT" // not empty: it is a Linux kernel's init
)

// Start is when what happened in the guest until it served.
type Start struct {
	Now   time.Duration `json:"now"` // by the guest's clock, as the answer is written
	Marks []Mark        `json:"marks"`
}

// Mark is when something was done.
type Mark struct {
	Name string        `json:"name"`
	At   time.Duration `json:"at"` // by the clock of Start.Now
}

// Names of marks, in their order.
const (
	MarkMain    = "program" // main began
	MarkModules = "modules" // Linux: drivers are loaded
	MarkDisk    = "disk"    // the disk can be opened
	MarkAddress = "address" // an address by DHCP
	MarkServing = "serving" // the ports are open
)

// Memory is the guest's, in bytes.
type Memory struct {
	Total     uint64 `json:"total"`
	Available uint64 `json:"available"`
}

// Kinds of jobs.
const (
	RandomRead      = "random read"      // of Bytes each, anywhere on the disk
	RandomWrite     = "random write"     // the same
	SequentialRead  = "sequential read"  // from the disk's begin on
	SequentialWrite = "sequential write" // the same
	SyncWrite       = "sync write"       // random writes with an fsync behind each
	Compute         = "compute"          // SHA-256 of Bytes, in memory
	Collect         = "collect"          // garbage: Bytes of live heap, Count allocations of trees
	Datagrams       = "datagrams"        // UDP to Target, which echoes them
)

// Job is work that the program does by itself.
type Job struct {
	Kind   string `json:"kind"`
	Count  int    `json:"count"` // operations, all workers together
	Bytes  int    `json:"bytes"` // of each
	Depth  int    `json:"depth"` // workers, each with one operation at a time
	Target string `json:"target,omitempty"`
}

// Limits of a Job: the program refuses more.
const (
	MaxCount = 100_000_000
	MaxBytes = 1 << 30
	MaxDepth = 256
)

// Result is what a Job took.
type Result struct {
	Ops     int           `json:"ops"`
	Elapsed time.Duration `json:"elapsed"`
	P50     time.Duration `json:"p50"` // of one operation
	P99     time.Duration `json:"p99"`
	P999    time.Duration `json:"p999"`
	Worst   time.Duration `json:"worst"`
	Lost    int           `json:"lost,omitempty"`  // datagrams without an echo
	Error   string        `json:"error,omitempty"` // then the rest means nothing
}
