// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

// registerEtc makes the files of /etc that package net and os/user read. boot registers resolv.conf once a
// lease has told the name servers, and the certificates of the image.
func registerEtc() {
	for path, text := range map[string]string{
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
		"/etc/passwd":        "root:x:0:0:root:/:/sbin/nologin\n",
		"/etc/group":         "root:x:0:\n",
		"/etc/resolv.conf":   "",
		"/etc/protocols":     "ip\t0\tIP\nicmp\t1\tICMP\ntcp\t6\tTCP\nudp\t17\tUDP\nipv6-icmp\t58\tIPv6-ICMP\n",
		"/etc/services": "ssh\t22/tcp\ndomain\t53/tcp\ndomain\t53/udp\nhttp\t80/tcp\nntp\t123/udp\nhttps\t443/tcp\nhttps\t443/udp\n" +
			"syslog\t514/udp\nsubmission\t587/tcp\nimaps\t993/tcp\n",
		"/etc/os-release": "ID=hvgo\nNAME=hvgo\nPRETTY_NAME=hvgo\n",
	} {
		RegisterText(path, func() string { return text })
	}
	RegisterText("/etc/hostname", func() string { return Hostname() + "\n" })
	RegisterText("/etc/hosts", func() string {
		return "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.1.1\t" + Hostname() + "\n"
	})
	RegisterDir("/etc/ssl/certs")
	for _, dir := range []string{"/bin", "/home", "/mnt", "/opt", "/root", "/run", "/sbin", "/usr/bin", "/usr/lib", "/usr/local", "/var/lib", "/var/log"} {
		RegisterDir(dir)
	}
}
