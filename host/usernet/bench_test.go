// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
)

// Throughput of all layers in one process, guest's and host's: from a socket of the
// host's to one of the guest's, and back.
func BenchmarkStream(b *testing.B) {
	for _, mtu := range []int{1500, 9000} {
		for _, in := range []bool{true, false} {
			direction := "out"
			if in {
				direction = "in"
			}
			b.Run(fmt.Sprint(direction, " ", mtu), func(b *testing.B) { stream(b, mtu, in) })
		}
	}
}

func stream(b *testing.B, mtu int, in bool) {
	g := newGuestMTU(b, usernet.Options{MTU: mtu}, netvsp.Options{MTU: mtu}, mtu)
	l := g.listen(80)
	host, err := net.Dial("tcp4", g.publish(80).Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer host.Close()
	inside, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	var from, to = host, inside
	if !in {
		from, to = inside, host
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		var err error
		for err == nil {
			_, err = to.Read(buf)
		}
	}()
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if _, err := from.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	from.(interface{ CloseWrite() error }).CloseWrite()
	<-done
}

// One request and answer of HTTP on a connection that stays.
func BenchmarkRequest(b *testing.B) {
	g := newGuest(b, usernet.Options{}, netvsp.Options{})
	g.serve(80)
	url := fmt.Sprintf("http://%v/", g.publish(80).Addr())
	for b.Loop() {
		r, err := http.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
}
