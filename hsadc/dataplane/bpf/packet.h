/* Header layouts and the Internet checksum. Packets are read and written through the kernel's helpers, never through packet
 * pointers: that works for any layout of the buffer and asks for no capability beyond CAP_BPF and CAP_NET_ADMIN. */
#pragma once

#include "kernel.h"

enum { ETH_LENGTH = 14, VLAN_LENGTH = 4, IP_LENGTH = 20, TCP_LENGTH = 20, UDP_LENGTH = 8, GRE_LENGTH = 4, GRE_KEY_LENGTH = 4 };
enum { HEADER_MAX = 64 }; /* an IPv4 or TCP header has at most 60 bytes; the next power of two makes bounds cheap to prove */
enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_GRE = 47 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_URG = 32, TCP_CWR = 128 };

/* Ethertypes and flags in network byte order on a little-endian machine (the only target). */
static const be16 ETH_IP = 0x0008, ETH_VLAN = 0x0081, ETH_QINQ = 0xa888;
static const be16 IP_FRAGMENT = 0xff3f /* more fragments, or an offset */, IP_OFFSET = 0xff1f;
static const be16 GRE_HAS_KEY = 0x0020;

struct ip { /* RFC 791 */
	u8 version_length, tos;
	be16 total, id, fragment;
	u8 ttl, protocol;
	be16 checksum;
	be32 source, destination;
};

struct tcp { /* RFC 9293 */
	be16 source, destination;
	be32 sequence, acknowledgement;
	u8 offset, flags;
	be16 window, checksum, urgent;
};

struct gre { /* RFC 2784, key of RFC 2890 */
	be16 flags, protocol;
	be32 key;
};

INLINE u32 ip_length(const struct ip *ip) { return (ip->version_length & 15) * 4; }
INLINE u32 tcp_length(const struct tcp *tcp) { return (tcp->offset >> 4) * 4; }
INLINE int is_vlan(be16 ethertype) { return ethertype == ETH_VLAN || ethertype == ETH_QINQ; }

/* Sum of 16-bit words, carries included, continued from `seed`; `size` is a multiple of 4 (RFC 1071). */
INLINE u32 sum(const void *bytes, u32 size, u32 seed)
{
	s64 total = bpf_csum_diff(0, 0, (be32 *)bytes, size, seed);

	return total < 0 ? 0 : (u32)total;
}

INLINE u16 fold(u32 total)
{
	total = (total & 0xffff) + (total >> 16);
	total = (total & 0xffff) + (total >> 16);
	return ~total;
}

/* Length of the IP and transport headers that every segment of the packet repeats; 0 when it is neither TCP nor UDP, or cut off. */
INLINE u32 headers_length(const struct __sk_buff *skb, u32 ip_offset, const struct ip *ip)
{
	struct tcp tcp;

	if (ip->protocol == PROTOCOL_UDP)
		return ip_length(ip) + UDP_LENGTH;
	if (ip->protocol != PROTOCOL_TCP || bpf_skb_load_bytes(skb, ip_offset + ip_length(ip), &tcp, sizeof(tcp)))
		return 0;
	return ip_length(ip) + tcp_length(&tcp);
}
