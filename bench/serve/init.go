// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/bench"
)

// cardName is the first network card's.
const cardName = "eth0"

// setUp does what an init has to: file systems, the drivers in /modules in the order of
// their names, an address. The address is waited for beside the rest.
func setUp(s *start) error {
	for _, m := range []struct{ kind, path string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := os.MkdirAll(m.path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.path, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.path, err)
		}
	}
	files, err := filepath.Glob("/modules/*.ko")
	if err != nil {
		return err
	}
	for _, name := range files { // Glob sorts
		if err := loadModule(name); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", filepath.Base(name), err)
		}
	}
	s.mark(bench.MarkModules)
	return address(s)
}

func loadModule(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

// address brings the interfaces up, with a lease.
func address(s *start) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	if err := await("card "+cardName, func() bool { _, err := net.InterfaceByName(cardName); return err == nil }); err != nil {
		return err
	}
	for _, name := range []string{"lo", cardName} {
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_UP)
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	carrier := func() bool {
		b, err := os.ReadFile("/sys/class/net/" + cardName + "/carrier")
		return err == nil && strings.TrimSpace(string(b)) == "1"
	}
	if err := await("carrier", carrier); err != nil {
		return err
	}
	if err := lease(fd); err != nil {
		return fmt.Errorf("DHCP: %w", err)
	}
	s.mark(bench.MarkAddress)
	return nil
}

// lease takes an address and a mask; the default route is not needed on the host's network.
func lease(fd int) error {
	client, err := nclient4.New(cardName)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), deviceAge)
	defer cancel()
	l, err := client.Request(ctx, dhcpv4.WithOption(dhcpv4.OptHostName("bench")))
	if err != nil {
		return err
	}
	for _, set := range []struct {
		request uint
		ip      net.IP
	}{{unix.SIOCSIFADDR, l.ACK.YourIPAddr}, {unix.SIOCSIFNETMASK, net.IP(l.ACK.SubnetMask())}} {
		req, err := unix.NewIfreq(cardName)
		if err != nil {
			return err
		}
		if err := req.SetInet4Addr(set.ip.To4()); err != nil {
			return fmt.Errorf("%v: %w", set.ip, err)
		}
		if err := unix.IoctlIfreq(fd, set.request, req); err != nil {
			return fmt.Errorf("set %v: %w", set.ip, err)
		}
	}
	return nil
}
