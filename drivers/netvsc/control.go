// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// Transaction IDs: requests count up from 1; transfers of frames start at
// firstTransfer; firstAnonymous is for messages whose completion nobody awaits.
const (
	firstTransfer  = 1 << 32
	firstAnonymous = 1 << 33
)

// maxControl is the size in bytes of the longest RNDIS control message either
// side may send.
const maxControl = pageSize

// calls holds the requests that wait for an answer.
type calls struct {
	rndis   sync.Mutex // held for a whole RNDIS request, since there is one page
	control *Memory    // guarded by rndis: page that control messages go out of

	mu       sync.Mutex             // guards all below
	next     uint64                 // last transaction ID used
	waiting  map[uint64]chan []byte // by transaction ID: body of the completion
	request  uint32                 // last RNDIS request ID used
	answers  map[uint32]chan []byte // by request ID: RNDIS message
	isClosed bool
}

// setControl sets the control page; nil when its memory is given back.
func (c *calls) setControl(page *Memory) {
	c.rndis.Lock()
	c.control = page
	c.rndis.Unlock()
}

// close fails all waiting calls, and all later ones.
func (c *calls) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isClosed = true
	for id, ch := range c.waiting {
		close(ch)
		delete(c.waiting, id)
	}
	for id, ch := range c.answers {
		close(ch)
		delete(c.answers, id)
	}
}

// begin registers a call of the given table under a fresh ID.
func begin[ID uint32 | uint64](c *calls, last *ID, table map[ID]chan []byte) (ID, chan []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed {
		return 0, nil, ErrClosed
	}
	*last++
	ch := make(chan []byte, 1)
	table[*last] = ch
	return *last, ch, nil
}

// finish hands a copy of b to the call that waits for id; false: nobody does.
func finish[ID uint32 | uint64](c *calls, table map[ID]chan []byte, id ID, b []byte) bool {
	c.mu.Lock()
	ch, ok := table[id]
	delete(table, id)
	c.mu.Unlock()
	if ok {
		ch <- append([]byte(nil), b...)
	}
	return ok
}

// abandon forgets a call.
func abandon[ID uint32 | uint64](c *calls, table map[ID]chan []byte, id ID) {
	c.mu.Lock()
	delete(table, id)
	c.mu.Unlock()
}

// await waits for the answer on ch.
func (n *NIC) await(ch chan []byte, what string) ([]byte, error) {
	timer := time.NewTimer(n.o.Timeout)
	defer timer.Stop()
	select {
	case b, ok := <-ch:
		if !ok {
			return nil, fmt.Errorf("%s: %w", what, ErrClosed)
		}
		return b, nil
	case <-timer.C:
		return nil, fmt.Errorf("%s: %w in %v", what, ErrTimeout, n.o.Timeout)
	}
}

// pad returns msg at the message size of version v.
func pad(msg []byte, v nvsp.Version) []byte {
	if short := v.MessageSize() - len(msg); short > 0 {
		msg = append(msg, make([]byte, short)...)
	}
	return msg
}

// call sends an NVSP message and returns the body of its completion.
func (n *NIC) call(msg []byte, v nvsp.Version, what string) ([]byte, error) {
	c := &n.calls
	id, ch, err := begin(c, &c.next, c.waiting)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer abandon(c, c.waiting, id)
	if err := n.ch.SendInBand(id, pad(msg, v), true); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return n.await(ch, what)
}

// tell sends an NVSP message that has no answer.
func (n *NIC) tell(msg []byte, what string) error {
	if err := n.ch.SendInBand(firstAnonymous, pad(msg, n.version), false); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// rndisCall sends the RNDIS message that build appends for a fresh request ID,
// and returns the answer with that ID.
func (n *NIC) rndisCall(build func(b []byte, id uint32) []byte, what string) ([]byte, error) {
	c := &n.calls
	c.rndis.Lock()
	defer c.rndis.Unlock()
	req, answer, err := begin(c, &c.request, c.answers)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer abandon(c, c.answers, req)
	if err := n.sendControl(build(nil, req), what); err != nil {
		return nil, err
	}
	return n.await(answer, what)
}

// sendControl sends one RNDIS control message out of the control page and waits
// until the host has read it. The caller holds calls.rndis.
func (n *NIC) sendControl(msg []byte, what string) error {
	c := &n.calls
	if c.control == nil {
		return fmt.Errorf("%s: %w", what, ErrClosed)
	}
	if len(msg) > maxControl || len(msg) > len(c.control.Bytes) {
		return fmt.Errorf("%s: message of %d bytes: %w", what, len(msg), ErrSize)
	}
	id, taken, err := begin(c, &c.next, c.waiting)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer abandon(c, c.waiting, id)
	copy(c.control.Bytes, msg)
	head := nvsp.SendRNDISPacket{ChannelType: nvsp.ChannelControl, SectionIndex: nvsp.NoSection}
	if err := n.ch.SendGPADirect(id, pad(head.AppendTo(nil), n.version), c.control.PFN[:1], len(msg)); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	b, err := n.await(taken, what)
	if err != nil {
		return err
	}
	done, err := nvsp.DecodeSendRNDISPacketComplete(b)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrProtocol, err)
	}
	if done.Status != nvsp.StatusSuccess {
		return fmt.Errorf("%s: %w: %v", what, ErrRefused, done.Status)
	}
	return nil
}

// query reads an OID into at most size bytes; info is what the OID wants to be
// asked with, nil for most.
func (n *NIC) query(oid rndis.OID, info []byte) ([]byte, error) {
	what := "query " + oid.String()
	b, err := n.rndisCall(func(b []byte, id uint32) []byte {
		return rndis.AppendRequest(b, rndis.TypeQuery, id, oid, info)
	}, what)
	if err != nil {
		return nil, err
	}
	m, err := rndis.DecodeQueryComplete(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", what, ErrProtocol, err)
	}
	if m.Status != rndis.StatusSuccess {
		return nil, fmt.Errorf("%s: %w: %v", what, ErrRefused, m.Status)
	}
	answer, err := m.Info(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", what, ErrProtocol, err)
	}
	return answer, nil
}

// query32 reads an OID that is a 32-bit number.
func (n *NIC) query32(oid rndis.OID) (uint32, error) {
	b, err := n.query(oid, nil)
	if err != nil {
		return 0, err
	}
	if len(b) < 4 {
		return 0, fmt.Errorf("query %v: %w: %d bytes", oid, ErrProtocol, len(b))
	}
	return binary.LittleEndian.Uint32(b), nil
}

// queryMAC reads an OID that is an Ethernet address.
func (n *NIC) queryMAC(oid rndis.OID) (mac [6]byte, err error) {
	b, err := n.query(oid, nil)
	if err != nil {
		return mac, err
	}
	if len(b) < len(mac) {
		return mac, fmt.Errorf("query %v: %w: %d bytes", oid, ErrProtocol, len(b))
	}
	copy(mac[:], b)
	if mac[0]&1 != 0 || mac == [6]byte{} {
		return mac, fmt.Errorf("query %v: %w: %s is no station's address", oid, ErrProtocol, macString(mac))
	}
	return mac, nil
}

// set writes an OID.
func (n *NIC) set(oid rndis.OID, info []byte) error {
	what := "set " + oid.String()
	b, err := n.rndisCall(func(b []byte, id uint32) []byte {
		return rndis.AppendRequest(b, rndis.TypeSet, id, oid, info)
	}, what)
	if err != nil {
		return err
	}
	m, err := rndis.DecodeSetComplete(b)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrProtocol, err)
	}
	if m.Status != rndis.StatusSuccess {
		return fmt.Errorf("%s: %w: %v", what, ErrRefused, m.Status)
	}
	return nil
}
