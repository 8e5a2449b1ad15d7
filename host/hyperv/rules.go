// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"fmt"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// Names of the hypervisor interface's rules, as Config.Strict hears them when a guest
// breaks one. docs/RULES.md lists all rules of the host.
const (
	RuleEOM                = "eom-missing"         // a slot freed while a message waits, and no EOM after it
	RuleSIMP               = "simp-not-zero"       // the message page enabled over something
	RuleSIEFP              = "siefp-not-zero"      // the event flags page enabled over something
	RuleMSRPrivilege       = "msr-privilege"       // a synthetic register that CPUID does not announce
	RuleMSRValue           = "msr-value"           // a synthetic register or value that does not exist
	RuleSINTVector         = "sint-vector"         // a SINT with a vector below 16
	RuleSINTTwice          = "sint-twice"          // a SINT in use set up again without being masked before
	RuleHypercallPrivilege = "hypercall-privilege" // a hypercall that CPUID does not announce
	RuleHypercallControl   = "hypercall-control"   // reserved bits of the input value, a rep count for a call without
	RuleHypercallFast      = "hypercall-fast"      // the fast form of a call whose input does not fit into it
	RuleHypercallInput     = "hypercall-input"     // an input block unaligned, across pages, or not in RAM
	RuleMessageFormat      = "post-message-format" // a message too long, of a type of the hypervisor's, or with reserved fields set
)

// report tells a broken rule; with Config.Strict nil nobody asks.
func (p *Partition) report(rule, format string, args ...any) {
	if p.strict != nil {
		p.strict(rule, fmt.Sprintf(format, args...))
	}
}

// privileges are the bits of leaf 0x40000003 that allow synthetic registers (TLFS
// 4.2.2 and appendix F); EAX or EDX must have one of the bits.
var privileges = []struct {
	first, count uint32
	eax, edx     uint32
}{
	{tlfs.MSRGuestOSID, 2, tlfs.AccessHypercall, 0},
	{tlfs.MSRVpIndex, 1, tlfs.AccessVpIndex, 0},
	{tlfs.MSRReset, 1, tlfs.AccessReset, 0},
	{tlfs.MSRVpRuntime, 1, tlfs.AccessVpRuntime, 0},
	{tlfs.MSRTimeRefCount, 1, tlfs.AccessPartitionRefCount, 0},
	{tlfs.MSRReferenceTSC, 1, tlfs.AccessReferenceTSC, 0},
	{tlfs.MSRTSCFrequency, 2, tlfs.AccessFrequency, 0},
	{tlfs.MSREOI, 4, tlfs.AccessApic, 0},
	{tlfs.MSRSControl, 5, tlfs.AccessSynic, 0},
	{tlfs.MSRSINT0, tlfs.SINTCount, tlfs.AccessSynic, 0},
	{tlfs.MSRStimer0Config, 8, tlfs.AccessStimer, 0},
	{tlfs.MSRGuestIdle, 1, tlfs.AccessGuestIdle, 0},
	{tlfs.MSRCrashP0, 6, 0, tlfs.FeatureGuestCrashMSRs},
	{tlfs.MSRTSCInvariantCtl, 1, tlfs.AccessTSCInvariant, 0},
}

// features are what leaf 0x40000003 announces.
type features struct{ eax, ebx, edx uint32 }

// directTimers says whether timers may interrupt by a vector of their own.
func (f features) directTimers() bool { return f.edx&tlfs.FeatureDirectSyntheticTmrs != 0 }

// missing says whether a register needs a bit that the guest has not.
func (f features) missing(msr uint32) bool {
	for _, p := range privileges {
		if msr-p.first < p.count {
			return f.eax&p.eax == 0 && f.edx&p.edx == 0
		}
	}
	return false
}
