// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package pattern

import "testing"

func TestPattern(t *testing.T) {
	b := make([]byte, 4096)
	Fill(b, 8192)
	if Differs(b, 8192) != -1 || Differs(b, 4096) != 0 {
		t.Error("Differs")
	}
	sum := Sum(b, 8192)
	if Sum(b[:512], 8192)+Sum(b[512:], 8192+512) != sum || Sum(b, 4096) == sum {
		t.Error("Sum")
	}
	b[4089]++
	if Differs(b, 8192) != 4088 || Sum(b, 8192) == sum {
		t.Error("a changed byte is not noticed")
	}
}
