// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// profile takes a CPU profile of a second of work beside a goroutine that sleeps.
func profile([]string) (string, error) {
	const hertz = 100
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { sleepsOnly(stop) })
	var used time.Duration
	before := cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID)
	p, err := profiled(hertz, func() { used = burn(time.Second) })
	most := int64((cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID) - before) * hertz / time.Second)
	close(stop)
	wg.Wait()
	if err != nil {
		return "", err
	}
	all, burnt := p.samples(""), p.samples(".spin")
	found := fmt.Sprintf("%d samples, %d of the loop, in %v of CPU time", all, burnt, used.Round(time.Millisecond))
	want := int64(used * hertz / time.Second)
	switch {
	case burnt < want/4 || burnt > most*3/2:
		return "", fmt.Errorf("%s: want about %d", found, want)
	case burnt <= all/2: // the rest is the profiler itself, and what else has begun
		return "", fmt.Errorf("%s: want most", found)
	case p.samples(".sleepsOnly") != 0:
		return "", fmt.Errorf("%s, and some of one that slept", found)
	}
	// Asleep, there is what the profiler itself takes, and no tick.
	before = cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID)
	if p, err = profiled(hertz, func() { time.Sleep(time.Second) }); err != nil {
		return "", err
	}
	used = cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID) - before
	if n := p.samples(""); n > 3+int64(used*hertz/time.Second) { // intervals checks the clock
		return "", fmt.Errorf("%d samples while the program slept and used %v", n, used)
	}
	return found, nil
}

//go:noinline
func sleepsOnly(stop chan struct{}) { <-stop }

// burn works until its thread has used that much CPU time, and gives how much.
// What a part of the work takes longer than usual it leaves out: a guest counts the
// time in which a busy host runs others as its own, and there are no ticks in it.
func burn(d time.Duration) (used time.Duration) {
	const usual = 20 * time.Millisecond
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for used < d {
		start := cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)
		spin(1 << 20)
		used += min(cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)-start, usual)
	}
	return used
}

var spun uint64

//go:noinline
func spin(n int) {
	x := spun | 1
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	spun = x
}

func cpuTime(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// profileStress profiles much that goes on at one time, a thousand times a second
// for three seconds, and measures what a sample costs.
func profileStress([]string) (string, error) {
	var turns [5]uint64
	work := []func(i uint64) error{
		func(i uint64) error { // stacks that grow
			if got := deep(2000, i); got != i+2000 {
				return fmt.Errorf("deep gave %d", got)
			}
			return nil
		},
		func(i uint64) error { // garbage
			b := bytes.Repeat([]byte{byte(i)}, 100_000)
			if crc32.ChecksumIEEE(b) != crc32.ChecksumIEEE(bytes.Clone(b)) {
				return errors.New("a copy differs")
			}
			return nil
		},
		func(i uint64) error { // calls through the door, and on the trap stack
			var b [8]byte
			unix.Gettid()
			_, err := unix.Getrandom(b[:], 0)
			return err
		},
		func(i uint64) error { // threads that wake each other
			c := make(chan uint64)
			go func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				c <- i
			}()
			if <-c != i {
				return errors.New("a channel gave something else")
			}
			return nil
		},
		func(i uint64) error { // the vDSO, sleep
			start := time.Now()
			for range 1000 {
				if time.Since(start) < 0 {
					return errors.New("time goes back")
				}
			}
			time.Sleep(time.Millisecond)
			return nil
		},
	}
	var err error
	p, e := profiled(1000, func() {
		var stop atomic.Bool
		time.AfterFunc(3*time.Second, func() { stop.Store(true) })
		err = parallel(len(work), func(w int) error {
			for !stop.Load() {
				if err := work[w](turns[w]); err != nil {
					return err
				}
				turns[w]++
			}
			return nil
		})
	})
	if err = errors.Join(err, e); err != nil {
		return "", err
	}
	n := p.samples("")
	if n < 100 || slices.Contains(turns[:], 0) {
		return "", fmt.Errorf("%d samples, turns %d", n, turns)
	}
	cost, err := sampleCost()
	return fmt.Sprintf("%d samples, turns %d; a sample costs %v", n, turns, cost), err
}

//go:noinline
func deep(n int, v uint64) uint64 {
	var room [64]byte
	room[n%len(room)] = 1
	if n == 0 {
		return v
	}
	return deep(n-1, v) + uint64(room[n%len(room)])
}

// sampleCost compares the CPU time of the same work with a profile and without.
func sampleCost() (time.Duration, error) {
	const rounds = 300
	took := func() time.Duration {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		start := cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)
		for range rounds {
			spin(1 << 20)
		}
		return cpuTime(unix.CLOCK_THREAD_CPUTIME_ID) - start
	}
	without := min(took(), took())
	var with time.Duration
	p, err := profiled(1000, func() { with = took() })
	if err != nil {
		return 0, err
	}
	return (with - without) / time.Duration(max(p.samples(".spin"), 1)), nil
}

// profiled runs f under a CPU profile.
func profiled(hertz int, f func()) (*cpuProfile, error) {
	var b bytes.Buffer
	if hertz != 100 {
		runtime.SetCPUProfileRate(hertz) // StartCPUProfile then complains, and leaves it
	}
	if err := pprof.StartCPUProfile(&b); err != nil {
		return nil, err
	}
	f()
	pprof.StopCPUProfile()
	if name := os.Getenv("PROBE_PROFILE"); name != "" {
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			return nil, err
		}
	}
	r, err := gzip.NewReader(&b)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return decodeProfile(raw)
}

// cpuProfile is what profile.proto (github.com/google/pprof) says, as far as needed.
type cpuProfile struct {
	stacks    []sample
	locations map[uint64][]uint64 // functions by location
	functions map[uint64]uint64   // name by function
	names     []string
}

type sample struct {
	locations []uint64
	count     uint64
}

// samples counts those with a function on their stack, named by how its name ends.
func (p *cpuProfile) samples(function string) (n int64) {
	for _, s := range p.stacks {
		if function == "" || slices.ContainsFunc(s.locations, func(l uint64) bool {
			return slices.ContainsFunc(p.locations[l], func(f uint64) bool { return strings.HasSuffix(p.name(f), function) })
		}) {
			n += int64(s.count)
		}
	}
	return n
}

func (p *cpuProfile) name(function uint64) string {
	if i := p.functions[function]; i < uint64(len(p.names)) {
		return p.names[i]
	}
	return ""
}

func decodeProfile(raw []byte) (*cpuProfile, error) {
	p := &cpuProfile{locations: map[uint64][]uint64{}, functions: map[uint64]uint64{}}
	err := eachField(raw, func(tag, _ uint64, b []byte) error {
		var id, name uint64
		var list []uint64
		switch tag {
		case 2: // sample
			var s sample
			err := eachField(b, func(tag, v uint64, b []byte) error {
				switch values := packed(v, b); {
				case tag == 1:
					s.locations = append(s.locations, values...)
				case tag == 2 && s.count == 0 && len(values) > 0: // samples, then nanoseconds
					s.count = values[0]
				}
				return nil
			})
			p.stacks = append(p.stacks, s)
			return err
		case 4: // location: its lines name functions
			err := eachField(b, func(tag, v uint64, b []byte) error {
				switch tag {
				case 1:
					id = v
				case 4:
					return eachField(b, func(tag, v uint64, _ []byte) error {
						if tag == 1 {
							list = append(list, v)
						}
						return nil
					})
				}
				return nil
			})
			p.locations[id] = list
			return err
		case 5: // function
			err := eachField(b, func(tag, v uint64, _ []byte) error {
				switch tag {
				case 1:
					id = v
				case 2:
					name = v
				}
				return nil
			})
			p.functions[id] = name
			return err
		case 6:
			p.names = append(p.names, string(b))
		}
		return nil
	})
	return p, err
}

// packed gives the numbers of a repeated field, which may stand alone.
func packed(v uint64, b []byte) (list []uint64) {
	if b == nil {
		return []uint64{v}
	}
	for len(b) > 0 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			break
		}
		list, b = append(list, v), b[n:]
	}
	return list
}

// eachField goes through a message of protocol buffers: f gets a number or bytes.
func eachField(raw []byte, f func(tag, v uint64, b []byte) error) error {
	bad := errors.New("the profile cannot be decoded")
	for len(raw) > 0 {
		key, n := binary.Uvarint(raw)
		if n <= 0 {
			return bad
		}
		v, m := binary.Uvarint(raw[n:])
		if m <= 0 {
			return bad
		}
		raw = raw[n+m:]
		var b []byte
		switch key & 7 {
		case 0:
		case 2:
			if v > uint64(len(raw)) {
				return bad
			}
			b, raw = raw[:v:v], raw[v:]
		default: // profile.proto has no others
			return bad
		}
		if err := f(key>>3, v, b); err != nil {
			return err
		}
	}
	return nil
}
