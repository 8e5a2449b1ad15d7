// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"errors"
	"time"
)

// question is work for the thread of a processor, whose registers are its own.
type question struct {
	work func()
	done chan struct{} // closed when work has returned
}

// Ask runs work on the thread of another processor, outside of the guest, and waits
// for its end. It returns false if the VM's end came first; work may run all the same.
// c is the processor whose thread calls: it answers questions meanwhile, so that
// processors may ask each other.
func (c *VCPU) Ask(other *VCPU, work func()) bool {
	q := &question{work, make(chan struct{})}
	if c == other {
		work()
		return true
	}
	send, again := other.asked, time.NewTicker(kickInterval)
	defer again.Stop()
	for {
		select {
		case send <- q:
			send = nil // once
			other.interrupt()
		case <-again.C:
			if send == nil { // the signal may have come just before KVM_RUN
				other.interrupt()
			}
		case mine := <-c.asked:
			mine.answer()
		case <-q.done:
			return true
		case <-c.vm.ended:
			return false
		}
	}
}

func (q *question) answer() {
	q.work()
	close(q.done)
}

// answer does what others ask for; on the processor's own thread.
func (c *VCPU) answer() {
	c.RequestExit(false)
	select {
	case q := <-c.asked:
		q.answer()
	default:
	}
}

// ErrEnded is for what has to be done while the VM runs.
var ErrEnded = errors.New("vmm: the VM has ended")

// NMI interrupts a processor by an NMI, whatever it does: an operating system that
// hangs tells by it where it is. It is called from any goroutine but a processor's own.
func (m *VM) NMI(cpu int) error {
	c, result := m.vcpus[cpu], make(chan error, 1)
	send, again := c.asked, time.NewTicker(kickInterval)
	defer again.Stop()
	q := &question{func() { result <- c.VCPU.NMI() }, make(chan struct{})}
	for {
		select {
		case send <- q:
			send = nil // once
			c.interrupt()
		case <-again.C:
			if send == nil {
				c.interrupt()
			}
		case err := <-result:
			return err
		case <-m.ended:
			return ErrEnded
		}
	}
}
