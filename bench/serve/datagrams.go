// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/hvgo/hvgo/bench"
)

var le = binary.LittleEndian

const (
	maxDatagram = 1400 // bytes: one packet
	echoAge     = 500 * time.Millisecond
)

// datagrams sends UDP datagrams to j.Target and waits for the echo of each. One that
// does not come is lost, and no error.
func datagrams(ctx context.Context, j bench.Job) (bench.Result, error) {
	if j.Bytes < 8 || j.Bytes > maxDatagram {
		return bench.Result{}, fmt.Errorf("a datagram of %d bytes: 8 to %d", j.Bytes, maxDatagram)
	}
	var lost atomic.Int64
	r, err := work(ctx, j, func(int) (worker, error) {
		c, err := net.Dial("udp", j.Target)
		if err != nil {
			return nil, err
		}
		return &datagram{c: c, out: make([]byte, j.Bytes), in: make([]byte, maxDatagram+1), lost: &lost}, nil
	})
	r.Lost = int(lost.Load())
	if err == nil && r.Lost == r.Ops {
		err = fmt.Errorf("%s echoed none of %d datagrams", j.Target, r.Ops)
	}
	return r, err
}

type datagram struct {
	c       net.Conn
	out, in []byte
	lost    *atomic.Int64
}

func (d *datagram) do(i int) error {
	le.PutUint64(d.out, uint64(i))
	if err := d.c.SetReadDeadline(time.Now().Add(echoAge)); err != nil {
		return err
	}
	if _, err := d.c.Write(d.out); err != nil {
		return err
	}
	for {
		n, err := d.c.Read(d.in)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			d.lost.Add(1)
			return nil
		case err != nil:
			return err
		case n == len(d.out) && le.Uint64(d.in) == uint64(i):
			return nil
		} // else the echo of one that was given up
	}
}

func (d *datagram) close() { _ = d.c.Close() } // nothing waits in it
