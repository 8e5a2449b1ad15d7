// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
)

var free = netip.MustParseAddrPort("127.0.0.1:0")

// service is the program in the guest.
func service(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		b, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Write(b)
	default:
		fmt.Fprintf(w, "hello %s from %s", r.URL.Path, r.RemoteAddr)
	}
}

// serve runs the program on a port of the guest's.
func (g *guest) serve(port uint16) {
	l := g.listen(port)
	s := &http.Server{Handler: http.HandlerFunc(service)}
	go s.Serve(l)
	g.t.Cleanup(func() { s.Close() })
}

func (g *guest) publish(port uint16) *usernet.Published {
	g.t.Helper()
	p, err := g.net.Publish(free, port)
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

func body(t testing.TB, r *http.Response, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", r.Status, b)
	}
	return b
}

func TestLease(t *testing.T) {
	g := newGuest(t, usernet.Options{Hostname: "hello"}, netvsp.Options{})
	l := <-g.lease
	if l.Address.String() != "192.168.127.2/24" || l.Gateway != g.net.Gateway() || l.Server != g.net.Gateway() ||
		len(l.DNS) != 1 || l.DNS[0] != g.net.Gateway() || l.Hostname != "hello" || l.MTU != 1500 || l.Lifetime != 24*time.Hour ||
		len(l.Search) != 1 || l.Search[0] != usernet.Zone {
		t.Errorf("lease %+v", l)
	}
	<-g.net.Leased()
	if s := g.net.Stats(); s.Leases != 1 || s.Malformed != 0 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// A host's client and the guest's service.
func TestHTTPIn(t *testing.T) {
	var firsts atomic.Int32
	g := newGuest(t, usernet.Options{FirstByte: func(*usernet.Published) { firsts.Add(1) }}, netvsp.Options{})
	g.serve(8080)
	p := g.publish(8080)
	for range 3 {
		r, err := http.Get(fmt.Sprintf("http://%v/x", p.Addr()))
		if b := body(t, r, err); !strings.HasPrefix(string(b), "hello /x from 192.168.127.1:") {
			t.Errorf("%q", b)
		}
	}
	big := make([]byte, 10<<20)
	for i := range big {
		big[i] = byte(rand.Uint32())
	}
	r, err := http.Post(fmt.Sprintf("http://%v/echo", p.Addr()), "application/octet-stream", bytes.NewReader(big))
	if b := body(t, r, err); sha256.Sum256(b) != sha256.Sum256(big) {
		t.Errorf("%d bytes came back, or they differ", len(b))
	}
	if firsts.Load() != 1 {
		t.Errorf("%d first bytes", firsts.Load())
	}
	if s := g.nic.Stats(); s.HostErrors != 0 || s.TxRefused != 0 {
		t.Errorf("guest: %+v", s)
	}
	if s := g.card.Stats(); s.FromGuestBad+s.ToGuestBad+s.ToGuestRejected != 0 {
		t.Errorf("card: %+v", s)
	}
	if s := g.net.Stats(); s.Malformed+s.Dropped != 0 {
		t.Errorf("network: %+v", s)
	}
}

// The guest's client and a service on the host's loopback interface.
func TestHTTPOut(t *testing.T) {
	g := newGuest(t, usernet.Options{}, netvsp.Options{})
	s := httptest.NewServer(http.HandlerFunc(service))
	defer s.Close()
	c := &http.Client{Transport: &http.Transport{DialContext: g.DialContext}}
	defer c.CloseIdleConnections()
	port := s.Listener.Addr().(*net.TCPAddr).Port
	url := fmt.Sprintf("http://%v:%d", g.net.Gateway(), port)
	r, err := c.Get(url + "/y")
	if b := body(t, r, err); !strings.HasPrefix(string(b), "hello /y from 127.0.0.1:") {
		t.Errorf("%q", b)
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 10<<16)
	r, err = c.Post(url+"/echo", "application/octet-stream", bytes.NewReader(big))
	if b := body(t, r, err); !bytes.Equal(b, big) {
		t.Errorf("%d bytes came back, or they differ", len(b))
	}
}

func TestManyConnections(t *testing.T) {
	g := newGuest(t, usernet.Options{}, netvsp.Options{})
	g.serve(80)
	p := g.publish(80)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				r, err := c.Get(fmt.Sprintf("http://%v/%d/%d", p.Addr(), w, i))
				if b := body(t, r, err); !strings.HasPrefix(string(b), fmt.Sprintf("hello /%d/%d ", w, i)) {
					t.Errorf("%q", b)
				}
			}
		})
	}
	wg.Wait()
	if s := g.net.Stats(); s.ConnectionsIn != 400 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}
