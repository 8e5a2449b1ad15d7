// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import "syscall"

// A pointer is looked at when a call begins, and used until it ends. Another thread can unmap the memory in
// between; what uses it then faults, and Linux's answer is EFAULT. Locks that are held where memory of the
// program is copied are therefore given back by defer.

// addressed is the runtime's error of a fault while debug.SetPanicOnFault is set.
type addressed interface {
	error
	Addr() uintptr
}

// faulted makes a panic in a call its result, if it is a fault at an address: Go code has such faults in no
// memory but the program's, which may be there again by now. All else, like nil, is a mistake of ours, and
// goes on.
func faulted(v any) uintptr {
	if _, ok := v.(addressed); !ok {
		panic(v)
	}
	err := syscall.EFAULT
	return -uintptr(err)
}
