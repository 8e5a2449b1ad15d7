// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package golden compares what our drivers say to a host with what Linux said to the
// same host, message by message and field by field. Linux's side was recorded once
// (testdata/README.md, scripts/recordings); ours is recorded by the test.
//
//	testdata/linux-*.rec.gz -> streams of messages \
//	                                                 -> differences - explanations = 0
//	drivers over internal/loopback -> streams      /
//
// A difference that is not in explained_test.go fails the test, and so does an
// explanation that explains nothing any more. Linux's messages are also replayed to
// the host, which must take all of them.
package golden
