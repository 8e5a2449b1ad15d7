// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/trap"
	"golang.org/x/sys/unix"
)

// platform is vmbus.Platform on the hypervisor and the frame allocator.
type platform struct {
	messages *os.File // eventfd that announces messages
}

func newPlatform() (*platform, error) {
	f, err := newEvent("vmbus messages")
	if err != nil {
		return nil, err
	}
	trap.Kernel(trap.KernelMessages, f.Fd(), 0, 0)
	return &platform{f}, nil
}

// newEvent makes an eventfd that the Go runtime's poller watches: a goroutine
// that reads it parks, and no thread waits. Both are the runtime's own: a program that
// closes all descriptors keeps network and disks. (Timers of its init functions may
// have started the poller before; then it can close that one, as on Linux.)
func newEvent(name string) (*os.File, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	trap.Kernel(trap.KernelOwn, 1, 0, 0)
	defer trap.Kernel(trap.KernelOwn, 0, 0, 0)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd for %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (p *platform) PostMessage(connection uint32, payload []byte) error {
	if len(payload) == 0 || len(payload) > tlfs.MessagePayloadSize {
		return fmt.Errorf("post message: %d bytes", len(payload))
	}
	r := trap.Kernel(trap.KernelPost, uintptr(connection), uintptr(unsafe.Pointer(unsafe.SliceData(payload))), uintptr(len(payload)))
	return statusError(tlfs.Status(r))
}

func (p *platform) SignalEvent(connection uint32, flag uint16) error {
	return statusError(hv.SignalEvent(connection, flag))
}

func statusError(s tlfs.Status) error {
	switch s {
	case tlfs.StatusSuccess:
		return nil
	case tlfs.StatusInsufficientBuffers, tlfs.StatusInsufficientMemory:
		return vmbus.ErrBusy
	case tlfs.StatusInvalidConnectionID, tlfs.StatusInvalidPortID:
		return vmbus.ErrNoConnection
	}
	return s
}

func (p *platform) NextMessage(buf *[240]byte) (int, error) {
	for {
		n := trap.Kernel(trap.KernelTake, uintptr(unsafe.Pointer(buf)), 0, 0)
		if n >= 0 {
			return n, nil
		}
		if errno := syscall.Errno(-n); errno != unix.EAGAIN {
			return 0, fmt.Errorf("take message: %w", errno)
		}
		var count [8]byte
		if _, err := p.messages.Read(count[:]); err != nil {
			return 0, err
		}
	}
}

// event is one event flag's eventfd.
type event struct {
	file    *os.File
	flag    uint16
	reading sync.RWMutex // held by those who read
}

func (p *platform) Listen(flag uint16) (vmbus.Event, error) {
	if flag >= tlfs.EventFlagsPerSINT {
		return nil, fmt.Errorf("event flag %d: there are %d", flag, tlfs.EventFlagsPerSINT)
	}
	f, err := newEvent("vmbus event")
	if err != nil {
		return nil, err
	}
	trap.Kernel(trap.KernelListen, uintptr(flag), f.Fd(), 0)
	return &event{file: f, flag: flag}, nil
}

func (e *event) Wait() error {
	e.reading.RLock()
	defer e.reading.RUnlock()
	var count [8]byte
	_, err := e.file.Read(count[:])
	return err
}

func (e *event) Close() error {
	trap.Kernel(trap.KernelListen, uintptr(e.flag), ^uintptr(0), 0)
	fd := e.file.Fd()
	e.file.Close() // EBADF: the program's side cannot close it
	// The last reader takes it out of the poller: only then it may be another's.
	e.reading.Lock()
	defer e.reading.Unlock()
	trap.Kernel(trap.KernelFreeFD, fd, 0, 0)
	return nil
}

// maxPages bounds one allocation for the host, to 64 MiB.
const maxPages = 64 << 20 / mem.PageSize

func (p *platform) AllocPages(n int) (*vmbus.Pages, error) {
	if n <= 0 || n > maxPages {
		return nil, fmt.Errorf("%d pages for the host", n)
	}
	pa := trap.Kernel(trap.KernelContig, uintptr(n), 0, 0)
	if pa <= 0 {
		return nil, fmt.Errorf("%d pages for the host: %w", n, syscall.ENOMEM)
	}
	pages := &vmbus.Pages{
		Mem: unsafe.Slice((*byte)(ring0.Pointer(mem.Phys(uint64(pa)))), n*mem.PageSize),
		PFN: make([]uint64, n),
		Release: func() {
			trap.Kernel(trap.KernelUncontig, uintptr(pa), uintptr(n), 0)
		},
	}
	for i := range pages.PFN {
		pages.PFN[i] = uint64(pa)>>mem.PageShift + uint64(i)
	}
	return pages, nil
}

var errNotMapped = errors.New("memory for the host is not mapped")

// PFNs fills the pages it names. Memory that is only readable, such as a
// constant that is written to disk, will do.
func (p *platform) PFNs(b []byte, dst []uint64) ([]uint64, error) {
	if len(b) == 0 {
		return dst, nil
	}
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for at := start &^ (mem.PageSize - 1); at < start+uintptr(len(b)); at += mem.PageSize {
		pa := trap.Kernel(trap.KernelFrame, at, 1, 0)
		if pa <= 0 {
			pa = trap.Kernel(trap.KernelFrame, at, 0, 0)
		}
		if pa <= 0 {
			return dst, errNotMapped
		}
		dst = append(dst, uint64(pa)>>mem.PageShift)
	}
	return dst, nil
}
