/* The Internet checksum, and what a packet is: its addresses, ports and flow. Packets are read and written through
 * the kernel's helpers, never through packet pointers: that works for any layout of the buffer and asks for no capability beyond
 * CAP_BPF and CAP_NET_ADMIN. */
#pragma once

#include "headers.h"
#include "maps.h"
#include "scratch.h"

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

INLINE void map_address(struct address *address, be32 ipv4)
{
	address->word[0] = 0;
	address->word[1] = 0;
	address->word[2] = 0xffff0000;
	address->word[3] = ipv4;
}

INLINE int is_ipv4(const struct address *address, be32 ipv4)
{
	return !(address->word[0] | address->word[1] | (address->word[2] ^ 0xffff0000) | (address->word[3] ^ ipv4));
}

INLINE int same(const struct address *a, const struct address *b)
{
	return !((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) | (a->word[2] ^ b->word[2]) | (a->word[3] ^ b->word[3]));
}

/* The ports: of the first fragment remembered, of the later ones looked up; `part` is not zero in a fragment. */
INLINE void read_ports(const struct __sk_buff *skb, struct scratch *scratch, int part, int first, be32 identification)
{
	struct packet *packet = &scratch->packet;
	struct fragment_key *key = &scratch->fragment_key;
	struct ports ports = {}, *known;

	if (packet->protocol != TCP && packet->protocol != UDP)
		return;
	if (first && bpf_skb_load_bytes(skb, packet->transport, &ports, sizeof(ports)))
		return;
	if (part) {
		key->source = packet->source;
		key->destination = packet->destination;
		key->identification = identification;
		key->protocol = packet->protocol;
		if (first) {
			bpf_map_update_elem(&fragments, key, &ports, 0);
		} else {
			known = bpf_map_lookup_elem(&fragments, key);
			if (!known)
				return;
			ports = *known;
		}
	}
	packet->source_port = ports.source;
	packet->destination_port = ports.destination;
	packet->has_ports = 1;
}

INLINE void read_ipv4(const struct __sk_buff *skb, struct scratch *scratch)
{
	struct packet *packet = &scratch->packet;
	struct ip ip;

	if (bpf_skb_load_bytes(skb, packet->offset, &ip, sizeof(ip)) || ip.version_length >> 4 != 4 || ip_length(&ip) < IP_LENGTH)
		return;
	packet->family = 4;
	packet->protocol = ip.protocol;
	packet->length = swap16(ip.total);
	packet->transport = packet->offset + ip_length(&ip);
	map_address(&packet->source, ip.source);
	map_address(&packet->destination, ip.destination);
	read_ports(skb, scratch, ip.fragment & IP_FRAGMENT, !(ip.fragment & IP_OFFSET), ip.id);
}

INLINE void read_ipv6(const struct __sk_buff *skb, struct scratch *scratch)
{
	struct packet *packet = &scratch->packet;
	struct ipv6 *ip = &scratch->first.ipv6;
	u32 at = packet->offset + IPV6_LENGTH;
	be32 identification = 0;
	int part = 0, first = 1;
	u8 next;

	if (bpf_skb_load_bytes(skb, packet->offset, ip, sizeof(*ip)) || (ip->version_class_label & 0xf0) != 0x60)
		return;
	next = ip->next;
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		struct extension extension;

		if (next != HOP_BY_HOP && next != ROUTING && next != DESTINATION && next != FRAGMENT_HEADER)
			break;
		if (bpf_skb_load_bytes(skb, at, &extension, sizeof(extension)))
			break;
		if (next == FRAGMENT_HEADER) {
			part = 1;
			first = !(extension.fragment & FRAGMENT_OFFSET);
			identification = extension.identification;
			at += FRAGMENT_LENGTH;
		} else {
			at += (extension.length + 1) * 8;
		}
		next = extension.next;
		if (!first)
			break;
	}
	packet->family = 6;
	packet->protocol = next;
	packet->length = IPV6_LENGTH + swap16(ip->payload);
	packet->transport = at;
	packet->source = ip->source;
	packet->destination = ip->destination;
	read_ports(skb, scratch, part, first, identification);
}

/* Reads a frame, whose outermost VLAN tag the kernel may keep apart. */
INLINE void read_packet(const struct __sk_buff *skb, struct scratch *scratch)
{
	struct packet *packet = &scratch->packet;
	u32 offset = ETH_LENGTH;
	be16 ethertype = skb->protocol;

	for (int i = 0; i < TAGS_MAX && is_vlan(ethertype); i++, offset += VLAN_LENGTH)
		if (bpf_skb_load_bytes(skb, offset + 2, &ethertype, sizeof(ethertype)))
			break;
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->ethertype = ethertype;
	packet->offset = offset;
	if (ethertype == ETH_IP)
		read_ipv4(skb, scratch);
	else if (ethertype == ETH_IPV6)
		read_ipv6(skb, scratch);
}

/* Length of the headers that every segment of a GSO packet repeats, from its IP header on; 0 when it is neither TCP nor UDP. */
INLINE u32 headers_length(const struct __sk_buff *skb, u32 ip_offset, u32 transport, u32 protocol)
{
	struct tcp tcp;

	if (protocol == UDP)
		return transport - ip_offset + UDP_LENGTH;
	if (protocol != TCP || bpf_skb_load_bytes(skb, transport, &tcp, sizeof(tcp)))
		return 0;
	return transport - ip_offset + tcp_length(&tcp);
}

/* MurmurHash3's finalizer. */
INLINE u32 mix(u32 x)
{
	x ^= x >> 16;
	x *= 0x85ebca6b;
	x ^= x >> 13;
	x *= 0xc2b2ae35;
	return x ^ x >> 16;
}

INLINE u32 hash_end(const struct address *address, be16 port)
{
	return mix(swap32(address->word[0]) * 0x9e3779b1 + swap32(address->word[1]) * 0x85ebca77 +
		   swap32(address->word[2]) * 0xc2b2ae3d + swap32(address->word[3]) * 0x27d4eb2f + swap16(port) * 0x165667b1);
}

/* The same for both directions of a flow. */
INLINE u32 hash_flow(const struct packet *packet)
{
	if (!packet->family)
		return mix(swap16(packet->ethertype));
	return mix(hash_end(&packet->source, packet->source_port) + hash_end(&packet->destination, packet->destination_port) +
		   packet->protocol);
}

/* Packets on the wire that a packet stands for. */
INLINE u32 segments_of(const struct __sk_buff *skb)
{
	return skb->gso_size && skb->gso_segs ? skb->gso_segs : 1;
}
