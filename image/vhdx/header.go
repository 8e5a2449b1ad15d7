// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"encoding/binary"
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vhdx"
)

var le = binary.LittleEndian

// header is a Header and the place it was read from.
type header struct {
	wire.Header
	offset int64
}

// readHeader picks the current header: of those that are whole, the one with
// the higher sequence number (MS-VHDX 2.2.2).
func readHeader(f File, fileSize int64) (header, error) {
	var best header
	var firstErr error
	for _, off := range []int64{wire.Header1Offset, wire.Header2Offset} {
		h, err := readHeaderAt(f, off)
		if err != nil {
			if firstErr == nil {
				firstErr = err
			}
			continue
		}
		if best.offset == 0 || h.SequenceNumber > best.SequenceNumber {
			best = header{h, off}
		}
	}
	if best.offset == 0 {
		return header{}, firstErr
	}
	return best, checkHeader(best.Header, fileSize)
}

func readHeaderAt(f File, off int64) (wire.Header, error) {
	b := make([]byte, wire.HeaderSize)
	if err := readFull(f, b, off, "header"); err != nil {
		return wire.Header{}, err
	}
	h, err := wire.DecodeHeader(b)
	if err != nil {
		return wire.Header{}, corrupt("no valid header: %v", err)
	}
	if got := checksum(b); got != h.Checksum {
		return wire.Header{}, corrupt("no valid header: checksum %#08x at offset %d, computed %#08x", h.Checksum, off, got)
	}
	return h, nil
}

func checkHeader(h wire.Header, fileSize int64) error {
	if h.SequenceNumber > 1<<63 {
		return corrupt("header number %d: there is none behind it", h.SequenceNumber)
	}
	if h.Version != wire.Version {
		return fmt.Errorf("%w: version %d of the format", ErrUnsupported, h.Version)
	}
	if h.LogVersion != wire.LogVersion {
		return fmt.Errorf("%w: version %d of the log", ErrUnsupported, h.LogVersion)
	}
	if h.LogLength == 0 || h.LogLength%wire.Alignment != 0 || h.LogOffset%wire.Alignment != 0 || h.LogOffset < wire.HeaderSectionSize {
		return corrupt("log at offset %d, length %d: want multiples of 1 MiB", h.LogOffset, h.LogLength)
	}
	if h.LogLength > maxLog {
		return fmt.Errorf("%w: a log of %d MiB, at most %d MiB are read", ErrUnsupported, h.LogLength>>20, maxLog>>20)
	}
	if h.LogOffset > uint64(fileSize) || uint64(h.LogLength) > uint64(fileSize)-h.LogOffset {
		return truncated("the log ends at offset %d, the file at %d", h.LogOffset+uint64(h.LogLength), fileSize)
	}
	return nil
}

// writeHeader makes h current: it goes to the place of the other header with
// the next sequence number, and is on the medium when writeHeader returns.
func writeHeader(f File, cur header, h wire.Header) (header, error) {
	next := header{h, wire.Header1Offset}
	if cur.offset == wire.Header1Offset {
		next.offset = wire.Header2Offset
	}
	next.SequenceNumber = cur.SequenceNumber + 1
	if _, err := f.WriteAt(seal(next.AppendTo(nil)), next.offset); err != nil {
		return cur, fmt.Errorf("write VHDX header: %w", err)
	}
	if err := f.Sync(); err != nil {
		return cur, fmt.Errorf("flush VHDX header: %w", err)
	}
	return next, nil
}

// touch changes the GUIDs that say the file, and what a guest sees in it, is
// no longer what it was when opened (MS-VHDX 2.2.2).
func touch(h wire.Header, newGUID func() guid.GUID) wire.Header {
	h.FileWriteGUID, h.DataWriteGUID = newGUID(), newGUID()
	return h
}
