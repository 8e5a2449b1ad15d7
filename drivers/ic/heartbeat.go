// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"encoding/binary"
	"log/slog"

	"github.com/hvgo/hvgo/drivers/vmbus"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
)

// AttachHeartbeat opens the heartbeat service behind an offer: the host asks every
// few seconds whether the guest is alive. The answer counts the number up, as
// Linux's does, and claims nothing about programs.
func AttachHeartbeat(bus *vmbus.Bus, offer vmbus.Offer, log *slog.Logger) (*Service, error) {
	return newHeartbeat(log).open(bus, offer)
}

func newHeartbeat(log *slog.Logger) *Service {
	return &Service{
		name: "heartbeat", kind: wireic.MsgHeartbeat, versions: wireic.HeartbeatVersions, log: log,
		request: func(_ wireic.Version, body []byte) (wireic.Status, func()) {
			m, err := wireic.DecodeHeartbeat(body)
			if err != nil {
				return wireic.StatusFail, nil
			}
			binary.LittleEndian.PutUint64(body, m.Sequence+1)
			return wireic.StatusSuccess, nil
		},
	}
}
