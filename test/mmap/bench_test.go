// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mmap

import (
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

// benchBytes is the size of the memory in the benchmarks.
const benchBytes = 64 << 20

// advice is what large pages are asked for with: HVGO_HUGE=1 or 0, else none.
func advise(b *testing.B, m []byte) {
	switch os.Getenv("HVGO_HUGE") {
	case "1":
		unix.Madvise(m, unix.MADV_HUGEPAGE)
	case "0":
		unix.Madvise(m, unix.MADV_NOHUGEPAGE)
	}
}

func anonymous(b *testing.B) []byte {
	at, err := raw(unix.SYS_MMAP, 0, benchBytes+2<<20, rw, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { raw(unix.SYS_MUNMAP, at, benchBytes+2<<20) })
	m := bytesAt((at+2<<20-1)&^(2<<20-1), benchBytes)
	advise(b, m)
	return m
}

// BenchmarkTouch is the cost of a page of fresh memory, in order.
func BenchmarkTouch(b *testing.B) {
	m := anonymous(b)
	for b.Loop() {
		for i := 0; i < len(m); i += page {
			m[i] = 1
		}
		b.StopTimer()
		unix.Madvise(m, unix.MADV_DONTNEED)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBytes/page), "ns/page")
}

// BenchmarkSparse touches one page in each 2 MiB.
func BenchmarkSparse(b *testing.B) {
	m := anonymous(b)
	for b.Loop() {
		for i := 0; i < len(m); i += 2 << 20 {
			m[i] = 1
		}
		b.StopTimer()
		unix.Madvise(m, unix.MADV_DONTNEED)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBytes/(2<<20)), "ns/page")
}

// BenchmarkRandom reads all over memory that is there: translation buffer misses.
func BenchmarkRandom(b *testing.B) {
	m := anonymous(b)
	for i := range m {
		m[i] = byte(i)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		for range 1000 {
			sink += m[r.Uint32N(benchBytes)]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/read")
}

type node struct {
	left, right *node
	_           [6]uint64
}

func grow(depth int) *node {
	if depth == 0 {
		return new(node)
	}
	return &node{left: grow(depth - 1), right: grow(depth - 1)}
}

// BenchmarkGC collects a heap of 64 MiB in small objects.
func BenchmarkGC(b *testing.B) {
	tree := grow(19)
	debug.FreeOSMemory()
	for b.Loop() {
		runtime.GC()
	}
	runtime.KeepAlive(tree)
}

// BenchmarkSharedTouch is the cost of a page of a file through a mapping.
func BenchmarkSharedTouch(b *testing.B) {
	f := newFile(b, benchBytes/2)
	m := mapFile(b, f, benchBytes/2, rw, shared)
	for b.Loop() {
		for i := 0; i < len(m); i += page {
			m[i]++
		}
		b.StopTimer()
		unix.Madvise(m, unix.MADV_DONTNEED)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBytes/2/page), "ns/page")
}
