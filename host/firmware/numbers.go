// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"encoding/binary"

	"github.com/hvgo/hvgo/internal/guid"
)

// EFI statuses, UEFI appendix D.
const (
	efiError            = 1 << 63
	efiSuccess          = 0
	efiInvalidParameter = efiError | 2
	efiUnsupported      = efiError | 3
	efiBufferTooSmall   = efiError | 5
	efiDeviceError      = efiError | 7
	efiOutOfResources   = efiError | 9
	efiNotFound         = efiError | 14
)

// Memory types, UEFI 7.2 (table 7.10).
const (
	memReserved     = 0
	memLoaderCode   = 1
	memLoaderData   = 2
	memBootCode     = 3
	memBootData     = 4
	memRuntimeCode  = 5
	memRuntimeData  = 6
	memConventional = 7
	memACPIReclaim  = 9
	memMax          = 16         // EfiMaxMemoryType: 16 and more, up to OEM types, are not for allocation
	memOEM          = 0x70000000 // from here on types are OEM's and OS loaders'
)

// Memory attributes of a descriptor, UEFI 7.2.3.
const (
	memAttrCache   = 0xF // UC WC WT WB possible
	memAttrRuntime = 1 << 63
)

// Reset types, UEFI 8.5.1.
const (
	resetShutdown = 2
	resetMax      = 3
)

// Signatures of the tables' headers, UEFI 4.2, and the revision they carry.
const (
	systemTableSignature  = 0x5453595320494249 // "IBI SYST"
	bootTableSignature    = 0x56524553544F4F42 // "BOOTSERV"
	runtimeTableSignature = 0x56524553544E5552 // "RUNTSERV"
	efiRevision           = 2<<16 | 70
)

// Offsets in EFI_TABLE_HEADER and EFI_SYSTEM_TABLE, UEFI 4.3.
const (
	headerRevision = 8
	headerLength   = 12
	headerCRC      = 16
	tableHeader    = 24 // size of EFI_TABLE_HEADER

	systemVendor        = 24
	systemVendorRev     = 32
	systemConInHandle   = 40
	systemConIn         = 48
	systemConOutHandle  = 56
	systemConOut        = 64
	systemStdErrHandle  = 72
	systemStdErr        = 80
	systemRuntime       = 88
	systemBoot          = 96
	systemConfigEntries = 104
	systemConfig        = 112
	systemTableSize     = 120

	configEntrySize = 24 // EFI_CONFIGURATION_TABLE: GUID, pointer
	maxConfigs      = 32
)

// Protocols and configuration tables.
var (
	guidLoadedImage = guid.MustParse("5B1B31A1-9562-11D2-8E3F-00A0C969723B")
	guidTextOutput  = guid.MustParse("387477C2-69C7-11D2-8E39-00A0C969723B")
	guidTextInput   = guid.MustParse("387477C1-69C7-11D2-8E39-00A0C969723B")
	guidRNG         = guid.MustParse("3152BCA5-EADE-433D-862E-C01CDC291F44")
	guidRNGRaw      = guid.MustParse("E43176D7-B6E8-4827-B784-7FFDC4B68561")
	guidLoadFile2   = guid.MustParse("4006C0C1-FCB3-403E-996D-4A6C8724E06D")
	guidLinuxInitrd = guid.MustParse("5568E427-68FC-4F3D-AC74-CA555231CC68")
	guidACPI20      = guid.MustParse("8868E871-E4F1-11D3-BC22-0080C73C8881")
	guidSMBIOS3     = guid.MustParse("F2FD1544-9794-4A2C-992E-E5BBCF20E394")
)

var le = binary.LittleEndian
