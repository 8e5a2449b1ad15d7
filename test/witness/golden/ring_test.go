// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var le = binary.LittleEndian

// newPage makes an aligned page.
func newPage() []byte {
	words := new([wire.PageSize / 8]uint64)
	return unsafe.Slice((*byte)(unsafe.Pointer(words)), wire.PageSize)
}

// ring is one direction of a channel. It is neither driver's nor host's: the simplest
// that can be.
type ring struct {
	control []byte
	data    [][]byte
}

func (r ring) word(offset int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&r.control[offset]))
}

func (r ring) index(offset int) uint32 { return r.word(offset).Load() }

func (r ring) size() uint32 { return uint32(len(r.data)) * wire.PageSize }

// put writes a packet with its trailer and tells whether the host wants a signal.
func (r ring) put(b []byte) (signal bool) {
	at := r.index(wire.RingInOffset)
	for len(b) > 0 {
		n := copy(r.data[at/wire.PageSize][at%wire.PageSize:], b)
		b, at = b[n:], (at+uint32(n))%r.size()
	}
	r.word(wire.RingInOffset).Store(at)
	return r.index(wire.RingInterruptMask) == 0
}

// take takes the packets there are.
func (r ring) take() (packets [][]byte) {
	at, end := r.index(wire.RingOutOffset), r.index(wire.RingInOffset)
	for at != end {
		// The header is a multiple of 8 bytes before the end of a page.
		length := uint32(le.Uint16(r.data[at/wire.PageSize][at%wire.PageSize+4:])) * 8
		packet := make([]byte, 0, length)
		for n := at; uint32(len(packet)) < length; n = (n + 8) % r.size() {
			packet = append(packet, r.data[n/wire.PageSize][n%wire.PageSize:][:8]...)
		}
		packets = append(packets, packet)
		at = (at + length + wire.PacketTrailerSize) % r.size()
	}
	r.word(wire.RingOutOffset).Store(at)
	return packets
}

// open makes the rings of a GPADL.
func (r *replay) open(pages []uint64, second int, connection uint32) *rings {
	var mem [][]byte
	for _, pfn := range pages {
		b, _ := r.Bytes(pfn*wire.PageSize, wire.PageSize)
		clear(b)
		mem = append(mem, b)
	}
	c := &rings{out: ring{mem[0], mem[1:second]}, in: ring{mem[second], mem[second+1:]}, connection: connection}
	for _, x := range []ring{c.out, c.in} {
		x.word(wire.RingFeatureBits).Store(wire.RingFeaturePendingSend)
	}
	return c
}
