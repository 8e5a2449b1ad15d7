// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/test/vm/pattern"
)

const (
	cardName   = "eth0"
	networkAge = 60 * time.Second // an address or a small answer that has not come by then does not come
	flows      = 24               // connections: each goes by one of the two channels
)

// network gets an address by DHCP, fetches hvgo.mib MiB of test/vm/pattern from
// hvgo.server by HTTP and sends as many, each on one connection; then many small
// requests, each on its own. It reports what ethtool says before and after.
func network(r *run) error {
	size, err := strconv.ParseInt(r.params["mib"], 10, 32)
	if err != nil {
		return fmt.Errorf("hvgo.mib: %w", err)
	}
	size *= mib
	if err := address(r); err != nil {
		return err
	}
	for name, args := range map[string][]string{"features": {"-k"}, "driver": {"-i"}, "channels": {"-l"}, "scaling": {"-x"}} {
		if err := ethtool(r, name, append(args, cardName)...); err != nil {
			return err
		}
	}
	url := "http://" + r.params["server"]
	clock := stopwatch(r)
	sum, err := fetch(url, size)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	r.set("fetch_sum", strconv.FormatUint(sum, 16))
	clock("fetch")
	if err := post(url, size); err != nil {
		return fmt.Errorf("post: %w", err)
	}
	clock("post")
	if err := small(url, flows); err != nil {
		return err
	}
	clock("flows")
	return ethtool(r, "statistics", "-S", cardName)
}

// rechannel takes the sub-channels away and back, as an administrator may.
func rechannel(r *run) error {
	url := "http://" + r.params["server"]
	for _, n := range []string{"1", "2"} {
		if err := tool("ethtool", "-L", cardName, "combined", n); err != nil {
			return err
		}
		if err := await("/sys/class/net/"+cardName+"/carrier", "1"); err != nil {
			return err
		}
		if err := small(url, 4); err != nil {
			return fmt.Errorf("with %s channels: %w", n, err)
		}
		if err := ethtool(r, "channels"+n, "-l", cardName); err != nil {
			return err
		}
	}
	return nil
}

// address brings the card up with a lease.
func address(r *run) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	for _, name := range []string{"lo", cardName} {
		if err := setLink(fd, name, true); err != nil {
			return err
		}
	}
	if err := await("/sys/class/net/"+cardName+"/carrier", "1"); err != nil {
		return err
	}
	client, err := nclient4.New(cardName)
	if err != nil {
		return fmt.Errorf("DHCP: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), networkAge)
	defer cancel()
	lease, err := client.Request(ctx, dhcpv4.WithOption(dhcpv4.OptHostName("witness")))
	if err != nil {
		return fmt.Errorf("DHCP: %w", err)
	}
	r.set("address", lease.ACK.YourIPAddr)
	r.set("gateway", lease.ACK.Router()[0])
	if err := setAddress(fd, unix.SIOCSIFADDR, lease.ACK.YourIPAddr); err != nil {
		return err
	}
	return setAddress(fd, unix.SIOCSIFNETMASK, net.IP(lease.ACK.SubnetMask()))
}

// setAddress sets one of the card's addresses, or its mask.
func setAddress(fd int, request uint, ip net.IP) error {
	req, err := unix.NewIfreq(cardName)
	if err != nil {
		return err
	}
	if err := req.SetInet4Addr(ip.To4()); err != nil {
		return fmt.Errorf("%v: %w", ip, err)
	}
	if err := unix.IoctlIfreq(fd, request, req); err != nil {
		return fmt.Errorf("set address %v: %w", ip, err)
	}
	return nil
}

// ethtool reports what Debian's ethtool prints, line by line: "key: value", or
// whole lines as keys.
func ethtool(r *run, event string, args ...string) error {
	out, err := exec.Command("/sbin/ethtool", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ethtool %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	fields := map[string]string{}
	section := ""
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if value = strings.TrimSpace(value); value == "" && strings.HasSuffix(strings.TrimSpace(line), ":") {
			section = key + "."
			continue
		}
		if event == "channels" || strings.HasPrefix(event, "channels") {
			key = section + key
		}
		fields[key] = value
	}
	r.event(event, fields)
	return nil
}

// fetch gets size bytes and returns their checksum.
func fetch(url string, size int64) (sum uint64, err error) {
	resp, err := http.Get(url + "/data?size=" + strconv.FormatInt(size, 10))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b := make([]byte, mib)
	at := int64(0)
	for at < size {
		n := min(size-at, mib)
		if _, err := io.ReadFull(resp.Body, b[:n]); err != nil {
			return 0, fmt.Errorf("at byte %d: %w", at, err)
		}
		if i := pattern.Differs(b[:n], at); i >= 0 {
			return 0, fmt.Errorf("other bytes at %d than were sent", at+int64(i))
		}
		sum += pattern.Sum(b[:n], at)
		at += n
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != 0 || err != nil {
		return 0, fmt.Errorf("%d bytes too many, %w", n, err)
	}
	return sum, nil
}

// source is a reader of the pattern that keeps its checksum.
type source struct {
	at, size int64
	sum      uint64
}

func (s *source) Read(b []byte) (int, error) {
	if s.at == s.size {
		return 0, io.EOF
	}
	n := min(int64(len(b))&^7, s.size-s.at)
	pattern.Fill(b[:n], s.at)
	s.sum += pattern.Sum(b[:n], s.at)
	s.at += n
	return int(n), nil
}

// post sends size bytes; the server answers with the checksum of what it got.
func post(url string, size int64) error {
	s := &source{size: size}
	req, err := http.NewRequest(http.MethodPost, url+"/data", s)
	if err != nil {
		return err
	}
	req.ContentLength = size
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if want := strconv.FormatUint(s.sum, 16); err != nil || string(answer) != want {
		return fmt.Errorf("the server has checksum %q, sent was %s: %w", answer, want, err)
	}
	return nil
}

// small sends count small requests, each on its own connection.
func small(url string, count int) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: networkAge}
	for i := range count {
		resp, err := client.Get(url + "/data?size=4096")
		if err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if n != 4096 || err != nil {
			return fmt.Errorf("request %d: %d bytes, %w", i, n, err)
		}
	}
	return nil
}
