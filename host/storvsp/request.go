// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsp

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/scsi"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// session is one opened channel.
type session struct {
	c       *Controller
	ch      *vmbus.Channel
	state   state
	version vstor.Version

	jobs    chan job
	workers sync.WaitGroup
}

// job is one EXECUTE_SRB.
type job struct {
	transaction uint64
	ended       chan struct{} // closed when the request is answered
	size        int           // bytes of the request packet: the answer has as many
	request     vstor.Request
	buffer      vmbus.Buffer // the guest's data buffer
}

// run reads packets until the channel ends; then it waits for the workers, since they
// use guest memory.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	s.jobs = make(chan job)
	for range s.c.opt.Workers {
		s.workers.Add(1)
		go s.work(ctx)
	}
	defer s.workers.Wait()
	defer close(s.jobs)
	defer cancel()
	for {
		p, err := s.ch.ReadPacket(ctx)
		if err != nil {
			return err
		}
		if err := s.packet(ctx, p); err != nil {
			return err
		}
	}
}

// packet handles one packet of the guest.
func (s *session) packet(ctx context.Context, p vmbus.Packet) error {
	if p.Type != wire.PacketInBand && p.Type != wire.PacketGPADirect || !p.WantsCompletion {
		return vmbus.Broken("storvsp: packet of type %d, completion wanted %t", p.Type, p.WantsCompletion)
	}
	v, err := vstor.DecodePacket(p.Payload)
	if err != nil {
		return vmbus.Broken("storvsp: packet of %d bytes", len(p.Payload))
	}
	size := min(len(p.Payload), vstor.PacketSize)
	switch v.Operation {
	case vstor.OpExecuteSRB:
		return s.execute(ctx, p, v, size)
	case vstor.OpResetLUN, vstor.OpResetAdapter, vstor.OpResetBus:
		if s.state == ready {
			if err := s.c.settle(ctx); err != nil { // nothing of before the reset happens after it
				return err
			}
			return s.answer(ctx, p.Transaction, size, vstor.Packet{Operation: vstor.OpCompleteIO})
		}
	}
	return s.answer(ctx, p.Transaction, size, s.negotiate(v))
}

// answer completes a packet with one of the same size: Windows guests insist on that.
func (s *session) answer(ctx context.Context, transaction uint64, size int, p vstor.Packet) error {
	return s.ch.Complete(ctx, transaction, p.AppendTo(nil)[:size])
}

// execute checks a request and gives it to a worker.
func (s *session) execute(ctx context.Context, p vmbus.Packet, v vstor.Packet, size int) error {
	j := job{transaction: p.Transaction, size: size}
	if s.state != ready {
		s.ch.Report("storvsp: EXECUTE_SRB in state %d", s.state)
		return s.answer(ctx, p.Transaction, size, vstor.Packet{Operation: vstor.OpCompleteIO, Status: vstor.StatusInvalidDeviceState})
	}
	if size < s.version.PacketSize() {
		return vmbus.Broken("storvsp: EXECUTE_SRB of %d bytes at version %v", size, s.version)
	}
	var err error
	if j.request, err = vstor.DecodeRequest(v.Payload[:size-vstor.HeaderSize]); err != nil {
		return vmbus.Broken("storvsp: EXECUTE_SRB of %d bytes", size)
	}
	if len(p.Buffers) > 0 {
		j.buffer = p.Buffers[0]
	}
	n := j.request.DataTransferLength
	if len(p.Buffers) > 1 || uint64(n) > uint64(j.buffer.Len()) || n > s.c.opt.MaxTransfer || j.request.CDBLength > vstor.CDBSize {
		s.ch.Report("storvsp: %d ranges, %d bytes of %d (at most %d), CDB of %d bytes",
			len(p.Buffers), n, j.buffer.Len(), s.c.opt.MaxTransfer, j.request.CDBLength)
		return s.complete(ctx, j, result{srb: vstor.SRBInvalidRequest})
	}
	if j.buffer, err = j.buffer.Slice(0, int(n)); err != nil {
		return err
	}
	j.ended = s.c.begin()
	select {
	case s.jobs <- j:
		return nil
	case <-ctx.Done():
		s.c.end(j.ended)
		return context.Cause(ctx)
	}
}

// work is a worker: it serves requests until there are no more.
func (s *session) work(ctx context.Context) {
	defer s.workers.Done()
	for j := range s.jobs {
		r := s.c.scsi(ctx, j)
		if err := s.complete(ctx, j, r); err != nil && ctx.Err() == nil {
			s.ch.Log().Error("storvsp: cannot complete a request", "channel", s.ch.ID(), "err", err)
		}
		s.c.end(j.ended)
	}
}

// begin notes a request, of any channel; end its end.
func (c *Controller) begin() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	ended := make(chan struct{})
	c.running[ended] = struct{}{}
	return ended
}

func (c *Controller) end(ended chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, ended)
	close(ended)
}

// settle waits for the requests that are under way now, on all channels.
func (c *Controller) settle(ctx context.Context) error {
	c.mu.Lock()
	running := slices.Collect(maps.Keys(c.running))
	c.mu.Unlock()
	for _, ended := range running {
		select {
		case <-ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// result is the outcome of a request.
type result struct {
	srb      vstor.SRBStatus
	status   scsi.Status
	sense    *scsi.Sense
	transfer int // bytes
}

// done is success after n bytes.
func done(n int) result { return result{srb: vstor.SRBSuccess, transfer: n} }

// failed is CHECK CONDITION with sense data.
func failed(key scsi.SenseKey, code scsi.Code) result {
	return result{srb: vstor.SRBError, status: scsi.StatusCheckCondition, sense: &scsi.Sense{Key: key, Code: code}}
}

// failedAt is failed with the LBA.
func failedAt(key scsi.SenseKey, code scsi.Code, lba uint64) result {
	r := failed(key, code)
	r.sense.InformationValid, r.sense.Information = true, lba
	return r
}

// complete sends the answer to a request.
func (s *session) complete(ctx context.Context, j job, r result) error {
	a := j.request
	a.Length = uint16(s.version.RequestSize())
	a.SRBStatus, a.SCSIStatus = r.srb, uint8(r.status)
	a.DataTransferLength = uint32(r.transfer)
	a.Data = [vstor.SenseSize]byte{}
	a.SenseLength = 0
	if r.sense != nil {
		a.SRBStatus |= vstor.SRBAutosenseValid
		a.SenseLength = uint8(copy(a.Data[:s.version.SenseSize()], r.sense.AppendTo(nil)))
	}
	p := vstor.Packet{Operation: vstor.OpCompleteIO, Status: ntStatus(r.srb)}
	p.SetPayload(a.AppendTo(nil))
	return s.answer(ctx, j.transaction, j.size, p)
}

// ntStatus is the packet's status for an SRB status, as OpenVMM maps them.
func ntStatus(s vstor.SRBStatus) vstor.Status {
	switch s {
	case vstor.SRBSuccess:
		return vstor.StatusSuccess
	case vstor.SRBBusy:
		return vstor.StatusDeviceBusy
	case vstor.SRBInvalidLUN, vstor.SRBInvalidTargetID, vstor.SRBNoDevice, vstor.SRBNoHBA:
		return vstor.StatusDeviceDoesNotExist
	case vstor.SRBCommandTimeout, vstor.SRBTimeout:
		return vstor.StatusIOTimeout
	case vstor.SRBSelectionTimeout:
		return vstor.StatusDeviceNotConnected
	case vstor.SRBBadFunction, vstor.SRBBadBlockLength:
		return vstor.StatusInvalidDeviceRequest
	case vstor.SRBDataOverrun:
		return vstor.StatusBufferOverflow
	case vstor.SRBRequestFlushed:
		return vstor.StatusUnsuccessful
	case vstor.SRBAborted:
		return vstor.StatusCancelled
	}
	return vstor.StatusIODeviceError
}

// scsi carries out one request.
func (c *Controller) scsi(ctx context.Context, j job) result {
	cdb := j.request.CDB()
	if len(cdb) == 0 {
		return result{srb: vstor.SRBInvalidRequest}
	}
	op := scsi.Op(cdb[0])
	if n := op.CDBSize(); n > len(cdb) {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	if f := c.faulty(j.request.LUN, cdb); f != nil {
		if f.Delay > 0 {
			sleep(ctx, f.Delay)
		}
		if f.SRB != 0 {
			return result{srb: f.SRB, status: f.Status, sense: f.Sense}
		}
	}
	here := j.request.Path == 0 && j.request.Target == 0
	if op == scsi.OpReportLUNs {
		return c.reportLUNs(cdb, j, here)
	}
	if here {
		if d := c.use(j.request.LUN); d != nil {
			defer d.busy.RUnlock()
			return d.execute(op, cdb, j)
		}
	}
	return absent(op, cdb, j)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// reportLUNs lists the LUNs of a target; any LUN answers it. Targets other than the
// one with the disks have none.
func (c *Controller) reportLUNs(cdb []byte, j job, here bool) result {
	r, err := scsi.DecodeReportLUNs(cdb)
	if err != nil || r.Select > 2 {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	list := scsi.LUNList(c.luns())
	if r.Select == 1 || !here { // 1: well-known LUNs only
		list = nil
	}
	return give(j, list.AppendTo(nil), uint64(r.Allocation))
}

// absent answers for a LUN without a disk: INQUIRY says so in its data, all else fails.
func absent(op scsi.Op, cdb []byte, j job) result {
	if op == scsi.OpInquiry {
		if q, err := scsi.DecodeInquiry(cdb); err == nil && !q.VPD && q.Page == 0 {
			return give(j, scsi.InquiryData{Peripheral: scsi.PeripheralNone}.AppendTo(nil), uint64(q.Allocation))
		}
	}
	r := failed(scsi.IllegalRequest, scsi.CodeLUNNotSupported)
	r.srb = vstor.SRBInvalidLUN
	return r
}

// give copies data to the guest, cut to the allocation length and the guest's buffer.
func give(j job, data []byte, allocation uint64) result {
	if uint64(len(data)) > allocation {
		data = data[:allocation]
	}
	data = data[:min(len(data), j.buffer.Len())]
	if len(data) > 0 && j.request.DataIn != vstor.DataIn {
		return result{srb: vstor.SRBInvalidRequest}
	}
	n, err := j.buffer.WriteAt(data, 0)
	if err != nil {
		return result{srb: vstor.SRBInvalidRequest}
	}
	return done(n)
}
