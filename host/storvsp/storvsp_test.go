// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	guest "github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/guid"
	"github.com/hvgo/hvgo/internal/loopback"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// ram is a Backend in memory.
type ram struct {
	mu       sync.Mutex
	b        []byte
	bs       int
	readOnly bool
	flushes  int
	flushErr error
}

func newRAM(size, bs int) *ram {
	r := &ram{b: make([]byte, size), bs: bs}
	for i := range r.b {
		r.b[i] = byte(i / bs)
	}
	return r
}

func (r *ram) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := copy(p, r.b[off:]); n < len(p) {
		return n, io.EOF
	}
	return len(p), nil
}

func (r *ram) WriteAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return copy(r.b[off:], p), nil
}

func (r *ram) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flushes++
	return r.flushErr
}

func (r *ram) Size() int64    { return int64(len(r.b)) }
func (r *ram) BlockSize() int { return r.bs }
func (r *ram) ReadOnly() bool { return r.readOnly }

// thin is a ram that can unmap.
type thin struct{ *ram }

func (t thin) Unmap(off, n int64) error {
	clear(t.b[off : off+n])
	return nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// raw is a guest that sends what it is told, byte by byte.
type raw struct {
	t       testing.TB
	m       *loopback.Machine
	c       *Controller
	bus     *guest.Bus
	ch      *guest.Channel
	answers chan guest.Packet
	buffer  *guest.Pages // 64 KiB
	next    uint64
}

func newRaw(t testing.TB, opt Options, lopt loopback.Options) *raw {
	quiet := slog.New(slog.DiscardHandler)
	lopt.Host.Log = quiet
	m := loopback.New(t, lopt)
	c, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	m.Server.AddDevice(c)
	bus, err := guest.Connect(m.Guest, quiet)
	if err != nil {
		t.Fatal(err)
	}
	g := &raw{t: t, m: m, c: c, bus: bus, answers: make(chan guest.Packet, 100)}
	g.ch = g.open(0)
	if g.buffer, err = m.Guest.AllocPages(16); err != nil {
		t.Fatal(err)
	}
	return g
}

// open opens the controller's channel or a sub-channel.
func (g *raw) open(sub uint16) *guest.Channel {
	for _, o := range g.bus.Offers() {
		if o.InterfaceID != wire.InterfaceSCSI || o.SubchannelIndex != sub {
			continue
		}
		ch, err := g.bus.Open(o.ChannelID, guest.OpenOptions{SendPages: 4, ReceivePages: 4})
		if err != nil {
			g.t.Fatal(err)
		}
		go ch.Serve(func(batch []guest.Packet) error {
			for _, p := range batch {
				p.Payload = bytes.Clone(p.Payload)
				g.answers <- p
			}
			return nil
		})
		return ch
	}
	g.t.Fatalf("no offer of sub-channel %d", sub)
	return nil
}

func (g *raw) answer() guest.Packet {
	g.t.Helper()
	select {
	case p := <-g.answers:
		return p
	case <-time.After(30 * time.Second):
		g.t.Fatal("no answer")
	}
	panic("unreachable")
}

// send sends a packet in hex, zero-padded to size, with data bytes of the buffer if data > 0,
// and returns the answer's payload.
func (g *raw) send(packet string, size, data int) []byte {
	g.t.Helper()
	g.next++
	b := unhex(g.t, packet)
	b = append(b, make([]byte, max(0, size-len(b)))...)
	var err error
	if data == 0 {
		err = g.ch.SendInBand(b, g.next, true)
	} else {
		pages := (data + wire.PageSize - 1) / wire.PageSize
		err = g.ch.SendGPADirect([]guest.Range{{Length: uint32(data), PFN: g.buffer.PFN[:pages]}}, b, g.next)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	p := g.answer()
	if p.Transaction != g.next || p.Type != wire.PacketCompletion {
		g.t.Fatalf("answer of type %d for transaction %d, sent %d", p.Type, p.Transaction, g.next)
	}
	return p.Payload
}

// negotiate brings the channel to version, as hex of its two bytes ("0206" is 6.2).
func (g *raw) negotiate(version string) {
	g.t.Helper()
	for _, step := range []string{
		"07000000 01000000 00000000",
		"09000000 01000000 00000000 " + version,
		"0a000000 01000000 00000000",
		"08000000 01000000 00000000",
	} {
		got := g.send(step, 64, 0)
		if !bytes.Equal(got[:12], unhex(g.t, "01000000 00000000 00000000")) {
			g.t.Fatalf("%s: answered %x", step, got[:12])
		}
	}
}

// srb makes an EXECUTE_SRB for LUN lun in hex; in is 1 for data to the guest.
func srb(lun, in, data int, cdb string) string {
	n := len(strings.Join(strings.Fields(cdb), "")) / 2
	return fmt.Sprintf("03000000 01000000 00000000 3400 00 00 00 00 00 %02x %02x 14 %02x 00 %02x%02x%02x%02x %s",
		lun, n, in, byte(data), byte(data>>8), byte(data>>16), byte(data>>24), cdb)
}

// outcome is what a test looks at in an answer: NT status, SRB status, SCSI status,
// bytes, and the first 14 bytes of sense.
func outcome(b []byte) string {
	s := fmt.Sprintf("%x %x %x %x", b[8:12], b[14:15], b[15:16], b[24:28])
	if b[14]&0x80 != 0 {
		s += fmt.Sprintf(" sense %d: %x", b[21], b[28:28+14])
	}
	return s
}

const (
	good     = "00000000 01 00 "
	checked  = "850100c0 84 02 00000000 sense 18: "
	outOfRan = checked + "f00005%08x0a000000002100"
	field    = checked + "700005000000000a000000002400"
	opcode   = checked + "700005000000000a000000002000"
)

func TestNegotiation(t *testing.T) {
	g := newRaw(t, Options{MaxVersion: vstor.Version6_0}, loopback.Options{AllowBroken: true})
	steps := []struct{ name, packet, answer string }{
		{"END first", "08000000 01000000 00000000", "01000000 00000000 840100c0"},
		{"EXECUTE_SRB first", srb(0, 2, 0, "00 00 00 00 00 00"), "01000000 00000000 840100c0"},
		{"BEGIN", "07000000 01000000 00000000", "01000000 00000000 00000000"},
		{"BEGIN again", "07000000 01000000 00000000", "01000000 00000000 840100c0"},
		{"6.2", "09000000 01000000 00000000 0206", "01000000 00000000 590000c0"},
		{"9.9", "09000000 01000000 00000000 0909", "01000000 00000000 590000c0"},
		{"6.1, never released", "09000000 01000000 00000000 0106", "01000000 00000000 590000c0"},
		{"6.0", "09000000 01000000 00000000 0006", "01000000 00000000 00000000"},
		{"6.0 again", "09000000 01000000 00000000 0006", "01000000 00000000 840100c0"},
		{"PROPERTIES", "0a000000 01000000 00000000", "01000000 00000000 00000000 00000000 0000 0000 01000000 00000400 0000000000000000"},
		{"END", "08000000 01000000 00000000", "01000000 00000000 00000000"},
		{"sub-channels that are not allowed", "0d000000 01000000 00000000 0100", "01000000 00000000 0d0000c0"},
		{"an operation of the host's", "0b000000 01000000 00000000", "01000000 00000000 840100c0"},
		{"RESET_BUS", "06000000 01000000 00000000", "01000000 00000000 00000000"},
	}
	for _, s := range steps {
		want := unhex(t, s.answer)
		got := g.send(s.packet, 64, 0)
		if len(got) != 64 || !bytes.Equal(got[:len(want)], want) {
			t.Errorf("%s: answered %d bytes, %x, want %x", s.name, len(got), got[:len(want)], want)
		}
	}
	if n := len(g.m.Broken()); n != 6 {
		t.Errorf("%d broken rules, want 6: %v", n, g.m.Broken())
	}
}

// TestShortPackets negotiates 4.2 with packets of 48 bytes; answers have the same size
// and sense data is cut to what fits.
func TestShortPackets(t *testing.T) {
	g := newRaw(t, Options{}, loopback.Options{})
	g.c.AddDisk(0, newRAM(1<<20, 512))
	for _, step := range []string{"07", "09000000 01000000 00000000 0204", "0a", "08"} {
		if got := g.send(step, 48, 0); len(got) != 48 || !bytes.Equal(got[8:12], make([]byte, 4)) {
			t.Fatalf("%s: %x", step, got)
		}
	}
	got := g.send(srb(0, 1, 512, "28 00 00 00 00 07 00 00 01 00"), 48, 512)
	if len(got) != 48 || outcome(got) != good+"00020000" || g.buffer.Mem[511] != 7 {
		t.Errorf("READ: %d bytes, %s", len(got), outcome(got))
	}
	if got := g.send(srb(0, 2, 0, "ff"), 48, 0); len(got) != 48 || outcome(got) != opcode {
		t.Errorf("unknown command: %d bytes, %s", len(got), outcome(got))
	}
}

// TestCommands sends literal requests and compares status, sense and data. The disk at
// LUN 0 has 2048 blocks of 512 bytes, each filled with its number; LUN 5 is read-only
// with 4096-byte blocks; LUN 2 is thin.
func TestCommands(t *testing.T) {
	g := newRaw(t, Options{Instance: guid.MustParse("00000000-0000-0000-0000-0000000000aa")}, loopback.Options{})
	disk := newRAM(1<<20, 512)
	ro := newRAM(1<<20, 4096)
	ro.readOnly = true
	for lun, b := range map[uint8]Backend{0: disk, 5: ro, 2: thin{newRAM(1<<20, 512)}} {
		if err := g.c.AddDisk(lun, b); err != nil {
			t.Fatal(err)
		}
	}
	g.negotiate("0206")
	tests := []struct {
		name    string
		lun, in int
		data    int    // bytes of buffer
		cdb     string // command
		want    string // outcome
		prefix  string // of the buffer afterwards; "" to skip
	}{
		{"TEST UNIT READY", 0, 2, 0, "00 00 00 00 00 00", good + "00000000", ""},
		{"INQUIRY", 0, 1, 36, "12 00 00 00 24 00", good + "24000000", "000005021f000002" + hex.EncodeToString([]byte("Msft    Virtual Disk    1.0 "))},
		{"INQUIRY, 5 bytes", 0, 1, 36, "12 00 00 00 05 00", good + "05000000", "000005021f 55"},
		{"INQUIRY, absent LUN", 9, 1, 36, "12 00 00 00 24 00", good + "24000000", "7f"},
		{"INQUIRY page without VPD", 0, 1, 36, "12 00 80 00 24 00", field, ""},
		{"VPD pages", 0, 1, 64, "12 01 00 00 40 00", good + "0a000000", "00 00 0006 00 80 83 b0 b1 b2 55"},
		{"VPD serial", 5, 1, 64, "12 01 80 00 40 00", good + "24000000", "00 80 0020 3030303030303030"},
		{"VPD device id", 0, 1, 64, "12 01 83 00 40 00", good + "20000000", "00 83 001c 01 01 00 18 4d736674 20202020"},
		{"VPD block limits", 0, 1, 64, "12 01 b0 00 40 00", good + "40000000", "00 b0 003c 00 00 0008 00000200"},
		{"VPD characteristics", 0, 1, 64, "12 01 b1 00 40 00", good + "40000000", "00 b1 003c 0001"},
		{"VPD provisioning, thin", 2, 1, 64, "12 01 b2 00 40 00", good + "08000000", "00 b2 0004 00 84 00 00"},
		{"VPD unknown", 0, 1, 64, "12 01 c7 00 40 00", field, ""},
		{"READ CAPACITY(10)", 0, 1, 8, "25 00 00 00 00 00 00 00 00 00", good + "08000000", "000007ff 00000200"},
		{"READ CAPACITY(16)", 5, 1, 32, "9e 10 0000000000000000 00000020 00 00", good + "20000000", "00000000000000ff 00001000 00 00 00"},
		{"READ CAPACITY(16), thin", 2, 1, 32, "9e 10 0000000000000000 00000020 00 00", good + "20000000", "00000000000007ff 00000200 00 03 c0"},
		{"GET LBA STATUS", 0, 1, 32, "9e 12 0000000000000000 00000020 00 00", field, ""},
		{"REPORT LUNS", 0, 1, 64, "a0 00 00 00 00 00 00000040 00 00", good + "20000000",
			"00000018 00000000 0000000000000000 0002000000000000 0005000000000000 55"},
		{"REPORT LUNS at an absent LUN, cut", 7, 1, 64, "a0 00 02 00 00 00 0000000a 00 00", good + "0a000000", "00000018 00000000 0000 55"},
		{"REPORT LUNS, bad select", 0, 1, 64, "a0 00 03 00 00 00 00000040 00 00", field, ""},
		{"REQUEST SENSE", 0, 1, 18, "03 00 00 00 12 00", good + "12000000", "70 00 00 00000000 0a"},
		{"MODE SENSE(6)", 0, 1, 192, "1a 00 3f 00 c0 00", good + "24000000", "23 00 10 00 0812 04"},
		{"MODE SENSE(6), read-only", 5, 1, 192, "1a 00 08 00 c0 00", good + "18000000", "17 00 90 00 0812 04"},
		{"MODE SENSE(10), changeable", 0, 1, 192, "5a 00 48 00 00 00 00 00c0 00", good + "1c000000", "001a 00 10 0000 0000 0812 00"},
		{"MODE SENSE, unknown page", 0, 1, 192, "1a 00 1c 00 c0 00", field, ""},
		{"READ(6)", 0, 1, 512, "08 00 00 03 01 00", good + "00020000", "0303"},
		{"READ(6), 256 blocks in too small a buffer", 0, 1, 512, "08 00 00 00 00 00", field, ""},
		{"READ(10)", 0, 1, 1024, "28 00 00000010 00 0002 00", good + "00040000", "1010"},
		{"READ(10), last block", 0, 1, 512, "28 00 000007ff 00 0001 00", good + "00020000", "ffff"},
		{"READ(10), beyond", 0, 1, 1024, "28 00 000007ff 00 0002 00", fmt.Sprintf(outOfRan, 0x7FF), ""},
		{"READ(10), nothing", 0, 2, 0, "28 00 00000800 00 0000 00", good + "00000000", ""},
		{"READ(10), wrong way", 0, 0, 512, "28 00 00000000 00 0001 00", field, ""},
		{"READ(10), CDB cut", 0, 1, 512, "28 00 00000000 00", field, ""},
		{"READ(12)", 0, 1, 512, "a8 00 00000021 00000001 00 00", good + "00020000", "2121"},
		{"READ(16)", 5, 1, 4096, "88 00 0000000000000007 00000001 00 00", good + "00100000", "0707"},
		{"READ(16), LBA wraps", 0, 1, 512, "88 00 ffffffffffffffff 00000001 00 00", checked + "700005000000000a000000002100", ""},
		{"READ(16), count wraps", 0, 1, 512, "88 00 0000000000000001 ffffffff 00 00", fmt.Sprintf(outOfRan, 1), ""},
		{"READ of an absent LUN", 1, 1, 512, "28 00 00000000 00 0001 00",
			"c00000c0 a0 02 00000000 sense 18: 700005000000000a000000002500", ""},
		{"WRITE(10)", 0, 0, 512, "2a 00 00000004 00 0001 00", good + "00020000", ""},
		{"READ(10) of it", 0, 1, 512, "28 00 00000004 00 0001 00", good + "00020000", "5555"},
		{"WRITE(16) with FUA", 0, 0, 512, "8a 08 0000000000000006 00000001 00 00", good + "00020000", ""},
		{"WRITE(12)", 0, 0, 512, "aa 00 00000005 00000001 00 00", good + "00020000", ""},
		{"WRITE(6)", 0, 0, 512, "0a 00 00 07 01 00", good + "00020000", ""},
		{"WRITE, read-only", 5, 0, 4096, "2a 00 00000000 00 0001 00", "850100c0 84 02 00000000 sense 18: 700007000000000a000000002700", ""},
		{"WRITE(10), beyond", 0, 0, 512, "2a 00 00000800 00 0001 00", fmt.Sprintf(outOfRan, 0x800), ""},
		{"SYNCHRONIZE CACHE(10)", 0, 2, 0, "35 00 00000000 00 0000 00", good + "00000000", ""},
		{"SYNCHRONIZE CACHE(16)", 0, 2, 0, "91 00 0000000000000000 00000000 00 00", good + "00000000", ""},
		{"SYNCHRONIZE CACHE, beyond", 0, 2, 0, "35 00 00000801 00 0000 00", fmt.Sprintf(outOfRan, 0x801), ""},
		{"VERIFY(10)", 0, 2, 0, "2f 00 00000000 00 0010 00", good + "00000000", ""},
		{"VERIFY(10) with data", 0, 0, 512, "2f 02 00000004 00 0001 00", good + "00020000", ""},
		{"VERIFY(16) with other data", 0, 0, 512, "8f 02 0000000000000009 00000001 00 00",
			"850100c0 84 02 00000000 sense 18: 70000e000000000a000000001d00", ""},
		{"START STOP UNIT", 0, 2, 0, "1b 00 00 00 01 00", good + "00000000", ""},
		{"UNMAP, not thin", 0, 0, 24, "42 00 00 00 00 00 00 0018 00", opcode, ""},
		{"unknown command", 0, 2, 0, "c1 00 00 00 00 00", opcode, ""},
		{"MODE SELECT", 0, 0, 24, "15 10 00 00 18 00", opcode, ""},
	}
	for _, tt := range tests {
		for i := range g.buffer.Mem {
			g.buffer.Mem[i] = 0x55
		}
		if got := outcome(g.send(srb(tt.lun, tt.in, tt.data, tt.cdb), 64, tt.data)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
		if want := unhex(t, tt.prefix); !bytes.Equal(g.buffer.Mem[:len(want)], want) {
			t.Errorf("%s: data %x, want %x", tt.name, g.buffer.Mem[:len(want)], want)
		}
	}
	elsewhere := strings.Replace(srb(0, 1, 64, "a0 00 00 00 00 00 00000040 00 00"), "00 00 00 00 00 00 0c", "00 00 00 00 01 00 0c", 1)
	if got := outcome(g.send(elsewhere, 64, 64)); got != good+"08000000" {
		t.Errorf("REPORT LUNS of target 1: %s", got)
	}
	elsewhere = strings.Replace(srb(0, 1, 512, "28 00 00000000 00 0001 00"), "00 00 00 00 00 00 0a", "00 00 00 01 00 00 0a", 1)
	if got := outcome(g.send(elsewhere, 64, 512)); got != "c00000c0 a0 02 00000000 sense 18: 700005000000000a000000002500" {
		t.Errorf("READ on path 1: %s", got)
	}
	if disk.flushes != 3 {
		t.Errorf("%d flushes, want 3: FUA and two SYNCHRONIZE CACHE", disk.flushes)
	}
	for _, block := range []int{4, 5, 6, 7} {
		if disk.b[block*512] != 0x55 || disk.b[block*512+511] != 0x55 {
			t.Errorf("block %d was not written", block)
		}
	}
	if err := g.ch.Close(); err != nil {
		t.Error(err)
	}
	if err := g.bus.Unload(); err != nil {
		t.Error(err)
	}
}

func TestUnmap(t *testing.T) {
	g := newRaw(t, Options{}, loopback.Options{})
	disk := thin{newRAM(1<<20, 512)}
	g.c.AddDisk(0, disk)
	g.negotiate("0206")
	copy(g.buffer.Mem, unhex(t, "0026 0020 00000000 0000000000000003 00000002 00000000 0000000000000009 00000001 00000000"))
	if got := outcome(g.send(srb(0, 0, 40, "42 00 00 00 00 00 00 0028 00"), 64, 40)); got != good+"28000000" {
		t.Errorf("UNMAP: %s", got)
	}
	for block, want := range map[int]byte{2: 2, 3: 0, 4: 0, 5: 5, 9: 0, 10: 10} {
		if disk.b[block*512] != want {
			t.Errorf("block %d holds %d", block, disk.b[block*512])
		}
	}
	copy(g.buffer.Mem, unhex(t, "0016 0010 00000000 00000000000007ff 00000002"))
	if got := outcome(g.send(srb(0, 0, 24, "42 00 00 00 00 00 00 0018 00"), 64, 24)); got != fmt.Sprintf(outOfRan, 0x7FF) {
		t.Errorf("UNMAP beyond: %s", got)
	}
	copy(g.buffer.Mem, unhex(t, "ffff ffff"))
	if got := outcome(g.send(srb(0, 0, 24, "42 00 00 00 00 00 00 0018 00"), 64, 24)); got != checked+"700005000000000a000000001a00" {
		t.Errorf("UNMAP with a length that lies: %s", got)
	}
}

// TestBadRequests sends requests whose lengths do not agree; the channel survives.
func TestBadRequests(t *testing.T) {
	g := newRaw(t, Options{MaxTransfer: 8192}, loopback.Options{AllowBroken: true})
	g.c.AddDisk(0, newRAM(1<<20, 512))
	g.negotiate("0206")
	const invalid = "850100c0 06 00 00000000"
	for _, tt := range []struct {
		name   string
		packet string
		data   int
	}{
		{"more data than buffer", srb(0, 1, 4096, "28 00 00000000 00 0008 00"), 512},
		{"data without buffer", srb(0, 1, 512, "28 00 00000000 00 0001 00"), 0},
		{"more than the maximum", srb(0, 1, 16384, "28 00 00000000 00 0020 00"), 16384},
		{"CDB of 255 bytes", strings.Replace(srb(0, 1, 512, "28 00 00000000 00 0001 00"), " 0a 14 ", " ff 14 ", 1), 512},
		{"no CDB", srb(0, 1, 512, ""), 512},
	} {
		if got := outcome(g.send(tt.packet, 64, tt.data)); got != invalid {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
	if got := outcome(g.send(srb(0, 1, 512, "28 00 00000001 00 0001 00"), 64, 512)); got != good+"00020000" {
		t.Errorf("afterwards: %s", got)
	}
	if n := len(g.m.Broken()); n != 4 {
		t.Errorf("%d broken rules: %v", n, g.m.Broken())
	}
}

// TestFatalPackets sends what ends the channel: the host says why and stops answering.
func TestFatalPackets(t *testing.T) {
	for name, send := range map[string]func(g *raw){
		"short":         func(g *raw) { g.ch.SendInBand(make([]byte, 8), 1, true) },
		"no completion": func(g *raw) { g.ch.SendInBand(make([]byte, 64), 1, false) },
		"completion":    func(g *raw) { g.ch.SendCompletion(1, make([]byte, 64)) },
	} {
		g := newRaw(t, Options{}, loopback.Options{AllowBroken: true})
		send(g)
		for start := time.Now(); len(g.m.Broken()) == 0; time.Sleep(time.Millisecond) {
			if time.Since(start) > 30*time.Second {
				t.Fatalf("%s: not reported", name)
			}
		}
		if got := g.m.Broken()[0]; !strings.HasPrefix(got, vmbus.RuleDevice+": storvsp: packet of ") {
			t.Errorf("%s: reported as %s", name, got)
		}
		if err := g.ch.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
}

// TestFaults injects medium errors, a failing flush, and a slow request that a later one
// overtakes.
func TestFaults(t *testing.T) {
	g := newRaw(t, Options{}, loopback.Options{})
	disk := newRAM(1<<20, 512)
	g.c.AddDisk(0, disk)
	g.negotiate("0206")
	g.c.SetFault(BadBlock(0, 9))
	if got := outcome(g.send(srb(0, 1, 1024, "28 00 00000008 00 0002 00"), 64, 1024)); got != checked+"f00003000000090a000000001100" {
		t.Errorf("READ of a bad block: %s", got)
	}
	if got := outcome(g.send(srb(0, 0, 512, "2a 00 00000009 00 0001 00"), 64, 512)); got != checked+"f00003000000090a000000000c00" {
		t.Errorf("WRITE of a bad block: %s", got)
	}
	if got := outcome(g.send(srb(0, 1, 512, "28 00 0000000a 00 0001 00"), 64, 512)); got != good+"00020000" {
		t.Errorf("READ of its neighbour: %s", got)
	}
	disk.flushErr = errors.New("disk on fire")
	if got := outcome(g.send(srb(0, 2, 0, "35 00 00000000 00 0000 00"), 64, 0)); got != checked+"f00003000000000a000000000c00" {
		t.Errorf("failing SYNCHRONIZE CACHE: %s", got)
	}
	overtaken := make(chan struct{})
	g.c.SetFault(func(lun uint8, cdb []byte) *Fault {
		if cdb[0] == 0x35 {
			<-overtaken
		}
		return nil
	})
	disk.flushErr = nil
	slow := append(unhex(t, srb(0, 2, 0, "35 00 00000000 00 0000 00")), make([]byte, 26)...)
	if err := g.ch.SendInBand(slow, 1000, true); err != nil {
		t.Fatal(err)
	}
	g.send(srb(0, 2, 0, "00 00 00 00 00 00"), 64, 0) // fails if answers came in order
	close(overtaken)
	if p := g.answer(); p.Transaction != 1000 {
		t.Errorf("transaction %d", p.Transaction)
	}
}

// TestEnumerate adds and removes disks under a running guest.
func TestEnumerate(t *testing.T) {
	g := newRaw(t, Options{}, loopback.Options{})
	if err := g.c.AddDisk(0, newRAM(1<<20, 512)); err != nil {
		t.Fatal(err)
	}
	g.negotiate("0006")
	for _, change := range []func() error{
		func() error { return g.c.AddDisk(3, newRAM(1<<20, 512)) },
		func() error { return g.c.RemoveDisk(3) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		p := g.answer()
		if p.Type != wire.PacketInBand || len(p.Payload) != 64 || !bytes.Equal(p.Payload[:12], unhex(t, "0b000000 00000000 00000000")) {
			t.Errorf("type %d, %x", p.Type, p.Payload)
		}
	}
	for _, err := range []error{g.c.AddDisk(0, newRAM(512, 512)), g.c.AddDisk(64, newRAM(512, 512)), g.c.RemoveDisk(3)} {
		if !errors.Is(err, ErrLUN) {
			t.Errorf("error %v", err)
		}
	}
	if err := g.c.AddDisk(1, newRAM(1000, 1000)); err == nil {
		t.Error("blocks of 1000 bytes are accepted")
	}
}

// TestSubChannels reads through a sub-channel.
func TestSubChannels(t *testing.T) {
	released := make(chan struct{}, 2)
	g := newRaw(t, Options{SubChannels: 2}, loopback.Options{Host: vmbus.Options{Trace: func(toGuest bool, m []byte) {
		if !toGuest && wire.MessageType(m[0]) == wire.MsgRelIDReleased {
			released <- struct{}{}
		}
	}}})
	g.c.AddDisk(0, newRAM(1<<20, 512))
	g.negotiate("0206")
	if got := g.send("0d000000 01000000 00000000 0200", 64, 0); !bytes.Equal(got[8:12], make([]byte, 4)) {
		t.Fatalf("CREATE_SUB_CHANNELS: %x", got[:12])
	}
	w := g.bus.Watch()
	defer w.Stop()
	for !slices.ContainsFunc(g.bus.Offers(), func(o guest.Offer) bool { return o.SubchannelIndex == 2 }) {
		select {
		case <-w.C:
		case <-time.After(30 * time.Second):
			t.Fatal("no sub-channels")
		}
	}
	primary := g.ch
	g.ch = g.open(2)
	if got := outcome(g.send(srb(0, 1, 512, "28 00 00000005 00 0001 00"), 64, 512)); got != good+"00020000" {
		t.Errorf("READ: %s", got)
	}
	if err := g.ch.Close(); err != nil {
		t.Error(err)
	}
	if err := primary.Close(); err != nil {
		t.Error(err)
	}
	for range 2 { // the host rescinds them with the primary channel
		select {
		case <-released:
		case <-time.After(30 * time.Second):
			t.Fatal("sub-channels were not released")
		}
	}
	if err := g.bus.Unload(); err != nil {
		t.Error(err)
	}
}

// FuzzPacket gives a negotiated channel one packet of the guest's choice, over a buffer
// of the guest's choice; the host must answer or end the channel, never fall.
func FuzzPacket(f *testing.F) {
	f.Add(unhex(f, srb(0, 1, 512, "28 00 00000005 00 0001 00")), uint16(512))
	f.Add(unhex(f, srb(0, 0, 24, "42 00 00 00 00 00 00 0018 00")), uint16(24))
	f.Add(unhex(f, srb(0, 0, 512, "2f 02 00000004 00 0001 00")), uint16(512))
	f.Add(unhex(f, "0a000000 01000000 00000000"), uint16(0))
	f.Fuzz(func(t *testing.T, packet []byte, data uint16) {
		if len(packet) > 1000 {
			return
		}
		g := newRaw(t, Options{}, loopback.Options{AllowBroken: true, Pages: 64})
		g.c.AddDisk(0, thin{newRAM(1<<16, 512)})
		g.negotiate("0206")
		packet = append(packet, make([]byte, max(0, 64-len(packet)))...)
		for i := range g.buffer.Mem {
			g.buffer.Mem[i] = packet[i%len(packet)]
		}
		pages := (int(data) + wire.PageSize - 1) / wire.PageSize
		if err := g.ch.SendGPADirect([]guest.Range{{Length: uint32(data), PFN: g.buffer.PFN[:pages]}}, packet, 99); err != nil {
			return
		}
		if p := g.answer(); p.Transaction != 99 || len(p.Payload) != 64 {
			t.Errorf("transaction %d, %d bytes", p.Transaction, len(p.Payload))
		}
	})
}
