// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxChannels bounds what a Reader remembers.
const maxChannels = 2048

// Reader reads a recording from its beginning.
type Reader struct {
	r        *bufio.Reader
	payload  int
	start    time.Time
	at       int64 // in the file
	channels map[uint32]Opened
	err      error
}

// NewReader reads the head of a recording. The error wraps ErrFormat if it is none,
// or one of another version.
func NewReader(r io.Reader) (*Reader, error) {
	var head [fileHeaderSize]byte
	b := bufio.NewReader(r)
	switch n, err := io.ReadFull(b, head[:]); {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return nil, err
	case n < len(magic) || string(head[:len(magic)]) != magic:
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrFormat, magic)
	case err != nil:
		return nil, fmt.Errorf("%w: %d bytes of its head are there, it has %d", ErrCut, n, fileHeaderSize)
	}
	if v := le.Uint16(head[8:]); v != formatVersion {
		return nil, fmt.Errorf("%w of version %d, but of version %d", ErrFormat, formatVersion, v)
	}
	return &Reader{
		r: b, payload: int(le.Uint32(head[12:])), start: time.Unix(0, int64(le.Uint64(head[16:]))), at: fileHeaderSize,
		channels: map[uint32]Opened{},
	}, nil
}

// Payload is the recording's limit of memory for each packet, in bytes.
func (r *Reader) Payload() int { return r.payload }

// Start is when the recording began.
func (r *Reader) Start() time.Time { return r.start }

// Next returns the next record, io.EOF at the end, or an error that wraps ErrCut or
// ErrRecord and says where in the file. After an error it returns the same again.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	rec, err := r.next()
	r.err = err
	return rec, err
}

func (r *Reader) next() (Record, error) {
	for {
		b, err := r.raw()
		if err != nil {
			return Record{}, err
		}
		rec, err := decodeRecord(b)
		if err != nil {
			return rec, fmt.Errorf("byte %d: %w", r.at, err)
		}
		r.at += int64(len(b))
		if rec.Kind < Note || rec.Kind > Rule {
			continue
		}
		if rec.Kind != Channel {
			rec.Opened = r.channels[rec.Channel]
		} else if len(r.channels) < maxChannels {
			r.channels[rec.Channel] = rec.Opened
		}
		return rec, nil
	}
}

// raw reads the bytes of one record.
func (r *Reader) raw() ([]byte, error) {
	var size [4]byte
	switch n, err := io.ReadFull(r.r, size[:]); {
	case err == io.EOF:
		return nil, io.EOF
	case err != nil:
		return nil, r.cut(n, err)
	}
	n := le.Uint32(size[:])
	if n < recordHeaderSize || n > maxRecord {
		return nil, fmt.Errorf("byte %d: %w of %d bytes", r.at, ErrRecord, n)
	}
	b := make([]byte, n)
	copy(b, size[:])
	if got, err := io.ReadFull(r.r, b[4:]); err != nil {
		return nil, r.cut(got+4, err)
	}
	return b, nil
}

// cut makes the error for a record of which only n bytes are there.
func (r *Reader) cut(n int, err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return fmt.Errorf("%w: it ends %d bytes into the record at byte %d", ErrCut, n, r.at)
}

// ReadAll returns all records that can be read, and the error that ended it, if not
// the recording's end.
func (r *Reader) ReadAll() (all []Record, err error) {
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, rec)
	}
}
