// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nested

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// The addresses of QEMU's user-mode network (its documented defaults).
const (
	insideAddr  = "10.0.2.15"
	gatewayAddr = "10.0.2.2"
	dnsAddr     = "10.0.2.3"
	// proxyPort is the first port inside at which QEMU delivers forwarded
	// connections; not the port itself, which the program may want on all addresses.
	proxyPort = 61000
)

// setUpNetwork brings up lo and eth0 with the fixed address.
func setUpNetwork() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := linkUp(fd, "lo"); err != nil {
		return err
	}
	addr := netip.MustParseAddr(insideAddr).As4()
	if err := setAddr(fd, unix.SIOCSIFADDR, addr); err != nil {
		return err
	}
	if err := setAddr(fd, unix.SIOCSIFNETMASK, [4]byte{255, 255, 255, 0}); err != nil {
		return err
	}
	if err := linkUp(fd, "eth0"); err != nil {
		return err
	}
	return addDefaultRoute(netip.MustParseAddr(gatewayAddr).As4())
}

func linkUp(fd int, name string) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("%s up: %w", name, err)
	}
	return nil
}

func setAddr(fd int, request uint, addr [4]byte) error {
	ifr, err := unix.NewIfreq("eth0")
	if err != nil {
		return err
	}
	if err := ifr.SetInet4Addr(addr[:]); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, request, ifr); err != nil {
		return fmt.Errorf("eth0 address: %w", err)
	}
	return nil
}

// addDefaultRoute sends RTM_NEWROUTE (rtnetlink(7)): a header, a route message
// and the gateway as its only attribute.
func addDefaultRoute(gateway [4]byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const size = unix.SizeofNlMsghdr + unix.SizeofRtMsg + unix.SizeofRtAttr + 4
	le := binary.LittleEndian
	b := le.AppendUint32(nil, size)
	b = le.AppendUint16(b, unix.RTM_NEWROUTE)
	b = le.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	b = le.AppendUint32(b, 1) // sequence
	b = le.AppendUint32(b, 0) // port
	b = append(b, unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST)
	b = le.AppendUint32(b, 0) // flags
	b = le.AppendUint16(b, unix.SizeofRtAttr+4)
	b = le.AppendUint16(b, unix.RTA_GATEWAY)
	b = append(b, gateway[:]...)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	if n < unix.SizeofNlMsghdr+4 || le.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("default route: odd answer of %d bytes", n)
	}
	if errno := -int32(le.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		return fmt.Errorf("default route: %w", unix.Errno(errno))
	}
	return nil
}

// forward passes connections that QEMU delivers at proxyPort+i on to
// 127.0.0.1:ports[i].
func forward(ports []uint16) error {
	for i, p := range ports {
		l, err := net.Listen("tcp4", net.JoinHostPort(insideAddr, strconv.Itoa(proxyPort+i)))
		if err != nil {
			return fmt.Errorf("forward port %d: %w", p, err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go proxy(c.(*net.TCPConn), p)
			}
		}()
	}
	return nil
}

// proxy joins c with a new connection to 127.0.0.1:port. When there is none to
// be had, c is reset: the caller should see a refusal, not an empty answer.
func proxy(c *net.TCPConn, port uint16) {
	defer c.Close()
	up, err := net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	if err != nil {
		_ = c.SetLinger(0)
		return
	}
	defer up.Close()
	var wg sync.WaitGroup
	wg.Go(func() { pump(up, c) })
	wg.Go(func() { pump(c, up) })
	wg.Wait()
}

// pump copies one direction and passes its end, or its failure, on.
func pump(dst, src *net.TCPConn) {
	if _, err := io.Copy(dst, src); err != nil {
		_ = dst.SetLinger(0)
		dst.Close()
		src.Close()
		return
	}
	_ = dst.CloseWrite()
}
