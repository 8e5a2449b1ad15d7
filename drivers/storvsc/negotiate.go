// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsc

import (
	"fmt"

	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// negotiate brings the controller to the state in which it takes commands. The
// order of the steps is the protocol's.
func (c *Controller) negotiate() error {
	if _, err := c.control(vstor.OpBeginInit, nil, vstor.PacketSizeV1); err != nil {
		return err
	}
	if err := c.queryVersion(); err != nil {
		return err
	}
	if err := c.queryProperties(); err != nil {
		return err
	}
	if _, err := c.control(vstor.OpEndInit, nil, c.version.PacketSize()); err != nil {
		return err
	}
	c.log.Info("storvsc: connected", "version", c.version, "max_transfer", c.max)
	return nil
}

// queryVersion asks for versions from the newest down. The packets are of the
// old, short size: at this point the host cannot expect another.
func (c *Controller) queryVersion() error {
	for _, v := range vstor.Versions {
		p, err := c.ask(vstor.OpQueryVersion, vstor.ProtocolVersion{Version: v}.AppendTo(nil), vstor.PacketSizeV1)
		if err != nil {
			return err
		}
		if p.Status == vstor.StatusSuccess {
			c.version = v
			return nil
		}
		c.log.Debug("storvsc: version not supported by host", "version", v, "status", p.Status)
	}
	return ErrNoVersion
}

// queryProperties learns the largest transfer. The host's number is an upper
// limit; whatever it is, at least a page goes.
func (c *Controller) queryProperties() error {
	p, err := c.control(vstor.OpQueryProperties, nil, c.version.PacketSize())
	if err != nil {
		return err
	}
	props, err := vstor.DecodeProperties(p.Payload[:])
	if err != nil {
		return fmt.Errorf("%w: %v", ErrProtocol, err)
	}
	limit := min(uint64(props.MaxTransferBytes), transferLimit) &^ (vmbus.PageSize - 1)
	c.max = int(max(limit, vmbus.PageSize))
	return nil
}

// control sends an operation and insists on success.
func (c *Controller) control(op vstor.Operation, payload []byte, size int) (vstor.Packet, error) {
	p, err := c.ask(op, payload, size)
	if err == nil && p.Status != vstor.StatusSuccess {
		err = fmt.Errorf("%v refused by host: %v", op, p.Status)
	}
	return p, err
}

// ask sends an operation in a packet of size bytes and gives the answer.
func (c *Controller) ask(op vstor.Operation, payload []byte, size int) (vstor.Packet, error) {
	s, err := c.q.acquire(true)
	if err != nil {
		return vstor.Packet{}, err
	}
	defer c.q.release(s)
	m := vstor.Packet{Operation: op, Flags: vstor.FlagRequestCompletion}
	m.SetPayload(payload)
	s.encode(m, size)
	p, err := c.exchange(s)
	if err != nil {
		return p, fmt.Errorf("%v: %w", op, err)
	}
	if p.Operation != vstor.OpCompleteIO {
		return p, fmt.Errorf("%w: %v answers %v", ErrProtocol, p.Operation, op)
	}
	return p, nil
}

// exchange sends one slot and waits for its answer.
func (c *Controller) exchange(s *slot) (vstor.Packet, error) {
	list := [1]*slot{s}
	if err := c.q.send(list[:]); err != nil {
		c.abandon(err)
		return vstor.Packet{}, ErrDisconnected
	}
	return c.q.wait(s)
}
