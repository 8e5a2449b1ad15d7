// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/record"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// show runs record show over bytes.
func show(b []byte, o showOptions) (string, error) {
	var out strings.Builder
	err := o.show(&out, bytes.NewReader(b))
	return out.String(), err
}

func TestRecordShow(t *testing.T) {
	b := record.AppendFileHeader(nil, 1024, time.Unix(0, 0))
	gpadl := func(channel wire.ChannelID, id wire.GPADLID) []byte {
		return wire.GPADLHeader{ChannelID: channel, GPADLID: id, Length: 16, RangeCount: 1}.AppendTo(nil)
	}
	for _, r := range []record.Record{
		{Kind: record.Message, Target: 1, Data: gpadl(1, 7)},
		{Kind: record.Message, Target: 1, Data: gpadl(2, 8)},
		{Kind: record.Message, Target: 1, Data: wire.GPADLBody{GPADLID: 7}.AppendTo(nil)},
		{Kind: record.Message, Target: 1, Data: wire.GPADLBody{GPADLID: 8}.AppendTo(nil)},
		{Kind: record.Channel, Channel: 2, Opened: record.Opened{Interface: wire.InterfaceSCSI}},
		{Kind: record.Signal, Channel: 1, Target: 0x2001},
		{Kind: record.Signal, Channel: 2, Target: 0x2002},
	} {
		b = r.AppendTo(b)
	}
	for _, test := range []struct {
		o    showOptions
		want []string // in each line, in order
	}{
		{showOptions{}, []string{"GPADL 0x7, bytes", "GPADL 0x8, bytes", "GPADL 0x7, page", "GPADL 0x8, page", "opened", "0x2001", "0x2002"}},
		{showOptions{channel: 2}, []string{"GPADL 0x8, bytes", "GPADL 0x8, page", "opened", "SCSI 2"}},
		{showOptions{channel: 1}, []string{"GPADL 0x7, bytes", "GPADL 0x7, page", "0x2001"}},
		{showOptions{channel: 9}, nil},
	} {
		out, err := show(b, test.o)
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if out == "" {
			lines = nil
		}
		if err != nil || len(lines) != len(test.want) {
			t.Errorf("%+v: %v\n%s", test.o, err, out)
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%+v: line %d is %q, want %q in it", test.o, i, lines[i], want)
			}
		}
	}
	if out, err := show(b, showOptions{raw: true}); err != nil || !strings.Contains(out, "00000000  08 00 00 00") {
		t.Errorf("--raw: %v\n%s", err, out)
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("full") }

// What is there of a cut recording is shown, then one line says that it is cut.
func TestRecordShowCut(t *testing.T) {
	b := record.AppendFileHeader(nil, 1024, time.Unix(0, 0))
	note := record.Record{Kind: record.Note, Text: "whole"}
	b = note.AppendTo(note.AppendTo(b))
	out, err := show(b[:len(b)-1], showOptions{})
	if strings.Count(out, "whole") != 1 || !errors.Is(err, record.ErrCut) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := (&showOptions{}).show(fullDisk{}, bytes.NewReader(b)); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("to a full disk: %v, want one line", err)
	}
	long := b
	for range 1000 {
		long = note.AppendTo(long)
	}
	if err := (&showOptions{}).show(fullDisk{}, bytes.NewReader(long)); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("long, to a full disk: %v, want one line", err)
	}
	if out, err := show([]byte("#!/bin/sh"), showOptions{}); out != "" || !errors.Is(err, record.ErrFormat) {
		t.Errorf("no recording: %v\n%s", err, out)
	}
}
