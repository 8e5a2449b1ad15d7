// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package quirk makes the test host behave as other hosts do. The protocols leave much
// to a host, and hosts differ: a guest that is right works on all of them. Each quirk
// is one such habit under a name; some names stand for a whole host.
//
//	names --Parse--> Set --Apply--> guest.Config, netvsp.Options
//
// Quirks are orders, not preferences: those of one Set must not contradict each other
// (two greatest versions), and Parse says so when they do.
package quirk
