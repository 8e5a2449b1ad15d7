// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// qmpLine bounds what one line of QEMU may make us keep, in bytes.
const qmpLine = 1 << 20

// Event is what QEMU tells unasked.
type Event struct {
	Name string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

// qmp is the client of QEMU's control protocol (QEMU's docs/interop/qmp-spec): one
// JSON object a line, answers in the order of the commands.
type qmp struct {
	w      io.WriteCloser
	events func(Event) // called in order, must not block
	ended  chan struct{}
	broken error // set before ended is closed, if QEMU is not at its end

	sending sync.Mutex // one command at a time
	answers chan qmpMessage
}

// qmpMessage is any line from QEMU.
type qmpMessage struct {
	Event
	Greeting json.RawMessage `json:"QMP"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// errQMPEnded means that QEMU closed the connection: it is at its end.
var errQMPEnded = errors.New("QEMU has ended")

// newQMP reads from the connection until QEMU closes it.
func newQMP(conn io.ReadWriteCloser, events func(Event)) *qmp {
	q := &qmp{w: conn, events: events, ended: make(chan struct{}), answers: make(chan qmpMessage, 1)}
	go q.read(conn)
	return q
}

func (q *qmp) read(r io.Reader) {
	defer close(q.ended)
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), qmpLine)
	for lines.Scan() {
		var m qmpMessage
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue // a blank line, or nothing that we know
		}
		switch {
		case m.Name != "":
			q.events(m.Event)
		case m.Return != nil || m.Error != nil:
			select {
			case q.answers <- m:
			default: // nobody asked
			}
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		q.broken = fmt.Errorf("QEMU says more than %d bytes in one line", qmpLine)
	}
}

// run sends a command and returns what it answers. args may be nil.
func (q *qmp) run(ctx context.Context, command string, args any) (json.RawMessage, error) {
	q.sending.Lock()
	defer q.sending.Unlock()
	line, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, args})
	if err != nil {
		return nil, err
	}
	if _, err := q.w.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("%s: %w", command, errQMPEnded)
	}
	select {
	case m := <-q.answers:
		if m.Error != nil {
			return nil, fmt.Errorf("%s: QEMU says: %s", command, m.Error.Desc)
		}
		return m.Return, nil
	case <-q.ended:
		return nil, fmt.Errorf("%s: %w", command, cmp.Or(q.broken, errQMPEnded))
	case <-ctx.Done():
		// Its answer would be taken for the next command's.
		_ = q.w.Close()
		return nil, fmt.Errorf("%s: no answer: %w", command, context.Cause(ctx))
	}
}
