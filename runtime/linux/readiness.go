// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"slices"
	"sync"
	"syscall"
	"time"
)

// readiness passes the changes of one stream on, to epoll through the hooks and to goroutines that block
// in the door. Its lock is taken inside the stream's own locks and is never held while calling a stream.
//
// A stream that is fed by several goroutines may tell changes out of order. So a change only adds to what
// is known to be ready; what is no longer ready is found out by settle, whenever a call met EAGAIN.
type readiness struct {
	mu      sync.Mutex
	fds     []int           // descriptors epoll may watch; guarded by mu
	level   uint32          // what is ready, as far as told; guarded by mu
	edges   uint64          // changes told so far; guarded by mu
	waiters []chan struct{} // each with room for one token; guarded by mu
}

// changed is what the stream calls on each change.
func (d *description) changed(ready uint32) {
	r := &d.readiness
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edges++
	r.level |= ready
	for _, fd := range r.fds {
		NotifyFD(fd, r.level)
	}
	for _, w := range r.waiters {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// attach adds a descriptor to those that are told; detach takes it out.
func (d *description) attach(fd int) {
	d.readiness.mu.Lock()
	defer d.readiness.mu.Unlock()
	d.readiness.fds = append(d.readiness.fds, fd)
}

func (d *description) detach(fd int) {
	r := &d.readiness
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.fds, fd); i >= 0 {
		r.fds = slices.Delete(r.fds, i, i+1)
	}
}

// passed is settle after a call that took or gave something, where epoll has to know that at once.
func (d *description) passed() {
	if LevelTriggered() {
		d.settle()
	}
}

// passedStream is passed for what may be no stream.
func (d *description) passedStream() {
	if d.stream != nil {
		d.passed()
	}
}

// streamTimeouts are the longest waits; 0 is for ever.
func (d *description) streamTimeouts() (read, write time.Duration) {
	if t, ok := d.stream.(timeouts); ok {
		return t.timeouts()
	}
	return 0, 0
}

// settleTries bounds how often settle looks again because changes keep coming.
const settleTries = 4

// settle tells epoll what is ready now, no more and no less. A change that comes between looking and
// telling makes it look again: what was told then may be newer.
func (d *description) settle() {
	r := &d.readiness
	for range settleTries {
		r.mu.Lock()
		seen := r.edges
		r.mu.Unlock()
		ready := d.stream.ready()
		if d.settleTo(ready, seen) {
			return
		}
	}
}

// settleTo tells what is ready, unless there was a change after the first seen ones.
func (d *description) settleTo(ready uint32, seen uint64) bool {
	r := &d.readiness
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.edges != seen {
		return false
	}
	r.level = ready
	for _, fd := range r.fds {
		LevelFD(fd, ready)
	}
	return true
}

// Ready is the readiness of a door file now, for epoll_ctl of a descriptor that is already ready;
// ok is false when fd is none or cannot be polled. Goroutine context.
func Ready(fd int) (ready uint32, ok bool) {
	d, e := lookup(uintptr(fd))
	if e != 0 {
		return 0, false
	}
	defer d.put()
	if d.stream == nil {
		return 0, false
	}
	return d.stream.ready(), true
}

// block calls try until it returns another error than EAGAIN, and waits for a change of readiness in
// between, at most for the timeout (0: for ever).
func (d *description) block(timeout time.Duration, try func() (int, error)) (int, error) {
	w := make(chan struct{}, 1)
	r := &d.readiness
	r.mu.Lock()
	r.waiters = append(r.waiters, w)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		i := slices.Index(r.waiters, w)
		r.waiters = slices.Delete(r.waiters, i, i+1)
	}()
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	for {
		n, err := try()
		if err != syscall.EAGAIN {
			d.passed()
			return n, err
		}
		select {
		case <-w:
		case <-expired:
			return 0, syscall.EAGAIN
		}
	}
}

// timeouts are the longest waits of a blocking stream; 0 is for ever.
type timeouts interface {
	timeouts() (read, write time.Duration)
}

// readStream reads from a pipe or socket as the description's flags say.
func (d *description) readStream(p []byte, nonblock bool) (int, error) {
	n, err := d.stream.read(p)
	if err != syscall.EAGAIN {
		d.passed()
		return n, err
	}
	d.settle()
	if nonblock {
		return 0, syscall.EAGAIN
	}
	var timeout time.Duration
	if t, ok := d.stream.(timeouts); ok {
		timeout, _ = t.timeouts()
	}
	return d.block(timeout, func() (int, error) { return d.stream.read(p) })
}

// writeStream writes to a pipe or socket: all of p, unless the description does not block.
func (d *description) writeStream(p []byte, nonblock bool) (int, error) {
	n, err := d.stream.write(p)
	if err == nil && n == len(p) {
		d.passed()
		return n, nil
	}
	if err != nil && err != syscall.EAGAIN {
		return n, err
	}
	d.settle()
	if nonblock {
		return n, err
	}
	return d.writeAll(p, n)
}

// writeAll writes p[done:] and blocks for room. An error after some bytes went out shows on the next call.
func (d *description) writeAll(p []byte, done int) (int, error) {
	var timeout time.Duration
	if t, ok := d.stream.(timeouts); ok {
		_, timeout = t.timeouts()
	}
	for done < len(p) {
		n, err := d.block(timeout, func() (int, error) { return d.stream.write(p[done:]) })
		done += n
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
	}
	return done, nil
}
