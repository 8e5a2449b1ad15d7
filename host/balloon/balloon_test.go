// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	hostbus "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/loopback"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// peer is a guest that sends what a test writes down as hex.
type peer struct {
	t    *testing.T
	m    *loopback.Machine
	bus  *vmbus.Bus
	ch   *vmbus.Channel
	got  chan []byte // the device's messages, without padding
	host *Balloon
}

// open makes a device and a guest that has opened its channel.
func open(t *testing.T, opt Options) *peer {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	p := &peer{t: t, m: loopback.New(t, loopback.Options{AllowBroken: true, Host: hostbus.Options{Garbage: true, Log: log}}), got: make(chan []byte, 100), host: New(opt)}
	p.m.Server.AddDevice(p.host)
	var err error
	if p.bus, err = vmbus.Connect(p.m.Guest, log); err != nil {
		t.Fatal(err)
	}
	p.reopen()
	return p
}

func (p *peer) reopen() {
	p.t.Helper()
	ch, err := p.bus.Open(p.bus.Find(wire.InterfaceDynamicMemory)[0].ChannelID, vmbus.OpenOptions{SendPages: 5, ReceivePages: 5})
	if err != nil {
		p.t.Fatal(err)
	}
	p.ch = ch
	go ch.Serve(func(batch []vmbus.Packet) error {
		for _, packet := range batch {
			if packet.Type == wire.PacketCompletion {
				p.got <- []byte("completion")
				continue
			}
			n := int(packet.Payload[2]) | int(packet.Payload[3])<<8
			p.got <- append([]byte(nil), packet.Payload[:n]...)
		}
		return nil
	})
	p.t.Cleanup(func() { ch.Close() })
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p *peer) send(message string) {
	p.t.Helper()
	if err := p.ch.SendInBand(unhex(p.t, message), 1, false); err != nil {
		p.t.Fatal(err)
	}
}

// expect compares the device's next message.
func (p *peer) expect(message string) {
	p.t.Helper()
	select {
	case got := <-p.got:
		if want := unhex(p.t, message); string(got) != string(want) {
			p.t.Fatalf("got %x, want %x", got, want)
		}
	case <-time.After(time.Minute):
		p.t.Fatal("no message of the device's")
	}
}

// broke waits until the device reported a rule whose detail holds text.
func (p *peer) broke(text string) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, r := range p.m.Broken() {
			if strings.HasPrefix(r, hostbus.RuleDevice+": ") && strings.Contains(r, text) {
				return
			}
		}
	}
	p.t.Fatalf("no broken rule with %q: %q", text, p.m.Broken())
}

// What a guest says at first, and the answers.
const (
	version2     = "0100 1000 01000000  0000 0200 00000000"
	accepted     = "0200 1000 01000000  01000000 00000000"
	refused      = "0200 1000 01000000  00000000 00000000"
	capabilityOK = "0400 1000 02000000  01000000 00000000"
	balloonOnly  = "0300 2000 02000000  0100000000000000 0018000000000000 ffffffffffffffff"
	status       = "0500 3000 03000000  1122000000000000 3344000000000000 0000000000000000 0000000000000000 00000000 00000000"
)

func (p *peer) agree() {
	p.t.Helper()
	p.send(version2)
	p.expect(accepted)
	p.send(balloonOnly)
	p.expect(capabilityOK)
}

func TestConversation(t *testing.T) {
	p := open(t, Options{
		MaxPages: 0x12345, Verify: true,
		Refuse: func(v dynmem.Version) bool { return v == dynmem.Version2_0 },
	})
	p.send(version2)
	p.expect(refused)
	p.send("0100 1000 01000000  0700 0000 00000000") // 0.7, which never was
	p.expect(refused)
	p.send("0100 1000 01000000  0000 0100 00000000")
	p.expect(accepted)
	p.send(balloonOnly)
	p.expect(capabilityOK)
	p.expect("0c00 2000 01000000  00000000 10000000 00000000 08000000 4523010000000000")
	ctx := t.Context()
	if err := p.host.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	p.send(status)
	if err := p.host.WaitReports(ctx, 1); err != nil {
		t.Fatal(err)
	}
	g := p.host.Guest()
	if g.Version != dynmem.Version1_0 || !g.Capabilities.Balloon || g.Capabilities.MinPages != 0x1800 || g.Status.Available != 0x2211 || g.Status.Committed != 0x4433 {
		t.Errorf("%+v", g)
	}

	pages, err := p.m.Guest.AllocPages(3)
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan uint64, 1)
	go func() {
		n, err := p.host.Inflate(ctx, 4)
		if err != nil {
			t.Error(err)
		}
		results <- n
	}()
	p.expect("0600 1000 02000000  04000000 00000000")
	// Three pages in two messages, under transactions of the guest's own.
	p.send("0700 1800 04000000  00000000 03000000" + page(pages.PFN[0]))
	p.send("0700 2000 05000000  00000000 04000000" + page(pages.PFN[1]) + page(pages.PFN[2]))
	if n := <-results; n != 3 || p.host.Guest().Held != 3 {
		t.Errorf("%d pages, %d held", n, p.host.Guest().Held)
	}
	for i, b := range pages.Mem {
		if b != poison {
			t.Fatalf("byte %d of the pages that were given away is %#x", i, b)
		}
	}
	go func() {
		n, err := p.host.Deflate(ctx, 99)
		if err != nil {
			t.Error(err)
		}
		results <- n
	}()
	m := <-p.got
	if len(m) != 40 || hex.EncodeToString(m[:16]) != "08002800030000000000000003000000" {
		t.Fatalf("%x", m)
	}
	p.send("0900 0800 06000000")
	if n := <-results; n != 3 || p.host.Guest().Held != 0 {
		t.Errorf("%d pages, %d held", n, p.host.Guest().Held)
	}
	if b := p.m.Broken(); len(b) > 0 {
		t.Error(b)
	}
}

// page is a range of one page, as hex.
func page(pfn uint64) string {
	return hex.EncodeToString([]byte{byte(pfn), byte(pfn >> 8), byte(pfn >> 16), byte(pfn >> 24), byte(pfn >> 32), 1, 0, 0})
}

// TestBrokenRules sends what a guest may not, at the state that each needs.
func TestBrokenRules(t *testing.T) {
	for _, c := range []struct {
		name     string
		agree    bool
		inflate  uint32 // pages asked for before
		messages []string
		rule     string
	}{
		{"nothing", false, 0, []string{"0000"}, "announces 0 bytes"},
		{"longer than the packet", false, 0, []string{"0100 1100 01000000  0000 0200 00000000"}, "announces 17 bytes"},
		{"short version request", false, 0, []string{"0100 0c00 01000000  0000 0200 00000000"}, "version request of 4 bytes"},
		{"short capabilities", false, 0, []string{version2, "0300 1800 02000000  0100000000000000 0018000000000000"}, "capabilities of 16 bytes"},
		{"short status", true, 0, []string{"0500 1000 03000000  1122000000000000"}, "status report of 8 bytes"},
		{"capabilities first", false, 0, []string{balloonOnly}, "CAPABILITIES_REPORT in state awaiting a version"},
		{"version twice", false, 0, []string{version2, version2}, "VERSION_REQUEST in state awaiting capabilities"},
		{"status early", false, 0, []string{version2, status}, "STATUS_REPORT in state awaiting capabilities"},
		{"version when ready", true, 0, []string{version2}, "VERSION_REQUEST in state ready"},
		{"balloon response unasked", true, 0, []string{"0700 1000 04000000  00000000 00000000"}, "BALLOON_RESPONSE in state ready"},
		{"unballoon response unasked", true, 0, []string{"0900 0800 04000000"}, "UNBALLOON_RESPONSE in state ready"},
		{"unballoon response instead", true, 1, []string{"0900 0800 04000000"}, "UNBALLOON_RESPONSE in state inflating"},
		{"hot-add response unasked", true, 0, []string{"0b00 1000 04000000  00000000 01000000"}, "MEM_HOT_ADD_RESPONSE"},
		{"unknown", true, 0, []string{"6300 0800 04000000"}, "message type 99"},
		{"more pages than asked for", true, 1, []string{"0700 1800 04000000  00000000 02000000 0000100000 020000"}, "2 pages for 1"},
		{"more ranges than sent", true, 9, []string{"0700 1800 04000000  00000000 04000000 0000100000 010000"}, "2 ranges in 8 bytes"},
		{"not RAM", true, 1, []string{"0700 1800 04000000  00000000 02000000 0100000000 010000"}, "page 0x1:"},
		{"page twice", true, 9, []string{"0700 2000 04000000  00000000 05000000 0010100000 010000 0010100000 010000"}, "page 0x101000 is given twice"},
		{"page twice in two", true, 9, []string{
			"0700 1800 04000000  00000000 03000000 0010100000 010000", "0700 1800 05000000  00000000 03000000 0010100000 010000",
		}, "page 0x101000 is given twice"},
		{"empty range", true, 9, []string{"0700 1800 04000000  00000000 02000000 0010100000 000000"}, "an empty range"},
		{"no pages, more to come", true, 9, []string{"0700 1000 04000000  00000000 01000000"}, "not the last"},
		{"longer packet than message", true, 0, []string{status + "0000000000000000"}, "48 bytes in a packet of 56"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := open(t, Options{})
			if c.agree {
				p.agree()
				if err := p.host.WaitReady(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if c.inflate > 0 {
				go p.host.Inflate(t.Context(), c.inflate)
				<-p.got
			}
			for _, m := range c.messages {
				p.send(m)
			}
			p.broke(c.rule)
		})
	}
}

func TestGone(t *testing.T) {
	p := open(t, Options{})
	ctx := t.Context()
	if _, err := p.host.Inflate(ctx, 1); !errors.Is(err, ErrNotReady) {
		t.Error(err)
	}
	p.agree()
	if err := p.host.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := p.host.Inflate(ctx, 1)
		result <- err
	}()
	<-p.got
	if _, err := p.host.Deflate(ctx, 1); !errors.Is(err, ErrInProgress) {
		t.Error(err)
	}
	if err := p.ch.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	if _, err := p.host.Inflate(ctx, 1); !errors.Is(err, ErrNotReady) {
		t.Error(err)
	}
	p.reopen()
	p.agree()
	if err := p.host.WaitReady(ctx); err != nil {
		t.Error("second opening:", err)
	}
}

// TestVerify sees that a guest that writes to a page which it gave away is caught.
func TestVerify(t *testing.T) {
	p := open(t, Options{Verify: true})
	p.agree()
	if err := p.host.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages, err := p.m.Guest.AllocPages(1)
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := p.host.Inflate(t.Context(), 1)
		result <- err
	}()
	<-p.got
	p.send("0700 1800 04000000  00000000 02000000" + page(pages.PFN[0]))
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	pages.Mem[77] = 1
	if _, err := p.host.Deflate(t.Context(), 1); !errors.Is(err, hostbus.ErrProtocol) {
		t.Error(err)
	}
	p.broke("which it had given away")
}

func TestPatience(t *testing.T) {
	p := open(t, Options{RefuseCapabilities: true})
	p.send(version2)
	p.expect(accepted)
	p.send(balloonOnly)
	p.expect("0400 1000 02000000  00000000 00000000")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := p.host.WaitReady(ctx); !errors.Is(err, ErrNotReady) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func FuzzGuest(f *testing.F) {
	f.Add(unhex(f, "0700 1800 04000000  00000000 02000000 0010100000 010000"), true)
	f.Add(unhex(f, status), false)
	f.Add(unhex(f, "0900 0800 04000000"), true)
	f.Fuzz(func(t *testing.T, message []byte, asked bool) {
		h, body, err := dynmem.DecodeHeader(message)
		if err != nil {
			return
		}
		b := New(Options{})
		b.held, b.state, b.asked = map[uint64]bool{}, ready, 1000
		if asked {
			b.state = inflating
		}
		if h.Type == dynmem.MsgBalloonResponse {
			err = b.gotPages(noMemory{}, reporter{}, body)
			if err != nil && !errors.Is(err, hostbus.ErrProtocol) {
				t.Error(err)
			}
			if len(b.held) > 1000 {
				t.Errorf("%d pages", len(b.held))
			}
		}
	})
}

// noMemory is RAM that is there everywhere.
type noMemory struct{}

func (noMemory) Bytes(gpa, n uint64) ([]byte, error) { return make([]byte, n), nil }

// reporter takes reports for a channel.
type reporter struct{}

func (reporter) Report(string, ...any) {}
