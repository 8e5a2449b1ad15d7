// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/host/record/decode"
)

func newRecordCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record",
		Short: "Read recordings of what a guest and its host said to each other",
		Long: `Read recordings of what a guest and its host said to each other over VMBus.
hvgo run --record FILE makes them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var o showOptions
	show := &cobra.Command{
		Use:   "show [flags] FILE",
		Short: "Print a recording, decoded",
		Long: `Print a recording, decoded: time in seconds, sender, device and channel, and each
message with its fields. What no decoder knows is printed in hexadecimal.`,
		Example: `  hvgo record show boot.rec
  hvgo record show --channel 2 --raw boot.rec`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("record show takes one recording, and %d were given: hvgo record show FILE", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			if err := o.show(cmd.OutOrStdout(), f); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return nil
		},
	}
	show.Flags().Uint32Var(&o.channel, "channel", 0, "print only the channel with this `number`, and the messages about it")
	show.Flags().BoolVar(&o.raw, "raw", false, "print the bytes of each message too")
	cmd.AddCommand(show)
	return cmd
}

// showOptions are the flags of record show.
type showOptions struct {
	channel uint32 // 0: all
	raw     bool
}

// show prints what can be read, and returns an error if that is not all.
func (o *showOptions) show(w io.Writer, r io.Reader) (err error) {
	rd, err := record.NewReader(r)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	defer func() {
		if e := out.Flush(); err == nil {
			err = e
		}
	}()
	d := decode.New()
	about := aboutChannel{channel: strconv.FormatUint(uint64(o.channel), 10), gpadls: map[string]bool{}}
	for {
		rec, err := rd.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		e := d.Decode(rec)
		if o.channel != 0 && rec.Channel != o.channel && !about.is(e) {
			continue
		}
		if _, err := out.WriteString(e.Text(o.raw)); err != nil {
			return err
		}
	}
}

// aboutChannel tells which messages name a channel, or a GPADL of it.
type aboutChannel struct {
	channel string
	gpadls  map[string]bool
}

func (a aboutChannel) is(e decode.Event) bool {
	if e.Kind != record.Message {
		return false
	}
	channel, gpadl := e.Parts[0].Get("channel"), e.Parts[0].Get("GPADL")
	if channel == a.channel && gpadl != "" {
		a.gpadls[gpadl] = true
	}
	return channel == a.channel || channel == "" && a.gpadls[gpadl]
}
