// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nested

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFrameGolden(t *testing.T) {
	for _, tt := range []struct {
		kind    byte
		payload string
		want    string
	}{
		{frameStdin, "", "6900000000"},
		{frameStdout, "hi\n", "6f0300000068690a"},
		{frameSignal, "\x02\x00\x00\x00", "730400000002000000"},
	} {
		var b bytes.Buffer
		if err := newFrameConn(&b).write(tt.kind, []byte(tt.payload)); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(b.Bytes()); got != tt.want {
			t.Errorf("write(%c, %q) = %s, want %s", tt.kind, tt.payload, got, tt.want)
		}
		whole := b.Bytes()
		for n := range len(whole) {
			if _, _, err := newFrameConn(bytes.NewBuffer(whole[:n])).read(); err == nil {
				t.Errorf("read of %d of %d bytes succeeded", n, len(whole))
			}
		}
		kind, payload, err := newFrameConn(&b).read()
		if err != nil || kind != tt.kind || string(payload) != tt.payload {
			t.Errorf("read = %c, %q, %v", kind, payload, err)
		}
	}
}

func TestFrameTooLong(t *testing.T) {
	b := bytes.NewBufferString("o\xff\xff\xff\xff")
	if _, _, err := newFrameConn(b).read(); !errors.Is(err, errFrameTooLong) {
		t.Errorf("read: %v", err)
	}
	if err := newFrameConn(b).write(frameStdout, make([]byte, frameMax+1)); !errors.Is(err, errFrameTooLong) {
		t.Errorf("write: %v", err)
	}
}

func TestFrameWriterSplits(t *testing.T) {
	var b bytes.Buffer
	text := strings.Repeat("0123456789", stdinChunk/4)
	if n, err := (frameWriter{newFrameConn(&b), frameStdout}).Write([]byte(text)); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
	var got strings.Builder
	c := newFrameConn(&b)
	for {
		kind, payload, err := c.read()
		if err == io.EOF {
			break
		}
		if err != nil || kind != frameStdout || len(payload) > stdinChunk {
			t.Fatalf("frame %c of %d bytes: %v", kind, len(payload), err)
		}
		got.Write(payload)
	}
	if got.String() != text {
		t.Error("text changed on the way")
	}
}

func FuzzFrameRead(f *testing.F) {
	f.Add([]byte("o\x03\x00\x00\x00hi\n"))
	f.Add([]byte("q\xff\xff\x0f\x00{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newFrameConn(bytes.NewBuffer(b))
		for {
			_, payload, err := c.read()
			if err != nil {
				return
			}
			if len(payload) > len(b) {
				t.Fatal("payload longer than the stream")
			}
		}
	})
}
