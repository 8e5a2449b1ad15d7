// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package quirk

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/netvsp"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

func TestParse(t *testing.T) {
	for names, want := range map[string]string{
		"":                           "",
		"garbage":                    "garbage",
		"garbage,repoll,garbage":     "garbage,repoll",
		"qemu":                       "qemu,vmbus-4.0,no-connection-4,short-version-response,low-connections,overlay-pages,synic-preset,busy-slots",
		"vmbus-5.3,storvsp-2.0":      "vmbus-5.3,storvsp-2.0",
		"overlay-pages,qemu,garbage": "overlay-pages,qemu,vmbus-4.0,no-connection-4,short-version-response,low-connections,synic-preset,busy-slots,garbage",
	} {
		s, err := Parse(names)
		if err != nil || s.String() != want {
			t.Errorf("%q: %v, %v; want %s", names, s, err, want)
		}
		if again, err := Parse(s.String()); err != nil || again.String() != want {
			t.Errorf("%q, read again: %v, %v", names, again, err)
		}
	}
	for _, names := range []string{"nonsense", "garbage,nonsense", "qemu openvmm"} {
		if _, err := Parse(names); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "openvmm") {
			t.Errorf("%q: %v", names, err)
		}
	}
	for _, names := range []string{"vmbus-5.3,vmbus-4.0", "qemu,openvmm", "vmbus-5.3,qemu", "far-connections,low-connections"} {
		if _, err := Parse(names); err == nil || !strings.Contains(err.Error(), "contradict") {
			t.Errorf("%q: %v", names, err)
		}
	}
}

// Each name is there once, is told in docs/QUIRKS.md, and changes something.
func TestAll(t *testing.T) {
	names := Names()
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Errorf("a name twice in %q", names)
	}
	doc, err := os.ReadFile("../../docs/QUIRKS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range All {
		if q.apply == nil && q.needs == "" || q.Text == "" {
			t.Errorf("%s does nothing, or nobody knows what", q.Name)
		}
		if !strings.Contains(string(doc), "`"+q.Name+"`") {
			t.Errorf("docs/QUIRKS.md does not tell %s", q.Name)
		}
		s, err := Parse(q.Name)
		if err != nil {
			t.Errorf("%s: %v", q.Name, err)
		}
		var c guest.Config
		var n netvsp.Options
		s.Apply(Host{&c, &n})
		if reflect.DeepEqual(c, guest.Config{}) && reflect.DeepEqual(n, netvsp.Options{}) {
			t.Errorf("%s changes nothing", q.Name)
		}
	}
}

func TestApply(t *testing.T) {
	s, err := Parse("qemu,odd-offers,storvsp-2.0,hyperv-slots")
	if err != nil {
		t.Fatal(err)
	}
	var c guest.Config
	var n netvsp.Options
	s.Apply(Host{&c, &n})
	v := c.Machine.VMBus
	if v.MaxVersion != wire.Version4_0 || !v.NoMultiConnection || !v.ShortVersionResponse || !v.Quirks.ReverseOffers || v.EventConnection(3) != 19 {
		t.Errorf("%+v", v)
	}
	if len(c.Machine.Devices) != 43 || !c.Machine.Quirks.OverlayPages || c.Storage.MaxVersion != 0x200 || n.SlotSize != 1728 {
		t.Errorf("%d devices, %+v, %+v, %+v", len(c.Machine.Devices), c.Machine.Quirks, c.Storage, n)
	}
}
