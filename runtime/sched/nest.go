// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import "github.com/hvgo/hvgo/runtime/ring0"

// An epoll can be watched by others: it is readable as long as it has something
// to report. A change goes up from one to the next through a queue, since
// nosplit code may not call itself.

// maxNests is how many epolls may stand one behind another (epoll(7)).
const maxNests = 5

// The epolls whose lists changed, and that are watched.
var firstChanged, lastChanged int32

// changed notes that an epoll has more or less to report; edges is EPOLLIN when
// there is more.
//
//go:nosplit
func changed(ep int32, edges uint32) {
	o := objectAt(ep)
	if o.watch == 0 {
		return
	}
	o.edges |= edges
	if o.queued {
		return
	}
	o.queued, o.nextQueued = true, 0
	if firstChanged == 0 {
		firstChanged = ep
	} else {
		objectAt(lastChanged).nextQueued = ep
	}
	lastChanged = ep
}

// tellParents tells those who watch what has changed. It ends, since no epoll
// watches itself on any way.
//
//go:nosplit
func tellParents() {
	for firstChanged != 0 {
		o := objectAt(firstChanged)
		firstChanged = o.nextQueued
		edges := o.edges
		o.queued, o.edges = false, 0
		tell(&o.target, o.ready, edges)
	}
}

// mayNest says whether the epoll parent may watch the epoll child: not if child
// watches parent, on whatever way, and if no more than maxNests then stand one
// behind another.
//
//go:nosplit
func mayNest(parent, child int32) bool {
	below := levels(child, true)
	if objectAt(parent).level != 0 {
		return false
	}
	return below+levels(parent, false) <= maxNests
}

// levels gives how many epolls stand one behind another, from i down (those that
// it watches) or up, and leaves in level how far each is from i, from 1 on; 0 for
// those that are on no such way.
//
//go:nosplit
func levels(i int32, down bool) int32 {
	for k := int32(1); k <= usedObjects; k++ {
		objectAt(k).level = 0
	}
	objectAt(i).level = 1
	deepest := int32(1)
	for level := int32(1); level == deepest && level <= maxNests; level++ {
		for k := int32(1); k <= usedRegs; k++ {
			r := regAt(k)
			if r.epoll == 0 || Kind(uint64(uint32(r.fd))) != ring0.FDEpoll {
				continue
			}
			from, to := r.epoll, fileAt(r.fd).object
			if !down {
				from, to = to, from
			}
			if objectAt(from).level == level {
				objectAt(to).level = level + 1
				deepest = level + 1
			}
		}
	}
	return deepest
}
