// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"debug/elf"
	"debug/pe"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/hvgo/hvgo/internal/wire/pe"
)

// fixtureFiles are a program with a boot package of the same name as ours but
// nothing in it, so that these tests need no more than the Go toolchain.
var fixtureFiles = map[string]string{
	"go.mod": "module github.com/hvgo/hvgo\n\ngo 1.26\n",
	"boot/boot.go": `package boot

var imageInfo = [16]uint64{0x4F464E494F475648}

func entry()

func init() {
	if imageInfo[3] != 0 {
		entry()
	}
}
`,
	"boot/entry_amd64.s": "TEXT ·entry(SB), 4, $0-0\n\tJMP _rt0_amd64_linux(SB)\n",
	"main.go": `package main

import (
	"net/http"

	_ "github.com/hvgo/hvgo/boot"
)

func main() { http.ListenAndServe(":8080", nil) }
`,
}

var fixture = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "hvgo-fixture")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return linkFixture(dir, "-w -E github.com/hvgo/hvgo/boot.entry")
})

func linkFixture(dir, ldflags string, args ...string) ([]byte, error) {
	for name, text := range fixtureFiles {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			return nil, err
		}
	}
	args = append([]string{"build", "-o", "out", "-ldflags", ldflags}, args...)
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOWORK=off", "GOFLAGS=-buildmode=pie")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	return os.ReadFile(filepath.Join(dir, "out"))
}

func needFixture(t testing.TB) []byte {
	t.Helper()
	b, err := fixture()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b)
}

// loadELF lays out a static PIE at a base, as a dynamic linker would.
func loadELF(t *testing.T, file []byte, base uint64) (mem []byte, linked uint64) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if linked == 0 {
			linked = p.Vaddr
		}
		if need := int(p.Vaddr - linked + p.Memsz); need > len(mem) {
			mem = append(mem, make([]byte, need-len(mem))...)
		}
		if _, err := p.ReadAt(mem[p.Vaddr-linked:][:p.Filesz], 0); err != nil {
			t.Fatal(i, err)
		}
	}
	rela, err := f.Section(".rela").Data()
	if err != nil {
		t.Fatal(err)
	}
	for ; len(rela) > 0; rela = rela[24:] {
		le.PutUint64(mem[le.Uint64(rela)-linked:], le.Uint64(rela[16:])-linked+base)
	}
	return mem, linked
}

// loadPE lays out a PE at a base, as firmware would.
func loadPE(t *testing.T, file []byte, base uint64) []byte {
	t.Helper()
	f, err := pe.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	o := f.OptionalHeader.(*pe.OptionalHeader64)
	mem := make([]byte, o.SizeOfImage)
	copy(mem, file[:o.SizeOfHeaders])
	for _, s := range f.Sections {
		n := min(s.Size, s.VirtualSize)
		copy(mem[s.VirtualAddress:], file[s.Offset:s.Offset+n])
	}
	d := o.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_BASERELOC]
	table := bytes.Clone(mem[d.VirtualAddress : d.VirtualAddress+d.Size])
	for len(table) > 0 {
		b, err := wire.DecodeRelocBlock(table)
		if err != nil || b.Size%4 != 0 {
			t.Fatal(b, err)
		}
		for e := table[8:b.Size]; len(e) > 0; e = e[2:] {
			if v := le.Uint16(e); v>>12 == wire.RelocDir64 {
				at := mem[b.PageRVA+uint32(v&0xfff):]
				le.PutUint64(at, le.Uint64(at)+base-o.ImageBase)
			}
		}
		table = table[b.Size:]
	}
	return mem
}

// Loaded at the same address, the PE and the ELF give the same memory.
func TestPELoadsAsELF(t *testing.T) {
	file := needFixture(t)
	img, err := PE(file)
	if err != nil {
		t.Fatal(err)
	}
	const base = 0x7_1234_5000
	want, linked := loadELF(t, file, base)
	got := loadPE(t, img, base)
	f, _ := elf.NewFile(bytes.NewReader(file))
	info, rela, relro := uint64(0), f.Section(".rela").Addr-linked, f.Section(".data.rel.ro").Addr-linked
	var drbg elf.Symbol
	symbols, _ := f.Symbols()
	for _, s := range symbols {
		switch s.Name {
		case infoSymbol:
			info = s.Value - linked
		case "crypto/internal/fips140/drbg.memory":
			drbg = s
		}
	}
	words := make([]uint64, infoWords)
	for i := range words {
		words[i] = le.Uint64(got[info+8*uint64(i):])
	}
	copy(want[info:info+8*infoWords], got[info:])
	for _, part := range [][2]uint64{{pageSize, rela}, {relro, uint64(len(got))}} {
		if !bytes.Equal(got[part[0]:part[1]], want[part[0]:part[1]]) {
			t.Errorf("memory from %#x to %#x differs", part[0], part[1])
		}
	}
	checkInfo(t, words, f, linked, drbg)
	t.Logf("ELF %d bytes, PE %d bytes, %d in memory", len(file), len(img), len(got))
}

func checkInfo(t *testing.T, w []uint64, f *elf.File, linked uint64, drbg elf.Symbol) {
	t.Helper()
	in := func(section string, from, to uint64) {
		t.Helper()
		s := f.Section(section)
		if s.Addr-linked < from || s.Addr+s.Size-linked > to {
			t.Errorf("%s at %#x, size %#x, is not in %#x to %#x", section, s.Addr-linked, s.Size, from, to)
		}
	}
	in(".text", w[2], w[3])
	in(".rodata", w[4], w[5])
	in(".gopclntab", w[4], w[5])
	in(".data.rel.ro", w[4], w[5])
	in(".data", w[6], w[7])
	in(".bss", w[6], w[7])
	in(".noptrbss", w[6], w[8])
	for i := 2; i <= 8; i++ {
		if w[i]%pageSize != 0 || w[i] < w[i-1] && i > 2 {
			t.Errorf("word %d is %#x, after %#x", i, w[i], w[i-1])
		}
	}
	if w[0] != infoMagic || w[1] != linked {
		t.Errorf("magic %#x, base %#x", w[0], w[1])
	}
	if drbg.Size < 32<<20 || w[7] > drbg.Value-linked+pageSize || w[8]-w[7] < 31<<20 {
		t.Errorf("the PE claims memory to %#x of %#x; drbg.memory is at %#x, %d bytes", w[7], w[8], drbg.Value-linked, drbg.Size)
	}
	symbols, _ := f.Symbols()
	for _, s := range symbols {
		if s.Name == runtimeEntry && s.Value-linked != w[9] {
			t.Errorf("entry of the runtime %#x, want %#x", w[9], s.Value-linked)
		}
	}
}

func TestPEHeaders(t *testing.T) {
	file := needFixture(t)
	img, err := PE(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pe.NewFile(bytes.NewReader(img))
	if err != nil {
		t.Fatal(err)
	}
	o := f.OptionalHeader.(*pe.OptionalHeader64)
	e, _ := elf.NewFile(bytes.NewReader(file))
	if o.Subsystem != pe.IMAGE_SUBSYSTEM_EFI_APPLICATION || f.Machine != pe.IMAGE_FILE_MACHINE_AMD64 ||
		uint64(o.AddressOfEntryPoint)+o.ImageBase != e.Entry || o.DllCharacteristics&pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT == 0 {
		t.Errorf("%+v", o)
	}
	next := uint32(pageSize)
	for _, s := range f.Sections {
		if s.VirtualAddress != next || s.VirtualAddress%pageSize != 0 || s.VirtualSize%pageSize != 0 || s.Offset%fileAlignment != 0 {
			t.Errorf("%s at %#x, size %#x, in the file at %#x; expected at %#x", s.Name, s.VirtualAddress, s.VirtualSize, s.Offset, next)
		}
		if s.Characteristics&pe.IMAGE_SCN_MEM_WRITE != 0 && s.Characteristics&pe.IMAGE_SCN_MEM_EXECUTE != 0 {
			t.Errorf("%s is writable and executable", s.Name)
		}
		next += s.VirtualSize
	}
	if next != o.SizeOfImage {
		t.Errorf("sections end at %#x, the image at %#x", next, o.SizeOfImage)
	}
	if len(img) > len(file) {
		t.Errorf("the PE has %d bytes, the ELF %d", len(img), len(file))
	}
	if again, err := PE(file); err != nil || !bytes.Equal(again, img) {
		t.Error("a second conversion gives other bytes", err)
	}
}

func TestPERefuses(t *testing.T) {
	file := needFixture(t)
	f, _ := elf.NewFile(bytes.NewReader(file))
	rela := f.Section(".rela").Offset
	patch := func(off uint64, b ...byte) []byte { c := bytes.Clone(file); copy(c[off:], b); return c }
	dir := t.TempDir()
	stripped, err := linkFixture(dir, "-s -w")
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := linkFixture(dir, "-w", "-buildmode=exe")
	if err != nil {
		t.Fatal(err)
	}
	for want, b := range map[string][]byte{
		"bad magic number":   []byte("#!/bin/sh and so on and so forth"),
		"EM_AARCH64":         patch(18, 183),
		"R_X86_64_GLOB_DAT":  patch(rela+8, 6),
		"outside of its dat": patch(rela, 0, 0, 0, 0, 0, 0, 0, 1),
		"truncated":          file[:len(file)/2],
		"symbol table":       stripped,
		"-buildmode=pie":     fixed,
		"entry point":        patch(24, 0, 0, 0, 0, 0, 1),
	} {
		_, err := PE(b)
		if !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), want) && want != "truncated" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", want, err)
		}
	}
	for symbol, want := range map[string]string{infoSymbol: "runtime is not linked in", runtimeEntry: "not a Go program"} {
		if _, err := PE(bytes.ReplaceAll(file, []byte("\x00"+symbol+"\x00"), []byte("\x00"+strings.Repeat("x", len(symbol))+"\x00"))); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v", symbol, err)
		}
	}
}

// Other people's tools read the file: objdump, and osslsigncode, which signs it.
func TestPEWithTools(t *testing.T) {
	img, err := PE(needFixture(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "a.efi")
	if err := os.WriteFile(name, img, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("objdump"); err == nil {
		out, err := exec.Command("objdump", "-p", "-h", name).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "EFI application") || !strings.Contains(string(out), ".relro") {
			t.Errorf("objdump: %v\n%.2000s", err, out)
		}
	}
	if _, err := exec.LookPath("osslsigncode"); err != nil {
		t.Skip("osslsigncode is not installed")
	}
	key, cert := selfSigned(t, dir)
	signed := filepath.Join(dir, "signed.efi")
	if out, err := exec.Command("osslsigncode", "sign", "-certs", cert, "-key", key, "-in", name, "-out", signed).CombinedOutput(); err != nil {
		t.Fatalf("osslsigncode sign: %v\n%s", err, out)
	}
	if out, err := exec.Command("osslsigncode", "verify", "-CAfile", cert, "-in", signed).CombinedOutput(); err != nil {
		t.Errorf("osslsigncode verify: %v\n%s", err, out)
	}
}

func selfSigned(t *testing.T, dir string) (keyFile, certFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, certFile = filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	for name, b := range map[string]*pem.Block{keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}, certFile: {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return keyFile, certFile
}

// FuzzPE changes the headers and tables of a real program.
func FuzzPE(f *testing.F) {
	file, err := fixture()
	if err != nil {
		f.Fatal(err)
	}
	e, _ := elf.NewFile(bytes.NewReader(file))
	places := []int{0, 64, 0x2a8, int(e.Section(".rela").Offset), int(e.Section(".symtab").Offset), int(e.Section(".noptrdata").Offset)}
	f.Add([]byte{})
	f.Add([]byte{1, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0})
	f.Add([]byte{3, 8, 0, 6, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, patches []byte) {
		b := bytes.Clone(file)
		for ; len(patches) >= 11; patches = patches[11:] {
			copy(b[places[int(patches[0])%len(places)]+int(le.Uint16(patches[1:])):], patches[3:11])
		}
		img, err := PE(b)
		if err != nil {
			if !errors.Is(err, ErrProgram) {
				t.Error(err)
			}
			return
		}
		if _, err := pe.NewFile(bytes.NewReader(img)); err != nil {
			t.Error(err)
		}
	})
}
