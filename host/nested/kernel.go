// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nested

import (
	"context"
	"fmt"

	"github.com/hvgo/hvgo/host/debian"
)

// kernelSeries is the first whose KVM was measured here.
const kernelSeries = "6.12"

// moduleChains are the modules that the inside needs beyond what Debian builds
// into the kernel (virtio, virtio-pci and virtio-console are built in). The
// chains are loaded at the same time: kvm alone takes as long as all the rest.
var moduleChains = [...][]string{
	sharesAndNetwork: {"9p", "9pnet_virtio", "virtio_net"},
	virtualisation:   {"kvm-amd"},
}

// Indices of moduleChains.
const (
	sharesAndNetwork = iota
	virtualisation
)

// kernel is the boot image and its modules.
type kernel struct {
	image   string // path
	modules []debian.Module
}

// getKernel returns the kernel of the inside, fetched on the first call. Its
// modules are named C-NN-NAME.ko, NN being the place in chain C of moduleChains:
// PID 1 goes by the numbers.
func getKernel(ctx context.Context, progress func(string)) (*kernel, error) {
	d, err := debian.Get(ctx, kernelSeries, progress)
	if err != nil {
		return nil, err
	}
	k := &kernel{image: d.Image}
	for chain, wanted := range moduleChains {
		mods, err := d.Modules(wanted...)
		if err != nil {
			return nil, err
		}
		for i, m := range mods {
			m.Name = fmt.Sprintf("%d-%02d-%s.ko", chain, i, m.Name)
			k.modules = append(k.modules, m)
		}
	}
	return k, nil
}
