// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command words is a guest that prints what it was started with, and what it sees of
// its machine, one line each; then it ends with the status that EXIT names.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

func main() {
	fmt.Printf("args %q\n", os.Args)
	for _, e := range os.Environ() {
		fmt.Printf("env %q\n", e)
	}
	fmt.Println("time", time.Now().Unix())
	fmt.Println("limit", debug.SetMemoryLimit(-1))
	tables, _ := filepath.Glob("/sys/firmware/acpi/tables/*")
	for i := range tables {
		tables[i] = filepath.Base(tables[i])
	}
	fmt.Println("tables", tables)
	line, err := os.ReadFile("/proc/cmdline")
	fmt.Printf("cmdline %q %v\n", line, err)
	product, err := os.ReadFile("/sys/class/dmi/id/product_name")
	fmt.Printf("product %q %v\n", product, err)
	if mib, err := strconv.Atoi(os.Getenv("FILL")); err == nil {
		fmt.Println("filled", fill(mib), "MiB")
	}
	status, _ := strconv.Atoi(os.Getenv("EXIT"))
	fmt.Println(strings.Repeat("-", 8), "done")
	os.Exit(status)
}

// fill writes to that much memory and reads it back, and says how much was right.
func fill(mib int) (good int) {
	var blocks [][]uint64
	for i := range mib {
		b := make([]uint64, 1<<20/8)
		for k := 0; k < len(b); k += 512 {
			b[k] = uint64(i)<<32 | uint64(k)
		}
		blocks = append(blocks, b)
	}
	for i, b := range blocks {
		right := true
		for k := 0; k < len(b); k += 512 {
			right = right && b[k] == uint64(i)<<32|uint64(k)
		}
		if right {
			good++
		}
	}
	return good
}
