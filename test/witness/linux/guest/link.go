// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// answerAge is how long the network may take to answer.
const answerAge = 10 * time.Second

// link brings the network card up, asks who has the address in parameter "gateway" and
// waits for the answer: a frame each way, without an IP stack, and then takes the
// card down again.
func link(r *run) error {
	gateway, err := netip.ParseAddr(r.params["gateway"])
	if err != nil {
		return err
	}
	card, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, arp)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	if err := setLink(fd, card.Name, true); err != nil {
		return err
	}
	if err := await("/sys/class/net/eth0/carrier", "1"); err != nil {
		return err
	}
	to := unix.SockaddrLinklayer{Ifindex: card.Index, Protocol: arp}
	if err := unix.Bind(fd, &to); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Send(fd, whoHas(card.HardwareAddr, gateway), 0); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(answerAge / time.Second)}); err != nil {
		return err
	}
	var frame [1514]byte
	n, err := unix.Read(fd, frame[:])
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	r.set("answer", n)
	return setLink(fd, card.Name, false)
}

// arp is ETH_P_ARP in network order.
const arp = unix.ETH_P_ARP>>8 | unix.ETH_P_ARP&0xFF<<8

// whoHas is an ARP request (RFC 826) as an Ethernet frame, from no address.
func whoHas(mac net.HardwareAddr, who netip.Addr) []byte {
	b := append([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, mac...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_ARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, 1)
	b = append(append(b, mac...), 0, 0, 0, 0)
	b = append(append(b, 0, 0, 0, 0, 0, 0), who.AsSlice()...)
	return append(b, make([]byte, 60-len(b))...)
}

// setLink sets IFF_UP or takes it away.
func setLink(fd int, name string, up bool) error {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if up {
		req.SetUint16(unix.IFF_UP)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("set flags of %s: %w", name, err)
	}
	return nil
}

// await waits until a small file holds a text.
func await(path, want string) error {
	for range answerAge / (10 * time.Millisecond) {
		if text(path) == want {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s stays %q", path, text(path))
}

// unload takes the drivers away, so that each says goodbye to the host, and VMBus too.
func unload(r *run) error {
	var errs []error
	for _, name := range []string{"hv_netvsc", "hv_storvsc", "hv_balloon", "hv_utils", "hv_vmbus"} {
		if _, err := os.Stat("/sys/module/" + name); err != nil {
			continue
		}
		if err := unix.DeleteModule(name, 0); err != nil {
			errs = append(errs, fmt.Errorf("unload %s: %w", name, err))
			continue
		}
		r.set(name, "gone")
	}
	return errors.Join(errs...)
}
