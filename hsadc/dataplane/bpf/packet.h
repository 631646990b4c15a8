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

INLINE int is_extension(u8 next) { return next == HOP_BY_HOP || next == ROUTING || next == DESTINATION || next == FRAGMENT_HEADER; }

/* The ports: of the first fragment remembered, of the later ones looked up. */
INLINE long read_ports(const struct __sk_buff *skb, struct scratch *scratch)
{
	struct packet *packet = &scratch->packet;
	struct fragment_key *key = &scratch->fragment_key;
	struct ports ports = {}, *known;

	if (packet->protocol != TCP && packet->protocol != UDP)
		return 0;
	if (!packet->later && bpf_skb_load_bytes(skb, packet->transport, &ports, sizeof(ports)))
		return -1;
	if (packet->part) {
		key->source = packet->source;
		key->destination = packet->destination;
		key->identification = packet->identification;
		key->protocol = packet->protocol;
		if (packet->later) {
			known = bpf_map_lookup_elem(&fragments, key);
			if (!known)
				return 0;
			ports = *known;
		} else {
			bpf_map_update_elem(&fragments, key, &ports, 0);
		}
	}
	packet->source_port = ports.source;
	packet->destination_port = ports.destination;
	packet->has_ports = 1;
	return 0;
}

/* What the IP header says of the length counts when all of it is there. */
INLINE void measure(const struct __sk_buff *skb, struct packet *packet, u32 total)
{
	if (packet->offset + total <= skb->len)
		packet->length = total;
}

INLINE void read_ipv4(const struct __sk_buff *skb, struct packet *packet)
{
	struct ip ip;

	if (bpf_skb_load_bytes(skb, packet->offset, &ip, sizeof(ip)) || ip.version_length >> 4 != 4 || ip_length(&ip) < IP_LENGTH)
		return;
	packet->transport = packet->offset + ip_length(&ip);
	if (swap16(ip.total) >= ip_length(&ip))
		measure(skb, packet, swap16(ip.total));
	if (packet->transport > skb->len)
		return;
	packet->family = 4;
	packet->protocol = ip.protocol;
	packet->part = (ip.fragment & IP_FRAGMENT) != 0;
	packet->later = (ip.fragment & IP_OFFSET) != 0;
	packet->identification = ip.id;
	map_address(&packet->source, ip.source);
	map_address(&packet->destination, ip.destination);
}

/* The extension headers of an IPv6 packet, from packet->transport on. */
INLINE long read_extensions(const struct __sk_buff *skb, struct packet *packet)
{
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(packet->protocol) && !packet->later; i++) {
		struct extension extension;

		if (bpf_skb_load_bytes(skb, packet->transport, &extension, sizeof(extension)))
			return -1;
		if (packet->protocol == FRAGMENT_HEADER) {
			packet->part = (extension.fragment & FRAGMENT_PLACE) != 0;
			packet->later = (extension.fragment & FRAGMENT_OFFSET) != 0;
			packet->identification = extension.identification;
			packet->transport += FRAGMENT_LENGTH;
		} else {
			packet->transport += (extension.length + 1) * 8;
		}
		packet->protocol = extension.next;
		FORGET();
	}
	return (is_extension(packet->protocol) && !packet->later) || packet->transport > skb->len ? -1 : 0;
}

INLINE void read_ipv6(const struct __sk_buff *skb, struct scratch *scratch, struct packet *packet)
{
	struct ipv6 *ip = &scratch->first.ipv6;

	if (bpf_skb_load_bytes(skb, packet->offset, ip, sizeof(*ip)) || (ip->version_class_label & 0xf0) != 0x60)
		return;
	packet->protocol = ip->next;
	packet->transport = packet->offset + IPV6_LENGTH;
	packet->source = ip->source;
	packet->destination = ip->destination;
	measure(skb, packet, IPV6_LENGTH + swap16(ip->payload));
	if (!read_extensions(skb, packet))
		packet->family = 6;
}

/* Reads the IP headers at an offset; `packet->family` stays 0 when they are cut off, or there are none. */
INLINE void read_headers(const struct __sk_buff *skb, struct scratch *scratch, struct packet *packet, be16 ethertype, u32 offset)
{
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->ethertype = ethertype;
	packet->offset = offset;
	packet->length = skb->len - offset;
	if (ethertype == ETH_IP)
		read_ipv4(skb, packet);
	else if (ethertype == ETH_IPV6)
		read_ipv6(skb, scratch, packet);
	FORGET();
}

/* Reads a frame, whose outermost VLAN tag the kernel may keep apart. */
INLINE void read_packet(const struct __sk_buff *skb, struct scratch *scratch)
{
	struct packet *packet = &scratch->packet;
	u32 offset = ETH_LENGTH, tags = skb->vlan_present ? TAGS_MAX - 1 : TAGS_MAX;
	be16 ethertype = skb->protocol;

	if (is_length(ethertype))
		bpf_skb_load_bytes(skb, ETH_LENGTH - 2, &ethertype, sizeof(ethertype));
#pragma unroll
	for (u32 i = 0; i < TAGS_MAX && i < tags && is_vlan(ethertype); i++, offset += VLAN_LENGTH) {
		be16 following;

		if (bpf_skb_load_bytes(skb, offset + 2, &following, sizeof(following)))
			break;
		ethertype = following;
	}
	read_headers(skb, scratch, packet, ethertype, offset);
	if (packet->family && read_ports(skb, scratch))
		packet->family = 0; /* cut off */
}

/* Bytes of the jumbo payload option (RFC 2675) that the kernel puts into IPv6 packets of more than 65,535 bytes ("BIG TCP") for those
 * who look at them, and never sends. */
INLINE u32 jumbo_length(const struct __sk_buff *skb, const struct packet *packet)
{
	if (!skb->gso_size || packet->family != 6 || packet->length != IPV6_LENGTH)
		return 0;
	return packet->transport > packet->offset + IPV6_LENGTH ? JUMBO_LENGTH : 0;
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
