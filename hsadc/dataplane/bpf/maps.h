/* What user space and the programs share. The loader makes the maps from these definitions and compares each size with its
 * own record, so that the two sides cannot drift apart unnoticed. What is counted when: docs/mirror.md. */
#pragma once

#include "headers.h"

/* Set on every copy that leaves: whatever interface it passes later, it is not copied again. "hsad" in ASCII. */
static const u32 COPY_MARK = 0x68736164;

enum { DESTINATIONS_MAX = 8 };

struct rule_key {
	struct address address;
	be16 port;
	u8 protocol;
	u8 hop; /* 1: packets on the clear hop; 0: those on all other devices */
};

enum { FORWARD = 1, BACKWARD = 2 };

/* What is mirrored: a virtual server (by rule_key) or a device (by ifindex). */
struct source {
	u32 id; /* key of source_counters */
	u32 profile;
	u32 access_list; /* 0: none */
	u32 directions;
};

struct source_counters {
	u64 seen;
	u64 loop_guard;
	u64 filtered;
	u64 sampled_out;
	u64 matched_packets;
	u64 matched_bytes;
	u64 copied;
	u64 failed;
};

/* An access list: a mask has a bit for each rule, the first rule's the lowest (access_masks.py). */
struct access_masks {
	u64 source, destination; /* rules that a value fits as a source, as a destination */
};

struct access_list {
	u64 permit;
	u64 any_protocol;             /* rules that fit a protocol which has no entry */
	struct access_masks portless; /* rules that fit packets without ports */
};

struct access_network {
	u32 prefix; /* bits of what follows */
	be32 list;
	struct address address;
};

struct access_port {
	u32 prefix; /* bits of what follows */
	be32 list;
	be16 port;
	u16 pad;
};

struct access_protocol {
	u32 list;
	u16 protocol;
	u16 family;
};

enum { REPLICATE = 0, FLOW_HASH = 1, FAILOVER = 2 };

struct profile {
	u32 number;
	u32 directions;
	u32 distribute;
	u32 sample_packets;
	u32 sample_flows;
	u32 access_list; /* 0: none */
	u32 truncate;    /* bytes; 0: off */
	u32 rate_pps;    /* 0: no limit */
	u32 rate_mbps;   /* 0: no limit */
	u32 needs_hash;
	u32 limited; /* anything above is asked of single copies */
	u32 count;
	u32 live; /* a bit for each destination that is up; kept so by user space */
	/* Not the last field: a pointer that goes through it must not come to the end of the record, without CAP_PERFMON. */
	u32 devices[DESTINATIONS_MAX]; /* ifindex of the device that copies are handed to: the helper, or the bridge on it */
	u32 helpers[DESTINATIONS_MAX]; /* ifindex of the tunnel's helper device */
};

enum tunnel_state { TUNNEL_UP = 0, TUNNEL_NO_ROUTE = 1, TUNNEL_NO_NEIGHBOUR = 2, TUNNEL_LINK_DOWN = 3 };
enum tunnel_kind { NONE = 0, GRE = 1, ERSPAN = 2, VXLAN = 3 };
enum { HAS_KEY = 1, HAS_SEQUENCE = 2, HAS_CHECKSUM = 4, HAS_ETHERNET = 8, DONT_FRAGMENT = 16 };
enum { SEGMENT = 0, FRAGMENT = 1, TRUNCATE = 2, DROP_OVERSIZE = 3 };
enum { OUTER_AT = 16, OUTER_SIZE = 88 };

struct tunnel {
	u32 helper; /* its own key */
	/* as configured */
	struct address source, destination;
	u8 kind, version, ttl, dscp;
	u16 flags, port;
	u32 number; /* GRE key, ERSPAN session or VNI */
	u32 oversize;
	u32 mtu; /* bytes of an outer IP packet */
	char egress[16];
	/* made of it: two bytes for alignment, the outer Ethernet header, at OUTER_AT the outer IP header and the shim, with all that
	 * differs from packet to packet left zero */
	u8 outer[OUTER_SIZE];
	u32 outer_size; /* of IP header and shim */
	u32 ip_size; /* 20 or 40 */
	u32 ip_sum;  /* sum of the IPv4 header's words */
	/* as resolved from the kernel's routes and neighbours, and kept so by user space */
	u32 state;
	u32 ifindex;
	u32 path_mtu; /* at most mtu */
	u32 hop_family;
	be32 next_hop[4];
	u64 fresh_ns; /* until then the Ethernet header in `outer` is right; 0: never */
};

/* What is counted up for a helper device; apart from `tunnels`, whose values are replaced. */
struct series {
	u32 identification; /* of the next outer IP packet */
	u32 sequence;       /* of the next GRE packet */
};

/* A destination of a profile; profile 0: put into the helper device by user space. */
struct destination_key {
	u32 profile;
	u32 helper;
};

/* Every copy is counted once: as sent, as not in the sample, or under the reason why it was dropped. */
struct destination_counters {
	u64 copies;
	u64 extra;
	u64 sent_packets;
	u64 sent_bytes;
	u64 sampled_out;
	u64 no_route;
	u64 no_neighbour;
	u64 link_down;
	u64 loop_guard;
	u64 not_ip;
	u64 rate_limit;
	u64 oversize;
	u64 encapsulation;
	u64 truncated;
	u64 split;
	u64 fragmented;
};

struct bucket {
	u64 arrival_ns; /* theoretical arrival time of the next packet (generic cell rate algorithm) */
	u64 packets;    /* that sampling has counted */
};

/* Datagrams in fragments: the ports stand in the first one. */
struct fragment_key {
	struct address source, destination;
	be32 identification;
	u32 protocol;
};

struct ports {
	be16 source, destination;
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

/* Virtual servers whose packets are copied. */
struct map rules SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct rule_key), sizeof(struct source), 65536, 0};

/* Devices (by ifindex) all of whose packets are copied. */
struct map port_mirrors SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(u32), sizeof(struct source), 1024, 0};

/* What became of a source's packets, by its id. */
struct map source_counters SECTION("maps") = {BPF_MAP_TYPE_PERCPU_HASH, sizeof(u32), sizeof(struct source_counters), 65536,
						     BPF_F_NO_PREALLOC};

/* Access lists, which never change: another list has another number. */
struct map access_lists SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(u32), sizeof(struct access_list), 4096, BPF_F_NO_PREALLOC};

/* Their tables: what an address, a port and a protocol fit. */
struct map access_networks SECTION("maps") = {BPF_MAP_TYPE_LPM_TRIE, sizeof(struct access_network), sizeof(struct access_masks),
						     262144, BPF_F_NO_PREALLOC};
struct map access_ports SECTION("maps") = {BPF_MAP_TYPE_LPM_TRIE, sizeof(struct access_port), sizeof(struct access_masks), 262144,
						  BPF_F_NO_PREALLOC};
struct map access_protos SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct access_protocol), sizeof(u64), 262144,
						   BPF_F_NO_PREALLOC};

/* How packets become copies, by the profile's number. */
struct map profiles SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(u32), sizeof(struct profile), 4096, 0};

/* Analyzers' addresses: a mirrored interface must not copy what they say themselves. */
struct map analyzers SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct address), sizeof(u32), 1024, 0};

/* UDP ports (network order) that carry VXLAN: what is encapsulated already is not copied from an interface. */
struct map vxlan_ports SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(u32), sizeof(u32), 1024, 0};

/* The ports of datagrams that come in fragments; the kernel forgets the oldest. */
struct map fragments SECTION("maps") = {BPF_MAP_TYPE_LRU_HASH, sizeof(struct fragment_key), sizeof(struct ports), 8192, 0};

/* How a helper device (by ifindex) encapsulates. */
struct map tunnels SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(u32), sizeof(struct tunnel), 1024, 0};

/* Numbers that go up with each packet, by helper device. */
struct map series SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(u32), sizeof(struct series), 1024, 0};

/* What became of the copies of a profile's destination. */
struct map copy_counters SECTION("maps") = {BPF_MAP_TYPE_PERCPU_HASH, sizeof(struct destination_key),
							  sizeof(struct destination_counters), 8192, BPF_F_NO_PREALLOC};

/* Rate limit and packet sampling of a profile's destination. */
struct map buckets SECTION("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct destination_key), sizeof(struct bucket), 8192, 0};
