// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	guest "github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/host/record/decode"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/loopback"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// writer is a device that writes "written" into the memory of each packet.
type writer struct{}

func (writer) Offer() vmbus.Offer {
	return vmbus.Offer{Interface: wire.InterfaceKeyboard, Instance: wire.InterfaceMouse}
}

func (writer) Serve(ctx context.Context, ch *vmbus.Channel) error {
	for {
		p, err := ch.ReadPacket(ctx)
		if err != nil {
			return err
		}
		if len(p.Buffers) > 0 && p.Transaction != 9 {
			if _, err := p.Buffers[0].WriteAt([]byte("written"), 0); err != nil {
				return err
			}
		}
		if err := ch.Complete(ctx, p.Transaction, []byte("done")); err != nil {
			return err
		}
	}
}

// session opens the device, sends two packets with memory, of which the host changes
// the first only, and unloads.
func session(t *testing.T, rec *record.Recorder) {
	t.Helper()
	m := loopback.New(t, loopback.Options{Host: vmbus.Options{Record: rec, NoMultiConnection: true, Log: slog.New(slog.DiscardHandler)}})
	m.Server.AddDevice(writer{})
	bus, err := guest.Connect(m.Guest, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c, err := bus.Open(bus.Find(wire.InterfaceKeyboard)[0].ChannelID, guest.OpenOptions{SendPages: 2, ReceivePages: 2})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := m.Guest.AllocPages(1)
	if err != nil {
		t.Fatal(err)
	}
	copy(pages.Mem, "to be changed")
	done := make(chan guest.Packet, 2)
	served := make(chan error, 1)
	go func() {
		served <- c.Serve(func(batch []guest.Packet) error {
			for _, p := range batch {
				done <- p
			}
			return nil
		})
	}()
	for _, transaction := range []uint64{7, 9} {
		tx := c.Begin()
		tx.GPADirect([]guest.Range{{Length: 13, PFN: pages.PFN}}, []byte("request "), transaction)
		if err := tx.End(); err != nil {
			t.Fatal(err)
		}
		<-done
	}
	if err := errors.Join(c.Close(), bus.Unload()); err != nil {
		t.Fatal(err)
	}
	<-served
}

// What is recorded, in which order, but for signals, whose number is chance.
func TestRecord(t *testing.T) {
	var file bytes.Buffer
	rec, err := record.New(&file, record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	session(t, rec)
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := record.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	signals := [2]int{}
	d := decode.New()
	for _, rec := range all {
		e := d.Decode(rec)
		from := "guest: "
		if rec.ToGuest {
			from = "host: "
		}
		switch {
		case rec.Kind == record.Signal && rec.ToGuest:
			signals[1]++
		case rec.Kind == record.Signal:
			signals[0]++
		case rec.Kind == record.Packet || rec.Kind == record.Memory:
			got = append(got, from+e.Parts[0].Name+fmt.Sprintf(" %q", rec.Memory))
		case e.Parts[0].Name == "INITIATE_CONTACT":
			got = append(got, from+e.Parts[0].Name+" "+e.Parts[0].Get("version"))
		default:
			got = append(got, from+e.Parts[0].Name)
		}
	}
	var want []string
	for _, v := range []string{"6.0", "5.3", "5.2", "5.1", "5.0"} { // connection 4 is not there
		want = append(want, "guest: INITIATE_CONTACT "+v, "guest: refused")
	}
	want = append(want, "guest: INITIATE_CONTACT 4.1", "host: VERSION_RESPONSE", "guest: REQUEST_OFFERS", "host: OFFER_CHANNEL",
		"host: ALL_OFFERS_DELIVERED", "guest: GPADL_HEADER", "host: GPADL_CREATED", "guest: OPEN_CHANNEL", "guest: channel opened",
		"host: OPEN_CHANNEL_RESULT",
		`guest: GPA-direct packet "to be changed"`, `host: memory "writtenhanged"`, `host: completion packet ""`,
		`guest: GPA-direct packet "writtenhanged"`, `host: completion packet ""`,
		"guest: CLOSE_CHANNEL", "guest: GPADL_TEARDOWN", "host: GPADL_TORNDOWN", "guest: UNLOAD", "host: UNLOAD_COMPLETE")
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if signals[0] == 0 || signals[1] == 0 {
		t.Errorf("signals: %d of the guest's, %d of the host's", signals[0], signals[1])
	}
}
