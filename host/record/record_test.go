// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// samples are one record of each kind.
func samples() []Record {
	opened := Opened{Interface: wire.InterfaceSCSI, Instance: wire.InterfaceIDE, SubIndex: 1, ToHost: 0x8000, ToGuest: 0x4000}
	return []Record{
		{Kind: Note, Text: "a guest"},
		{Kind: Message, Target: 4, SINT: 2, Data: []byte{14, 0, 0, 0, 0, 0, 0, 0}},
		{Kind: Refused, Target: 4, Status: tlfs.StatusInvalidConnectionID},
		{Kind: Channel, Channel: 3, Opened: opened},
		{Kind: Signal, Channel: 3, Target: 0x2003, Flag: 7, Status: tlfs.StatusSuccess, Opened: opened},
		{
			Kind: Packet, ToGuest: true, Channel: 3, Data: []byte("descriptor and payload"), Ring: Ring{1, 2, 3, 4, 5}, Position: 0x100,
			Trailer: 0x100_00000000, Total: 8192, Memory: []byte("memory"), Opened: opened,
		},
		{Kind: Memory, Channel: 3, Origin: OriginGPADL, ID: 9, Offset: 6144, Total: 70, Memory: []byte("section"), Opened: opened},
		{Kind: Rule, Text: "ring-index: too far"},
		{Kind: Limit},
	}
}

// file encodes a whole recording with a time for each record.
func file(records []Record) []byte {
	b := AppendFileHeader(nil, 64, time.Unix(1700000000, 5))
	for i := range records {
		records[i].Time = time.Duration(i) * time.Millisecond
		b = records[i].AppendTo(b)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	want := samples()
	r, err := NewReader(bytes.NewReader(file(want)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Payload() != 64 || r.Start().UnixNano() != 1700000000_000000005 {
		t.Errorf("head: %d, %v", r.Payload(), r.Start())
	}
	got, err := r.ReadAll()
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d of %d records, %v", len(got), len(want), err)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d:\ngot  %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

// The layout that the package comment gives, in bytes.
func TestGoldenBytes(t *testing.T) {
	rec := Record{
		Kind: Packet, ToGuest: true, Channel: 3, Time: 0x11, Data: []byte{0xAA, 0xBB}, Ring: Ring{1, 2, 3, 4, 5}, Position: 6,
		Trailer: 0x0600000000, Total: 9, Memory: []byte{0xCC},
	}
	want := "43000000 06 01 0000 03000000 00000000 1100000000000000" +
		"01000000 02000000 03000000 04000000 05000000 06000000 0000000006000000 09000000 02000000 aabb cc"
	if got := hex.EncodeToString(rec.AppendTo([]byte("foo"))[3:]); got != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	head := hex.EncodeToString(AppendFileHeader(nil, 512, time.Unix(0, 0x0102030405)))
	if want := "6876676f2d726563" + "0100" + "0000" + "00020000" + "0504030201000000" + "0000000000000000"; head != want {
		t.Errorf("head %s, want %s", head, want)
	}
}

// A recording that was cut gives all whole records, then an error that says so.
func TestCut(t *testing.T) {
	want := samples()
	b := file(want)
	ends := map[int]bool{fileHeaderSize: true}
	at := fileHeaderSize
	for i := range want {
		at += len(want[i].AppendTo(nil))
		ends[at] = true
	}
	for n := range len(b) {
		r, err := NewReader(bytes.NewReader(b[:n]))
		if n < fileHeaderSize {
			if !errors.Is(err, ErrCut) && !errors.Is(err, ErrFormat) {
				t.Fatalf("%d bytes of the head: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.ReadAll()
		if ends[n] && err != nil || !ends[n] && !errors.Is(err, ErrCut) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
		if len(got) > len(want) || n == len(b) && len(got) != len(want) {
			t.Errorf("%d bytes: %d records", n, len(got))
		}
		if _, again := r.Next(); err != nil && again != err {
			t.Errorf("%d bytes: then %v", n, again)
		}
	}
}

func TestBadFiles(t *testing.T) {
	good := file(samples())
	other := bytes.Clone(good)
	other[8] = 9
	for name, b := range map[string][]byte{"empty": nil, "text": []byte("hello, this is a text and no recording at all"), "other version": other} {
		if _, err := NewReader(bytes.NewReader(b)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, damage := range map[string]func(b []byte){
		"short":    func(b []byte) { b[fileHeaderSize] = 4 },
		"long":     func(b []byte) { b[fileHeaderSize+3] = 0x7F },
		"too few":  func(b []byte) { b[fileHeaderSize+4] = byte(Packet) },
		"negative": func(b []byte) { b[fileHeaderSize+23] = 0xFF },
	} {
		b := bytes.Clone(good)
		damage(b)
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Kinds of a later version are skipped.
func TestUnknownKind(t *testing.T) {
	b := file([]Record{{Kind: 200}, {Kind: Note, Text: "after"}})
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.ReadAll(); err != nil || len(got) != 1 || got[0].Text != "after" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLimit(t *testing.T) {
	var buf bytes.Buffer
	var lines []string
	r, err := New(&buf, Options{Limit: 1000, Ended: func(line string) { lines = append(lines, line) }})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		r.Message(false, 1, 2, make([]byte, 20))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if buf.Len() > 1000 || len(lines) != 1 || !strings.Contains(lines[0], "limit of 1000 bytes") {
		t.Errorf("%d bytes, %q", buf.Len(), lines)
	}
	rd, err := NewReader(&buf)
	if err != nil {
		t.Fatal(err)
	}
	all, err := rd.ReadAll()
	if err != nil || len(all) < 10 || all[len(all)-1].Kind != Limit {
		t.Errorf("%d records, the last %+v, %v", len(all), all[len(all)-1], err)
	}
}

// failing takes some bytes, then no more.
type failing struct{ room int }

func (f *failing) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(b), nil
}

func TestWriteError(t *testing.T) {
	if _, err := New(&failing{10}, Options{}); err == nil {
		t.Error("a head that cannot be written is no error")
	}
	var lines []string
	r, err := New(&failing{100}, Options{Ended: func(line string) { lines = append(lines, line) }})
	if err != nil {
		t.Fatal(err)
	}
	r.Note(strings.Repeat("x", 2*flushSize)) // cut to MaxPayload
	r.Note(strings.Repeat("x", 2*flushSize))
	r.Note(strings.Repeat("x", 2*flushSize))
	if len(lines) != 1 || !strings.Contains(lines[0], "no space left") {
		t.Errorf("%q", lines)
	}
	if err := r.Close(); err == nil {
		t.Error("Close does not tell")
	}
	r.Note("after Close")
	if err := r.Close(); err == nil {
		t.Error("the second Close does not tell")
	}
}

func TestConcurrent(t *testing.T) {
	var buf bytes.Buffer
	r, err := New(&buf, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 500 {
				r.Add(Record{Kind: Packet, Channel: uint32(i), Data: make([]byte, 700)})
			}
		})
	}
	wg.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	rd, err := NewReader(&buf)
	if err != nil {
		t.Fatal(err)
	}
	all, err := rd.ReadAll()
	if err != nil || len(all) != 2000 {
		t.Errorf("%d records, %v", len(all), err)
	}
	last := time.Duration(0)
	for _, rec := range all {
		if rec.Time < last {
			t.Fatal("time goes backwards")
		}
		last = rec.Time
	}
}

func FuzzReader(f *testing.F) {
	f.Add(file(samples()))
	f.Add(file(samples())[:200])
	f.Add([]byte("hvgo-rec"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		again := AppendFileHeader(nil, r.Payload(), r.Start())
		for {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return
			}
			again = rec.AppendTo(again)
		}
		if r, err = NewReader(bytes.NewReader(again)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadAll(); err != nil {
			t.Errorf("what was read and written again: %v", err)
		}
	})
}
