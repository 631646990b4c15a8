/* The encapsulator: runs where a copy leaves the helper device, wraps it in GRE and sends it to the next hop.
 *
 *     | outer IPv4 (20) | GRE flags, protocol 0800 (4) | [key (4)] | inner IPv4 packet |
 */
#pragma once

#include "maps.h"
#include "packet.h"
#include "split.h"

enum { TTL = 64, GSO_PAYLOAD_MIN = 8 };

struct outer {
	struct ip ip;
	struct gre gre;
};

INLINE int drop(u64 *reason, u32 packets)
{
	*reason += packets;
	return TC_ACT_SHOT;
}

/* VLAN tags stand for the mirrored network's links; left on the copy they would be put on the outer frame. */
INLINE void pop_vlan_tags(struct __sk_buff *skb)
{
	for (int i = 0; i < 3 && (skb->vlan_present || is_vlan(skb->protocol)); i++)
		bpf_skb_vlan_pop(skb);
}

/* Reads the inner IPv4 header, and cuts off what short Ethernet frames are padded with. */
INLINE long open_packet(struct __sk_buff *skb, struct ip *ip)
{
	u32 total;

	if (skb->protocol != ETH_IP || bpf_skb_load_bytes(skb, ETH_LENGTH, ip, sizeof(*ip)))
		return -1;
	if (ip->version_length >> 4 != 4 || ip_length(ip) < IP_LENGTH)
		return -1;
	if (skb->gso_size)
		return 0;
	total = swap16(ip->total);
	if (total < ip_length(ip) || skb->len < ETH_LENGTH + total)
		return -1;
	return skb->len > ETH_LENGTH + total ? bpf_skb_change_tail(skb, ETH_LENGTH + total, 0) : 0;
}

/* Lowers the size of the segments that a packet will be cut into by `less` bytes: growing a packet lowers it, shrinking it back
 * need not raise it. */
INLINE long lower_gso_size(struct __sk_buff *skb, u32 less)
{
	for (u32 i = 0; i < ADJUST_TIMES && less; i++) {
		s32 step = less < ADJUST_MAX ? less : ADJUST_MAX;

		if (bpf_skb_adjust_room(skb, step, BPF_ADJ_ROOM_MAC, 0) ||
		    bpf_skb_adjust_room(skb, -step, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
			return -1;
		less -= step;
	}
	return less ? -1 : 0;
}

INLINE long write_outer(struct __sk_buff *skb, const struct tunnel *tunnel, u32 total, u32 id)
{
	struct outer outer = {
		.ip = {.version_length = 0x45, .ttl = TTL, .protocol = PROTOCOL_GRE, .id = swap16((u16)id),
		       /* A packet that will be segmented may be longer than the field holds: 0 then, as the kernel itself does. */
		       .total = total > 0xffff ? 0 : swap16((u16)total),
		       .source = tunnel->source, .destination = tunnel->destination},
		.gre = {.protocol = ETH_IP},
	};

	outer.ip.checksum = fold(sum(&outer.ip, sizeof(outer.ip), 0));
	if (!(tunnel->flags & TUNNEL_HAS_KEY))
		return bpf_skb_store_bytes(skb, ETH_LENGTH, &outer, sizeof(outer) - GRE_KEY_LENGTH, BPF_F_RECOMPUTE_CSUM);
	outer.gre.flags = GRE_HAS_KEY;
	outer.gre.key = tunnel->key;
	return bpf_skb_store_bytes(skb, ETH_LENGTH, &outer, sizeof(outer), BPF_F_RECOMPUTE_CSUM);
}

/* Wraps the packet, which fits now, and sends it. `packets` and `repeated` are for the books: how many packets leave, and the
 * bytes of headers that each of them after the first repeats. */
INLINE int send(struct __sk_buff *skb, const struct tunnel *tunnel, struct tunnel_counters *counters, u32 *id, u64 flags, u32 room,
		u32 packets, u32 repeated)
{
	struct bpf_redir_neigh neighbour = {.family = AF_INET, .next_hop = {tunnel->next_hop}};
	u32 length = skb->len - ETH_LENGTH;

	flags |= BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
	if (bpf_skb_adjust_room(skb, (s32)room, BPF_ADJ_ROOM_MAC, flags))
		return drop(&counters->encapsulation, packets);
	if (write_outer(skb, tunnel, length + room, __sync_fetch_and_add(id, packets)))
		return drop(&counters->encapsulation, packets);
	skb->mark = COPY_MARK;
	counters->sent_packets += packets;
	counters->sent_bytes += length + (packets - 1) * repeated;
	return (int)bpf_redirect_neigh(tunnel->ifindex, &neighbour, sizeof(neighbour), 0);
}

/* A packet that the kernel or the device will segment: the segments must fit with what is put before them. */
INLINE int send_gso(struct __sk_buff *skb, const struct tunnel *tunnel, struct tunnel_counters *counters, u32 *id, u32 room,
		    const struct ip *ip)
{
	u32 size = skb->gso_size, headers = headers_length(skb, ETH_LENGTH, ip);
	u32 packets = skb->gso_segs ? skb->gso_segs : 1;
	u32 payload = skb->len - ETH_LENGTH - headers;
	u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;

	if (!headers)
		return drop(&counters->not_ip, packets);
	if (size + headers + room > tunnel->path_mtu) {
		u32 excess = size + headers + room - tunnel->path_mtu;
		u32 more = excess > room ? excess - room : 0;

		/* Adding the tunnel's headers lowers the size by just their length; what is still missing comes first. */
		if (ip->protocol != PROTOCOL_TCP || size < room + more + GSO_PAYLOAD_MIN)
			return drop(&counters->oversize, packets);
		if (lower_gso_size(skb, more))
			return drop(&counters->encapsulation, packets);
		size -= room + more;
		flags = 0;
	}
	packets = (payload + size - 1) / size;
	return send(skb, tunnel, counters, id, flags, room, packets ? packets : 1, headers);
}

INLINE int send_lone(struct __sk_buff *skb, const struct tunnel *tunnel, struct tunnel_counters *counters, u32 *id, u32 room,
		     const struct ip *ip, struct piece *piece)
{
	u32 headers;

	if (piece->length) {
		if (cut(skb, ip, piece))
			return drop(&counters->encapsulation, 1);
		return send(skb, tunnel, counters, id, BPF_F_ADJ_ROOM_FIXED_GSO, room, 1, 0);
	}
	if (skb->len - ETH_LENGTH + room <= tunnel->path_mtu)
		return send(skb, tunnel, counters, id, BPF_F_ADJ_ROOM_FIXED_GSO, room, 1, 0);
	headers = headers_length(skb, ETH_LENGTH, ip);
	if (!can_split(skb, ip, headers) || tunnel->path_mtu < room + headers + 2 * PAYLOAD_MIN)
		return drop(&counters->oversize, 1);
	if (!split(skb, piece, counters, headers, tunnel->path_mtu - room - headers))
		return drop(&counters->oversize, 1);
	return TC_ACT_SHOT; /* its pieces are on their way */
}

INLINE int encapsulate(struct __sk_buff *skb)
{
	u32 helper = skb->ifindex, zero = 0, packets = 1, room = IP_LENGTH + GRE_LENGTH;
	struct tunnel *tunnel = bpf_map_lookup_elem(&tunnels, &helper);
	struct tunnel_counters *counters = bpf_map_lookup_elem(&tunnel_counters, &helper);
	struct piece *piece = bpf_map_lookup_elem(&pieces, &zero);
	u32 *id = bpf_map_lookup_elem(&identifications, &helper);
	struct ip ip;

	if (!tunnel || !counters || !piece || !id)
		return TC_ACT_SHOT; /* the tunnel is just being removed */
	if (skb->gso_size && skb->gso_segs)
		packets = skb->gso_segs;
	if (tunnel->state == TUNNEL_NO_ROUTE)
		return drop(&counters->no_route, packets);
	if (tunnel->state != TUNNEL_UP)
		return drop(&counters->no_neighbour, packets);
	pop_vlan_tags(skb);
	if (open_packet(skb, &ip))
		return drop(&counters->not_ip, packets);
	if (ip.source == tunnel->destination || ip.destination == tunnel->destination)
		return drop(&counters->analyzer, packets);
	if (tunnel->flags & TUNNEL_HAS_KEY)
		room += GRE_KEY_LENGTH;
	if (skb->gso_size)
		return send_gso(skb, tunnel, counters, id, room, &ip);
	return send_lone(skb, tunnel, counters, id, room, &ip, piece);
}
