// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/host/record"
)

// Names of the protocol's rules, as Options.Strict hears them when a guest breaks one.
const (
	RuleMessageSize       = "message-size"       // a message is shorter than its type
	RuleMessageType       = "message-type"       // unknown, not for this version, or the host's own
	RuleMessageState      = "message-state"      // a message before INITIATE_CONTACT succeeded
	RuleMessageConnection = "message-connection" // posted elsewhere than VERSION_RESPONSE said
	RuleContactState      = "contact-state"      // INITIATE_CONTACT without UNLOAD before
	RuleContactFields     = "contact-fields"     // impossible values in INITIATE_CONTACT
	RuleOffersTwice       = "offers-twice"       // REQUEST_OFFERS a second time
	RuleUnknownChannel    = "unknown-channel"    // a channel id that was not offered
	RuleGPADLUnknown      = "gpadl-unknown"      // a GPADL id that does not exist
	RuleGPADLDuplicate    = "gpadl-duplicate"    // a GPADL id in use
	RuleGPADLMalformed    = "gpadl-malformed"    // counts, lengths or ranges do not agree
	RuleGPADLMemory       = "gpadl-memory"       // a page that is not RAM
	RuleGPADLLimit        = "gpadl-limit"        // too many
	RuleGPADLInUse        = "gpadl-in-use"       // torn down while an open channel uses it
	RuleOpenState         = "open-state"         // open of an open or rescinded channel
	RuleOpenRing          = "open-ring"          // the ring GPADL cannot be two rings
	RuleCloseState        = "close-state"        // close of a channel that is not open
	RuleReleaseState      = "release-state"      // REL_ID_RELEASED without rescind, or while open
	RuleSignalClosed      = "signal-closed"      // SignalEvent for a channel that is not open
	RuleTargetVP          = "target-vp"          // messages or interrupts wanted where they cannot go, or on or off too late
	RuleSignalFlag        = "signal-flag"        // SignalEvent with a flag number other than zero
	RuleRingIndex         = "ring-index"         // a ring index out of range or unaligned
	RuleRingPacket        = "ring-packet"        // a packet header that makes no sense
	RuleRingTrailer       = "ring-trailer"       // a trailer that does not tell the packet's offset
	RuleRingOwner         = "ring-owner"         // the guest wrote an index of the host's
	RuleRingMemory        = "ring-memory"        // a GPA-direct range that is not RAM
	RulePaused            = "paused"             // too many messages while paused
	RuleUnload            = "unload-missing"     // the machine switched off or reset while connected
	RuleDevice            = "device"             // a device's own rule; the detail names it
)

// messageTypeVMBus is the message type of HvCallPostMessage.
const messageTypeVMBus = 1

// Limits on what a guest can make the server keep.
const (
	maxMessageQueue = 16   // messages not yet handled, as in QEMU
	maxGPADLs       = 1024 // for one guest
	maxHeldMessages = 4096 // to a paused guest
	maxChannelID    = 2047 // event flags of a SINT
	maxReports      = 100  // broken rules in the log
	maxLent         = 4096 // of a channel: GPA-direct packets whose memory is recorded again
)

// ErrProtocol is in the chain of errors caused by a guest that broke a rule.
var ErrProtocol = errors.New("vmbus: the guest broke the protocol")

// ErrClosed is returned by operations on a channel that is closed.
var ErrClosed = errors.New("vmbus: channel closed")

// RuleError is a broken rule. It unwraps to ErrProtocol.
type RuleError struct {
	Rule   string
	Detail string
}

// Error returns the rule with the detail.
func (e *RuleError) Error() string { return fmt.Sprintf("vmbus: rule %s: %s", e.Rule, e.Detail) }

// Unwrap returns ErrProtocol.
func (e *RuleError) Unwrap() error { return ErrProtocol }

// Broken makes the error by which a device says that the guest broke a rule of
// the device's own protocol; Serve returns it, and the server reports it.
func Broken(format string, args ...any) error { return broken(RuleDevice, format, args...) }

func broken(rule, format string, args ...any) error {
	return &RuleError{rule, fmt.Sprintf(format, args...)}
}

// report tells a broken rule to Options.Strict and to the log, but a guest cannot fill
// the log: after maxReports it is silent.
func (s *Server) report(rule, format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	switch n := s.Stats.RulesBroken.Add(1); {
	case n < maxReports:
		s.log.Warn("guest broke a VMBus rule", "rule", rule, "detail", detail)
	case n == maxReports:
		s.log.Warn("guest broke a VMBus rule; further ones are not logged", "rule", rule, "detail", detail)
	}
	if s.opt.Record != nil {
		s.opt.Record.Add(record.Record{Kind: record.Rule, Text: rule + ": " + detail})
	}
	if s.opt.Strict != nil {
		s.opt.Strict(rule, detail)
	}
}

// reportError reports err if it is, or wraps, a broken rule.
func (s *Server) reportError(err error) {
	if e, ok := errors.AsType[*RuleError](err); ok {
		s.report(e.Rule, "%s", e.Detail)
	}
}
