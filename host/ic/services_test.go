// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/vmbus"
)

// Messages with their pipe headers. A question is answered by the same message with the
// response flag.
const (
	beatOffered = `01000000 2c000000
		0000 0000 0000 0000 0000 1800 00000000 00 03 0000
		0200 0200 00000000 0100 0000 0300 0000  0100 0000 0300 0000`
	beatChosen = `01000000 24000000
		0000 0000 0000 0000 0000 1000 00000000 00 05 0000
		0100 0100 00000000 0300 0000 0300 0000`
	beatHead = `01000000 3c000000  0300 0000 0100 0300 0000 2800 00000000 00 `
	beatTail = `00000000 00000000000000000000000000000000000000000000000000000000`

	timeOffered = `01000000 30000000
		0000 0000 0000 0000 0000 1c00 00000000 00 03 0000
		0200 0300 00000000 0100 0000 0300 0000  0100 0000 0300 0000 0400 0000`
	timeOfferedOld = `01000000 2c000000
		0000 0000 0000 0000 0000 1800 00000000 00 03 0000
		0200 0200 00000000 0100 0000 0300 0000  0100 0000 0300 0000`
	time4Chosen = `01000000 24000000
		0000 0000 0000 0000 0000 1000 00000000 00 05 0000
		0100 0100 00000000 0300 0000 0400 0000`
	time4Head = `01000000 2c000000  0300 0000 0400 0400 0000 1800 00000000 00 `
	time3Head = `01000000 30000000  0300 0000 0400 0300 0000 1c00 00000000 00 `
)

// until waits for what another goroutine does.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%s: does not happen", what)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	b := NewHeartbeat()
	b.Period = time.Millisecond
	g := newRawOf(t, false, b)
	g.expect(beatOffered)
	if b.Beat().Open {
		t.Error("open before the guest has chosen")
	}
	g.send(beatChosen)
	g.expect(beatHead + "03 0000 0100000000000000" + beatTail)
	g.send(beatHead + "05 0000 0200000000000000 01" + beatTail[2:]) // counted up, healthy
	g.expect(beatHead + "03 0000 0200000000000000" + beatTail)
	if s := b.Beat(); !s.Open || s.Asked != 2 || s.Answered != 1 || s.State != 1 || time.Since(s.Last) > time.Minute {
		t.Errorf("%+v", s)
	}
	g.send(`01000000 1c000000  0300 0000 0100 0300 0000 0800 00000000 00 05 0000 0200000000000000`) // not counted up, no more than the number
	g.expect(beatHead + "03 0000 0300000000000000" + beatTail)
	if err := g.ch.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "the end", func() bool { return !b.Beat().Open })
	if s := b.Beat(); s.Asked != 3 || s.Answered != 2 {
		t.Errorf("%+v", s)
	}
}

func TestHeartbeatBroken(t *testing.T) {
	for name, messages := range map[string][]string{
		"another number":   {beatChosen, beatHead + "05 0000 0900000000000000" + beatTail},
		"no number":        {beatChosen, `01000000 14000000  0300 0000 0100 0300 0000 0000 00000000 00 05 0000`},
		"no response":      {beatChosen, beatHead + "03 0000 0100000000000000" + beatTail},
		"another type":     {beatChosen, strings.Replace(beatHead, "0100 0300", "0200 0300", 1) + "05 0000 0100000000000000" + beatTail},
		"foreign versions": {strings.Replace(beatChosen, "0300 0000 0300 0000", "0300 0000 0400 0000", 1)},
	} {
		b := NewHeartbeat()
		b.Period = time.Millisecond
		g := newRawOf(t, true, b)
		g.expect(beatOffered)
		for _, m := range messages {
			g.send(m)
		}
		until(t, name, func() bool { return len(g.m.Broken()) > 0 })
		if got := g.m.Broken()[0]; !strings.HasPrefix(got, vmbus.RuleDevice+": ic: ") {
			t.Errorf("%s: reported as %q", name, got)
		}
	}
}

func TestTimeSync(t *testing.T) {
	s := NewTimeSync()
	s.Period = time.Millisecond
	reference := uint64(0x0706050403020100)
	s.SetClock(func() (time.Time, uint64, error) {
		reference++
		return time.Unix(0, 0), reference, nil
	})
	g := newRawOf(t, true, s)
	g.expect(timeOffered)
	g.send(time4Chosen)
	const parent = "00803ed5deb19d01" // 1970
	g.expect(time4Head + "03 0000" + parent + "0101020304050607 01 0000 0000000000")
	g.send(time4Head + "05 0000" + parent + "0101020304050607 01 0000 0000000000")
	g.expect(time4Head + "03 0000" + parent + "0201020304050607 02 0000 0000000000")
	if st := s.Stats(); !st.Open || st.Synced != 1 || st.Samples != 0 {
		t.Errorf("%+v", st)
	}
	g.send(time4Head + "05 0000" + parent + "0101020304050607 02 0000 0000000000")
	g.expect(time4Head + "03 0000" + parent + "0301020304050607 02 0000 0000000000")
	if st := s.Stats(); st.Samples != 1 {
		t.Errorf("%+v", st)
	}
	g.send(`01000000 14000000  0300 0000 0100 0300 0000 0000 00000000 00 05 0000`) // of another service
	until(t, "a broken rule", func() bool { return len(g.m.Broken()) > 0 })
	if b := g.m.Broken(); len(b) != 1 || !strings.HasPrefix(b[0], vmbus.RuleDevice+": ic: ") {
		t.Errorf("%q", b)
	}
}

// Without a clock of the guest's, the messages are those of before 4.0.
func TestTimeSyncOld(t *testing.T) {
	s := NewTimeSync()
	g := newRawOf(t, false, s)
	g.expect(timeOfferedOld)
	g.send(beatChosen) // 3.0 too
	select {
	case got := <-g.in:
		head := unhex(t, time3Head+"03 0000")
		if string(got[:len(head)]) != string(head) || len(got) < len(head)+28 || got[len(head)+24] != 1 {
			t.Errorf("%x", got)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no time")
	}
	if err := g.ch.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "the end", func() bool { return !s.Stats().Open })
}
