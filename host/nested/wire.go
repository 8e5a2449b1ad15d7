// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nested

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// The stream between Machine and PID 1 is a sequence of frames:
//
//	 0      1             5
//	+------+-------------+------------------+
//	| kind | length (LE) | payload          |
//	+------+-------------+------------------+
//
// One program runs at a time, so frames carry no stream number. Output needs no
// flow control of its own: a reader that is slow stops the port, and so the
// program. Input does: the reader inside must always reach the next signal, so
// the outside sends at most stdinWindow bytes more than the inside has
// acknowledged with frameStdinTaken.
const (
	frameSetup      = 'c' // out to in, once: setup as JSON
	frameReady      = 'r' // in to out, once: ready as JSON
	frameRun        = 'x' // out to in: run as JSON
	frameStdin      = 'i' // out to in: bytes; empty means end of file
	frameStdinTaken = 'a' // in to out: uint32, bytes the program took
	frameSignal     = 's' // out to in: uint32, signal number
	frameStdout     = 'o' // in to out: bytes
	frameStderr     = 'e' // in to out: bytes
	frameExit       = 'q' // in to out: exit as JSON
	frameHalt       = 'h' // out to in: write everything back and say so
	frameHalted     = 'H' // in to out: nothing is left to write
	frameLog        = 'l' // in to out: a line for the person outside
	frameBeat       = 'b' // out to in: nothing; see Machine.beat
)

const (
	frameHeaderSize = 5
	frameMax        = 1 << 20   // bytes of payload; more means a broken stream
	stdinWindow     = 256 << 10 // bytes of input in flight
	stdinChunk      = 32 << 10  // bytes of one input or output frame
)

// errFrameTooLong means that the stream does not hold frames any more.
var errFrameTooLong = errors.New("nested: frame too long")

// setup is what PID 1 needs before the first command.
type setup struct {
	Shares   []Share
	Ports    []uint16 // forwarded from outside, see Config.Forward
	Hostname string
}

// run is a Command and the time of its start: the machine's own start takes seconds.
type run struct {
	Command
	Time int64 // nanoseconds since 1970
}

// ready is PID 1's answer to setup.
type ready struct {
	Err    string // why this machine is of no use; empty when it is
	Kernel string // release
	Uptime float64
}

// exit tells how a command ended.
type exit struct {
	Status int    // as a shell gives it: 128+n for signal n
	Err    string // why it could not be started; empty when it was
}

// frameConn reads and writes frames. Reads belong to one goroutine; writes may
// come from several.
type frameConn struct {
	r  io.Reader
	mu sync.Mutex // guards w: one frame at a time
	w  io.Writer
}

func newFrameConn(rw io.ReadWriter) *frameConn { return &frameConn{r: rw, w: rw} }

// read returns the next frame; the payload is the caller's.
func (c *frameConn) read() (kind byte, payload []byte, err error) {
	var h [frameHeaderSize]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(h[1:])
	if n > frameMax {
		return 0, nil, fmt.Errorf("%w: %d bytes of kind %#x", errFrameTooLong, n, h[0])
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return h[0], payload, nil
}

// write sends one frame in a single Write.
func (c *frameConn) write(kind byte, payload []byte) error {
	if len(payload) > frameMax {
		return errFrameTooLong
	}
	b := make([]byte, frameHeaderSize, frameHeaderSize+len(payload))
	b[0] = kind
	binary.LittleEndian.PutUint32(b[1:], uint32(len(payload)))
	b = append(b, payload...)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.w.Write(b)
	return err
}

func (c *frameConn) writeJSON(kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.write(kind, b)
}

func (c *frameConn) writeUint32(kind byte, v uint32) error {
	return c.write(kind, binary.LittleEndian.AppendUint32(nil, v))
}

// decodeUint32 reads the payload of frameSignal and frameStdinTaken.
func decodeUint32(b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, fmt.Errorf("nested: number of %d bytes", len(b))
	}
	return binary.LittleEndian.Uint32(b), nil
}

// frameWriter turns writes into frames of one kind.
type frameWriter struct {
	c    *frameConn
	kind byte
}

func (w frameWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n := min(len(p)-done, stdinChunk)
		if err := w.c.write(w.kind, p[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}
