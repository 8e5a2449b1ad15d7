// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package balloon is the host's end of Hyper-V Dynamic Memory: a device of
// host/vmbus by which the host takes memory from a running guest and gives it back.
//
//	Balloon.Inflate --BALLOON_REQUEST--> guest --BALLOON_RESPONSE--> pages checked,
//	                                                                 then discarded
//	Balloon.Deflate --UNBALLOON_REQUEST--> guest --UNBALLOON_RESPONSE--> done
//
// It is naive: it keeps a map with an entry for each page that it has. And it is
// strict: a page that is not RAM, that it has already, or that it did not ask for
// ends the channel, and so does a message at the wrong time. Pages that it gets are
// discarded, so that the host's memory is free for others; when it gives them back it
// can see whether the guest touched them meanwhile (Options.Verify).
//
// Written from the facts that internal/wire/dynmem names, and not from the guest's
// driver.
package balloon
