// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/internal/guid"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var discard = slog.New(slog.DiscardHandler)

// fakeVM is a guest made of bytes: pages 0x10 to 0x4F are RAM. It keeps what the server
// sends.
type fakeVM struct {
	t   testing.TB
	s   *Server
	ram []byte

	mu       sync.Mutex
	messages []string // "vp/sint hex"
	rules    []string
	signals  chan uint16
	targets  []uint32 // of all signals
}

const firstPage, ramPages, fakeVPs = 0x10, 0x40, 8

func newFake(t testing.TB, opt Options) *fakeVM {
	v := &fakeVM{t: t, ram: make([]byte, ramPages*wire.PageSize), signals: make(chan uint16, 1000)}
	opt.Log = discard
	opt.Strict = func(rule, detail string) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.rules = append(v.rules, rule)
	}
	v.s = New(v, opt)
	t.Cleanup(v.s.Close)
	return v
}

func (v *fakeVM) Memory() Memory { return v }

func (v *fakeVM) VPs() uint32 { return fakeVPs }

func (v *fakeVM) Bytes(gpa, n uint64) ([]byte, error) {
	at := gpa - firstPage*wire.PageSize
	if gpa < firstPage*wire.PageSize || at+n > uint64(len(v.ram)) || at+n < at {
		return nil, fmt.Errorf("%#x is not RAM", gpa)
	}
	return v.ram[at : at+n : at+n], nil
}

func (v *fakeVM) PostMessage(vp uint32, sint uint8, msgType uint32, payload []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.messages = append(v.messages, fmt.Sprintf("%d/%d %x", vp, sint, payload))
	return nil
}

func (v *fakeVM) SignalEvent(vp uint32, sint uint8, flag uint16) error {
	if vp >= fakeVPs {
		return fmt.Errorf("there is no VP %d", vp)
	}
	v.mu.Lock()
	v.targets = append(v.targets, vp)
	v.mu.Unlock()
	select {
	case v.signals <- flag:
	default:
	}
	return nil
}

// page returns a page of RAM by its number.
func (v *fakeVM) page(n int) []byte {
	return v.ram[(n-firstPage)*wire.PageSize:][:wire.PageSize]
}

// settle waits until the server has handled all messages.
func (v *fakeVM) settle() {
	for len(v.s.messages) > 0 {
		time.Sleep(100 * time.Microsecond)
	}
	v.s.do(func() {})
}

// post posts messages in hex on a connection and returns what the server sent meanwhile
// and which rules it reported.
func (v *fakeVM) post(connection uint32, messages ...string) (sent, rules []string) {
	v.t.Helper()
	for _, m := range messages {
		if s := v.s.PostMessage(connection, 1, unhex(v.t, m)); s != tlfs.StatusSuccess {
			v.t.Fatalf("posting %s: %v", m, s)
		}
		v.settle()
	}
	return v.take()
}

func (v *fakeVM) take() (sent, rules []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	sent, rules = v.messages, v.rules
	v.messages, v.rules = nil, nil
	return sent, rules
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// squeeze takes the blanks out of hex, keeping the first of "0/2 0f000000...".
func squeeze(s string) string {
	vp, rest, _ := strings.Cut(s, " ")
	return vp + " " + strings.Join(strings.Fields(rest), "")
}

// echo completes each packet with its payload, or, with manual, leaves the channel to
// the test.
type echo struct {
	id     byte
	manual chan *Channel
}

func (e echo) Offer() Offer {
	return Offer{Interface: guid.MustParse("01020304-0506-0708-090a-0b0c0d0e0f10"), Instance: guid.GUID{15: e.id}, Flags: 0x11, UserDefined: [120]byte{0: 4}}
}

func (e echo) Serve(ctx context.Context, ch *Channel) error {
	if e.manual != nil {
		e.manual <- ch
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		p, err := ch.ReadPacket(ctx)
		if err != nil {
			return err
		}
		if err := ch.Complete(ctx, p.Transaction, bytes.Clone(p.Payload)); err != nil {
			return err
		}
	}
}

// Messages of a guest.
const (
	contact60 = "0e000000 00000000 00000600 00000000 0200000000000000 0000000000000000 0000000000000000"
	contact40 = "0e000000 00000000 00000400 00000000 0000000000000000 0000000000000000 0000000000000000"
	offersReq = "03000000 00000000"
	gpadl1    = "08000000 00000000 01000000 e1000000 2800 0100 00400000 00000000 1000000000000000 1200000000000000 1100000000000000 1300000000000000"
	closeCh1  = "07000000 00000000 01000000"
	tearCh1   = "0b000000 00000000 01000000 e1000000"
	unloadMsg = "10000000 00000000"
)

// open1 opens channel 1 with the rings of gpadl1, two pages each.
func open1(gpadl, second string) string {
	return "05000000 00000000 01000000 77000000 " + gpadl + " 03000000 " + second + strings.Repeat("00", 120)
}
