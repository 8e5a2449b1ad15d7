// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsc

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/host/storvsp"
	"github.com/hvgo/hvgo/internal/loopback"
	"github.com/hvgo/hvgo/internal/wire/scsi"
	wirebus "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// ram is a disk in memory.
type ram struct {
	mu       sync.Mutex
	b        []byte
	block    int
	readOnly bool
	flushes  atomic.Int32
}

func newRAM(size, block int) *ram {
	r := &ram{b: make([]byte, size), block: block}
	rnd := rand.New(rand.NewPCG(7, 7))
	for i := range r.b {
		r.b[i] = byte(rnd.Uint32())
	}
	return r
}

func (r *ram) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return copy(p, r.b[off:]), nil
}

func (r *ram) WriteAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return copy(r.b[off:], p), nil
}
func (r *ram) Flush() error   { r.flushes.Add(1); return nil }
func (r *ram) Size() int64    { return int64(len(r.b)) }
func (r *ram) BlockSize() int { return r.block }
func (r *ram) ReadOnly() bool { return r.readOnly }

type machine struct {
	*loopback.Machine
	host *storvsp.Controller
	bus  *vmbus.Bus
}

func newMachine(t testing.TB, lo loopback.Options, opt storvsp.Options, disks ...*ram) *machine {
	t.Helper()
	host, err := storvsp.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range disks {
		if err := host.AddDisk(uint8(i*3), d); err != nil {
			t.Fatal(err)
		}
	}
	m := &machine{Machine: loopback.New(t, lo), host: host}
	m.Server.AddDevice(host)
	m.bus, err = vmbus.Connect(m.Guest, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) attach(t testing.TB, timeout time.Duration) *Controller {
	t.Helper()
	offers := m.bus.Find(wirebus.InterfaceSCSI)
	if len(offers) != 1 {
		t.Fatalf("%d controllers offered", len(offers))
	}
	c, err := attach(m.bus, m.Guest, offers[0], slog.New(slog.DiscardHandler), timeout)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func oneDisk(t testing.TB, opt storvsp.Options, d *ram) (*machine, *Controller, *Disk) {
	t.Helper()
	m := newMachine(t, loopback.Options{}, opt, d)
	c := m.attach(t, time.Minute)
	if len(c.Disks()) != 1 {
		t.Fatalf("disks %+v", c.Disks())
	}
	return m, c, c.Disks()[0]
}

func TestVersions(t *testing.T) {
	for _, v := range vstor.Versions {
		r := newRAM(1<<20, 512)
		m, c, d := oneDisk(t, storvsp.Options{MaxVersion: v}, r)
		if c.Version() != v || d.Size() != 1<<20 || d.BlockSize() != 512 || d.ReadOnly() {
			t.Errorf("host with %v: version %v, %d bytes in %d", v, c.Version(), d.Size(), d.BlockSize())
		}
		got := make([]byte, 300<<10)
		if n, err := d.ReadAt(got, 5<<10); err != nil || n != len(got) || !bytes.Equal(got, r.b[5<<10:][:n]) {
			t.Errorf("host with %v: read %d, %v", v, n, err)
		}
		c.Close()
		if err := m.bus.Unload(); err != nil {
			t.Error(err)
		}
	}
}

func TestNoCommonVersion(t *testing.T) {
	m := newMachine(t, loopback.Options{}, storvsp.Options{MaxVersion: 1})
	offer := m.bus.Find(wirebus.InterfaceSCSI)[0]
	if _, err := Attach(m.bus, m.Guest, offer, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrNoVersion) {
		t.Error(err)
	}
}

// Random reads and writes of all alignments agree with a copy of the disk.
func TestRandomAccess(t *testing.T) {
	for _, block := range []int{512, 4096} {
		r := newRAM(4<<20, block)
		_, c, d := oneDisk(t, storvsp.Options{MaxTransfer: 64 << 10}, r)
		if d.BlockSize() != block || c.MaxTransfer() != 64<<10 {
			t.Fatal(d.BlockSize(), c.MaxTransfer())
		}
		want := bytes.Clone(r.b)
		rnd := rand.New(rand.NewPCG(1, uint64(block)))
		mem := make([]byte, 2<<20)
		for i := range 400 {
			n := 1 + rnd.IntN(1<<(1+rnd.IntN(20)))
			off := rnd.IntN(len(want) - n)
			start := rnd.IntN(len(mem) - n)
			if i%3 == 0 { // as a file system does it
				n, off, start = (n+block-1)/block*block, off/block*block, start/512*512
			}
			if off+n > len(want) || start+n > len(mem) {
				continue
			}
			p := mem[start : start+n]
			if i%2 == 0 {
				for j := range p {
					p[j] = byte(rnd.Uint32())
				}
				copy(want[off:], p)
				if m, err := d.WriteAt(p, int64(off)); err != nil || m != n {
					t.Fatalf("write %d at %d: %d, %v", n, off, m, err)
				}
			} else {
				clear(p)
				if m, err := d.ReadAt(p, int64(off)); err != nil || m != n || !bytes.Equal(p, want[off:off+n]) {
					t.Fatalf("read %d at %d: %d, %v", n, off, m, err)
				}
			}
		}
		if !bytes.Equal(r.b, want) {
			t.Error("disk differs at the end")
		}
		if err := d.Flush(); err != nil || r.flushes.Load() != 1 {
			t.Errorf("flush: %v, %d", err, r.flushes.Load())
		}
		c.Close()
	}
}

// Many goroutines write neighbouring bytes, so that partial blocks meet.
func TestConcurrent(t *testing.T) {
	r := newRAM(1<<20, 512)
	clear(r.b)
	_, c, d := oneDisk(t, storvsp.Options{Workers: 8}, r)
	defer c.Close()
	var wg sync.WaitGroup
	const piece = 700
	for g := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 20 {
				k := g + 16*i
				p := bytes.Repeat([]byte{byte(k + 1)}, piece)
				if _, err := d.WriteAt(p, int64(k*piece)); err != nil {
					t.Error(err)
				}
				q := make([]byte, piece)
				if _, err := d.ReadAt(q, int64(k*piece)); err != nil || !bytes.Equal(p, q) {
					t.Errorf("piece %d reads back differently, %v", k, err)
				}
			}
		}()
	}
	wg.Wait()
	for k := range 320 {
		if r.b[k*piece] != byte(k+1) || r.b[(k+1)*piece-1] != byte(k+1) {
			t.Fatalf("piece %d lost", k)
		}
	}
}

func TestEndOfDisk(t *testing.T) {
	r := newRAM(64<<10, 512)
	_, c, d := oneDisk(t, storvsp.Options{}, r)
	defer c.Close()
	p := make([]byte, 1000)
	if n, err := d.ReadAt(p, d.Size()-600); n != 600 || err != io.EOF || !bytes.Equal(p[:n], r.b[len(r.b)-600:]) {
		t.Error(n, err)
	}
	if n, err := d.ReadAt(p, d.Size()); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
	for _, off := range []int64{-1, d.Size() - 999, d.Size() + 1, 1 << 62} {
		if n, err := d.WriteAt(p, off); n != 0 || !errors.Is(err, ErrOutOfRange) {
			t.Errorf("write at %d: %d, %v", off, n, err)
		}
	}
	if _, err := d.ReadAt(p, -1); !errors.Is(err, ErrOutOfRange) {
		t.Error(err)
	}
}

func TestReadOnly(t *testing.T) {
	r := newRAM(64<<10, 512)
	r.readOnly = true
	_, c, d := oneDisk(t, storvsp.Options{}, r)
	defer c.Close()
	if _, err := d.WriteAt(make([]byte, 512), 0); !d.ReadOnly() || !errors.Is(err, ErrReadOnly) {
		t.Error(d.ReadOnly(), err)
	}
	d.readOnly = false // the disk itself must say so too
	if _, err := d.WriteAt(make([]byte, 512), 0); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
}

func TestMediumError(t *testing.T) {
	m, c, d := oneDisk(t, storvsp.Options{MaxTransfer: 4096}, newRAM(1<<20, 512))
	defer c.Close()
	m.host.SetFault(storvsp.BadBlock(0, 20))
	p := make([]byte, 64<<10)
	n, err := d.ReadAt(p, 0)
	var e *Error
	if n != 8192 || !errors.Is(err, ErrMedium) || !errors.As(err, &e) || e.LBA != 16 || e.Sense.Information != 20 {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := d.WriteAt(p, 0); n != 8192 || !errors.Is(err, ErrMedium) {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := d.ReadAt(p[:512], 21*512); err != nil {
		t.Error(err)
	}
}

// What passes is tried again; what does not is not tried for ever.
func TestTemporaryErrors(t *testing.T) {
	m, c, d := oneDisk(t, storvsp.Options{}, newRAM(1<<20, 512))
	defer c.Close()
	attention := &storvsp.Fault{SRB: vstor.SRBError, Status: scsi.StatusCheckCondition,
		Sense: &scsi.Sense{Key: scsi.UnitAttention, Code: scsi.CodePowerOnReset}}
	busy := &storvsp.Fault{SRB: vstor.SRBBusy, Status: scsi.StatusBusy}
	for name, f := range map[string]*storvsp.Fault{"unit attention": attention, "busy": busy} {
		var left atomic.Int32
		m.host.SetFault(func(uint8, []byte) *storvsp.Fault {
			if left.Add(-1) >= 0 {
				return f
			}
			return nil
		})
		left.Store(3)
		if _, err := d.ReadAt(make([]byte, 512), 0); err != nil {
			t.Errorf("%s three times: %v", name, err)
		}
		left.Store(attempts)
		var e *Error
		if _, err := d.ReadAt(make([]byte, 512), 0); !errors.As(err, &e) {
			t.Errorf("%s for ever: %v", name, err)
		}
	}
	m.host.SetFault(func(uint8, []byte) *storvsp.Fault {
		return &storvsp.Fault{SRB: vstor.SRBError, Status: scsi.StatusCheckCondition, Sense: &scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.CodeInvalidOpcode}}
	})
	if err := d.Flush(); err != nil {
		t.Errorf("disk without a cache: %v", err)
	}
}

func TestHotPlug(t *testing.T) {
	m := newMachine(t, loopback.Options{}, storvsp.Options{})
	c := m.attach(t, time.Minute)
	defer c.Close()
	if len(c.Disks()) != 0 {
		t.Fatal("disks on an empty controller")
	}
	m.host.AddDisk(0, newRAM(64<<10, 512))
	m.host.AddDisk(63, newRAM(128<<10, 512))
	<-c.Changed()
	if err := c.Rescan(); err != nil || len(c.Disks()) != 2 {
		t.Fatal(c.Disks(), err)
	}
	first, last := c.Disks()[0], c.Disks()[1]
	if last.LUN != 63 || last.Size() != 128<<10 {
		t.Errorf("%+v", last)
	}
	m.host.RemoveDisk(63)
	if _, err := last.ReadAt(make([]byte, 512), 0); !errors.Is(err, ErrNoDevice) {
		t.Error(err)
	}
	if err := c.Rescan(); err != nil || len(c.Disks()) != 1 || c.Disks()[0] != first {
		t.Error(c.Disks(), err)
	}
}

// A disk without REPORT LUNS is found by asking every LUN.
func TestNoReportLUNs(t *testing.T) {
	m := newMachine(t, loopback.Options{}, storvsp.Options{}, newRAM(64<<10, 512), newRAM(64<<10, 512))
	m.host.SetFault(func(lun uint8, cdb []byte) *storvsp.Fault {
		if scsi.Op(cdb[0]) != scsi.OpReportLUNs {
			return nil
		}
		return &storvsp.Fault{SRB: vstor.SRBError, Status: scsi.StatusCheckCondition, Sense: &scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.CodeInvalidOpcode}}
	})
	c := m.attach(t, time.Minute)
	defer c.Close()
	if d := c.Disks(); len(d) != 2 || d[1].LUN != 3 {
		t.Errorf("%+v", d)
	}
}

func TestRescindDuringIO(t *testing.T) {
	m, c, d := oneDisk(t, storvsp.Options{}, newRAM(1<<20, 512))
	started := make(chan struct{}, 100)
	m.host.SetFault(func(uint8, []byte) *storvsp.Fault {
		started <- struct{}{}
		return &storvsp.Fault{Delay: time.Hour, SRB: vstor.SRBAborted}
	})
	errs := make(chan error)
	for i := range 4 {
		go func() {
			_, err := d.ReadAt(make([]byte, 4096+i), 0)
			errs <- err
		}()
	}
	<-started
	m.Server.RemoveDevice(m.host)
	for range 4 {
		// The host may abort a request just before the channel goes.
		var e *Error
		if err := <-errs; !errors.As(err, &e) && !(errors.Is(err, ErrDisconnected) && errors.Is(err, vmbus.ErrRescinded)) {
			t.Error(err)
		}
	}
	<-c.Done()
	if err := d.Flush(); !errors.Is(err, ErrDisconnected) {
		t.Error(err)
	}
	if _, err := d.WriteAt(make([]byte, 1), 0); !errors.Is(err, ErrDisconnected) {
		t.Error(err)
	}
}

func TestHostStuck(t *testing.T) {
	m := newMachine(t, loopback.Options{}, storvsp.Options{}, newRAM(1<<20, 512))
	free := m.FreePages()
	c := m.attach(t, 50*time.Millisecond)
	m.host.SetFault(func(uint8, []byte) *storvsp.Fault { return &storvsp.Fault{Delay: time.Hour} })
	if _, err := c.Disks()[0].ReadAt(make([]byte, 1<<20), 0); !errors.Is(err, ErrNotResponding) {
		t.Error(err)
	}
	c.Close()
	if n := m.FreePages(); n != free {
		t.Errorf("%d pages leaked", free-n)
	}
}

// TestBusFails is a bus that ends under a request: the host was told nothing, and may
// still write to the buffers.
func TestBusFails(t *testing.T) {
	m, c, d := oneDisk(t, storvsp.Options{}, newRAM(1<<20, 512))
	started := make(chan struct{}, 1)
	m.host.SetFault(func(uint8, []byte) *storvsp.Fault {
		started <- struct{}{}
		return &storvsp.Fault{Delay: time.Hour}
	})
	failed := make(chan error)
	go func() {
		_, err := d.ReadAt(make([]byte, 100), 0) // part of a block: by a bounce buffer
		failed <- err
	}()
	<-started
	free := m.FreePages()
	m.Guest.Close()
	if err := <-failed; !errors.Is(err, ErrDisconnected) {
		t.Error(err)
	}
	<-c.Done()
	if n := m.FreePages(); n != free {
		t.Errorf("%d pages used again that the host may write to", n-free)
	}
}

// Every refusal and every late answer: hosts of all behaviours.
func TestHosts(t *testing.T) {
	for name, lo := range map[string]loopback.Options{
		"busy":     {Busy: func(n int) bool { return n%2 == 0 }},
		"spurious": {Spurious: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRAM(1<<20, 512)
			m := newMachine(t, lo, storvsp.Options{}, r)
			c := m.attach(t, time.Minute)
			defer c.Close()
			got := make([]byte, len(r.b))
			if _, err := c.Disks()[0].ReadAt(got, 0); err != nil || !bytes.Equal(got, r.b) {
				t.Error(err)
			}
		})
	}
}

func answer(r vstor.Request) vstor.Packet {
	p := vstor.Packet{Operation: vstor.OpCompleteIO}
	p.SetPayload(r.AppendTo(nil))
	return p
}

func TestOutcome(t *testing.T) {
	good := vstor.Request{SRBStatus: vstor.SRBSuccess, DataTransferLength: 512}
	if n, err := outcome(answer(good), scsi.OpRead10, 0, 0, 512); n != 512 || err != nil {
		t.Error(n, err)
	}
	if _, err := outcome(answer(good), scsi.OpRead10, 0, 0, 511); !errors.Is(err, ErrProtocol) {
		t.Error("more transferred than asked for:", err)
	}
	if _, err := outcome(vstor.Packet{Operation: vstor.OpResetBus}, scsi.OpRead10, 0, 0, 0); !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
	recovered := vstor.Request{SRBStatus: vstor.SRBError | vstor.SRBAutosenseValid, SCSIStatus: uint8(scsi.StatusCheckCondition), SenseLength: 18, DataTransferLength: 512}
	copy(recovered.Data[:], scsi.Sense{Key: scsi.RecoveredError}.AppendTo(nil))
	if n, err := outcome(answer(recovered), scsi.OpRead10, 0, 0, 512); n != 512 || err != nil {
		t.Error(n, err)
	}
	over := answer(vstor.Request{SRBStatus: vstor.SRBDataOverrun, DataTransferLength: 36})
	over.Status = vstor.StatusBufferOverflow
	if n, err := outcome(over, scsi.OpInquiry, 0, 0, 96); n != 36 || err != nil {
		t.Error(n, err)
	}
	if _, err := outcome(over, scsi.OpRead10, 0, 0, 512); err == nil {
		t.Error("READ with an overrun succeeds")
	}
	absent := vstor.Request{SRBStatus: vstor.SRBInvalidLUN}
	if _, err := outcome(answer(absent), scsi.OpInquiry, 9, 0, 36); !errors.Is(err, ErrNoDevice) || errors.Is(err, ErrMedium) {
		t.Error(err)
	}
	refused := vstor.Packet{Operation: vstor.OpCompleteIO, Status: vstor.StatusInvalidDeviceState}
	var e *Error
	if _, err := outcome(refused, scsi.OpRead16, 1, 77, 36); !errors.As(err, &e) || e.NT != vstor.StatusInvalidDeviceState ||
		e.Error() != "storvsc: LUN 1: READ(16) at LBA 77: SRB 0x00, SCSI status 0x0, INVALID_DEVICE_STATE" {
		t.Error(err)
	}
}

func TestReadWriteForm(t *testing.T) {
	for _, c := range []struct {
		lba    uint64
		blocks int
		want   scsi.Op
	}{{0, 1, scsi.OpWrite10}, {1<<32 - 1, 0xFFFF, scsi.OpWrite10}, {1 << 32, 1, scsi.OpWrite16}, {0, 0x10000, scsi.OpWrite16}} {
		if got := readWrite(scsi.OpWrite10, c.lba, c.blocks); got.Op != c.want || got.Check() != nil {
			t.Errorf("LBA %d, %d blocks: %v", c.lba, c.blocks, got.Op)
		}
	}
}

// FuzzAnswers gives a running queue any packets a host can send.
func FuzzAnswers(f *testing.F) {
	p := vstor.Packet{Operation: vstor.OpCompleteIO}
	f.Add(uint16(wirebus.PacketCompletion), uint64(0x100), p.AppendTo(nil))
	f.Add(uint16(wirebus.PacketInBand), uint64(0), vstor.Packet{Operation: vstor.OpEnumerateBus}.AppendTo(nil))
	f.Add(uint16(wirebus.PacketTransferPage), uint64(0), []byte{1})
	f.Fuzz(func(t *testing.T, typ uint16, transaction uint64, payload []byte) {
		c := &Controller{log: slog.New(slog.DiscardHandler), changed: make(chan struct{}, 1)}
		c.q = newQueue(nil, nil, time.Hour, nil)
		s := <-c.q.free
		s.pending, s.transaction, c.q.pending = true, 0x100, 1
		batch := []vmbus.Packet{{Type: typ, Transaction: transaction, Payload: payload}}
		for range 2 { // the second is a duplicate
			if err := c.handle(batch); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.done) > 0 {
			outcome(<-s.done, scsi.OpRead10, 0, 0, 512)
		} else if !s.pending {
			t.Error("answer lost")
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for name, size := range map[string]int{"4K": 4 << 10, "1M": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			_, c, d := oneDisk(b, storvsp.Options{}, newRAM(4<<20, 512))
			defer c.Close()
			p := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.ReadAt(p, 0); err != nil {
					b.Fatal(err)
				}
			}
			s := c.Stats()
			b.ReportMetric(float64(s.Signals)/float64(b.N), "hypercalls/op")
		})
	}
}

// Neither preparing a request nor judging its answer makes garbage; sending is
// measured in drivers/vmbus.
func TestNoAllocationPerRequest(t *testing.T) {
	p := answer(vstor.Request{SRBStatus: vstor.SRBSuccess, DataTransferLength: 4096})
	if n := testing.AllocsPerRun(100, func() {
		if n, err := outcome(p, scsi.OpRead10, 0, 0, 4096); n != 4096 || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations to judge an answer", n)
	}
	c := &Controller{version: vstor.Version6_2, p: loopback.New(t, loopback.Options{}).Guest, max: 1 << 20}
	c.q = newQueue(nil, nil, time.Hour, nil)
	d := &Disk{c: c, blockSize: 512}
	buf := make([]byte, 64<<10)
	var f flight
	prepare := func() {
		if n, err := d.prepare(&f, scsi.OpRead10, buf, 0, true); n != len(buf) || err != nil {
			t.Fatal(n, err)
		}
		c.q.release(f.s)
	}
	for range slots { // each slot keeps its list of pages
		prepare()
	}
	if n := testing.AllocsPerRun(100, prepare); n != 0 {
		t.Errorf("%v allocations to prepare a request", n)
	}
}
