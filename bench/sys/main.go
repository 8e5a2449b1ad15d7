// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command sys measures what a Go program asks of its operating system, call by
// call: the same source is a guest of hvgo's, PID 1 of a Linux guest, and an
// ordinary Linux process. Command run, below, starts all three and compares.
//
// It is told what to do by the environment, which a kernel's command line reaches:
//
//	BENCH_ROWS=REGEXP   the rows to measure; all unless given
//	BENCH_HEAP=MIB      the heap that the collector walks; 64 unless given
//	BENCH_INIT=1        this is a Linux kernel's init: mount first, power off at the end
//
// Each row is a line on the standard output: "row ", and JSON of type line.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// row is one figure, or several of one measurement.
type row struct {
	name    string
	measure func() ([]result, error)
}

// result is a figure: what one operation took, once for each sample.
type result struct {
	suffix string    // behind the row's name, if a row has several
	ops    int       // operations in all, samples and warming up; for counts by the host
	ns     []float64 // of one operation
}

// line is what is printed of a result.
type line struct {
	Row   string    `json:"row"`
	Ops   int       `json:"ops,omitempty"`
	NS    []float64 `json:"ns,omitempty"`
	Error string    `json:"error,omitempty"`
}

func main() {
	isInit := os.Getenv("BENCH_INIT") != ""
	if isInit {
		if err := setUp(); err != nil {
			fmt.Println("sys: init:", err)
		}
	}
	if err := measureAll(); err != nil {
		fmt.Println("sys:", err)
		os.Exit(1)
	}
	if isInit {
		unix.Sync()
		err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		fmt.Println("sys: power off:", err) // then the kernel panics
	}
}

func measureAll() error {
	wanted, err := regexp.Compile(os.Getenv("BENCH_ROWS"))
	if err != nil {
		return fmt.Errorf("BENCH_ROWS: %w", err)
	}
	heap := 64
	if s := os.Getenv("BENCH_HEAP"); s != "" {
		if heap, err = strconv.Atoi(s); err != nil || heap < 1 {
			return fmt.Errorf("BENCH_HEAP=%s is no number of MiB", s)
		}
	}
	// What follows allocates little, and no collection is to fall into a row.
	debug.SetGCPercent(-1)
	for _, r := range rows(heap) {
		if wanted.MatchString(r.name) {
			r.report()
		}
	}
	fmt.Printf("end %d processors\n", runtime.NumCPU())
	return nil
}

// settle is the pause in which the host reads its counters.
const settle = 30 * time.Millisecond

// report measures a row and prints its lines. The host counts exits from "begin" on.
func (r row) report() {
	fmt.Println("begin", r.name)
	time.Sleep(settle)
	results, err := r.measure()
	if err != nil {
		printLine(line{Row: r.name, Error: err.Error()})
		return
	}
	for _, x := range results {
		printLine(line{Row: r.name + x.suffix, Ops: x.ops, NS: x.ns})
	}
	runtime.GC()
}

func printLine(l line) {
	b, err := json.Marshal(l)
	if err != nil {
		b = fmt.Appendf(nil, "{\"error\":%q}", err) // a figure that is no number
	}
	fmt.Printf("row %s\n", b)
}

// samples is how often an operation's time is taken, sampleTime how long each takes
// at least.
const (
	samples    = 9
	sampleTime = 20 * time.Millisecond
)

// repeat takes the time of f, which does n operations; least is an n that makes what f
// does once count for little. A busy machine makes single runs long, so the number
// of operations follows from the shortest of three.
func repeat(least int, f func(n int) error) ([]result, error) {
	n, r := least, result{}
	for {
		short := time.Duration(math.MaxInt64)
		for range 3 {
			d, err := timed(f, n)
			if err != nil {
				return nil, err
			}
			r.ops += n
			short = min(short, d)
		}
		if short >= sampleTime/2 {
			n = max(least, n*int(sampleTime)/int(short))
			break
		}
		n = min(20*n, 1+n*int(sampleTime)/int(max(short, 1)))
	}
	for range samples {
		d, err := timed(f, n)
		if err != nil {
			return nil, err
		}
		r.ops += n
		r.ns = append(r.ns, float64(d)/float64(n))
	}
	return []result{r}, nil
}

func timed(f func(n int) error, n int) (time.Duration, error) {
	start := time.Now()
	err := f(n)
	return time.Since(start), err
}
