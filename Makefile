# Copyright 2026 The hvgo Authors
# SPDX-License-Identifier: Apache-2.0

# Static binaries everywhere: the emulated machine has no C library.
export CGO_ENABLED = 0
export GOTOOLCHAIN = local

HVGO  = bin/hvgo
IMAGE = bin/hello.vhdx
DATA  = bin/data.img
STEP  = @scripts/step
MEMORY = 256
STD_SHORT = sync sync/atomic context time io/fs os os/signal syscall internal/poll net net/netip runtime/debug
CPUS = 1
SOAK = -duration 30m

.PHONY: run qemu test build image packages vet lint gofmt unit vm-test machines stdtest std-short witness fuzz bench bench-quick bench-check bench-sys soak help clean

## run: build examples/hello into a VHDX, boot it here, forward 127.0.0.1:8080
run: packages image $(DATA)
	$(HVGO) run --memory $(MEMORY) --publish 8080:8080 --disk $(DATA) $(IMAGE)

## qemu: boot the same image in QEMU with Hyper-V's enlightenments: no disks, no network
qemu: packages image
	$(HVGO) run --qemu --memory $(MEMORY) $(IMAGE)

$(DATA):
	@scripts/data-disk $@

## test: everything, the tests that boot a VM included
test: packages build gofmt vet lint unit image machines

## packages: install the Debian packages that are missing, after naming them
packages:
	@scripts/packages

## build: the hvgo command
build:
	$(STEP) "build hvgo" go build -o $(HVGO) ./cmd/hvgo

## image: examples/hello as a VHDX
image: build
	$(STEP) "build $(IMAGE)" $(HVGO) build -o $(IMAGE) ./examples/hello

gofmt:
	$(STEP) "gofmt" scripts/gofmt-check

vet:
	$(STEP) "go vet" go vet ./...

## lint: staticcheck, of the version that tools/go.mod pins
lint:
	$(STEP) "staticcheck" go tool -modfile=tools/go.mod staticcheck ./...

## unit: the tests that need no KVM (those that do skip)
unit:
	$(STEP) "unit tests" env HVGO_REQUIRE_QEMU=1 go test ./...

## vm-test: the tests that need KVM, in one start of the emulated machine where KVM has no Hyper-V
vm-test: build
	$(STEP) "VM tests" scripts/vm-tests $(IMAGE)

## machines: vm-test and std-short, side by side
machines: build image
	@scripts/machines

## stdtest: the tests of Go's standard library inside guests; makes docs/STDTEST.md anew (SHORT=1: with -short; ARGS: more flags of hvgo test)
stdtest: packages build
	scripts/stdtest $(if $(SHORT),-short) $(ARGS)

## std-short: those of the packages that lean on the system most, without the long tests
std-short: build
	$(STEP) "tests of Go's standard library" scripts/stdtest -short $(STD_SHORT)

## witness: both sides against what nobody here wrote: Linux, QEMU, OVMF
witness: packages build
	$(STEP) "witnesses" scripts/witness

## fuzz: each fuzz target for ten seconds
fuzz:
	scripts/fuzz 10s

## bench: hvgo beside a Linux guest with the same program: bench/out/report.md, plots, raw figures
bench: packages build
	go run ./bench/run -cpus $(CPUS) -bisect

## bench-quick: one round of it, without the search for the smallest VM
bench-quick: packages build
	go run ./bench/run -cpus $(CPUS) -rounds 1 -requests 300

## bench-check: exits and hypercalls against bench/budget.json
bench-check: packages build
	go run ./bench/run -check -rounds 1 -requests 100

## bench-sys: system calls, faults, wake-ups: hvgo beside Linux as a guest of the same host, and as a process
bench-sys: packages build
	go run ./bench/sys/run -cpus $(CPUS)

## soak: nine loads on four processors for 30 minutes: no leak, no stall, no wrong data
soak: packages build
	go run ./test/vm/soak/run $(SOAK)

## help: this list
help:
	@sed -n 's/^## /  /p' Makefile

clean:
	rm -rf bin
