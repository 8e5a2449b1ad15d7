// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package ic is the host's end of the integration services: devices of host/vmbus by
// which the host asks the guest for something. Today that is Shutdown, the service
// behind a clean power-off.
//
// The host speaks first on such a channel: it offers lists of framework and message
// versions, the guest answers with one of each, and then the host may send requests.
// Each message is the data of a pipe packet.
package ic
