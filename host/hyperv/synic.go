// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"golang.org/x/sys/unix"
)

// Errors of PostMessage and SignalEvent.
var (
	ErrVP        = errors.New("no such virtual processor or SINT")
	ErrMessage   = errors.New("message too long, or of no type")
	ErrQueueFull = errors.New("too many messages wait for the guest")
	ErrNoEvents  = errors.New("the guest has no event flags page")
)

// maxQueue bounds the messages that wait for one SINT's slot.
const maxQueue = 1024

// synic is the state of one virtual processor's synthetic interrupt controller
// as far as deliveries need it.
type synic struct {
	p  *Partition
	vp uint32

	mu                   sync.Mutex // guards all below, and the writing of message slots
	control, siefp, simp uint64     // SCONTROL, SIEFP, SIMP
	sints                [tlfs.SINTCount]sint
	messages, flags      overlay // with Quirks.OverlayPages
}

type sint struct {
	queue   []message
	set     bool     // strict mode: the guest has set the register up, and not masked it
	strikes int      // strict mode: how long EOM has been missing
	eom     *os.File // eventfd KVM signals on EOM; made for the first message
	fire    *os.File // the irqfd's other end; not used, but KVM wants one
}

type message struct {
	kind    uint32
	payload []byte
}

// gsi is the interrupt number that leads to a SINT: they follow the I/O APIC's.
func gsi(vp, sint uint32) uint32 { return kvm.IOAPICPins + vp*tlfs.SINTCount + sint }

func (p *Partition) synic(vp uint32, sint uint8) (*synic, error) {
	if int(vp) >= len(p.synics) || sint >= tlfs.SINTCount {
		return nil, fmt.Errorf("virtual processor %d, SINT %d: %w", vp, sint, ErrVP)
	}
	return p.synics[vp], nil
}

// PostMessage puts a message into the slot of SINT sint on virtual processor vp
// and raises its interrupt. While the slot is taken, or the guest has not set up
// its SynIC, the message waits its turn. It never blocks; ErrQueueFull means that
// the guest does not read its messages.
func (p *Partition) PostMessage(vp uint32, sint uint8, msgType uint32, payload []byte) error {
	s, err := p.synic(vp, sint)
	if err != nil {
		return err
	}
	if msgType == tlfs.MessageTypeNone || len(payload) > tlfs.MessagePayloadSize {
		return fmt.Errorf("type %#x, %d bytes: %w", msgType, len(payload), ErrMessage)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.sints[sint]
	if err := s.watchEOM(sint); err != nil {
		return err
	}
	if len(q.queue) == maxQueue {
		return ErrQueueFull
	}
	q.queue = append(q.queue, message{msgType, append([]byte(nil), payload...)})
	s.deliver(sint)
	return nil
}

// deliver moves the first waiting message to the slot if it is free, and marks
// the slot otherwise, so that the guest writes EOM. Called with mu held.
func (s *synic) deliver(n uint8) {
	q := &s.sints[n]
	if len(q.queue) == 0 || s.control&tlfs.SControlEnable == 0 || s.simp&tlfs.OverlayEnable == 0 {
		return
	}
	slot, err := s.slot(n)
	if err != nil {
		s.p.log.Warn("SIMP is not guest memory", "vp", s.vp, "simp", fmt.Sprintf("%#x", s.simp))
		return
	}
	// The guest clears the type, then looks for the pending flag; we set the flag,
	// then look at the type again. One of the two sees the other (TLFS 11.9.3).
	if load32(slot, tlfs.MessageTypeOffset) != tlfs.MessageTypeNone {
		or32(slot, sizeAndFlags, pendingFlag)
		if load32(slot, tlfs.MessageTypeOffset) != tlfs.MessageTypeNone {
			return
		}
	}
	m := q.queue[0]
	q.queue = q.queue[1:]
	word := uint32(len(m.payload))
	if len(q.queue) > 0 {
		word |= pendingFlag
	}
	binary.LittleEndian.PutUint64(slot[8:], 0) // origin: port 0
	clear(slot[copy(slot[tlfs.MessagePayloadOffset:], m.payload)+tlfs.MessagePayloadOffset:])
	store32(slot, sizeAndFlags, word)
	store32(slot, tlfs.MessageTypeOffset, m.kind)
	s.p.messages.Add(1)
	s.raise(n)
}

// slot is the guest's memory of a message slot. Called with mu held.
func (s *synic) slot(n uint8) ([]byte, error) {
	return s.p.vm.Memory().Bytes(s.simp&tlfs.OverlayAddressMask+uint64(n)*tlfs.MessageSize, tlfs.MessageSize)
}

// The second word of a slot: payload size in the low byte, flags in the next.
const (
	sizeAndFlags = 4
	pendingFlag  = tlfs.MessagePending << 8
)

// raise fires the SINT's interrupt. KVM drops it while the SINT is masked, as the
// specification has it.
func (s *synic) raise(n uint8) {
	s.p.raised.Add(1)
	if err := s.p.vm.KVM.SetIRQLine(gsi(s.vp, uint32(n)), true); err != nil {
		s.p.log.Warn("raise a SINT", "vp", s.vp, "sint", n, "error", err)
	}
}

// watchEOM makes KVM tell when the guest writes EOM (or, for a SINT without
// auto-EOI, EOI): a resampling irqfd on the SINT's route. In strict mode EOM comes to
// user space, and EOI does not count. Called with mu held.
func (s *synic) watchEOM(n uint8) error {
	q := &s.sints[n]
	if q.eom != nil || s.p.strict != nil {
		return nil
	}
	fire, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	eom, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fire)
		return fmt.Errorf("eventfd: %w", err)
	}
	if err := s.p.vm.KVM.IRQFD(gsi(s.vp, uint32(n)), fire, eom); err != nil {
		unix.Close(fire)
		unix.Close(eom)
		return err
	}
	q.fire, q.eom = os.NewFile(uintptr(fire), "irqfd"), os.NewFile(uintptr(eom), "EOM")
	go s.onEOM(n, q.eom)
	return nil
}

// onEOM delivers the next message whenever the guest acknowledged one; it ends
// when the file is closed.
func (s *synic) onEOM(n uint8, eom *os.File) {
	var count [8]byte
	for {
		if _, err := eom.Read(count[:]); err != nil {
			return
		}
		s.mu.Lock()
		s.deliver(n)
		s.mu.Unlock()
	}
}

func (s *synic) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for i := range s.sints {
		q := &s.sints[i]
		if q.eom != nil {
			errs = append(errs, q.eom.Close(), q.fire.Close())
		}
	}
	return errors.Join(errs...)
}

// SignalEvent sets event flag number flag of SINT sint on virtual processor vp,
// and raises the interrupt if the flag was clear (TLFS 11.10.2).
func (p *Partition) SignalEvent(vp uint32, sint uint8, flag uint16) error {
	s, err := p.synic(vp, sint)
	if err != nil {
		return err
	}
	if flag >= tlfs.EventFlagsPerSINT {
		return fmt.Errorf("event flag %d: %w", flag, ErrVP)
	}
	s.mu.Lock()
	control, siefp := s.control, s.siefp
	s.mu.Unlock()
	if control&tlfs.SControlEnable == 0 || siefp&tlfs.OverlayEnable == 0 {
		return ErrNoEvents
	}
	flags, err := p.vm.Memory().Bytes(siefp&tlfs.OverlayAddressMask+uint64(sint)*tlfs.EventFlagsSize, tlfs.EventFlagsSize)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoEvents, err)
	}
	p.events.Add(1)
	bit := uint32(1) << (flag % 32)
	if or32(flags, int(flag/32)*4, bit)&bit == 0 {
		s.raise(sint)
	}
	return nil
}

// SynIC takes over the registers the guest changed, and delivers what waited for
// them.
func (p *Partition) SynIC(c *vmm.VCPU, r kvm.SynIC) {
	if int(c.Index) >= len(p.synics) {
		return
	}
	s := p.synics[c.Index]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkOverlay(RuleSIEFP, s.siefp, r.SIEFP)
	s.checkOverlay(RuleSIMP, s.simp, r.SIMP)
	s.control, s.siefp, s.simp = r.Control, r.SIEFP, r.SIMP
	if p.quirks.OverlayPages {
		s.messages.set(p.vm.Memory(), s.simp)
		s.flags.set(p.vm.Memory(), s.siefp)
	}
	for n := range uint8(tlfs.SINTCount) {
		s.deliver(n)
	}
}
