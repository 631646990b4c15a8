/* What the programs need of the kernel's BPF interface, so that no kernel or libbpf header is needed to compile them.
 * Names and numbers are those of include/uapi/linux/bpf.h; they never change. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int s32;
typedef signed long long s64;
typedef u16 be16; /* network byte order */
typedef u32 be32;

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

INLINE u16 swap16(u16 value) { return __builtin_bswap16(value); }
INLINE u32 swap32(u32 value) { return __builtin_bswap32(value); }

struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping;
	be16 protocol, protocol_pad;
	u32 vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data,
		data_end, napi_id, family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port,
		data_meta;
	u64 flow_keys, tstamp;
	u32 wire_len, gso_segs;
	u64 sk;
	u32 gso_size;
};

struct bpf_redir_neigh {
	u32 family;
	be32 next_hop[4];
};

enum { TC_ACT_UNSPEC = -1, TC_ACT_SHOT = 2 };
/* Entries are allocated when they are made, not all at once for each possible CPU. */
enum { BPF_F_NO_PREALLOC = 1 };

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_PERCPU_HASH = 5, BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_MAP_TYPE_LRU_HASH = 9, BPF_MAP_TYPE_LPM_TRIE = 11 };
enum { BPF_ADJ_ROOM_NET = 0, BPF_ADJ_ROOM_MAC = 1 };
enum { AF_INET = 2, AF_INET6 = 10 };

static const u64 BPF_F_RECOMPUTE_CSUM = 1 << 0;
static const u64 BPF_F_ADJ_ROOM_FIXED_GSO = 1 << 0;
static const u64 BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 = 1 << 1;
static const u64 BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 = 1 << 2;
static const u64 BPF_F_ADJ_ROOM_ENCAP_L4_GRE = 1 << 3;
static const u64 BPF_F_ADJ_ROOM_ENCAP_L4_UDP = 1 << 4;
static const u64 BPF_F_ADJ_ROOM_ENCAP_L2_ETH = 1 << 6;
static const u32 BPF_F_ADJ_ROOM_ENCAP_L2_SHIFT = 56;

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_skb_store_bytes)(struct __sk_buff *, u32 offset, const void *from, u32 length, u64 flags) = (void *)9;
static long (*const bpf_clone_redirect)(struct __sk_buff *, u32 ifindex, u64 flags) = (void *)13;
static long (*const bpf_skb_vlan_push)(struct __sk_buff *, be16 protocol, u16 tag) = (void *)18;
static long (*const bpf_skb_vlan_pop)(struct __sk_buff *) = (void *)19;
static long (*const bpf_redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*const bpf_skb_load_bytes)(const struct __sk_buff *, u32 offset, void *to, u32 length) = (void *)26;
static s64 (*const bpf_csum_diff)(be32 *from, u32 from_size, be32 *to, u32 to_size, u32 seed) = (void *)28;
static long (*const bpf_skb_change_tail)(struct __sk_buff *, u32 length, u64 flags) = (void *)38;
static long (*const bpf_skb_adjust_room)(struct __sk_buff *, s32 difference, u32 mode, u64 flags) = (void *)50;
static u64 (*const bpf_ktime_get_coarse_ns)(void) = (void *)160;
static long (*const bpf_redirect_neigh)(u32 ifindex, struct bpf_redir_neigh *, int size, u64 flags) = (void *)152;
