// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// Limits of a Recorder whose Options do not say.
const (
	DefaultPayload = 1024     // bytes: RNDIS control messages are kept whole
	DefaultLimit   = 64 << 20 // bytes
)

const (
	flushSize  = 256 << 10 // bytes that may wait for the file
	flushEvery = time.Second
)

// Options adjust a Recorder.
type Options struct {
	// Payload is how many bytes of the guest's memory are kept for each packet that
	// names some; 0 is DefaultPayload, negative none.
	Payload int
	// Limit is how large the file may become, in bytes; 0 is DefaultLimit.
	Limit int64
	// Ended is told once, in one line, when the recording stops before Close: at the
	// limit, or because the file takes no more. Nil: nobody is told.
	Ended func(line string)
}

// Recorder writes a recording. Its methods may be called from several goroutines;
// on a nil Recorder, Payload is 0. What they are given is copied. They wait for the
// file only when much is to be written.
type Recorder struct {
	opt   Options
	start time.Time
	once  sync.Once // closes stop
	stop  chan struct{}
	done  chan struct{}

	fileMu sync.Mutex // guards w; taken before mu
	w      io.Writer

	mu      sync.Mutex // guards the following
	buf     []byte     // not yet written
	spare   []byte     // written, for use as buf
	size    int64      // of the file, with buf
	ended   bool       // nothing more is taken
	err     error      // of writing
	message bool       // Ended was called
}

// New begins a recording in w, which it does not close.
func New(w io.Writer, opt Options) (*Recorder, error) {
	switch {
	case opt.Payload == 0:
		opt.Payload = DefaultPayload
	case opt.Payload < 0:
		opt.Payload = 0
	case opt.Payload > MaxPayload:
		return nil, fmt.Errorf("record: %d bytes of memory for each packet, at most %d are possible", opt.Payload, MaxPayload)
	}
	if opt.Limit <= 0 {
		opt.Limit = DefaultLimit
	}
	r := &Recorder{opt: opt, w: w, start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	r.buf = AppendFileHeader(nil, opt.Payload, r.start)
	r.size = int64(len(r.buf))
	if err := r.flush(); err != nil {
		return nil, err
	}
	go r.flushNowAndThen()
	return r, nil
}

// AppendFileHeader appends what a file begins with.
func AppendFileHeader(b []byte, payload int, start time.Time) []byte {
	b = append(b, magic...)
	b = le.AppendUint16(le.AppendUint16(b, formatVersion), 0)
	b = le.AppendUint32(b, uint32(payload))
	return le.AppendUint64(le.AppendUint64(b, uint64(start.UnixNano())), 0)
}

// Payload is how many bytes of memory a packet may bring along.
func (r *Recorder) Payload() int {
	if r == nil {
		return 0
	}
	return r.opt.Payload
}

// flushNowAndThen keeps little in memory, in case this process is killed.
func (r *Recorder) flushNowAndThen() {
	defer close(r.done)
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = r.flush() // kept in err
		case <-r.stop:
			return
		}
	}
}

// flush writes what waits.
func (r *Recorder) flush() error {
	r.fileMu.Lock()
	defer r.fileMu.Unlock()
	r.mu.Lock()
	b := r.buf
	r.buf, r.spare = r.spare[:0], nil
	r.mu.Unlock()
	var err error
	if len(b) > 0 {
		_, err = r.w.Write(b)
	}
	r.mu.Lock()
	r.spare = b[:0]
	if err != nil && r.err == nil {
		r.err, r.ended = fmt.Errorf("record: %w", err), true
	}
	err = r.err
	r.mu.Unlock()
	if err != nil {
		r.tell(fmt.Sprintf("the recording ends here: %v", err))
	}
	return err
}

// tell calls Ended, once.
func (r *Recorder) tell(line string) {
	r.mu.Lock()
	told := r.message
	r.message = true
	r.mu.Unlock()
	if !told && r.opt.Ended != nil {
		r.opt.Ended(line)
	}
}

// Close writes what waits and ends the recording. It returns the first error of
// writing, also one that Ended was told about.
func (r *Recorder) Close() error {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.once.Do(func() { close(r.stop) })
	<-r.done
	return r.flush()
}

// Add adds a record; its time is set.
func (r *Recorder) Add(rec Record) {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return
	}
	rec.Time = time.Since(r.start)
	old := len(r.buf)
	r.buf = rec.AppendTo(r.buf)
	r.size += int64(len(r.buf) - old)
	full := r.size > r.opt.Limit-recordHeaderSize // so that the last record fits
	if full {
		limit := Record{Kind: Limit, Time: rec.Time}
		r.buf = limit.AppendTo(r.buf[:old])
		r.ended = true
	}
	much := len(r.buf) > flushSize
	r.mu.Unlock()
	if full {
		r.tell(fmt.Sprintf("the recording has reached its limit of %d bytes and ends here; the guest goes on", r.opt.Limit))
	}
	if full || much {
		_ = r.flush() // kept in err
	}
}

// Note adds a text, to say what is recorded.
func (r *Recorder) Note(text string) { r.Add(Record{Kind: Note, Text: text}) }

// Message adds a channel message. target is the connection id of a PostMessage
// hypercall, or the VP that it goes to, with its SINT.
func (r *Recorder) Message(toGuest bool, target uint32, sint uint8, b []byte) {
	r.Add(Record{Kind: Message, ToGuest: toGuest, Target: target, SINT: uint32(sint), Data: b})
}

// Refused adds that the host did not take a message of the guest's.
func (r *Recorder) Refused(connection uint32, s tlfs.Status) {
	r.Add(Record{Kind: Refused, Target: connection, Status: s})
}

// Signal adds a SignalEvent hypercall and its outcome, or an event flag for a VP.
func (r *Recorder) Signal(toGuest bool, channel, target uint32, flag uint16, s tlfs.Status) {
	r.Add(Record{Kind: Signal, ToGuest: toGuest, Channel: channel, Target: target, Flag: uint32(flag), Status: s})
}
