// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nested

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Requests and capabilities of /dev/kvm (include/uapi/linux/kvm.h).
const (
	kvmGetAPIVersion  = 0xae00
	kvmCheckExtension = 0xae03
	kvmAPIVersion     = 12
)

// neededCapabilities are those without which the test host cannot play Hyper-V.
var neededCapabilities = []struct {
	number uintptr
	name   string
}{
	{148, "KVM_CAP_HYPERV_SYNIC2"},
	{167, "KVM_CAP_HYPERV_CPUID"},
}

// KVMHyperV returns nil when this machine's /dev/kvm can be used and offers
// Hyper-V, else the reason why not.
func KVMHyperV() error {
	fd, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/kvm: %w", err)
	}
	defer unix.Close(fd)
	if v, err := kvmIoctl(fd, kvmGetAPIVersion, 0); err != nil || v != kvmAPIVersion {
		return fmt.Errorf("/dev/kvm: API version %d (%v)", v, err)
	}
	for _, c := range neededCapabilities {
		if v, err := kvmIoctl(fd, kvmCheckExtension, c.number); err != nil || v == 0 {
			return fmt.Errorf("/dev/kvm has no Hyper-V (%s)", c.name)
		}
	}
	return nil
}

func kvmIoctl(fd int, request, arg uintptr) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, arg)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}
