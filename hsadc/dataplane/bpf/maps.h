/* What user space and the programs share. The loader makes the maps from these definitions and compares each size with its
 * own record, so that the two sides cannot drift apart unnoticed. */
#pragma once

#include "kernel.h"

/* Set on every encapsulated copy: whatever interface it passes later, it is not copied again. "hsad" in ASCII. */
static const u32 COPY_MARK = 0x68736164;

struct rule_key {
	u8 address[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
	be16 port;
	u8 protocol;
	u8 pad;
};

struct rule {
	u32 helper; /* ifindex of the tunnel's helper device */
	u32 id;     /* key of rule_counters */
};

/* Packets as the wire carries them: one that the device will segment counts once for each segment. Bytes are of IP packets. */
struct rule_counters {
	u64 matched_packets;
	u64 matched_bytes;
	u64 cloned;       /* handed to the tunnel */
	u64 clone_failed; /* no memory, or the helper device is gone */
	u64 fragmented;   /* came in IP fragments (counted by the first): no fragment is copied */
};

enum tunnel_state { TUNNEL_UP = 0, TUNNEL_NO_ROUTE = 1, TUNNEL_NO_NEIGHBOUR = 2 };
enum { TUNNEL_HAS_KEY = 1 << 0 };

struct tunnel {
	/* as configured */
	be32 source;
	be32 destination;
	be32 key;
	u32 flags;
	u32 mtu; /* bytes of an outer IP packet */
	char egress[16];
	/* as resolved from the kernel's routes and neighbours, and kept so by user space */
	u32 state;
	u32 ifindex;
	be32 next_hop;
	u32 path_mtu; /* at most mtu */
};

/* Every copy that reaches the encapsulator is counted once: as sent, or under the reason why it was dropped. */
struct tunnel_counters {
	u64 sent_packets;  /* after segmentation */
	u64 sent_bytes;    /* of the inner IP packets */
	u64 split;         /* segments larger than the path, sent in pieces; the pieces count as sent */
	u64 no_route;      /* nothing leads to the analyzer */
	u64 no_neighbour;  /* the next hop does not answer */
	u64 oversize;      /* larger than the path, and cannot be split */
	u64 not_ip;        /* no complete IPv4 packet */
	u64 analyzer;      /* to or from the analyzer itself */
	u64 encapsulation; /* the kernel refused: no memory, or encapsulated already */
};

/* The part of a TCP segment that the next packet on this CPU shall be cut down to; length 0: it is no part. */
struct piece {
	u32 offset; /* of its first byte in the segment's payload */
	u32 length;
	u32 number; /* from 0 */
	u32 last;
};

/* Adds to one counter of a record, its offset fixed in the instruction. Left to itself the compiler merges the counts of several
 * branches into one at a computed address, which the verifier refuses to a process without CAP_PERFMON. */
#define COUNT(counters, counter, number)                                                                                \
	do {                                                                                                            \
		u64 value_;                                                                                             \
		asm volatile("%0 = *(u64 *)(%1 + %2)"                                                                   \
			     : "=r"(value_)                                                                             \
			     : "r"(counters), "i"(__builtin_offsetof(__typeof__(*(counters)), counter))                 \
			     : "memory");                                                                               \
		value_ += (number);                                                                                     \
		asm volatile("*(u64 *)(%0 + %1) = %2"                                                                   \
			     :                                                                                          \
			     : "r"(counters), "i"(__builtin_offsetof(__typeof__(*(counters)), counter)), "r"(value_)    \
			     : "memory");                                                                               \
	} while (0)

struct map {
	u32 type, key_size, value_size, max_entries, flags;
};

/* Which packets are copied, and to which tunnel. */
struct map rules SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct rule_key), sizeof(struct rule), 65536, 0};

/* What was matched, for each rule's id. */
struct map rule_counters SECTION("maps") = {BPF_MAP_TYPE_PERCPU_HASH, sizeof(u32), sizeof(struct rule_counters), 65536,
						   BPF_F_NO_PREALLOC};

/* How a helper device (by ifindex) encapsulates. */
struct map tunnels SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(u32), sizeof(struct tunnel), 1024, 0};

/* What became of the copies, for each helper device. */
struct map tunnel_counters SECTION("maps") = {BPF_MAP_TYPE_PERCPU_HASH, sizeof(u32), sizeof(struct tunnel_counters), 1024,
						     BPF_F_NO_PREALLOC};

/* The outer IP identification to use next, for each helper device; apart from `tunnels`, whose values are replaced. */
struct map identifications SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(u32), sizeof(u32), 1024, 0};

/* What the splitter tells the encapsulator that it calls again; one entry. */
struct map pieces SECTION("maps") = {BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(u32), sizeof(struct piece), 1, 0};
