/* The encapsulator: runs where a copy leaves a helper device, wraps it in what its tunnel says and sends it to the next hop.
 *
 *     | outer IPv4 (20) or IPv6 (40) | shim: GRE [+ ERSPAN], or UDP + VXLAN | IP packet, or frame |
 *
 * User space writes outer header and shim into the tunnel's record; what differs from packet to packet is filled in here. */
#pragma once

#include "outer.h"

enum { GSO_PAYLOAD_MIN = 8, BURST_NS = 100000000, CASES_OF_ARRIVAL = 4 };
static const u64 SECOND_NS = 1000000000;

/* No verdict yet: the copy fits, and is to be wrapped and sent. */
enum { READY = 0 };

/* The verdict that drops a copy, which is counted under its reason. */
#define DROP(counters, reason, packets)                     \
	({                                                  \
		COUNT(counters, reason, packets);           \
		TC_ACT_SHOT;                                \
	})

/* Lowers the size of the segments that a packet will be cut into by `less` bytes: growing a packet lowers it, shrinking it back
 * need not raise it. */
INLINE long lower_gso_size(struct __sk_buff *skb, u32 less)
{
#pragma unroll
	for (u32 i = 0; i < ADJUST_TIMES && less; i++) {
		s32 step = less < ADJUST_MAX ? less : ADJUST_MAX;

		if (bpf_skb_adjust_room(skb, step, BPF_ADJ_ROOM_MAC, 0) ||
		    bpf_skb_adjust_room(skb, -step, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
			return -1;
		less -= step;
	}
	return less ? -1 : 0;
}

INLINE int leave(struct __sk_buff *skb, const struct way *way)
{
	const struct tunnel *tunnel = way->tunnel;
	struct bpf_redir_neigh neighbour = {.family = tunnel->hop_family};
	u32 device = tunnel->ifindex;

	skb->mark = COPY_MARK;
	/* The hardware address is known, as long as somebody watches over it; else the kernel resolves it. */
	if (tunnel->kind == NONE || bpf_ktime_get_coarse_ns() < tunnel->fresh_ns)
		return (int)bpf_redirect(device, 0);
#pragma unroll
	for (int i = 0; i < 4; i++)
		neighbour.next_hop[i] = tunnel->next_hop[i];
	return (int)bpf_redirect_neigh(device, &neighbour, sizeof(neighbour), 0);
}

INLINE int send(struct __sk_buff *skb, const struct way *way)
{
	u32 length = skb->len - ETH_LENGTH + way->layer2;

	if (way->tunnel->kind == NONE)
		restore(skb, &way->scratch->frame);
	else if (write_outer(skb, way, length, way->packets) || wrap(skb, way))
		return DROP(way->counters, encapsulation, way->packets);
	FORGET();
	if (way->tunnel->helper != skb->ifindex) /* replaced twice while this CPU stood still, the record became another tunnel's */
		return DROP(way->counters, encapsulation, way->packets);
	if (way->truncated)
		COUNT(way->counters, truncated, way->packets);
	COUNT(way->counters, sent_packets, way->packets);
	COUNT(way->counters, sent_bytes, length + (way->packets - 1) * (way->repeated + way->layer2));
	return leave(skb, way);
}

/* The header of a fragment: the outer IP header as it was written for the whole packet, with place and length of the piece. */
INLINE long store_fragment(struct __sk_buff *skb, const struct way *way, const struct piece *piece)
{
	be16 place = swap16((u16)piece->offset | !piece->last); /* RFC 8200: the offset is in the upper 13 bits, a multiple of 8 */

	if (way->tunnel->ip_size == IPV6_LENGTH) {
		struct ipv6 *ip = (struct ipv6 *)(way->scratch->outer + OUTER_AT);
		struct extension extension = {.next = way->tunnel->kind == VXLAN ? UDP : GRE_PROTOCOL, .fragment = place,
					      .identification = swap32(way->scratch->identification)};

		ip->next = FRAGMENT_HEADER;
		ip->payload = swap16((u16)(FRAGMENT_LENGTH + piece->length));
		return bpf_skb_store_bytes(skb, 0, (u8 *)ip - ETH_LENGTH, ETH_LENGTH + IPV6_LENGTH, 0) |
		       bpf_skb_store_bytes(skb, ETH_LENGTH + IPV6_LENGTH, &extension, FRAGMENT_LENGTH, 0);
	}
	struct ip *ip = (struct ip *)(way->scratch->outer + OUTER_AT);

	ip->total = swap16((u16)(IP_LENGTH + piece->length));
	ip->fragment = swap16((u16)(piece->offset / 8 | (piece->last ? 0 : 0x2000)));
	ip->checksum = fold(way->tunnel->ip_sum + ip->total + ip->id + ip->fragment);
	return bpf_skb_store_bytes(skb, 0, (u8 *)ip - ETH_LENGTH, ETH_LENGTH + IP_LENGTH, 0);
}

INLINE long store_shim(struct __sk_buff *skb, const struct way *way, u32 at)
{
	u32 size = way->tunnel->outer_size - way->tunnel->ip_size;

	asm volatile("%0 &= 31" : "+r"(size));
	return size ? bpf_skb_store_bytes(skb, at, shim_of(way), size, 0) : -1;
}

/* One fragment of the outer packet; the first carries the shim and the payload's Ethernet header. */
INLINE int send_fragment(struct __sk_buff *skb, const struct way *way, const struct piece *piece)
{
	u32 shim = way->tunnel->outer_size - way->tunnel->ip_size, front = shim + way->layer2;
	u32 size = way->tunnel->ip_size + (way->tunnel->ip_size == IPV6_LENGTH ? FRAGMENT_LENGTH : 0);
	u32 first = !piece->number;

	if (trim(skb, piece->offset + piece->length - front) || (!first && take_front(skb, piece->offset - front)) ||
	    make_room(skb, way, BPF_F_ADJ_ROOM_FIXED_GSO, size + (first ? shim : 0), first ? way->layer2 : 0) ||
	    store_fragment(skb, way, piece) || (first && store_shim(skb, way, ETH_LENGTH + size)))
		return DROP(way->counters, encapsulation, 1);
	COUNT(way->counters, sent_packets, 1);
	COUNT(way->counters, sent_bytes, piece->length - (first ? shim : 0));
	return leave(skb, way);
}

INLINE int send_piece(struct __sk_buff *skb, const struct way *way)
{
	struct piece piece = way->scratch->piece;

	way->scratch->piece.length = 0; /* meant for this packet alone */
	if (piece.fragment)
		return send_fragment(skb, way, &piece);
	return cut_segment(skb, way->scratch, &piece) ? DROP(way->counters, encapsulation, 1) : READY;
}

/* Fragments of about equal size: the last one is not so short that the kernel would refuse to cut it off. */
INLINE int fragment(struct __sk_buff *skb, const struct way *way)
{
	u32 length = skb->len - ETH_LENGTH + way->layer2, total = way->tunnel->outer_size - way->tunnel->ip_size + length;
	u32 header = way->tunnel->ip_size + (way->tunnel->ip_size == IPV6_LENGTH ? FRAGMENT_LENGTH : 0);
	u32 most = (way->tunnel->path_mtu - header) & ~7U, pieces, size;

	if (way->tunnel->path_mtu < 256 || !most)
		return DROP(way->counters, oversize, 1);
	pieces = (total + most - 1) / most;
	if (pieces > PIECES_MAX || pieces < 2)
		return DROP(way->counters, oversize, 1);
	size = ((total + pieces - 1) / pieces + 7) & ~7U;
	if (write_outer(skb, way, length, 1))
		return DROP(way->counters, encapsulation, 1);
	send_pieces(skb, &way->scratch->piece, way->counters, total, pieces, size, 1);
	COUNT(way->counters, fragmented, 1);
	if (way->truncated)
		COUNT(way->counters, truncated, 1);
	return TC_ACT_SHOT; /* its fragments are on their way */
}

INLINE int split(struct __sk_buff *skb, const struct way *way)
{
	const struct frame *frame = &way->scratch->frame;
	u32 headers = headers_length(skb, ETH_LENGTH, ETH_LENGTH + frame->ip_size, frame->protocol);
	u32 room = way->room + headers, most, payload, pieces;

	if (!can_cut(skb, frame, headers) || way->tunnel->path_mtu < room + 2 * PAYLOAD_MIN)
		return DROP(way->counters, oversize, 1);
	most = way->tunnel->path_mtu - room;
	payload = skb->len - ETH_LENGTH - headers;
	pieces = (payload + most - 1) / most;
	if (pieces > PIECES_MAX || !pieces)
		return DROP(way->counters, oversize, 1);
	send_pieces(skb, &way->scratch->piece, way->counters, payload, pieces, (payload + pieces - 1) / pieces, 0);
	COUNT(way->counters, split, 1);
	return TC_ACT_SHOT; /* its pieces are on their way */
}

/* The headers that each segment of a bulk packet repeats; where the tap has read the packet, IPv6 extension headers are among them. */
INLINE u32 repeated_headers(const struct __sk_buff *skb, const struct scratch *scratch)
{
	const struct packet *packet = &scratch->packet;

	if (packet->family)
		return headers_length(skb, ETH_LENGTH, ETH_LENGTH + packet->transport - packet->offset - jumbo_length(skb, packet),
				      packet->protocol);
	return headers_length(skb, ETH_LENGTH, ETH_LENGTH + scratch->frame.ip_size, scratch->frame.protocol);
}

/* A packet that the kernel or the device will segment: the segments must fit with what is put before them. */
INLINE int fit_gso(struct __sk_buff *skb, struct way *way, u32 packets)
{
	u32 size = skb->gso_size, headers = repeated_headers(skb, way->scratch), now;
	u32 protocol = way->scratch->packet.family ? way->scratch->packet.protocol : way->scratch->frame.protocol;
	u32 payload = skb->len - ETH_LENGTH - headers, fits = way->tunnel->path_mtu, room = way->room;

	if (!headers || way->tunnel->flags & (HAS_SEQUENCE | HAS_CHECKSUM))
		return DROP(way->counters, encapsulation, packets);
	if (size + headers + room > fits) {
		u32 excess = size + headers + room - fits, more = excess > room ? excess - room : 0;

		/* Adding the tunnel's headers lowers the size by just their length; what is still missing comes first. */
		if (way->tunnel->oversize != SEGMENT || protocol != TCP || size < room + more + GSO_PAYLOAD_MIN)
			return DROP(way->counters, oversize, packets);
		if (lower_gso_size(skb, more))
			return DROP(way->counters, encapsulation, packets);
		size -= room + more;
		way->flags = 0;
	}
	now = (payload + size - 1) / size;
	now = now ? now : 1;
	COUNT(way->counters, extra, (u64)now - packets);
	way->packets = now;
	way->repeated = headers;
	return READY;
}

/* DF is a matter of IPv4, and frames have no outer packet. */
INLINE int may_fragment(const struct tunnel *tunnel)
{
	return tunnel->kind != NONE && (tunnel->ip_size == IPV6_LENGTH || !(tunnel->flags & DONT_FRAGMENT));
}

INLINE int fit_lone(struct __sk_buff *skb, struct way *way)
{
	u32 length = skb->len - ETH_LENGTH;

	if (length + way->room <= way->tunnel->path_mtu)
		return READY;
	if (way->tunnel->oversize == SEGMENT && !way->truncated)
		return split(skb, way);
	if (way->tunnel->oversize == FRAGMENT && may_fragment(way->tunnel))
		return fragment(skb, way);
	if (way->tunnel->oversize != TRUNCATE || way->tunnel->path_mtu < way->room + HEADER_MAX ||
	    trim(skb, way->tunnel->path_mtu - way->room))
		return DROP(way->counters, oversize, 1);
	way->truncated = 1;
	return READY;
}

/* Whether the rate limit lets the packets pass (generic cell rate algorithm). Other CPUs may pass a packet in the same moment: the
 * one that changed the time of arrival first wins, and after some tries nobody waits any longer. */
INLINE int conforms(struct bucket *bucket, const struct profile *profile, u32 packets, u32 bytes)
{
	u64 now = bpf_ktime_get_ns(), cost, seen, from;

	if (profile->rate_pps)
		cost = SECOND_NS / profile->rate_pps * packets;
	else
		cost = (u64)bytes * 8000 / profile->rate_mbps;
#pragma unroll
	for (int i = 0; i < CASES_OF_ARRIVAL; i++) {
		seen = *(volatile u64 *)&bucket->arrival_ns;
		from = seen > now ? seen : now;
		if (from - now > BURST_NS)
			return 0;
		if (__sync_val_compare_and_swap(&bucket->arrival_ns, seen, from + cost) == seen)
			return 1;
	}
	return 1;
}

/* What the profile asks of its copies; returns a verdict, or TC_ACT_UNSPEC to go on. */
INLINE int limit(struct __sk_buff *skb, struct way *way, const struct profile *profile, struct bucket *bucket, u32 packets)
{
	u32 bytes = skb->len - ETH_LENGTH + way->layer2;

	if (profile->truncate && bytes > profile->truncate && !skb->gso_size) {
		if (profile->truncate < HEADER_MAX || trim(skb, profile->truncate - way->layer2))
			return DROP(way->counters, encapsulation, packets);
		way->truncated = 1;
		bytes = profile->truncate;
	}
	if (packets > 1)
		bytes += (packets - 1) * (repeated_headers(skb, way->scratch) + way->layer2);
	if ((profile->rate_pps || profile->rate_mbps) && !conforms(bucket, profile, packets, bytes))
		return DROP(way->counters, rate_limit, packets);
	return TC_ACT_UNSPEC;
}

INLINE int down(const struct way *way, u32 packets)
{
	if (way->tunnel->state == TUNNEL_NO_ROUTE)
		return DROP(way->counters, no_route, packets);
	if (way->tunnel->state == TUNNEL_NO_NEIGHBOUR)
		return DROP(way->counters, no_neighbour, packets);
	return DROP(way->counters, link_down, packets);
}

/* Whether the packet, as the tap has read it, is to or from the tunnel's own destination. */
INLINE int is_of_analyzer(const struct packet *packet, const struct tunnel *tunnel)
{
	if (tunnel->kind == NONE || !packet->family)
		return 0;
	return same(&packet->source, &tunnel->destination) || same(&packet->destination, &tunnel->destination);
}

INLINE int fit(struct __sk_buff *skb, struct way *way, const struct profile *profile, struct bucket *bucket, u32 packets)
{
	struct frame *frame = &way->scratch->frame;
	int verdict;

	if (way->tunnel->state != TUNNEL_UP)
		return down(way, packets);
	take_tags(skb, frame);
	if (open_frame(skb, way->scratch))
		return DROP(way->counters, encapsulation, packets);
	if (is_of_analyzer(&way->scratch->packet, way->tunnel))
		return DROP(way->counters, loop_guard, packets);
	if (way->tunnel->flags & HAS_ETHERNET)
		way->layer2 = ETH_LENGTH + VLAN_LENGTH * frame->tags;
	else if (!frame->family)
		return DROP(way->counters, not_ip, packets);
	way->room = way->tunnel->kind == NONE ? 0 : way->tunnel->outer_size + way->layer2;
	if (profile) {
		verdict = limit(skb, way, profile, bucket, packets);
		if (verdict != TC_ACT_UNSPEC)
			return verdict;
	}
	if (skb->gso_size)
		return fit_gso(skb, way, packets);
	if (way->tunnel->kind != NONE && skb->protocol != ETH_IP && skb->protocol != ETH_IPV6 && pass_as_ip(skb))
		return DROP(way->counters, encapsulation, packets);
	return fit_lone(skb, way);
}

/* What becomes of a copy: a verdict, or READY. */
INLINE int decide(struct __sk_buff *skb, struct way *way, struct destination_key *key)
{
	struct profile *profile = 0;
	struct bucket *bucket = 0;
	u32 packets = segments_of(skb);

	COUNT(way->counters, copies, packets);
	if (!key->profile) {
		way->scratch->hash = 0;
		way->scratch->limited = 0;
		way->scratch->packet.family = 0;
	}
	if (way->scratch->limited) {
		profile = bpf_map_lookup_elem(&profiles, &key->profile);
		bucket = bpf_map_lookup_elem(&buckets, key);
		if (!profile || !bucket)
			return DROP(way->counters, encapsulation, packets); /* the profile is just being removed */
		if (profile->sample_packets > 1 && __sync_fetch_and_add(&bucket->packets, packets) % profile->sample_packets)
			return DROP(way->counters, sampled_out, packets);
	}
	return fit(skb, way, profile, bucket, packets);
}

INLINE int encapsulate(struct __sk_buff *skb)
{
	u32 helper = skb->ifindex;
	struct scratch *scratch = find_scratch(0);
	struct way way = {.tunnel = bpf_map_lookup_elem(&tunnels, &helper), .series = bpf_map_lookup_elem(&series, &helper),
			  .flags = BPF_F_ADJ_ROOM_FIXED_GSO, .packets = 1};
	int verdict;

	if (scratch && scratch->depth > 1)
		scratch = find_scratch(1);
	if (!scratch || !way.tunnel || !way.series)
		return TC_ACT_SHOT; /* the tunnel is just being removed */
	way.scratch = scratch;
	struct destination_key key = {.profile = scratch->profile, .helper = helper};

	way.counters = bpf_map_lookup_elem(&copy_counters, &key);
	if (!way.counters)
		return TC_ACT_SHOT;
	if (scratch->piece.length) {
		if (way.tunnel->flags & HAS_ETHERNET)
			way.layer2 = ETH_LENGTH + VLAN_LENGTH * scratch->frame.tags;
		verdict = send_piece(skb, &way);
	} else {
		verdict = decide(skb, &way, &key);
	}
	return verdict == READY ? send(skb, &way) : verdict;
}
