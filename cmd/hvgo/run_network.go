// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
)

// network is the guest's card with what it is plugged into. A nil one is no network.
type network struct {
	*usernet.Network
	card  *netvsp.NIC
	watch atomic.Pointer[watch]
}

// watch is the guest whose first answer is waited for.
type watch struct {
	g     *guest.Guest
	start time.Time
}

// newNetwork makes the network and listens at the published ports.
func (p *runPlan) newNetwork(log *slog.Logger) (_ *network, err error) {
	if p.noNetwork {
		return nil, nil
	}
	n := new(network)
	n.Network, err = usernet.New(usernet.Options{Hostname: hostname(p.boots()), FirstByte: n.firstByte, Log: log})
	if err != nil {
		return nil, err
	}
	opt := netvsp.Options{Network: n.Network, Queues: p.cpus, Uncut: true}
	p.host.card(&opt)
	if n.card, err = netvsp.New(opt); err != nil {
		return nil, errors.Join(err, n.close())
	}
	n.Plug(n.card)
	for i := range p.publish {
		if err := n.publish(&p.publish[i]); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}
	return n, nil
}

func (n *network) publish(p *publish) error {
	_, err := n.Publish(p.host, p.guest)
	if errors.Is(err, unix.EADDRINUSE) { // taken since it was checked
		err = cmp.Or(p.claimPort(), err) // says it better
	}
	if err != nil {
		return err
	}
	say(fmt.Sprintf("%v leads to the guest's port %d: try curl http://%v/", p.host, p.guest, p.host))
	return nil
}

// started begins the wait for the first answer.
func (n *network) started(g *guest.Guest) {
	if n != nil {
		n.watch.Store(&watch{g, time.Now()})
	}
}

// firstByte says how long the guest took to answer, and what it cost.
func (n *network) firstByte(p *usernet.Published) {
	if w := n.watch.Load(); w != nil {
		say(fmt.Sprintf("first answer through %v %.1f s after the start; %s", p.Addr(), time.Since(w.start).Seconds(), w.g.Figures()))
	}
}

func (n *network) close() error {
	if n == nil {
		return nil
	}
	return n.Close()
}

// hostname makes a host name of an image's file name.
func hostname(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	if name = strings.Trim(name[:min(len(name), 63)], "-"); name == "" {
		return "hvgo"
	}
	return name
}
