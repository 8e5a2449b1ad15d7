// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// Option numbers of Linux that package syscall does not have.
const (
	soReusePort    = 15
	tcpUserTimeout = 18

	ipv6RecvErr   = 25
	ipPMTUDontSet = 0 // IP_PMTUDISC_DONT
	ipPMTUDo      = 2 // IP_PMTUDISC_DO
	ipPMTUMax     = 5 // IP_PMTUDISC_OMIT
)

// Linux bounds the keepalive times (seconds) and count.
const (
	maxKeepaliveTime  = 32767
	maxKeepaliveCount = 127
)

// GetOpt implements linux.Socket.
func (s *socket) GetOpt(level, name int) (int, error) {
	switch level {
	case syscall.SOL_SOCKET:
		return s.getSocket(name)
	case syscall.IPPROTO_TCP:
		return s.getTCP(name)
	case syscall.IPPROTO_IP:
		return s.getIP(name)
	case syscall.IPPROTO_IPV6:
		return s.getIPv6(name)
	}
	return 0, syscall.ENOPROTOOPT
}

// SetOpt implements linux.Socket.
func (s *socket) SetOpt(level, name, value int) error {
	switch level {
	case syscall.SOL_SOCKET:
		return s.setSocket(name, value)
	case syscall.IPPROTO_TCP:
		return s.setTCP(name, value)
	case syscall.IPPROTO_IP:
		return s.setIP(name, value)
	case syscall.IPPROTO_IPV6:
		return s.setIPv6(name, value)
	}
	return syscall.ENOPROTOOPT
}

func (s *socket) getSocket(name int) (int, error) {
	o := s.ep.SocketOptions()
	switch name {
	case syscall.SO_ERROR:
		err := o.GetLastError()
		// The stack keeps repeating the error that ended a stream; Linux tells
		// it once.
		if err == nil || s.failed() && s.errorTaken.Swap(true) {
			return 0, nil
		}
		return int(number(err)), nil
	case syscall.SO_REUSEADDR:
		return toInt(o.GetReuseAddress()), nil
	case soReusePort:
		return toInt(o.GetReusePort()), nil
	case syscall.SO_KEEPALIVE:
		return toInt(o.GetKeepAlive()), nil
	case syscall.SO_BROADCAST:
		return toInt(o.GetBroadcast()), nil
	case syscall.SO_SNDBUF:
		return int(o.GetSendBufferSize()), nil
	case syscall.SO_RCVBUF:
		return int(o.GetReceiveBufferSize()), nil
	case syscall.SO_RCVLOWAT:
		return int(o.GetRcvlowat()), nil
	case syscall.SO_ACCEPTCONN:
		return toInt(o.GetAcceptConn()), nil
	case syscall.SO_LINGER:
		if l := o.GetLinger(); l.Enabled {
			return int(l.Timeout / time.Second), nil
		}
		return -1, nil
	}
	return 0, syscall.ENOPROTOOPT
}

func (s *socket) setSocket(name, v int) error {
	o := s.ep.SocketOptions()
	switch name {
	case syscall.SO_REUSEADDR:
		o.SetReuseAddress(v != 0)
	case soReusePort:
		o.SetReusePort(v != 0)
	case syscall.SO_KEEPALIVE:
		o.SetKeepAlive(v != 0)
	case syscall.SO_BROADCAST:
		o.SetBroadcast(v != 0)
	case syscall.SO_SNDBUF:
		lo, hi := o.SendBufferLimits()
		o.SetSendBufferSize(doubled(v, lo, hi), true)
	case syscall.SO_RCVBUF:
		lo, hi := o.ReceiveBufferLimits()
		o.SetReceiveBufferSize(doubled(v, lo, hi), true)
	case syscall.SO_RCVLOWAT:
		return errno(o.SetRcvlowat(int32(min(max(v, 1), 1<<30))))
	case syscall.SO_LINGER:
		o.SetLinger(tcpip.LingerOption{Enabled: v >= 0, Timeout: time.Duration(max(v, 0)) * time.Second})
	default:
		return syscall.ENOPROTOOPT
	}
	return nil
}

// doubled is a buffer size as Linux sets it: twice what was asked for, within
// the limits.
func doubled(v int, lo, hi int64) int64 {
	return min(max(2*min(max(int64(v), 0), 1<<30), lo), hi)
}

func (s *socket) getTCP(name int) (int, error) {
	if !s.stream {
		return 0, syscall.ENOPROTOOPT
	}
	o := s.ep.SocketOptions()
	switch name {
	case syscall.TCP_NODELAY:
		return toInt(!o.GetDelayOption()), nil
	case syscall.TCP_CORK:
		return toInt(o.GetCorkOption()), nil
	case syscall.TCP_QUICKACK:
		return toInt(o.GetQuickAck()), nil
	case syscall.TCP_MAXSEG:
		return s.getInt(tcpip.MaxSegOption)
	case syscall.TCP_KEEPCNT:
		return s.getInt(tcpip.KeepaliveCountOption)
	case syscall.TCP_SYNCNT:
		return s.getInt(tcpip.TCPSynCountOption)
	case syscall.TCP_KEEPIDLE:
		var v tcpip.KeepaliveIdleOption
		err := s.ep.GetSockOpt(&v)
		return int(time.Duration(v) / time.Second), errno(err)
	case syscall.TCP_KEEPINTVL:
		var v tcpip.KeepaliveIntervalOption
		err := s.ep.GetSockOpt(&v)
		return int(time.Duration(v) / time.Second), errno(err)
	case tcpUserTimeout:
		var v tcpip.TCPUserTimeoutOption
		err := s.ep.GetSockOpt(&v)
		return int(time.Duration(v) / time.Millisecond), errno(err)
	case syscall.TCP_LINGER2:
		var v tcpip.TCPLingerTimeoutOption
		err := s.ep.GetSockOpt(&v)
		return int(time.Duration(v) / time.Second), errno(err)
	case syscall.TCP_DEFER_ACCEPT:
		var v tcpip.TCPDeferAcceptOption
		err := s.ep.GetSockOpt(&v)
		return int(time.Duration(v) / time.Second), errno(err)
	}
	return 0, syscall.ENOPROTOOPT
}

func (s *socket) setTCP(name, v int) error {
	if !s.stream {
		return syscall.ENOPROTOOPT
	}
	o := s.ep.SocketOptions()
	switch name {
	case syscall.TCP_NODELAY:
		o.SetDelayOption(v == 0)
	case syscall.TCP_CORK:
		o.SetCorkOption(v != 0)
	case syscall.TCP_QUICKACK:
		o.SetQuickAck(v != 0)
	case syscall.TCP_MAXSEG:
		return s.setInt(tcpip.MaxSegOption, v)
	case syscall.TCP_SYNCNT:
		return s.setInt(tcpip.TCPSynCountOption, v)
	case syscall.TCP_KEEPCNT:
		if v < 1 || v > maxKeepaliveCount {
			return syscall.EINVAL
		}
		return s.setInt(tcpip.KeepaliveCountOption, v)
	case syscall.TCP_KEEPIDLE, syscall.TCP_KEEPINTVL:
		if v < 1 || v > maxKeepaliveTime {
			return syscall.EINVAL
		}
		idle, interval := tcpip.KeepaliveIdleOption(seconds(v)), tcpip.KeepaliveIntervalOption(seconds(v))
		if name == syscall.TCP_KEEPIDLE {
			return errno(s.ep.SetSockOpt(&idle))
		}
		return errno(s.ep.SetSockOpt(&interval))
	case tcpUserTimeout:
		if v < 0 {
			return syscall.EINVAL
		}
		t := tcpip.TCPUserTimeoutOption(time.Duration(v) * time.Millisecond)
		return errno(s.ep.SetSockOpt(&t))
	case syscall.TCP_LINGER2:
		t := tcpip.TCPLingerTimeoutOption(seconds(min(v, maxKeepaliveTime)))
		return errno(s.ep.SetSockOpt(&t))
	case syscall.TCP_DEFER_ACCEPT:
		t := tcpip.TCPDeferAcceptOption(seconds(min(max(v, 0), maxKeepaliveTime)))
		return errno(s.ep.SetSockOpt(&t))
	default:
		return syscall.ENOPROTOOPT
	}
	return nil
}

func (s *socket) getIP(name int) (int, error) {
	o := s.ep.SocketOptions()
	switch name {
	case syscall.IP_TOS:
		return s.getInt(tcpip.IPv4TOSOption)
	case syscall.IP_TTL:
		v, err := s.getInt(tcpip.IPv4TTLOption)
		if err == nil && v == tcpip.UseDefaultIPv4TTL {
			v = 64
		}
		return v, err
	case syscall.IP_MULTICAST_TTL:
		return s.getInt(tcpip.MulticastTTLOption)
	case syscall.IP_MULTICAST_LOOP:
		return toInt(o.GetMulticastLoop()), nil
	case syscall.IP_MTU_DISCOVER:
		return s.getInt(tcpip.MTUDiscoverOption)
	case syscall.IP_RECVERR:
		return toInt(o.GetIPv4RecvError()), nil
	}
	return 0, syscall.ENOPROTOOPT
}

func (s *socket) setIP(name, v int) error {
	o := s.ep.SocketOptions()
	switch name {
	case syscall.IP_TOS:
		return s.setInt(tcpip.IPv4TOSOption, v&0xFF)
	case syscall.IP_TTL:
		if v == -1 {
			v = tcpip.UseDefaultIPv4TTL
		} else if v < 1 || v > 255 {
			return syscall.EINVAL
		}
		return s.setInt(tcpip.IPv4TTLOption, v)
	case syscall.IP_MULTICAST_TTL:
		if v == -1 {
			v = 1
		} else if v < 0 || v > 255 {
			return syscall.EINVAL
		}
		return s.setInt(tcpip.MulticastTTLOption, v)
	case syscall.IP_MULTICAST_LOOP:
		o.SetMulticastLoop(v != 0)
	case syscall.IP_MTU_DISCOVER:
		if v < ipPMTUDontSet || v > ipPMTUMax {
			return syscall.EINVAL
		}
		return s.setInt(tcpip.MTUDiscoverOption, v)
	case syscall.IP_RECVERR:
		o.SetIPv4RecvError(v != 0)
	default:
		return syscall.ENOPROTOOPT
	}
	return nil
}

func (s *socket) getIPv6(name int) (int, error) {
	if s.domain != syscall.AF_INET6 {
		return 0, syscall.ENOPROTOOPT
	}
	o := s.ep.SocketOptions()
	switch name {
	case syscall.IPV6_V6ONLY:
		return toInt(o.GetV6Only()), nil
	case syscall.IPV6_UNICAST_HOPS:
		v, err := s.getInt(tcpip.IPv6HopLimitOption)
		if err == nil && v == tcpip.UseDefaultIPv6HopLimit {
			v = 64
		}
		return v, err
	case syscall.IPV6_MULTICAST_HOPS:
		return s.getInt(tcpip.MulticastTTLOption)
	case syscall.IPV6_MULTICAST_LOOP:
		return toInt(o.GetMulticastLoop()), nil
	case syscall.IPV6_TCLASS:
		return s.getInt(tcpip.IPv6TrafficClassOption)
	case ipv6RecvErr:
		return toInt(o.GetIPv6RecvError()), nil
	}
	return 0, syscall.ENOPROTOOPT
}

func (s *socket) setIPv6(name, v int) error {
	if s.domain != syscall.AF_INET6 {
		return syscall.ENOPROTOOPT
	}
	o := s.ep.SocketOptions()
	switch name {
	case syscall.IPV6_V6ONLY:
		if s.LocalAddr().Port() != 0 {
			return syscall.EINVAL // bound already
		}
		o.SetV6Only(v != 0)
	case syscall.IPV6_UNICAST_HOPS, syscall.IPV6_MULTICAST_HOPS:
		if v < -1 || v > 255 {
			return syscall.EINVAL
		}
		if name == syscall.IPV6_MULTICAST_HOPS {
			return s.setInt(tcpip.MulticastTTLOption, max(v, 1))
		}
		return s.setInt(tcpip.IPv6HopLimitOption, v)
	case syscall.IPV6_MULTICAST_LOOP:
		o.SetMulticastLoop(v != 0)
	case syscall.IPV6_TCLASS:
		if v < -1 || v > 255 {
			return syscall.EINVAL
		}
		return s.setInt(tcpip.IPv6TrafficClassOption, max(v, 0))
	case ipv6RecvErr:
		o.SetIPv6RecvError(v != 0)
	default:
		return syscall.ENOPROTOOPT
	}
	return nil
}

func (s *socket) getInt(o tcpip.SockOptInt) (int, error) {
	v, err := s.ep.GetSockOptInt(o)
	return v, errno(err)
}

func (s *socket) setInt(o tcpip.SockOptInt, v int) error { return errno(s.ep.SetSockOptInt(o, v)) }

func seconds(v int) time.Duration { return time.Duration(v) * time.Second }

func toInt(v bool) int {
	if v {
		return 1
	}
	return 0
}
