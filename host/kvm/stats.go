// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// The statistics file of a vCPU (struct kvm_stats_header, struct kvm_stats_desc in
// linux/kvm.h): a header, an identity, descriptors, and the figures, 8 bytes each.
//
//	header 24 | id name_size | descriptors num_desc * (16 + name_size) | data
const (
	statsHeaderSize = 24
	statsDescSize   = 16 // without its name
	statsMost       = 1 << 16
)

// Stats are counters of a vCPU that the kernel keeps: how often the guest left, and
// how often for what. The kernel names them; those of interest are
// exits, halt_exits, io_exits, irq_exits, irq_window_exits, hypercalls, pf_taken.
type Stats struct {
	fd     int
	names  []string
	offset []int // of each figure in data
	at     int64 // of data in the file
	data   []byte
}

// Stats opens the vCPU's counters. The kernel has them since Linux 5.14.
func (v *VCPU) Stats() (_ *Stats, err error) {
	fd, err := ioctl(v.fd, ioGetStatsFD, 0)
	if err != nil {
		return nil, wrap("KVM_GET_STATS_FD", err)
	}
	unix.CloseOnExec(fd)
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	head := make([]byte, statsMost)
	n, err := unix.Pread(fd, head, 0)
	if err != nil {
		return nil, wrap("read of statistics", err)
	}
	s, err := parseStats(head[:n])
	if err != nil {
		return nil, fmt.Errorf("kvm: statistics of a vCPU: %w", err)
	}
	s.fd = fd
	return s, nil
}

// parseStats reads all but the figures.
func parseStats(b []byte) (*Stats, error) {
	errShort := errors.New("shorter than its header says")
	if len(b) < statsHeaderSize {
		return nil, errShort
	}
	le := binary.LittleEndian
	nameSize, count := uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))
	at, data := uint64(le.Uint32(b[16:])), le.Uint32(b[20:])
	each := statsDescSize + nameSize
	if nameSize > statsMost || count > statsMost || at+each*count > uint64(len(b)) {
		return nil, errShort
	}
	s := &Stats{at: int64(data)}
	size := 0
	for ; count > 0; count-- {
		d := b[at : at+each]
		at += each
		words, offset := le.Uint16(d[6:]), le.Uint32(d[8:])
		if words != 1 {
			continue // a histogram
		}
		if offset > math.MaxInt32-8 || offset > statsMost {
			return nil, errShort
		}
		name, _, _ := bytes.Cut(d[statsDescSize:], []byte{0})
		s.names = append(s.names, string(name))
		s.offset = append(s.offset, int(offset))
		size = max(size, int(offset)+8)
	}
	s.data = make([]byte, size)
	return s, nil
}

// Read adds the counters of now to sum, by the kernel's names.
func (s *Stats) Read(sum map[string]uint64) error {
	n, err := unix.Pread(s.fd, s.data, s.at)
	if err == nil && n < len(s.data) {
		err = fmt.Errorf("%d bytes of %d", n, len(s.data))
	}
	if err != nil {
		return wrap("read of statistics", err)
	}
	for i, name := range s.names {
		sum[name] += binary.LittleEndian.Uint64(s.data[s.offset[i]:])
	}
	return nil
}

// Close closes the counters.
func (s *Stats) Close() error { return unix.Close(s.fd) }
