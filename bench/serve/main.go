// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command serve is the program that the bench runs in both guests. It does what it is
// asked from outside, by HTTP (package bench has the paths and ports):
//
//	web.go     small and large bodies, with and without TLS
//	stream.go  TCP alone: a sink and a source
//	job.go     work inside: disk.go, compute.go, datagrams.go
//	start.go   when what was done until it served
//	init.go    as a Linux kernel's PID 1: file systems, drivers, DHCP
//
// It asks hvgo for nothing but what Linux has, and runs as a process too.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hvgo/hvgo/bench"
)

func main() {
	s := newStart()
	if os.Getenv(bench.InitEnv) != "" {
		if err := setUp(s); err != nil {
			log.Print("serve: init: ", err) // the host sees that no answer comes, and this line
		}
	}
	if err := serve(s, os.Getenv(bench.DiskEnv)); err != nil {
		log.Fatal("serve: ", err)
	}
}

// deviceAge is how long a disk or an address may take to come.
const deviceAge = 60 * time.Second

// serve opens the ports and does not return unless one fails.
func serve(s *start, disk string) error {
	if disk != "" {
		if err := await("disk "+disk, func() bool { _, err := os.Stat(disk); return err == nil }); err != nil {
			return err
		}
		s.mark(bench.MarkDisk)
	}
	plain, err := net.Listen("tcp", fmt.Sprintf(":%d", bench.HTTPPort))
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", fmt.Sprintf(":%d", bench.StreamPort))
	if err != nil {
		return err
	}
	encrypted, err := listenTLS(fmt.Sprintf(":%d", bench.TLSPort))
	if err != nil {
		return err
	}
	s.mark(bench.MarkServing)
	go s.awaitAddress()
	h := routes(s, disk)
	failed := make(chan error)
	go func() { failed <- http.Serve(plain, h) }()
	go func() { failed <- http.Serve(encrypted, h) }()
	go func() { failed <- serveStreams(streams) }()
	return <-failed
}

// await asks until done says yes.
func await(what string, done func() bool) error {
	for end := time.Now().Add(deviceAge); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("no " + what)
		}
	}
	return nil
}
