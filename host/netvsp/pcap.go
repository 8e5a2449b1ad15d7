// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"
)

// Pcap writes frames in the format of libpcap (draft-ietf-opsawg-pcap), with
// microseconds, for Wireshark and tcpdump.
type Pcap struct {
	mu  sync.Mutex // guards all below
	w   io.Writer
	err error // of the first write that failed; nothing is written afterwards
	buf []byte
}

const (
	pcapMagic    = 0xA1B2C3D4 // microseconds
	pcapEthernet = 1          // LINKTYPE_ETHERNET
	pcapSnapLen  = 1 << 18
)

// NewPcap writes the file header to w.
func NewPcap(w io.Writer) (*Pcap, error) {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, pcapMagic)
	b = le.AppendUint16(b, 2) // version 2.4
	b = le.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...) // time zone and accuracy: always 0
	b = le.AppendUint32(b, pcapSnapLen)
	b = le.AppendUint32(b, pcapEthernet)
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("pcap: %w", err)
	}
	return &Pcap{w: w}, nil
}

// write adds one frame; a nil Pcap takes none.
func (p *Pcap) write(frame []byte) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	le, now := binary.LittleEndian, time.Now()
	b := le.AppendUint32(p.buf[:0], uint32(now.Unix()))
	b = le.AppendUint32(b, uint32(now.Nanosecond()/1000))
	b = le.AppendUint32(b, uint32(len(frame)))
	b = le.AppendUint32(b, uint32(len(frame)))
	p.buf = append(b, frame...)
	_, p.err = p.w.Write(p.buf)
}

// Err returns the error that ended the capture, if any.
func (p *Pcap) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
