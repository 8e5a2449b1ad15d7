// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"bytes"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/u-root/u-root/pkg/acpi"
	"github.com/u-root/u-root/pkg/smbios"

	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/vmm"
	diskimage "github.com/hvgo/hvgo/image"
	"github.com/hvgo/hvgo/internal/guid"
)

// built returns a firmware that has laid out all that needs no processor.
func built(t *testing.T, memory, low uint64, cpus int, cfg Config) *Firmware {
	t.Helper()
	ram, err := vmm.NewMemory(memory, low)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ram.Close() })
	f := newFirmware(ram, cpus, cfg)
	im, err := parseImage(hosttest.Hello.Image())
	if err != nil {
		t.Fatal(err)
	}
	f.shapeMemory()
	for _, err := range []error{f.loadImage(im), f.buildSystemTable(), f.buildACPI(), f.buildSMBIOS()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// bytesAt reads guest memory.
func bytesAt(t *testing.T, f *Firmware, gpa, n uint64) []byte {
	t.Helper()
	b, err := f.ram.Bytes(gpa, n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// config finds a configuration table as a guest does.
func config(t *testing.T, f *Firmware, id guid.GUID) uint64 {
	t.Helper()
	s := bytesAt(t, f, f.tables.system, systemTableSize)
	for i := range le.Uint64(s[systemConfigEntries:]) {
		e := bytesAt(t, f, le.Uint64(s[systemConfig:])+i*configEntrySize, configEntrySize)
		if guid.GUID(e[:16]) == id {
			return le.Uint64(e[16:])
		}
	}
	t.Fatalf("no configuration table %v", id)
	return 0
}

func TestSystemTable(t *testing.T) {
	f := built(t, 64<<20, 32<<20, 1, Config{LoadOptions: "one two"})
	s := bytesAt(t, f, f.tables.system, systemTableSize)
	for _, c := range []struct {
		name      string
		at        uint64
		signature uint64
		entries   int
	}{
		{"system", f.tables.system, systemTableSignature, 0},
		{"boot services", le.Uint64(s[systemBoot:]), bootTableSignature, bootServiceCount},
		{"runtime services", le.Uint64(s[systemRuntime:]), runtimeTableSignature, runtimeServiceCount},
	} {
		h := bytesAt(t, f, c.at, pageSize/4)
		if le.Uint64(h) != c.signature {
			t.Errorf("%s: signature %#x", c.name, le.Uint64(h))
		}
		b := append([]byte(nil), h[:le.Uint32(h[headerLength:])]...)
		le.PutUint32(b[headerCRC:], 0)
		if crc32.ChecksumIEEE(b) != le.Uint32(h[headerCRC:]) {
			t.Errorf("%s: wrong checksum", c.name)
		}
		for i := range c.entries {
			stub := bytesAt(t, f, le.Uint64(h[tableHeader+8*i:]), 3)
			if stub[0] != 0xE6 || stub[2] != 0xC3 || stubNumber(le.Uint64(h[tableHeader+8*i:])) != i {
				t.Errorf("%s: entry %d leads to % x", c.name, i, stub)
			}
		}
	}
	im := bytesAt(t, f, f.image.handle, 96)
	if n := le.Uint32(im[48:]); n != 16 || !bytes.Equal(bytesAt(t, f, le.Uint64(im[56:]), 16), utf16String("one two")) {
		t.Errorf("load options of %d bytes", n)
	}
}

// The memory map covers all RAM once and in order, has the kinds a loader must
// know how to treat, and marks what the runtime services need.
func TestMemoryMap(t *testing.T) {
	f := built(t, 64<<20, 32<<20, 1, Config{Seed: 3})
	b := f.mem.descriptors()
	kinds := map[uint32]uint64{}
	var total, last uint64
	for ; len(b) > 0; b = b[descriptorSize:] {
		kind, start, pages, attr := le.Uint32(b), le.Uint64(b[8:]), le.Uint64(b[24:]), le.Uint64(b[32:])
		if start < last || pages == 0 {
			t.Errorf("descriptor at %#x, %d pages, after %#x", start, pages, last)
		}
		last = start + pages*pageSize
		total += pages * pageSize
		kinds[kind] += pages
		if runtime := kind == memRuntimeCode || kind == memRuntimeData; runtime != (attr&memAttrRuntime != 0) {
			t.Errorf("type %d has attributes %#x", kind, attr)
		}
	}
	if total != f.ram.Size() {
		t.Errorf("%d bytes described of %d", total, f.ram.Size())
	}
	for _, k := range []uint32{memReserved, memLoaderCode, memBootCode, memBootData, memRuntimeCode, memRuntimeData, memConventional, memACPIReclaim} {
		if kinds[k] == 0 {
			t.Errorf("no memory of type %d", k)
		}
	}
}

func TestMemoryMapSet(t *testing.T) {
	m := newMemoryMap([]vmm.Region{{GPA: 0, Mem: make([]byte, 16*pageSize)}})
	key := m.key
	a, ok := m.find(4*pageSize, pageSize, 8*pageSize)
	if !ok || a != 4*pageSize {
		t.Fatalf("found %#x, %v", a, ok)
	}
	m.set(span{start: a, end: a + 4*pageSize, kind: memLoaderData, guest: true})
	if m.key == key {
		t.Error("the key stays")
	}
	if m.free(a-pageSize, a+pageSize) || !m.free(a-pageSize, a) || m.free(0, 17*pageSize) {
		t.Error("free is wrong")
	}
	m.set(span{start: a, end: a + 4*pageSize, kind: memConventional})
	if len(m.spans) != 1 {
		t.Errorf("not merged: %v", m.spans)
	}
	if _, ok := m.find(16*pageSize, pageSize, ^uint64(0)); ok {
		t.Error("page zero was given out")
	}
}

// parse hands a table to u-root's reader, which checks length and checksum, through
// a file.
func parse(t *testing.T, b []byte) acpi.Table {
	t.Helper()
	tables, err := acpi.NewRaw(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) != 1 {
		t.Fatalf("%d tables", len(tables))
	}
	var sum byte
	for _, v := range b {
		sum += v
	}
	if sum != 0 {
		t.Errorf("%s: checksum", tables[0].Sig())
	}
	return tables[0]
}

func TestACPI(t *testing.T) {
	f := built(t, 64<<20, 32<<20, 3, Config{})
	table := func(at uint64) []byte {
		return bytesAt(t, f, at, uint64(le.Uint32(bytesAt(t, f, at+4, 4))))
	}
	rsdp := bytesAt(t, f, config(t, f, guidACPI20), 36)
	if string(rsdp[:8]) != "RSD PTR " || rsdp[15] != 2 || checksum(rsdp[:20]) != 0 || checksum(rsdp) != 0 {
		t.Errorf("RSDP % x", rsdp)
	}
	xsdt := parse(t, table(le.Uint64(rsdp[24:])))
	if xsdt.Sig() != "XSDT" {
		t.Fatalf("%s instead of XSDT", xsdt.Sig())
	}
	found := map[string]acpi.Table{}
	for d := xsdt.TableData(); len(d) > 0; d = d[8:] {
		x := parse(t, table(le.Uint64(d)))
		found[x.Sig()] = x
	}
	fadt, madt := found["FACP"], found["APIC"]
	if fadt == nil || madt == nil {
		t.Fatalf("tables: %v", found)
	}
	if fadt.Len() != fadtSize || le.Uint32(fadt.Data()[112:])&(1<<20) == 0 {
		t.Errorf("FADT of %d bytes, flags %#x", fadt.Len(), le.Uint32(fadt.Data()[112:]))
	}
	apics := 0
	for d := madt.TableData()[8:]; len(d) > 0; d = d[d[1]:] {
		if d[0] == 0 {
			if int(d[3]) != apics {
				t.Errorf("APIC id %d", d[3])
			}
			apics++
		}
	}
	if apics != 3 {
		t.Errorf("%d processors", apics)
	}
	if name := os.Getenv("HVGO_TEST_DSDT"); name != "" { // for a look with iasl -d
		if err := os.WriteFile(name, table(le.Uint64(fadt.Data()[140:])), 0o666); err != nil {
			t.Error(err)
		}
	}
	dsdt := parse(t, table(le.Uint64(fadt.Data()[140:])))
	for _, want := range []string{"VMOD", "VMBS", "VMBus", "ACPI0004", "_S5_", "UAR1", "RTC0"} {
		if !bytes.Contains(dsdt.TableData(), []byte(want)) {
			t.Errorf("the DSDT has no %s", want)
		}
	}
}

func TestAML(t *testing.T) {
	if got, want := amlResources(), []byte{0x11, 5, 0x0A, 2, 0x79, 0}; !bytes.Equal(got, want) {
		t.Errorf("no resources: % x, want % x", got, want)
	}
	if got, want := amlEISA("PNP0501"), []byte{0x0C, 0x41, 0xD0, 0x05, 0x01}; !bytes.Equal(got, want) {
		t.Errorf("EISA id % x, want % x", got, want)
	}
	for n, want := range map[int]int{10: 1, 62: 1, 63: 2, 4093: 2, 4094: 3} {
		if got := len(amlSized(make([]byte, n))) - n; got != want {
			t.Errorf("the length of %d bytes takes %d bytes, want %d", n, got, want)
		}
	}
}

func TestSMBIOS(t *testing.T) {
	id := guid.MustParse("00112233-4455-6677-8899-aabbccddeeff")
	f := built(t, 64<<20, 32<<20, 2, Config{UUID: id})
	entry := bytesAt(t, f, config(t, f, guidSMBIOS3), 24)
	info, err := smbios.ParseInfo(entry, bytesAt(t, f, le.Uint64(entry[16:]), uint64(le.Uint32(entry[12:]))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := info.GetBIOSInfo(); err != nil {
		t.Error(err)
	}
	system, err := info.GetSystemInfo()
	if err != nil || system.ProductName != "Virtual Machine" || system.UUID != smbios.UUID(id) {
		t.Errorf("%v, %v", system, err)
	}
	if _, err := info.GetBaseboardInfo(); err != nil {
		t.Error(err)
	}
	if _, err := info.GetChassisInfo(); err != nil {
		t.Error(err)
	}
	cpus, err := info.GetProcessorInfo()
	if err != nil || len(cpus) != 1 || cpus[0].CoreCount != 2 {
		t.Errorf("%v, %v", cpus, err)
	}
	mem, err := info.GetMemoryDevices()
	if err != nil || len(mem) != 1 || mem[0].Size != 64 {
		t.Errorf("%v, %v", mem, err)
	}
	for _, kind := range []smbios.TableType{16, 19, 32, 127} {
		if len(info.GetTablesByType(kind)) == 0 {
			t.Errorf("no structure of type %d", kind)
		}
	}
}

func TestLoadImage(t *testing.T) {
	file := hosttest.Hello.Image()
	im, err := parseImage(file)
	if err != nil {
		t.Fatal(err)
	}
	const base = 0x12345000
	mem := make([]byte, im.size)
	if err := im.load(mem, base); err != nil {
		t.Fatal(err)
	}
	// The one relocated word holds the address of the entry point.
	if !bytes.Contains(mem, le.AppendUint64(nil, base+im.entry)) {
		t.Error("not relocated")
	}
	for n := range len(file) {
		im, err := parseImage(file[:n])
		if err == nil {
			err = im.load(make([]byte, im.size), base)
		}
		if err == nil && n < len(file)-512 {
			t.Fatalf("a file cut to %d bytes of %d is loaded", n, len(file))
		}
		if err != nil && !errors.Is(err, ErrNotPE) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func FuzzLoadImage(f *testing.F) {
	f.Add(hosttest.Hello.Image())
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := parseImage(b)
		if err != nil || im.size > 1<<24 {
			return
		}
		_ = im.load(make([]byte, im.size), 0x10000000)
	})
}

// disk writes a raw boot disk with the image builder and returns its bytes.
func disk(t testing.TB, efi []byte) []byte {
	name := filepath.Join(t.TempDir(), "boot.img")
	if err := diskimage.WriteDisk(t.Context(), name, efi, diskimage.Raw); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadBootImage(t *testing.T) {
	efi := hosttest.Hello.Image()
	d := disk(t, efi)
	read := func(d []byte) ([]byte, error) { return ReadBootImage(bytes.NewReader(d), int64(len(d))) }
	if got, err := read(d); err != nil || !bytes.Equal(got, efi) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	broken := append([]byte(nil), d...)
	broken[512+20] ^= 1
	if got, err := read(broken); err != nil || !bytes.Equal(got, efi) {
		t.Errorf("by the backup table: %d bytes, %v", len(got), err)
	}
	broken[len(d)-512] ^= 1
	if _, err := read(broken); !errors.Is(err, ErrNoBootImage) {
		t.Errorf("both tables broken: %v", err)
	}
	if _, err := read(make([]byte, 1<<20)); !errors.Is(err, ErrNoBootImage) {
		t.Errorf("empty disk: %v", err)
	}
	if _, err := read(nil); !errors.Is(err, ErrNoBootImage) {
		t.Errorf("no disk: %v", err)
	}
	// Whatever sector is lost, the reason is the one that callers know.
	first, sectors, err := findESP(bytes.NewReader(d), int64(len(d)))
	if err != nil {
		t.Fatal(err)
	}
	failed, step := 0, max(sectors/1000, 1)
	for at := first * sectorSize; at < (first+sectors)*sectorSize; at += sectorSize {
		if n := at/sectorSize - first; n > 100 && n%step != 0 { // a sample of those behind the first FAT's start
			continue
		}
		broken := append([]byte(nil), d[at:at+sectorSize]...)
		for i := range sectorSize {
			d[at+int64(i)] = 0xFF
		}
		if _, err := read(d); err != nil {
			failed++
			if !errors.Is(err, ErrNoBootImage) {
				t.Errorf("sector at %#x lost: %v", at, err)
			}
		}
		copy(d[at:], broken)
	}
	if failed == 0 {
		t.Error("no lost sector of the file system was noticed")
	}
}

// FuzzReadBootImage changes bytes of a good disk: pairs of a place among the
// sectors that are in use, and a value.
func FuzzReadBootImage(f *testing.F) {
	efi := hosttest.Hello.Image()
	good := disk(f, efi)
	var used []int // the sectors that are not all zero
	for i := 0; i < len(good); i += sectorSize {
		if !bytes.Equal(good[i:i+sectorSize], make([]byte, sectorSize)) {
			used = append(used, i)
		}
	}
	f.Add([]byte{0, 2, 0, 0, 0xFF})
	f.Fuzz(func(t *testing.T, edits []byte) {
		d := patched{bytes.NewReader(good), map[int64]byte{}}
		for ; len(edits) >= 5; edits = edits[5:] {
			at := int(le.Uint32(edits)) % (len(used) * sectorSize)
			d.bytes[int64(used[at/sectorSize]+at%sectorSize)] = edits[4]
		}
		// Whoever changes the header also gets the checksum right.
		h := make([]byte, sectorSize)
		d.ReadAt(h, sectorSize)
		if n := le.Uint32(h[12:]); n <= sectorSize {
			le.PutUint32(h[16:], 0)
			for i, b := range le.AppendUint32(nil, crc32.ChecksumIEEE(h[:n])) {
				d.bytes[sectorSize+16+int64(i)] = b
			}
		}
		_, _ = ReadBootImage(d, int64(len(good)))
	})
}

// patched is a disk with other bytes in some places.
type patched struct {
	disk  *bytes.Reader
	bytes map[int64]byte
}

func (d patched) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.disk.ReadAt(p, off)
	for at, b := range d.bytes {
		if at >= off && at-off < int64(n) {
			p[at-off] = b
		}
	}
	return n, err
}
