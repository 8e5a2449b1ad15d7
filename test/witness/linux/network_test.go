// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/test/vm/pattern"
	"github.com/hvgo/hvgo/test/witness"
	"github.com/hvgo/hvgo/test/witness/linux/report"
)

const (
	netSize = 64 * mib
	// ahead is how far the world's clock is ahead of the one that the firmware set
	// Linux's by.
	ahead = 3 * time.Hour
	// clockError is more than the way of a line on a console takes, and less than ahead.
	clockError = 20 * time.Second
)

// TestNetwork has Linux use all of a network card, the channels beside the first of
// network and disk, and the integration services, in one start for each kernel.
func TestNetwork(t *testing.T) {
	for _, series := range seriesNames {
		t.Run(series, func(t *testing.T) { testNetwork(t, series) })
	}
}

func testNetwork(t *testing.T, series string) {
	row := witness.Start(t, "Debian Linux", "NetVSC: DHCP, HTTP both ways, checksum and TSO offload")
	subs := witness.Start(t, "Debian Linux", "sub-channels of StorVSC and NetVSC")
	services := witness.Start(t, "Debian Linux", "integration services: heartbeat, time, shutdown")
	web := newWeb(t)
	network, card := newCard(t, series != seriesNames[0])
	l := boot(t, row, options{
		series: series,
		tasks:  []string{report.Network, report.Channels, report.Rechannel, report.Clock, report.Shutdown},
		params: map[string]string{
			"mib": strconv.Itoa(netSize / mib), "server": net.JoinHostPort(network.Gateway().String(), web.port), "clock": "6s",
		},
		Config: guest.Config{
			Disks:   []guest.Block{newDisk(t, filepath.Join(t.TempDir(), "disk.img"))},
			Machine: machine.Config{Devices: []vmbus.Device{card}},
			Now:     func() time.Time { return time.Now().Add(ahead) },
		},
	})
	figures := checkNetwork(t, l, web, card)
	checkChannels(t, l, card)
	off := checkServices(t, l)
	l.awaitEvent(report.Shutdown, "ready")
	if err := l.AskShutdown(t.Context()); err != nil {
		t.Errorf("ask for a shutdown: %v", err)
	}
	l.finish()
	release := l.awaitResult(report.System)["release"]
	subs.SetVersion(release)
	services.SetVersion(release)
	row.SetExercised(fmt.Sprintf("NetVSC: DHCP, %d MiB by HTTP in (%s) and out (%s), checksum and TSO offload",
		netSize/mib, rate(netSize, figures["fetch_seconds"]), rate(netSize, figures["post_seconds"])))
	subs.SetExercised("StorVSC and NetVSC on 2 channels each with 2 processors, receive scaling; a channel given back and had again")
	services.SetExercised(fmt.Sprintf("integration services: %d heartbeats; clock set %v ahead, %v off at last; shutdown",
		l.Heartbeat.Beat().Answered, ahead, off.Abs().Round(time.Millisecond)))
}

// newCard makes a network with a card of two channels, which cuts large frames or not.
func newCard(t *testing.T, uncut bool) (*usernet.Network, *netvsp.NIC) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	network, err := usernet.New(usernet.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	card, err := netvsp.New(netvsp.Options{Network: network, Queues: 2, Uncut: uncut})
	if err != nil {
		t.Fatal(err)
	}
	network.Plug(card)
	return network, card
}

// checkNetwork checks what Linux did with the network, and returns its figures.
func checkNetwork(t *testing.T, l *linux, web *web, card *netvsp.NIC) map[string]string {
	t.Helper()
	features := l.awaitEvent(report.Network, "features")
	for _, name := range []string{
		"rx-checksumming", "tx-checksumming", "tx-checksum-ipv4", "tx-checksum-ipv6", "scatter-gather",
		"tcp-segmentation-offload", "tx-tcp-segmentation", "tx-tcp6-segmentation",
	} {
		if !strings.HasPrefix(features[name], "on") {
			t.Errorf("ethtool -k: %s: %q", name, features[name])
		}
	}
	if d := l.awaitEvent(report.Network, "driver"); d["driver"] != "hv_netvsc" {
		t.Errorf("ethtool -i: %v", d)
	}
	if c := l.awaitEvent(report.Network, "channels"); c["Current hardware settings.Combined"] != "2" || c["Pre-set maximums.Combined"] != "2" {
		t.Errorf("ethtool -l: %v", c)
	}
	figures := l.awaitResult(report.Network)
	var want uint64
	block := make([]byte, mib)
	for at := int64(0); at < netSize; at += mib {
		pattern.Fill(block, at)
		want += pattern.Sum(block, at)
	}
	if got := figures["fetch_sum"]; got != strconv.FormatUint(want, 16) {
		t.Errorf("Linux fetched bytes with checksum %s, %x were sent", got, want)
	}
	web.check(t)
	statistics := l.awaitEvent(report.Network, "statistics")
	for _, name := range []string{"tx_queue_0_packets", "tx_queue_1_packets", "rx_queue_0_packets", "rx_queue_1_packets"} {
		if n, _ := strconv.Atoi(statistics[name]); n == 0 {
			t.Errorf("ethtool -S: %s: %q", name, statistics[name])
		}
	}
	for _, name := range []string{"tx_no_memory", "tx_too_big", "tx_busy", "rx_comp_busy", "rx_no_memory"} {
		if n := statistics[name]; n != "0" && n != "" {
			t.Errorf("ethtool -S: %s: %s", name, n)
		}
	}
	for i, c := range card.Channels() {
		if c.ToGuest == 0 || c.FromGuest == 0 {
			t.Errorf("channel %d of the card: %+v", i, c)
		}
	}
	s := card.Stats()
	if s.FromGuestBad+s.ToGuestBad+s.ToGuestRejected != 0 || s.LargeFromGuest == 0 || s.CheckedToGuest == 0 || s.FinishedFromGuest == 0 {
		t.Errorf("the card counts %+v", s)
	}
	t.Logf("card: %+v %+v", s, card.Channels())
	t.Logf("network: %s", figures)
	return figures
}

// checkChannels checks that Linux used two channels of disk and card, and could give
// the card's second one back and have it again.
func checkChannels(t *testing.T, l *linux, card *netvsp.NIC) {
	t.Helper()
	l.awaitResult(report.Channels)
	const scsi, network = "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f", "f8615163-df3e-46c5-913f-f2d2f965ed0e"
	seen := map[string]int{}
	l.mu.Lock()
	events := l.events
	l.mu.Unlock()
	for _, e := range events {
		if e.Task != report.Channels || e.Event != "device" {
			continue
		}
		t.Logf("device: %v", e.Fields)
		if class := e.Fields["class"]; class == scsi || class == network {
			for _, sub := range []string{"0", "1"} {
				if counters := e.Fields["channel."+sub]; counter(counters, "interrupts") == 0 || counter(counters, "events") == 0 {
					t.Errorf("class %s, channel %s: %q", class, sub, counters)
				}
			}
			seen[class]++
		}
	}
	if seen[scsi] != 1 || seen[network] != 1 {
		t.Errorf("devices by class: %v", seen)
	}
	l.awaitResult(report.Rechannel)
	for _, n := range []string{"1", "2"} {
		if c := l.awaitEvent(report.Rechannel, "channels"+n); c["Current hardware settings.Combined"] != n {
			t.Errorf("ethtool -L combined %s: %v", n, c)
		}
	}
	t.Logf("card: %+v", card.Channels())
}

// counter finds NAME=NUMBER.
func counter(text, name string) int {
	for word := range strings.FieldsSeq(text) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			n, _ := strconv.Atoi(value)
			return n
		}
	}
	return 0
}

// checkServices checks heartbeat and time, and returns by what Linux's clock is wrong
// in the end.
func checkServices(t *testing.T, l *linux) (off time.Duration) {
	t.Helper()
	for _, event := range []string{"time", "later"} {
		ns, err := strconv.ParseInt(l.awaitEvent(report.Clock, event)["unix"], 10, 64)
		off = time.Until(time.Unix(0, ns)) - ahead
		if err != nil || off.Abs() > clockError {
			t.Errorf("Linux's clock is %v off the one that it was told, %v", off, err)
		}
		t.Logf("Linux's clock is %v off", off)
	}
	if s := l.TimeSync.Stats(); !s.Open || s.Synced != 1 || s.Samples == 0 {
		t.Errorf("time synchronisation: %+v", s)
	}
	if b := l.Heartbeat.Beat(); !b.Open || b.Answered < 2 || time.Since(b.Last) > 30*time.Second {
		t.Errorf("heartbeat: %+v", b)
	}
	t.Logf("time %+v, heart %+v", l.TimeSync.Stats(), l.Heartbeat.Beat())
	return off
}

// web is the server that Linux fetches from and sends to.
type web struct {
	port string

	mu     sync.Mutex
	posted int64
	bad    []string
}

func newWeb(t *testing.T) *web {
	w := &web{}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	_, w.port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return w
}

// ServeHTTP sends ?size= bytes of the pattern, or takes as many as come and answers
// with their checksum.
func (w *web) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	b := make([]byte, mib)
	if r.Method == http.MethodPost {
		sum, size, err := readPattern(r.Body, b)
		w.mu.Lock()
		w.posted += size
		if err != nil {
			w.bad = append(w.bad, err.Error())
		}
		w.mu.Unlock()
		fmt.Fprint(out, strconv.FormatUint(sum, 16))
		return
	}
	size, err := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	out.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	for at := int64(0); at < size; at += mib {
		part := b[:min(mib, size-at)]
		pattern.Fill(part, at)
		if _, err := out.Write(part); err != nil {
			return // the guest sees it
		}
	}
}

func readPattern(r io.Reader, b []byte) (sum uint64, size int64, err error) {
	for {
		n, err := io.ReadFull(r, b)
		if i := pattern.Differs(b[:n], size); i >= 0 {
			return sum, size, fmt.Errorf("other bytes at %d than Linux was to send", size+int64(i))
		}
		sum += pattern.Sum(b[:n], size)
		size += int64(n)
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return sum, size, nil
		default:
			return sum, size, err
		}
	}
}

func (w *web) check(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.posted != netSize || len(w.bad) > 0 {
		t.Errorf("the server got %d bytes, %q", w.posted, w.bad)
	}
}
