// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
)

// TestServices has a host whose time is three hours ahead of the firmware's: the guest
// follows it, and its heart beats.
func TestServices(t *testing.T) {
	const ahead, allowed = 3 * time.Hour, time.Minute
	v := boot(t, options{Config: guest.Config{Now: func() time.Time { return time.Now().Add(ahead) }}})
	url, client := v.publish(helloPort), newClient(t)
	for end := time.Now().Add(time.Minute); v.TimeSync.Stats().Synced == 0 || v.Heartbeat.Beat().Answered < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("time %+v, heart %+v", v.TimeSync.Stats(), v.Heartbeat.Beat())
		}
	}
	text, err := get(client, url+"/")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(text, "Time:")
	line, _, _ = strings.Cut(line, "\n")
	now, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(line))
	if off := time.Until(now) - ahead; err != nil || off.Abs() > allowed {
		t.Errorf("the guest's clock is %v off, %v: %q", off, err, text)
	}
	v.shutDown()
}
