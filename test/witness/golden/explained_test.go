// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

// explanation says why a difference is right.
type explanation struct {
	difference
	why string
}

// chances explain what differs in some runs or recordings only, so that it is no error
// when they explain nothing.
var chances = []explanation{
	{difference{"network", "PACKET of type *", "NVSP section", "0x*", "0x0"}, "any free section of the send buffer will do"},
	{difference{"dynamic memory", "STATUS_REPORT", elsewhere, "", ""}, "one each second, whatever else goes on"},
	{difference{stream: "dynamic memory", message: "STATUS_REPORT", field: onlyOurs, ours: "*"}, "one each second, whatever else goes on"},
}

const otherPath = "Linux scans 8 paths; Hyper-V's disks are all on path 0"

// explanations are tried in order; * stands for anything.
var explanations = []explanation{
	// Names that each guest chooses for itself, and places.
	{difference{"*", "*", "ring pages*", "*", "*"}, "memory is where each guest has it"},
	{difference{"*", "*", "pages", "*", "*"}, "memory is where each guest has it"},
	{difference{"*", "*", "ring position", "*", "*"}, "what was sent before differs in number or size"},
	{difference{"*", "*", "GPADL", "*", "*"}, "a GPADL's number is the guest's choice; Linux counts from 0xE1E10, we from 1"},
	{difference{"network", "*", "NVSP GPADL", "*", "*"}, "a GPADL's number is the guest's choice"},
	{difference{"* messages", "OPEN_CHANNEL", "open id", "*", "*"}, "comes back in the result, no more: Linux takes the channel's number, we count"},
	{difference{"* messages", "OPEN_CHANNEL", "VP", "0x1", "0x0"}, "Linux spreads interrupts over its processors, we take them all on the first"},
	{difference{"*", "*", "ring transaction", "*", "*"}, "the host repeats it in the completion and makes nothing of it: the guest's choice, if it is not taken twice"},
	{difference{"network", "*", "RNDIS request", "*", "*"}, "counted by both; HALT has no answer, so ours has a number of no request"},

	// VMBus.
	{difference{stream: "VMBus", message: "INITIATE_CONTACT 5.3", field: onlyLinux, linux: "connection 0x4, size 40,*"}, "the newest that Linux 6.12 knows"},
	{difference{stream: "VMBus", message: "INITIATE_CONTACT 6.0", field: onlyOurs, ours: "connection 0x4, size 40, version 6.0, VP 0, SINT 2, VTL 0, features 0x0,*"},
		"the newest that we know (OpenVMM); hosts that do not know it say so, and 5.3 is tried next"},
	{difference{stream: "* messages", message: "REL_ID_RELEASED", field: onlyLinux, linux: "*"},
		"hv_vmbus releases channels as it is unloaded, after UNLOAD even; UNLOAD ends all channels, and ours is the last word"},

	// Sizes of rings and buffers: chosen by each guest for its own load.
	{difference{"* messages", "GPADL_HEADER", "size", "*", "*"}, "a GPADL of another size"},
	{difference{"* messages", "GPADL_HEADER", "bytes", "*", "*"}, "a GPADL of another size"},
	{difference{"* messages", "GPADL_HEADER", "first range", "* bytes at 0", "* bytes at 0"}, "a GPADL of another size"},
	{difference{"* messages", "GPADL_HEADER", "page numbers", "*", "*"}, "a GPADL of another size"},
	{difference{"* messages", "GPADL_HEADER", "full bodies", "240 bytes with 28 page numbers", ""}, "a GPADL of another size"},
	{difference{"* messages", "GPADL_HEADER", "last body", "*", "*"}, "a GPADL of another size"},
	{difference{"* messages", "OPEN_CHANNEL", "second ring at page", "*", "*"}, "rings of another size"},

	// Linux with two processors opens sub-channels; we have one queue.
	{difference{stream: "* sub-channel*", message: "*", field: onlyLinux, linux: "*"}, "sub-channels are for many processors; our drivers open none"},
	{difference{stream: "SCSI", message: "CREATE_SUB_CHANNELS", field: onlyLinux, linux: "*"}, "our drivers open no sub-channels"},
	{difference{stream: "network", message: "SUB_CHANNEL", field: onlyLinux, linux: "*"}, "our drivers open no sub-channels"},
	{difference{stream: "network", message: "SET OID_GEN_RECEIVE_SCALE_PARAMETERS", field: onlyLinux, linux: "*"}, "no sub-channels, nothing to scale"},
	{difference{stream: "network", message: "QUERY OID_GEN_RECEIVE_SCALE_CAPABILITIES", field: onlyLinux, linux: "*"}, "no sub-channels, nothing to scale"},

	// StorVSC: initialisation.
	{difference{"SCSI", "BEGIN_INITIALIZATION", "vstor size", "64", "48"}, "no version is agreed on yet: the size of the oldest, which every host knows; OpenVMM takes any size from the header up"},
	{difference{"SCSI", "BEGIN_INITIALIZATION", "ring size", "80", "64"}, "follows from the message"},
	{difference{"SCSI", "QUERY_PROTOCOL_VERSION", "vstor size", "64", "48"}, "as for BEGIN_INITIALIZATION"},
	{difference{"SCSI", "QUERY_PROTOCOL_VERSION", "ring size", "80", "64"}, "follows from the message"},

	// StorVSC: looking for disks.
	{difference{stream: "SCSI", message: "EXECUTE_SRB * of path 1 target * LUN 0", field: onlyLinux, linux: "*"}, otherPath},
	{difference{stream: "SCSI", message: "EXECUTE_SRB * of path 2 target * LUN 0", field: onlyLinux, linux: "*"}, otherPath},
	{difference{stream: "SCSI", message: "EXECUTE_SRB * of path 3 target * LUN 0", field: onlyLinux, linux: "*"}, otherPath},
	{difference{stream: "SCSI", message: "EXECUTE_SRB * of path 4 target * LUN 0", field: onlyLinux, linux: "*"}, otherPath},
	{difference{stream: "SCSI", message: "EXECUTE_SRB * of path 5 target * LUN 0", field: onlyLinux, linux: "*"}, otherPath},
	{difference{stream: "SCSI", message: "EXECUTE_SRB * of path 6 target * LUN 0", field: onlyLinux, linux: "*"}, otherPath},
	{difference{stream: "SCSI", message: "EXECUTE_SRB * of path 7 target * LUN 0", field: onlyLinux, linux: "*"}, otherPath},
	{difference{stream: "SCSI", message: "EXECUTE_SRB INQUIRY of path 0 target 1 LUN 0", field: onlyLinux, linux: "*"}, "Linux tries LUN 0 of all targets; we ask by REPORT LUNS which there are"},
	{difference{stream: "SCSI", message: "EXECUTE_SRB INQUIRY page * of path 0 target 0 LUN 0", field: onlyLinux, linux: "*"}, "vital product data, of which we use none"},
	{difference{stream: "SCSI", message: "EXECUTE_SRB MODE SENSE(*) page 0x* of path 0 target 0 LUN 0", field: onlyLinux, linux: "*"}, "caching and control pages, and a second look at the write protection: we ask once for that"},
	{difference{stream: "SCSI", message: "EXECUTE_SRB READ CAPACITY(16) of path 0 target 0 LUN 0", field: onlyLinux, linux: "*"}, "Linux asks for SPC-3 disks' capacity by the long command first"},
	{difference{stream: "SCSI", message: "EXECUTE_SRB READ CAPACITY(10) of path 0 target 0 LUN 0", field: onlyOurs, ours: "*"}, "the short command is enough below 2 TiB (SBC-3 5.15), and all disks know it"},
	{difference{stream: "SCSI", message: "EXECUTE_SRB TEST UNIT READY of path 0 target 0 LUN 0", field: onlyLinux, linux: "*"}, "our first command that fails is repeated (sense.go), so none is needed to find out"},
	{difference{"SCSI", "EXECUTE_SRB INQUIRY of path 0 target 0 LUN 0", elsewhere, "", ""}, "we ask REPORT LUNS first, Linux INQUIRY"},
	{difference{"SCSI", "EXECUTE_SRB REPORT LUNS of path 0 target 1 LUN 0", elsewhere, "", ""}, "we look at both targets before any disk"},
	{difference{"SCSI", "EXECUTE_SRB * of path 0 target * LUN 0", "vstor SRB flags", "0x48", "0x14a"}, "to a disk not yet known Linux sends without a queue action; ours are all alike: SIMPLE, enabled, without freezing the queue"},
	{difference{"SCSI", "EXECUTE_SRB * of path 0 target * LUN 0", "vstor queue action", "0x0", "0x20"}, "as for the SRB flags"},
	{difference{"SCSI", "EXECUTE_SRB * of path 0 target * LUN 0", "vstor queue tag", "0x0", "0xff"}, "as for the SRB flags"},
	{difference{"SCSI", "EXECUTE_SRB INQUIRY of path 0 target 0 LUN 0", "ring range 0", "36 bytes at *", "36 bytes at 0"}, "memory is where each guest has it"},

	// StorVSC: the same command with another allocation length.
	{difference{"SCSI", "EXECUTE_SRB REPORT LUNS *", "vstor CDB", "a00000000000000010000000", "a00000000000000008080000"}, "allocation length 2056, for 256 LUNs: a request's LUN has 8 bits"},
	{difference{"SCSI", "EXECUTE_SRB REPORT LUNS *", "vstor transfer", "4096", "2056"}, "the allocation length"},
	{difference{"SCSI", "EXECUTE_SRB REPORT LUNS *", "ring memory", "4096", "2056"}, "the allocation length"},
	{difference{"SCSI", "EXECUTE_SRB REPORT LUNS *", "ring range 0", "4096 bytes at 0", "2056 bytes at 0"}, "the allocation length"},
	{difference{"SCSI", "EXECUTE_SRB MODE SENSE(6) page 0x3f *", "vstor CDB", "1a003f000400", "1a083f00c000"}, "DBD (no block descriptor is wanted), and allocation length 192 for the header and some pages; Linux takes the 4 bytes of the header"},
	{difference{"SCSI", "EXECUTE_SRB MODE SENSE(6) page 0x3f *", "vstor transfer", "4", "192"}, "the allocation length"},
	{difference{"SCSI", "EXECUTE_SRB MODE SENSE(6) page 0x3f *", "ring memory", "4", "192"}, "the allocation length"},
	{difference{"SCSI", "EXECUTE_SRB MODE SENSE(6) page 0x3f *", "ring range 0", "4 bytes at *", "192 bytes at 0"}, "the allocation length"},
	{difference{"SCSI", "EXECUTE_SRB READ(10) of path 0 target 0 LUN 0", "vstor CDB", "28000000001800000800", "28000000000000000800"}, "another block: Linux looks for partitions"},
	{difference{stream: "SCSI", message: "EXECUTE_SRB READ(10) of path 0 target 0 LUN 0", field: onlyLinux, linux: "*"}, "Linux looks for partitions, the test reads once"},

	// NetVSC.
	{difference{"network", "SEND_NDIS_CONFIG", "NVSP capabilities", "0xac", "0x8"}, "Linux: 802.1Q, SR-IOV, teaming, RSC; we: 802.1Q, the rest needs code that we have not"},
	{difference{"network", "*", "ring range 0", "* bytes at 136", "* bytes at 0"}, "Linux keeps its request in a larger structure, we have a page for it"},
	{difference{stream: "network", message: "QUERY OID_GEN_FRIENDLY_NAME", field: onlyLinux, linux: "*"}, "the card's name for people, Linux's ifalias"},
	{difference{stream: "network", message: "QUERY OID_GEN_LINK_SPEED", field: onlyLinux, linux: "*"}, "for ethtool"},
	{difference{stream: "network", message: "QUERY OID_802_3_CURRENT_ADDRESS", field: onlyOurs, ours: "*"}, "the administrator may have set another address than the permanent one"},
	{difference{"network", "QUERY OID_*", elsewhere, "", ""}, "queries have no order: OIDs are independent of one another"},
	{difference{"network", "SET OID_TCP_OFFLOAD_PARAMETERS", "RNDIS value", "80031c00010404040400000202000000000000000000000000000000", "80031c00030404010101000101000000000000000000000000000000"},
		"Linux: IPv4 header off, IPv6 and LSO version 2 on; we: IPv4 header on receipt, IPv6 and LSO off, as we make no use of them"},
	{difference{"network", "PACKET of type 0806", "RNDIS PPI", "0 bytes at 36", "0 bytes at 0"}, "zero if there is no per-packet information (Remote NDIS, REMOTE_NDIS_PACKET_MSG)"},
	{difference{stream: "network", message: "PACKET of type 86dd", field: onlyLinux, linux: "*"}, "Linux has IPv6"},
	{difference{stream: "network completions", message: "SEND_RNDIS_PACKET_COMPLETE", field: onlyLinux, linux: "packet completion packet, ring size 24,* NVSP size 8, NVSP status success"}, "one for each message of the host, which has more to answer for Linux"},

	// Integration services.
	{difference{"*", "NEGOTIATE", "IC other", "01@44 03@48*", ""}, "Linux leaves the host's list of versions behind its answer, we zeros: the header's counts end it"},
	{difference{"time synchronisation", "TIMESYNC", "IC host's time", "*", "*"}, "the host's question, sent back: it was asked at another time"},
	{difference{"time synchronisation", "TIMESYNC", "IC reference", "*", "0"}, "the host's question, sent back"},
}
