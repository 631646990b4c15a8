/* Header layouts and their numbers; all fields in network byte order. */
#pragma once

#include "kernel.h"

enum { ETH_LENGTH = 14, VLAN_LENGTH = 4, IP_LENGTH = 20, IPV6_LENGTH = 40, TCP_LENGTH = 20, UDP_LENGTH = 8, FRAGMENT_LENGTH = 8, JUMBO_LENGTH = 8 };
enum { HEADER_MAX = 64 }; /* an IPv4 or TCP header has at most 60 bytes; the next power of two makes bounds cheap to prove */
enum { EXTENSIONS_MAX = 6 };
enum { HOP_BY_HOP = 0, ICMP = 1, TCP = 6, UDP = 17, ROUTING = 43, FRAGMENT_HEADER = 44, GRE_PROTOCOL = 47, ICMPV6 = 58, DESTINATION = 60 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_URG = 32, TCP_CWR = 128 };

/* Ethertypes and flags in network byte order on a little-endian machine (the only target). */
static const be16 ETH_IP = 0x0008, ETH_IPV6 = 0xdd86, ETH_VLAN = 0x0081, ETH_QINQ = 0xa888;
static const be16 IP_MORE = 0x0020, IP_FRAGMENT = 0xff3f /* more fragments, or an offset */, IP_OFFSET = 0xff1f;
static const be16 FRAGMENT_OFFSET = 0xf8ff, FRAGMENT_PLACE = 0xf9ff; /* of an IPv6 fragment header; with "more" */

static const be16 JUMBO_OPTION = 0x04c2; /* type and length, the first option of a hop-by-hop header */

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d; compared in words. */
struct address {
	be32 word[4];
};

struct ip { /* RFC 791 */
	u8 version_length, tos;
	be16 total, id, fragment;
	u8 ttl, protocol;
	be16 checksum;
	be32 source, destination;
};

struct ipv6 { /* RFC 8200 */
	be32 version_class_label;
	be16 payload;
	u8 next, hops;
	struct address source, destination;
};

struct extension { /* RFC 8200, section 4; of the fragment header all eight bytes */
	u8 next, length;
	be16 fragment;
	be32 identification;
};

struct tcp { /* RFC 9293 */
	be16 source, destination;
	be32 sequence, acknowledgement;
	u8 offset, flags;
	be16 window, checksum, urgent;
};

INLINE u32 ip_length(const struct ip *ip) { return (ip->version_length & 15) * 4; }
INLINE u32 tcp_length(const struct tcp *tcp) { return (tcp->offset >> 4) * 4; }
/* The kernel has numbers of its own (and so have some senders) for frames whose Ethertype field is a length (IEEE 802.3). */
INLINE int is_length(be16 ethertype) { return swap16(ethertype) < 0x600; }
INLINE int is_vlan(be16 ethertype) { return ethertype == ETH_VLAN || ethertype == ETH_QINQ; }

/* A header of variable length: at most 60 bytes, the rest zero so that sums may run over all of it. */
union header {
	struct ip ip;
	struct ipv6 ipv6;
	struct tcp tcp;
	u8 bytes[HEADER_MAX];
};
