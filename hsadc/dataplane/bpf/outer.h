/* The outer headers: user space writes them into the tunnel's record, and what differs from packet to packet is filled in here.
 *
 *     | outer Ethernet (14) | outer IPv4 (20) or IPv6 (40) | shim: GRE [+ ERSPAN], or UDP + VXLAN | IP packet, or frame | */
#pragma once

#include "frame.h"
#include "split.h"

static const be32 ERSPAN_TRUNCATED = 0x00040000; /* in network order; see erspan() */

/* Everything that a copy meets on its way, so that functions have few arguments. */
struct way {
	struct tunnel *tunnel;
	struct destination_counters *counters;
	struct series *series;
	struct scratch *scratch;
	u32 layer2;    /* bytes of the payload's Ethernet header with its tags; 0: the payload is an IP packet */
	u32 room;      /* bytes that are put in front of the IP packet */
	u32 truncated; /* the payload's end is missing */
	/* how it leaves, once it fits: */
	u64 flags;    /* of bpf_skb_adjust_room */
	u32 packets;  /* outer packets */
	u32 repeated; /* bytes of headers that each of them after the first repeats */
};

/* ERSPAN II and III begin alike: version, VLAN; COS, En (in III: BSO), T, session. The template has version and session. */
INLINE be32 erspan(be32 word, const struct tunnel *tunnel, const struct frame *frame, u32 truncated)
{
	if (frame->tags) {
		u16 tag = swap16(frame->tag[0]);
		u32 bits = (u32)(tag & 0x0fff) << 16 | (u32)(tag & 0xe000);

		if (tunnel->version == 2)
			bits |= 3 << 11;
		word |= swap32(bits);
	}
	return truncated ? word | ERSPAN_TRUNCATED : word;
}

/* Fills in the shim; it stands `shim` bytes into the outer packet, `length` bytes of which are shim and payload. */
INLINE void fill_shim(u8 *shim, const struct way *way, u32 length)
{
	const struct tunnel *tunnel = way->tunnel;
	const struct frame *frame = &way->scratch->frame;

	if (tunnel->kind == VXLAN) {
		*(be16 *)shim = swap16((u16)(49152 + (way->scratch->hash & 0x3fff)));
		*(be16 *)(shim + 4) = length > 0xffff ? 0 : swap16((u16)length);
	} else if (tunnel->kind == ERSPAN && tunnel->version > 1) {
		*(be32 *)(shim + 4) = swap32(way->scratch->sequence);
		*(be32 *)(shim + 8) = erspan(*(be32 *)(shim + 8), tunnel, frame, way->truncated);
		if (tunnel->version == 3)
			*(be32 *)(shim + 12) = swap32((u32)(bpf_ktime_get_ns() / 100000));
	} else if (!way->layer2) {
		*(be16 *)(shim + 2) = frame->ethertype;
	}
}

/* Fills in the outer header in front of `length` bytes of shim and payload. */
INLINE void fill_outer(u8 *outer, const struct way *way, u32 length)
{
	u32 total = IP_LENGTH + length;
	struct ip *ip = (struct ip *)outer;

	if (way->tunnel->ip_size == IPV6_LENGTH) {
		((struct ipv6 *)outer)->payload = length > 0xffff ? 0 : swap16((u16)length);
		fill_shim(outer + IPV6_LENGTH, way, length);
		return;
	}
	/* A packet that will be segmented may be longer than the field holds: 0 then, as the kernel itself does. */
	ip->total = total > 0xffff ? 0 : swap16((u16)total);
	ip->id = swap16((u16)way->scratch->identification);
	ip->checksum = fold(way->tunnel->ip_sum + ip->total + ip->id);
	fill_shim(outer + IP_LENGTH, way, length);
}

/* Where the shim is in scratch. */
INLINE u8 *shim_of(const struct way *way)
{
	u8 *shim;

	if (way->tunnel->ip_size == IPV6_LENGTH) {
		shim = way->scratch->outer + OUTER_AT + IPV6_LENGTH;
		SETTLE(shim, "IPv6");
	} else {
		shim = way->scratch->outer + OUTER_AT + IP_LENGTH;
		SETTLE(shim, "IPv4");
	}
	return shim;
}

INLINE void load_template(const struct way *way)
{
	u64 *to = (u64 *)way->scratch->outer;
	const u64 *from = (const u64 *)way->tunnel->outer;

#pragma unroll
	for (int i = 0; i < OUTER_SIZE / 8; i++)
		to[i] = from[i];
}

/* Ethernet header, outer IP header and shim. */
INLINE long store_outer(struct __sk_buff *skb, const struct way *way, u32 size)
{
	size += ETH_LENGTH;
	asm volatile("%0 &= 127" : "+r"(size));
	if (!size)
		return -1;
	return bpf_skb_store_bytes(skb, 0, way->scratch->outer + OUTER_AT - ETH_LENGTH, size, BPF_F_RECOMPUTE_CSUM);
}

/* The Ethernet header of the payload, with its tags, at `at`; its MAC addresses are those of the frame. */
INLINE long store_layer2(struct __sk_buff *skb, const struct frame *frame, u32 at, const u8 *macs)
{
	long failed = bpf_skb_store_bytes(skb, at, macs, 12, BPF_F_RECOMPUTE_CSUM);

	at += 12;
	for (u32 i = 0; i < TAGS_MAX; i++) {
		be16 tag[2] = {frame->tag_protocol[i], frame->tag[i]};

		if (i >= frame->tags)
			break;
		failed |= bpf_skb_store_bytes(skb, at, tag, sizeof(tag), BPF_F_RECOMPUTE_CSUM);
		at += VLAN_LENGTH;
	}
	return failed | bpf_skb_store_bytes(skb, at, &frame->ethertype, sizeof(be16), BPF_F_RECOMPUTE_CSUM);
}

/* The checksum of GRE covers shim, the payload's Ethernet header and the packet as it is before it is wrapped; the shim's own
 * bytes are in scratch, its checksum field zero. */
INLINE long sum_gre(struct __sk_buff *skb, const struct way *way, u32 *total)
{
	const struct frame *frame = &way->scratch->frame;
	u8 macs[12];

	*total = sum(shim_of(way), 16, 0);
	if (way->layer2) {
		if (bpf_skb_load_bytes(skb, 0, macs, 12))
			return -1;
		*total = sum(macs, 12, *total);
		for (u32 i = 0; i < TAGS_MAX && i < frame->tags; i++) {
			be16 tag[2] = {frame->tag_protocol[i], frame->tag[i]};

			*total = sum(tag, sizeof(tag), *total);
		}
		be16 type[2] = {frame->ethertype, 0};

		*total = sum(type, sizeof(type), *total);
	}
	return sum_rest(skb, way->scratch, ETH_LENGTH, total);
}

/* Stores a word at an offset that is fixed in the instruction; see COUNT. */
#define STORE(pointer, offset, word) asm volatile("*(u32 *)(%0 + %1) = %2" : : "r"(pointer), "i"(offset), "r"(word) : "memory")

/* The sequence number of plain GRE stands behind its other options. */
INLINE void fill_sequence(const struct way *way)
{
	u8 *shim = shim_of(way);
	u32 flags = way->tunnel->flags;
	be32 sequence = swap32(way->scratch->sequence);

	if (way->tunnel->kind != GRE || !(flags & HAS_SEQUENCE))
		return;
	if ((flags & (HAS_CHECKSUM | HAS_KEY)) == (HAS_CHECKSUM | HAS_KEY))
		STORE(shim, 12, sequence);
	else if (flags & (HAS_CHECKSUM | HAS_KEY))
		STORE(shim, 8, sequence);
	else
		STORE(shim, 4, sequence);
}

INLINE void fill_checksum(const struct way *way, u32 total)
{
	*(be16 *)(shim_of(way) + 4) = fold(total);
}

/* Takes the numbers of `packets` outer packets, and writes outer header and shim for a payload of `length` bytes into scratch. */
INLINE long write_outer(struct __sk_buff *skb, const struct way *way, u32 length, u32 packets)
{
	u32 total;

	way->scratch->identification = __sync_fetch_and_add(&way->series->identification, packets);
	if (way->tunnel->flags & HAS_SEQUENCE)
		way->scratch->sequence = __sync_fetch_and_add(&way->series->sequence, packets);
	load_template(way);
	fill_outer(way->scratch->outer + OUTER_AT, way, way->tunnel->outer_size - way->tunnel->ip_size + length);
	fill_sequence(way);
	if (way->tunnel->flags & HAS_CHECKSUM) {
		if (sum_gre(skb, way, &total))
			return -1;
		fill_checksum(way, total);
	}
	return 0;
}

/* Makes room for `size` bytes of outer headers and `layer2` of the payload's Ethernet header, and fills in the latter. The caller
 * writes the outer Ethernet header: with a multicast address of the copied frame in it, the kernel would silently drop what is sent
 * to a next hop. */
INLINE long make_room(struct __sk_buff *skb, const struct way *way, u64 flags, u32 size, u32 layer2)
{
	u8 macs[12];

	if (layer2 && bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
		return -1;
	flags |= way->tunnel->ip_size == IPV6_LENGTH ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	if (layer2)
		flags |= (u64)layer2 << BPF_F_ADJ_ROOM_ENCAP_L2_SHIFT | BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
	if (bpf_skb_adjust_room(skb, (s32)(size + layer2), BPF_ADJ_ROOM_MAC, flags))
		return -1;
	return layer2 ? store_layer2(skb, &way->scratch->frame, ETH_LENGTH + size, macs) : 0;
}

INLINE long wrap(struct __sk_buff *skb, const struct way *way)
{
	u32 size = way->tunnel->outer_size;
	u64 flags = way->flags;

	flags |= way->tunnel->kind == VXLAN ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP : BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
	if (make_room(skb, way, flags, size, way->layer2))
		return -1;
	return store_outer(skb, way, size);
}
