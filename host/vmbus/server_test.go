// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

func TestContact(t *testing.T) {
	const tail = " 0000000000000000 0000000000000000 0000000000000000"
	all := wire.Features(0xFF)
	for _, tt := range []struct {
		name       string
		opt        Options
		connection uint32
		message    string
		want       string // answer
		rules      []string
	}{
		{"6.0", Options{}, 4, contact60, "0/2 0f00000000000000 01 00 0000 01000000 00000000", nil},
		{"6.0, VP 3, other connection", Options{MessageConnection: 0x55}, 4, "0e000000 00000000 00000600 03000000 02000000 00000000" + tail[17:],
			"3/2 0f00000000000000 01 00 0000 55000000 00000000", nil},
		{"features asked for", Options{}, 4, "0e000000 00000000 00000600 00000000 02000000 27000000" + tail[17:],
			"0/2 0f00000000000000 01 00 0000 01000000 24000000", nil},
		{"all features, client id", Options{Features: &all}, 4, "0e000000 00000000 00000600 00000000 02000000 ff000000" + tail[17:] + strings.Repeat("11", 16),
			"0/2 0f00000000000000 01 00 0000 01000000 ff000000", nil},
		{"client id missing", Options{}, 4, "0e000000 00000000 00000600 00000000 02000000 08000000" + tail[17:],
			"0/2 0f00000000000000 00 00 0000 00000000", []string{RuleContactFields}},
		{"5.3 of 5.2", Options{MaxVersion: wire.Version5_2}, 4, "0e000000 00000000 03000500 00000000 02000000 00000000" + tail[17:],
			"0/2 0f00000000000000 00 00 0000 00000000", nil},
		{"never released", Options{}, 1, "0e000000 00000000 04000500 00000000" + tail, "0/2 0f00000000000000 00 00 0000 00000000", nil},
		{"another SINT", Options{}, 4, "0e000000 00000000 03000500 00000000 05000000 00000000" + tail[17:],
			"0/5 0f00000000000000 00 00 0000 00000000", []string{RuleContactFields}},
		{"another VTL", Options{}, 4, "0e000000 00000000 03000500 00000000 02010000 00000000" + tail[17:],
			"0/2 0f00000000000000 00 00 0000 00000000", []string{RuleContactFields}},
		{"5.3 on connection 1 does not look at the target", Options{}, 1, "0e000000 00000000 03000500 00000000" + tail,
			"0/2 0f00000000000000 01 00 0000 01000000", nil},
		{"4.0", Options{}, 1, contact40, "0/2 0f00000000000000 01 00 0000 00000400", nil},
		{"4.0, short answer", Options{ShortVersionResponse: true}, 1, contact40, "0/2 0f00000000000000 01 00 0000 00000000", nil},
		{"2.4 goes to VP 0", Options{}, 1, "0e000000 00000000 04000200 07000000" + tail, "0/2 0f00000000000000 01 00 0000 04000200", nil},
		{"1.1 with interrupt page", Options{}, 1, "0e000000 00000000 01000100 00000000 0000010000000000" + tail[17:], "0/2 0f00000000000000 01 00 0000 01000100", nil},
		{"1.1, page is not RAM", Options{}, 1, "0e000000 00000000 01000100 00000000 0000000100000000" + tail[17:],
			"0/2 0f00000000000000 00 00 0000 00000000", []string{RuleContactFields}},
		{"0.13 without page", Options{}, 1, "0e000000 00000000 0d000000 00000000" + tail, "0/2 0f00000000000000 01 00 0000 0d000000", nil},
		{"one monitor page", Options{}, 1, "0e000000 00000000 00000400 00000000 0000000000000000 0000010000000000 0000000000000000",
			"0/2 0f00000000000000 00 00 0000 00000000", []string{RuleContactFields}},
		{"monitor pages", Options{}, 1, "0e000000 00000000 00000400 00000000 0000000000000000 0000010000000000 0010010000000000",
			"0/2 0f00000000000000 01 00 0000 00000400", nil},
		{"monitor page unaligned", Options{}, 1, "0e000000 00000000 00000400 00000000 0000000000000000 0800010000000000 0010010000000000",
			"0/2 0f00000000000000 00 00 0000 00000000", []string{RuleContactFields}},
	} {
		v := newFake(t, tt.opt)
		sent, rules := v.post(tt.connection, tt.message)
		if !slices.Equal(sent, []string{squeeze(tt.want)}) || !slices.Equal(rules, tt.rules) {
			t.Errorf("%s: sent %v, broken %v\nwant %s, %v", tt.name, sent, rules, squeeze(tt.want), tt.rules)
		}
	}
}

func TestConnections(t *testing.T) {
	for _, tt := range []struct {
		opt   Options
		conn  uint32
		typ   uint32
		bytes int
		want  tlfs.Status
	}{
		{Options{}, 1, 1, 8, tlfs.StatusSuccess},
		{Options{}, 4, 1, 8, tlfs.StatusSuccess},
		{Options{}, 2, 1, 8, tlfs.StatusInvalidConnectionID},
		{Options{}, 1, 2, 8, tlfs.StatusInvalidParameter},
		{Options{}, 1, 1, 241, tlfs.StatusInvalidParameter},
		{Options{MaxVersion: wire.Version4_1}, 4, 1, 8, tlfs.StatusInvalidConnectionID},
		{Options{NoMultiConnection: true}, 4, 1, 8, tlfs.StatusInvalidConnectionID},
		{Options{MessageConnection: 9}, 9, 1, 8, tlfs.StatusSuccess},
	} {
		v := newFake(t, tt.opt)
		if got := v.s.PostMessage(tt.conn, tt.typ, make([]byte, tt.bytes)); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
		v.s.Close()
		if got := v.s.PostMessage(tt.conn, tt.typ, make([]byte, tt.bytes)); got == tlfs.StatusSuccess {
			t.Errorf("%+v: accepted after Close", tt)
		}
	}
	// A server that does not come round to handling messages takes 16, then says so.
	free := make(chan struct{})
	v := newFake(t, Options{Trace: func(bool, []byte) { <-free }})
	taken := 0
	for start := time.Now(); v.s.PostMessage(1, 1, unhex(t, offersReq)) == tlfs.StatusSuccess; taken++ {
		for taken == 0 && len(v.s.messages) > 0 && time.Since(start) < 30*time.Second {
			time.Sleep(time.Millisecond)
		}
	}
	close(free)
	if taken != maxMessageQueue+1 {
		t.Errorf("%d messages taken", taken)
	}
}

// TestConversation is one connection from contact to unload, byte by byte.
func TestConversation(t *testing.T) {
	v := newFake(t, Options{})
	v.s.AddDevice(echo{id: 0x42})
	for _, step := range []struct {
		send string
		want []string
	}{
		{contact60, []string{"0/2 0f00000000000000 01 00 0000 01000000 00000000"}},
		{offersReq, []string{
			"0/2 0100000000000000 04030201 0605 0807 090a0b0c0d0e0f10 00000000000000000000000000000042 00000000000000000000000000000000" +
				"1100 0000 04" + strings.Repeat("00", 119) + "0000 0000 01000000 00 00 0100 01200000",
			"0/2 0400000000000000"}},
		{gpadl1, []string{"0/2 0a00000000000000 01000000 e1000000 00000000"}},
		{open1("e1000000", "02000000"), []string{"0/2 0600000000000000 01000000 77000000 00000000"}},
		{closeCh1, nil},
		{tearCh1, []string{"0/2 0c00000000000000 e1000000"}},
		{unloadMsg, []string{"0/2 1100000000000000"}},
	} {
		sent, rules := v.post(1, step.send)
		for i := range step.want {
			step.want[i] = squeeze(step.want[i])
		}
		if !slices.Equal(sent, step.want) || rules != nil {
			t.Fatalf("%s:\nsent %v\nwant %v\nbroken %v", step.send, sent, step.want, rules)
		}
	}
}

// connected returns a guest of 6.0 that knows channel 1, served by dev.
func connected(t testing.TB, dev Device, opt Options) *fakeVM {
	v := newFake(t, opt)
	v.s.AddDevice(dev)
	v.post(1, contact60, offersReq)
	return v
}

// TestRules breaks one rule after another; the server must name it, answer as told, and live on.
func TestRules(t *testing.T) {
	const failed = "0/2 0a00000000000000 01000000 e1000000 ffff0080"
	for _, tt := range []struct {
		name  string
		setup []string
		send  string
		rule  string
		want  string
	}{
		{"short header", nil, "03000000", RuleMessageSize, ""},
		{"short GPADL", nil, "08000000 00000000 01000000", RuleMessageSize, ""},
		{"short open", nil, "05000000 00000000 01000000", RuleMessageSize, ""},
		{"message 0", nil, "00000000 00000000", RuleMessageType, ""},
		{"message 30", nil, "1e000000 00000000", RuleMessageType, ""},
		{"the host's own message", nil, "0a000000 00000000 01000000 e1000000 00000000", RuleMessageType, ""},
		{"feature not agreed", nil, "1b000000 00000000", RuleMessageType, ""},
		{"contact again", nil, contact60, RuleContactState, "0/2 0f00000000000000 01 00 0000 01000000 00000000"},
		{"offers again", nil, offersReq, RuleOffersTwice, ""},
		{"after unload", []string{unloadMsg}, offersReq, RuleMessageState, ""},
		{"GPADL of channel 9", nil, strings.Replace(gpadl1, "01000000 e1", "09000000 e1", 1), RuleUnknownChannel, strings.Replace(failed, "01000000", "09000000", 1)},
		{"GPADL id twice", []string{gpadl1}, gpadl1, RuleGPADLDuplicate, failed},
		{"GPADL id 0", nil, strings.Replace(gpadl1, "e1000000", "00000000", 1), RuleGPADLMalformed, strings.Replace(failed, "e1", "00", 1)},
		{"no ranges", nil, strings.Replace(gpadl1, "2800 0100", "2800 0000", 1), RuleGPADLMalformed, failed},
		{"more ranges than data", nil, strings.Replace(gpadl1, "2800 0100", "2800 0200", 1), RuleGPADLMalformed, failed},
		{"ranges that cannot fit", nil, strings.Replace(gpadl1, "2800 0100", "2800 ffff", 1), RuleGPADLMalformed, failed},
		{"odd length", nil, strings.Replace(gpadl1, "2800 0100", "2700 0100", 1), RuleGPADLMalformed, failed},
		{"more bytes than pages", nil, strings.Replace(gpadl1, "00400000", "01400000", 1), RuleGPADLMalformed, failed},
		{"4 GiB less one byte", nil, strings.Replace(gpadl1, "00400000", "ffffffff", 1), RuleGPADLMalformed, failed},
		{"offset beyond a page", nil, strings.Replace(gpadl1, "00400000 00000000", "00100000 00100000", 1), RuleGPADLMalformed, failed},
		{"page that is not RAM", nil, strings.Replace(gpadl1, "1200000000000000", "5000000000000000", 1), RuleGPADLMemory, failed},
		{"page number that wraps", nil, strings.Replace(gpadl1, "1200000000000000", "1200000000001000", 1), RuleGPADLMemory, failed},
		{"body without header", nil, "09000000 00000000 00000000 e1000000 1000000000000000", RuleGPADLUnknown, ""},
		{"body after the end", []string{gpadl1}, "09000000 00000000 00000000 e1000000 1000000000000000", RuleGPADLUnknown, ""},
		{"body too long", []string{"08000000 00000000 01000000 e1000000 1800 0100 00200000 00000000 1000000000000000"},
			"09000000 00000000 00000000 e1000000 1000000000000000 1000000000000000", RuleGPADLMalformed, failed},
		{"empty body", []string{"08000000 00000000 01000000 e1000000 1800 0100 00200000 00000000 1000000000000000"},
			"09000000 00000000 00000000 e1000000", RuleGPADLMalformed, failed},
		{"teardown of nothing", nil, tearCh1, RuleGPADLUnknown, ""},
		{"teardown of the rings", []string{gpadl1, open1("e1000000", "02000000")}, tearCh1, RuleGPADLInUse, ""},
		{"teardown twice", []string{gpadl1, open1("e1000000", "02000000"), tearCh1}, tearCh1, RuleGPADLUnknown, ""},
		{"open without GPADL", nil, open1("e1000000", "02000000"), RuleGPADLUnknown, "0/2 0600000000000000 01000000 77000000 ffff0080"},
		{"open twice", []string{gpadl1, open1("e1000000", "02000000")}, open1("e1000000", "02000000"), RuleOpenState, "0/2 0600000000000000 01000000 77000000 ffff0080"},
		{"open for VP 8", []string{gpadl1}, strings.Replace(open1("e1000000", "02000000"), " 03000000 ", " 08000000 ", 1), RuleTargetVP, "0/2 0600000000000000 01000000 77000000 ffff0080"},
		{"second ring at 1", []string{gpadl1}, open1("e1000000", "01000000"), RuleOpenRing, "0/2 0600000000000000 01000000 77000000 ffff0080"},
		{"second ring at 3", []string{gpadl1}, open1("e1000000", "03000000"), RuleOpenRing, "0/2 0600000000000000 01000000 77000000 ffff0080"},
		{"second ring far away", []string{gpadl1}, open1("e1000000", "ffffffff"), RuleOpenRing, "0/2 0600000000000000 01000000 77000000 ffff0080"},
		{"ring not of whole pages", []string{strings.Replace(gpadl1, "00400000 00000000", "00200000 00010000", 1)},
			open1("e1000000", "02000000"), RuleOpenRing, "0/2 0600000000000000 01000000 77000000 ffff0080"},
		{"close of a closed channel", nil, closeCh1, RuleCloseState, ""},
		{"close of channel 9", nil, "07000000 00000000 09000000", RuleUnknownChannel, ""},
		{"release without rescind", nil, "0d000000 00000000 01000000", RuleReleaseState, ""},
		{"modify while closed", nil, "16000000 00000000 01000000 00000000", RuleOpenState, "0/2 1800000000000000 01000000 ffff0080"},
	} {
		v := connected(t, echo{}, Options{})
		for _, m := range tt.setup {
			v.post(1, m)
		}
		sent, rules := v.post(1, tt.send)
		if len(rules) == 0 || rules[0] != tt.rule {
			t.Errorf("%s: broken %v, want %s", tt.name, rules, tt.rule)
		}
		if got := strings.Join(sent, "; "); got != tt.want && got != strings.TrimSpace(squeeze(tt.want)) {
			t.Errorf("%s: sent %s, want %s", tt.name, got, tt.want)
		}
		if sent, _ := v.post(1, unloadMsg, contact60, offersReq); len(sent) < 3 {
			t.Errorf("%s: afterwards %v", tt.name, sent)
		}
	}
}

func TestMessageConnectionRule(t *testing.T) {
	v := connected(t, echo{}, Options{})
	if _, rules := v.post(4, gpadl1); !slices.Equal(rules, []string{RuleMessageConnection}) {
		t.Errorf("broken %v", rules)
	}
}

// TestPause holds messages back until the guest resumes.
func TestPause(t *testing.T) {
	v := newFake(t, Options{})
	v.s.AddDevice(echo{})
	v.post(4, strings.Replace(contact60, "02000000 00000000", "02000000 20000000", 1), "0e000000 00000000 00000600 00000000 02000000 20000000"+strings.Repeat("00", 16))
	if sent, _ := v.post(1, "1b000000 00000000", offersReq); !slices.Equal(sent, []string{"0/2 1c00000000000000"}) {
		t.Errorf("paused: %v", sent)
	}
	if sent, _ := v.post(1, "1d000000 00000000"); len(sent) != 2 || sent[1] != "0/2 0400000000000000" {
		t.Errorf("resumed: %v", sent)
	}
}

// TestRescind removes a device while its channel is open, and its id is free only
// after the guest has released it.
func TestRescind(t *testing.T) {
	e := echo{id: 1, manual: make(chan *Channel, 1)}
	v := connected(t, e, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	ch := <-e.manual
	v.s.RemoveDevice(e)
	if sent, rules := v.take(); !slices.Equal(sent, []string{squeeze("0/2 0200000000000000 01000000")}) || rules != nil {
		t.Errorf("removed: %v, %v", sent, rules)
	}
	if err := ch.Complete(t.Context(), 1, nil); err != ErrClosed {
		t.Errorf("write after Serve: %v", err)
	}
	v.s.AddDevice(echo{id: 2})
	if sent, _ := v.take(); len(sent) != 1 || sent[0][len(sent[0])-24:] != squeeze("x 02000000 00 00 0100 02200000")[2:] {
		t.Errorf("added: %v", sent)
	}
	if _, rules := v.post(1, closeCh1, tearCh1, "0d000000 00000000 01000000"); rules != nil {
		t.Errorf("broken %v", rules)
	}
	if _, rules := v.post(1, closeCh1); !slices.Equal(rules, []string{RuleUnknownChannel}) {
		t.Errorf("after release: broken %v", rules)
	}
	if s := v.s.SignalEvent(0x2001, 0); s != tlfs.StatusInvalidConnectionID {
		t.Errorf("signal after release: %v", s)
	}
}

// TestGPADLUse defers the answer to a teardown until the device has let go.
func TestGPADLUse(t *testing.T) {
	e := echo{manual: make(chan *Channel, 1)}
	v := connected(t, e, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	ch := <-e.manual
	// One range of 3 pages and a bit, from the middle of page 0x20, in header and two bodies.
	v.post(1, "08000000 00000000 01000000 e2000000 2800 0100 00300000 00080000",
		"09000000 00000000 00000000 e2000000 2000000000000000 2100000000000000",
		"09000000 00000000 01000000 e2000000 2300000000000000 2200000000000000")
	g, err := ch.GPADL(0xE2)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(v.page(0x20)[2048:], v.page(0x21), v.page(0x23), v.page(0x22)[:2048])
	for i := range want {
		want[i] = byte(i * 7)
	}
	if n, err := g.Ranges[0].WriteAt(want, 0); n != len(want) || err != nil {
		t.Fatal(n, err)
	}
	if !bytes.Equal(v.page(0x23), want[2048+4096:][:4096]) || !bytes.Equal(v.page(0x22)[:2048], want[2048+8192:]) {
		t.Error("the bytes are not where the page numbers say")
	}
	part, err := g.Ranges[0].Slice(2000, 100)
	got := make([]byte, 100)
	if _, err2 := part.ReadAt(got, 0); err != nil || err2 != nil || !bytes.Equal(got, want[2000:2100]) {
		t.Errorf("slice: %v, %v", err, err2)
	}
	if _, err := g.Ranges[0].Slice(len(want)-1, 2); err == nil {
		t.Error("slice beyond the end")
	}
	if sent, rules := v.post(1, strings.Replace(tearCh1, "e1", "e2", 1)); sent != nil && rules != nil {
		t.Errorf("teardown under use: %v, %v", sent, rules)
	}
	if _, err := ch.GPADL(0xE2); err == nil {
		t.Error("a GPADL being torn down is given out")
	}
	g.Release()
	g.Release()
	if sent, _ := v.take(); !slices.Equal(sent, []string{squeeze("0/2 0c00000000000000 e2000000")}) {
		t.Errorf("released: %v", sent)
	}
	if _, err := ch.GPADL(0xE9); err == nil {
		t.Error("an unknown GPADL is given out")
	}
}

// FuzzMessages posts messages of the guest's choice, each with its length before it, to a
// server with an open channel.
func FuzzMessages(f *testing.F) {
	for _, m := range []string{gpadl1, open1("e1000000", "02000000"), closeCh1, tearCh1, contact40, "0d000000 00000000 01000000",
		"09000000 00000000 00000000 e1000000 1000000000000000", "16000000 00000000 01000000 00000000"} {
		b := unhex(f, m)
		f.Add(append([]byte{byte(len(b))}, b...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v := connected(t, echo{}, Options{})
		v.post(1, gpadl1, open1("e1000000", "02000000"))
		for n := 0; len(b) > 0 && n < 32; n++ {
			size := min(int(b[0]), len(b)-1, wire.MaxMessageSize)
			v.s.PostMessage(1, 1, b[1:1+size])
			v.s.SignalEvent(0x2001, 0)
			b = b[1+size:]
			v.settle()
		}
		v.s.Reset()
	})
}

// A guest that crashed unloads with channels open and GPADLs left.
func TestUnloadEndsAll(t *testing.T) {
	v := connected(t, echo{}, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	sent, rules := v.post(1, unloadMsg)
	if len(rules) != 0 || !slices.Equal(sent, []string{squeeze("0/2 1100000000000000")}) {
		t.Errorf("sent %v, broken %v", sent, rules)
	}
}
