// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package vmbus is the host's end of VMBus: a server that offers channels to one
// guest and joins each opened channel to a device (host/storvsp, host/netvsp,
// host/ic).
//
// It stands between the VM (host/hyperv, or internal/loopback in tests), which
// delivers the guest's PostMessage and SignalEvent hypercalls, and the devices:
//
//	guest --PostMessage--> Server.PostMessage -> queue -> one goroutine: handle*
//	guest --SignalEvent--> Server.SignalEvent -> wakes one Channel
//	Channel.ReadPacket / WritePacket <- ring pages in guest memory
//	Device.Serve: one goroutine for each opened channel
//
// The server is naive and strict. Naive: it copies everything out of guest memory
// before it looks at it, keeps its own ring indices to itself, signals whenever the
// rules allow it to be needed. Strict: a guest that breaks a rule of the protocol
// is reported by the rule's name (Options.Strict), also where Hyper-V would look away.
//
// # Writing a device
//
// A Device describes its offer and serves opened channels:
//
//	func (d *Echo) Offer() vmbus.Offer { return vmbus.Offer{Interface: ..., Instance: ...} }
//
//	func (d *Echo) Serve(ctx context.Context, ch *vmbus.Channel) error {
//		for {
//			p, err := ch.ReadPacket(ctx)
//			if err != nil {
//				return err // the guest closed the channel, or broke its ring
//			}
//			if err := ch.Complete(ctx, p.Transaction, p.Payload); err != nil {
//				return err
//			}
//		}
//	}
//
// Serve is called in a goroutine of its own each time the guest opens the channel.
// ctx ends when the guest closes it, unloads, or is reset, and when the device is
// removed. Serve must then return soon, and must not leave goroutines behind that
// still touch guest memory: the guest gets its pages back when Serve has returned.
//
// Buffers of GPA-direct packets (Packet.Buffers) and GPADLs (Channel.GPADL) are
// guest memory itself: the guest can change it at any time, so copy out what is
// to be checked.
//
// Behaviour follows OpenVMM's vmbus_server where the documents are silent.
package vmbus
