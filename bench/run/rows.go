// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/hvgo/hvgo/bench"
	"github.com/hvgo/hvgo/bench/load"
)

// figure is what was measured of a row, once.
type figure struct {
	Row   string  `json:"row"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// measured is a figure with the probe that gave it.
type measured struct {
	Probe string `json:"probe"`
	figure
}

// Units. What they say of a figure is in report.go: which is better, and which is a count.
const (
	perSecond  = "/s"
	megabytes  = "MB/s"
	millis     = "ms"
	seconds    = "s"
	mebibytes  = "MiB"
	exits      = "exits"
	hypercalls = "hypercalls"
	share      = "of load" // of what the load could do at most
)

// probe measures one thing in a guest that serves, and gives one or more figures.
type probe struct {
	name  string
	count bool // it gives counts, and so is part of -check
	run   func(ctx context.Context, o *options, v *vm) ([]figure, error)
}

// probes are in the report's order. Idle comes before what leaves work behind.
func probes(o *options) []probe {
	list := []probe{
		{"start", false, measureStart},
		{"memory at idle", false, measureMemory},
		{"idle", true, measureIdle},
	}
	for _, n := range []int{1, 16, 128} {
		list = append(list, webProbe(n, "small", bench.SmallPath, bench.SmallBody, o.requests))
	}
	for _, n := range []int{1, 16, 128} {
		list = append(list, webProbe(n, "64 KiB", bench.LargePath, bench.LargeBody, max(o.requests/4, n)))
	}
	list = append(list, handshakes())
	for _, n := range []int{1, 8} {
		list = append(list, streamProbe(n, false), streamProbe(n, true))
	}
	list = append(list, datagramProbe())
	for _, d := range []int{1, 32} {
		list = append(list,
			diskProbe(bench.RandomRead, 4096, d, o.requests), diskProbe(bench.RandomWrite, 4096, d, o.requests))
	}
	list = append(list,
		diskProbe(bench.SequentialRead, 1<<20, 1, o.requests/10), diskProbe(bench.SequentialWrite, 1<<20, 1, o.requests/10),
		diskProbe(bench.SyncWrite, 4096, 1, o.requests/4))
	for n := 1; n <= o.cpus; n *= 2 {
		list = append(list, computeProbe(n))
	}
	return append(list, probe{"collector", false, measureCollector})
}

// measureStart tells when the first answer came, and what the guest says of the time
// until then. The guest's clock is read together with ours, and so both are one. The
// guest is ready when it has an address and the ports are open; the first answer may be
// later by 100 ms, as the host's network tries a port that is refused anew so often.
func measureStart(ctx context.Context, _ *options, v *vm) ([]figure, error) {
	var s bench.Start
	asked := time.Now()
	if _, err := v.get(ctx, bench.StartPath, &s); err != nil {
		return nil, err
	}
	middle := asked.Add(time.Since(asked) / 2)
	f := []figure{{"start: first answer", ms(v.first), millis}}
	ready := 0.0
	for _, m := range s.Marks {
		at := ms(middle.Sub(v.begin) - (s.Now - m.At))
		f = append(f, figure{"start: " + m.Name, at, millis})
		if m.Name == bench.MarkServing || m.Name == bench.MarkAddress {
			ready = max(ready, at)
		}
	}
	return append(f, figure{"start: ready", ready, millis}), nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func measureMemory(ctx context.Context, o *options, v *vm) ([]figure, error) {
	var m bench.Memory
	if _, err := v.get(ctx, bench.MemoryPath, &m); err != nil {
		return nil, err
	}
	all := uint64(v.memory) << 20
	if m.Available > all {
		return nil, fmt.Errorf("the guest says that %d bytes of %d are free", m.Available, all)
	}
	return []figure{{"memory at idle", float64(all-m.Available) / (1 << 20), mebibytes}}, nil
}

// idleTime is how long nothing happens.
const (
	idleSettle = time.Second
	idleTime   = 5 * time.Second
)

func measureIdle(ctx context.Context, _ *options, v *vm) ([]figure, error) {
	time.Sleep(idleSettle) // connections are gone, a collection is over
	c, err := v.cost(func() error {
		select {
		case <-time.After(idleTime):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return v.perUnit("idle", "second", c, idleTime.Seconds()), err
}

// perUnit are the two counts of n units' work. What they consist of goes into the raw
// figures.
func (v *vm) perUnit(name, unit string, c counts, n float64) []figure {
	v.detail = map[string]float64{}
	for what, k := range c.detail {
		v.detail[what] = float64(k) / n
	}
	return []figure{
		{name + ": exits per " + unit, float64(c.exits) / n, exits},
		{name + ": hypercalls per " + unit, float64(c.hypercalls) / n, hypercalls},
	}
}

func webProbe(connections int, body, path string, bytes, requests int) probe {
	name := fmt.Sprintf("HTTP %s, %d connections", body, connections)
	if connections == 1 {
		name = fmt.Sprintf("HTTP %s, 1 connection", body)
	}
	return probe{name, true, func(ctx context.Context, o *options, v *vm) ([]figure, error) {
		l := load.HTTP{Address: v.address(bench.HTTPPort), Path: path, Connections: connections, Requests: max(requests/10, connections)}
		if _, err := l.Run(ctx); err != nil { // to warm up
			return nil, err
		}
		l.Requests = max(requests, connections)
		var r load.Result
		c, err := v.cost(func() (err error) { r, err = l.Run(ctx); return err })
		if err != nil {
			return nil, err
		}
		if want := int64(r.Requests) * int64(bytes); r.Bytes != want {
			return nil, fmt.Errorf("%d requests brought %d bytes, not %d", r.Requests, r.Bytes, want)
		}
		f := v.perUnit(name, "request", c, float64(r.Requests))
		if o.check {
			return f, nil
		}
		most, err := load.Ceiling(ctx, connections, 2*l.Requests, bytes)
		if err != nil {
			return nil, err
		}
		q := r.Latency.Quantile
		return append([]figure{
			{name, r.Rate(), perSecond}, {name + ": p50", ms(q(0.5)), millis}, {name + ": p99", ms(q(0.99)), millis},
			{name + ": p99.9", ms(q(0.999)), millis}, {name + ": share", r.Rate() / most, share},
		}, f...), nil
	}}
}

func handshakes() probe {
	const name = "TLS handshakes"
	return probe{name, false, func(ctx context.Context, o *options, v *vm) ([]figure, error) {
		l := load.HTTP{
			Address: v.address(bench.TLSPort), Path: bench.SmallPath, Connections: 4, Requests: max(o.requests/20, 8), Handshake: true,
			TLS: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, // of a certificate made a moment ago
		}
		r, err := l.Run(ctx)
		if err != nil {
			return nil, err
		}
		q := r.Latency.Quantile
		return []figure{{name, r.Rate(), perSecond}, {name + ": p50", ms(q(0.5)), millis}, {name + ": p99", ms(q(0.99)), millis}}, nil
	}}
}

func streamProbe(streams int, upload bool) probe {
	direction := "from the guest"
	if upload {
		direction = "to the guest"
	}
	name := fmt.Sprintf("TCP %s, %d streams", direction, streams)
	if streams == 1 {
		name = fmt.Sprintf("TCP %s, 1 stream", direction)
	}
	return probe{name, true, func(ctx context.Context, o *options, v *vm) ([]figure, error) {
		total := max(int64(o.requests/1000)*32<<20, 8<<20)
		l := load.Stream{Address: v.address(bench.StreamPort), Streams: streams, Bytes: 1 << 20, Upload: upload}
		if _, err := l.Run(ctx); err != nil { // windows open
			return nil, err
		}
		l.Bytes = total / int64(streams)
		var took time.Duration
		c, err := v.cost(func() (err error) { took, err = l.Run(ctx); return err })
		if err != nil {
			return nil, err
		}
		f := v.perUnit(name, "MiB", c, float64(total)/(1<<20))
		return append([]figure{{name, float64(total) / 1e6 / took.Seconds(), megabytes}}, f...), nil
	}}
}

func datagramProbe() probe {
	const name = "UDP echo, 16 at a time"
	return probe{name, true, func(ctx context.Context, o *options, v *vm) (_ []figure, err error) {
		e, err := load.NewEcho()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, e.Close()) }()
		j := bench.Job{Kind: bench.Datagrams, Count: o.requests, Bytes: 64, Depth: 16, Target: fmt.Sprintf("%v:%d", v.net.Gateway(), e.Port())}
		r, c, err := v.job(ctx, j)
		if err != nil {
			return nil, err
		}
		if r.Lost*20 > r.Ops {
			return nil, fmt.Errorf("%d of %d datagrams were lost", r.Lost, r.Ops)
		}
		return append([]figure{
			{name, float64(r.Ops) / r.Elapsed.Seconds(), perSecond}, {name + ": p99", ms(r.P99), millis},
		}, v.perUnit(name, "datagram", c, float64(r.Ops))...), nil
	}}
}

// job does a job and tells what it cost.
func (v *vm) job(ctx context.Context, j bench.Job) (r bench.Result, c counts, err error) {
	c, err = v.cost(func() (err error) { r, err = v.do(ctx, j); return err })
	if err == nil && (r.Ops < 1 || r.Elapsed <= 0) {
		err = fmt.Errorf("%d operations in %v", r.Ops, r.Elapsed)
	}
	return r, c, err
}

func diskProbe(kind string, bytes, depth, count int) probe {
	name := fmt.Sprintf("disk, %s, depth %d", kind, depth)
	unit := "operation"
	if bytes > 4096 {
		name, unit = "disk, "+kind, "MiB"
	}
	return probe{name, true, func(ctx context.Context, _ *options, v *vm) ([]figure, error) {
		r, c, err := v.job(ctx, bench.Job{Kind: kind, Count: max(count, 1), Bytes: bytes, Depth: depth})
		if err != nil {
			return nil, err
		}
		f := []figure{{name, float64(r.Ops) / r.Elapsed.Seconds(), perSecond}}
		units := float64(r.Ops)
		if bytes > 4096 {
			f[0].Value *= float64(bytes) / 1e6
			f[0].Unit = megabytes
			units *= float64(bytes) / (1 << 20)
		}
		f = append(f, figure{name + ": p50", ms(r.P50), millis}, figure{name + ": p99", ms(r.P99), millis})
		return append(f, v.perUnit(name, unit, c, units)...), nil
	}}
}

func computeProbe(workers int) probe {
	name := fmt.Sprintf("SHA-256, %d at a time", workers)
	return probe{name, false, func(ctx context.Context, o *options, v *vm) ([]figure, error) {
		const bytes = 64 << 10
		r, _, err := v.job(ctx, bench.Job{Kind: bench.Compute, Count: o.requests * workers, Bytes: bytes, Depth: workers})
		if err != nil {
			return nil, err
		}
		return []figure{{name, float64(r.Ops) * bytes / 1e6 / r.Elapsed.Seconds(), megabytes}}, nil
	}}
}

func measureCollector(ctx context.Context, o *options, v *vm) ([]figure, error) {
	const name = "collector"
	heap := min(64, v.memory/4)
	r, _, err := v.job(ctx, bench.Job{Kind: bench.Collect, Count: o.requests, Bytes: heap << 20, Depth: o.cpus})
	if err != nil {
		return nil, err
	}
	const treeBytes = 128 << 10
	return []figure{
		{name + ": allocation", float64(r.Ops) * treeBytes / 1e6 / r.Elapsed.Seconds(), megabytes},
		{name + ": pause, p99.9", ms(r.P999), millis}, {name + ": pause, worst", ms(r.Worst), millis},
	}, nil
}
