/* Splits a lone TCP segment that is larger than the path, as segmentation offload would have: the encapsulator sends clones of it
 * to the helper device it sits on, each clone comes back to the encapsulator, and is there cut down to its piece.
 *
 *     segment   | IP | TCP | payload 0 .. n-1                 |
 *     piece k   | IP | TCP | payload offset .. offset+length-1|   IP: length, id + k; TCP: sequence + offset, flags, checksum
 */
#pragma once

#include "maps.h"
#include "packet.h"

enum {
	PIECES_MAX = 8,
	PAYLOAD_MIN = 20,   /* the kernel leaves at least this much when it takes bytes away from the front */
	CHUNK = 64,         /* bytes summed at a time */
	CHUNKS_MAX = 160,   /* 10 KiB: more than any piece that leaves in one Ethernet frame */
	ADJUST_MAX = 0xfff, /* bytes that bpf_skb_adjust_room adds or takes in one call */
	ADJUST_TIMES = 5,
};

/* A header of variable length: at most 60 bytes, the rest zero so that sums may run over all of it. */
union header {
	struct ip ip;
	struct tcp tcp;
	u8 bytes[HEADER_MAX];
};

/* Tells the verifier that a length lies in 0..63, at the place where it must know. */
#define BOUND_HEADER(length) asm volatile("%0 &= 63" : "+r"(length))

INLINE long load_header(const struct __sk_buff *skb, u32 offset, union header *header, u32 length)
{
	BOUND_HEADER(length);
	if (length < IP_LENGTH)
		return -1;
	return bpf_skb_load_bytes(skb, offset, header, length);
}

INLINE long store_header(struct __sk_buff *skb, u32 offset, const union header *header, u32 length)
{
	BOUND_HEADER(length);
	if (length < IP_LENGTH)
		return -1;
	return bpf_skb_store_bytes(skb, offset, header, length, BPF_F_RECOMPUTE_CSUM);
}

/* Sum of the packet's bytes from `offset`, which is even in the segment, to its end. */
INLINE long sum_payload(const struct __sk_buff *skb, u32 offset, u32 *total)
{
	u8 chunk[CHUNK];
	u32 left = skb->len - offset;

	for (u32 i = 0; i < CHUNKS_MAX && left >= CHUNK; i++, offset += CHUNK, left -= CHUNK) {
		if (bpf_skb_load_bytes(skb, offset, chunk, CHUNK))
			return -1;
		*total = sum(chunk, CHUNK, *total);
	}
	if (left >= CHUNK)
		return -1;
	if (!left)
		return 0;
	__builtin_memset(chunk, 0, CHUNK);
	left--;
	asm volatile("%0 &= 63; %0 += 1" : "+r"(left)); /* 1..64 */
	if (bpf_skb_load_bytes(skb, offset, chunk, left))
		return -1;
	*total = sum(chunk, CHUNK, *total);
	return 0;
}

/* Takes `length` bytes away behind the Ethernet header. */
INLINE long take_front(struct __sk_buff *skb, u32 length)
{
	for (u32 i = 0; i < ADJUST_TIMES && length; i++) {
		u32 step = length < ADJUST_MAX ? length : ADJUST_MAX;

		if (bpf_skb_adjust_room(skb, -(s32)step, BPF_ADJ_ROOM_MAC, 0))
			return -1;
		length -= step;
	}
	return length ? -1 : 0;
}

INLINE void rewrite(union header *ip, union header *tcp, const struct piece *piece, u32 total)
{
	ip->ip.total = swap16((u16)total);
	ip->ip.id = swap16((u16)(swap16(ip->ip.id) + piece->number));
	ip->ip.checksum = 0;
	ip->ip.checksum = fold(sum(ip, HEADER_MAX, 0));
	tcp->tcp.sequence = swap32(swap32(tcp->tcp.sequence) + piece->offset);
	if (!piece->last)
		tcp->tcp.flags &= ~(TCP_FIN | TCP_PSH);
	if (piece->number)
		tcp->tcp.flags &= ~TCP_CWR;
	tcp->tcp.checksum = 0;
}

/* The sum of RFC 9293's pseudo header: addresses, protocol, length of the TCP segment. */
INLINE u32 sum_pseudo(const struct ip *ip, u32 length)
{
	be32 pseudo[3] = {ip->source, ip->destination, swap32(PROTOCOL_TCP << 16 | (length & 0xffff))};

	return sum(pseudo, sizeof(pseudo), 0);
}

/* Cuts the packet down to `piece`. Both headers are taken away with what stands before the piece, then room is made for them
 * again: this makes the kernel forget that the device was to fill in the checksum, so the one computed here is what is sent. */
INLINE long cut(struct __sk_buff *skb, const struct ip *parsed, const struct piece *piece)
{
	union header ip = {}, tcp = {};
	u32 ip_size = ip_length(parsed), tcp_size, total;

	if (load_header(skb, ETH_LENGTH, &ip, ip_size) || load_header(skb, ETH_LENGTH + ip_size, &tcp, TCP_LENGTH))
		return -1;
	tcp_size = tcp_length(&tcp.tcp);
	if (load_header(skb, ETH_LENGTH + ip_size, &tcp, tcp_size))
		return -1;
	if (bpf_skb_change_tail(skb, ETH_LENGTH + ip_size + tcp_size + piece->offset + piece->length, 0) ||
	    take_front(skb, ip_size + tcp_size + piece->offset) ||
	    bpf_skb_adjust_room(skb, (s32)(ip_size + tcp_size), BPF_ADJ_ROOM_MAC, 0))
		return -1;
	rewrite(&ip, &tcp, piece, ip_size + tcp_size + piece->length);
	total = sum(&tcp, HEADER_MAX, sum_pseudo(&ip.ip, tcp_size + piece->length));
	if (sum_payload(skb, ETH_LENGTH + ip_size + tcp_size, &total))
		return -1;
	tcp.tcp.checksum = fold(total);
	if (store_header(skb, ETH_LENGTH, &ip, ip_size) || store_header(skb, ETH_LENGTH + ip_size, &tcp, tcp_size))
		return -1;
	return 0;
}

/* Whether the packet is a TCP segment that may be cut: SYN and URG give sequence numbers a meaning that pieces would change. */
INLINE int can_split(const struct __sk_buff *skb, const struct ip *ip, u32 headers)
{
	struct tcp tcp;

	if (ip->protocol != PROTOCOL_TCP || bpf_skb_load_bytes(skb, ETH_LENGTH + ip_length(ip), &tcp, sizeof(tcp)))
		return 0;
	return tcp_length(&tcp) >= TCP_LENGTH && !(tcp.flags & (TCP_SYN | TCP_RST | TCP_URG)) &&
	       skb->len - ETH_LENGTH >= headers + 2 * PAYLOAD_MIN;
}

/* Sends the packet in pieces of equal size, each of at most `payload_max` bytes of payload. Returns 0 when there would be too many. */
INLINE int split(struct __sk_buff *skb, struct piece *piece, struct tunnel_counters *counters, u32 headers, u32 payload_max)
{
	u32 payload = skb->len - ETH_LENGTH - headers;
	u32 pieces = (payload + payload_max - 1) / payload_max;
	u32 length;

	if (pieces > PIECES_MAX || !pieces)
		return 0;
	length = (payload + pieces - 1) / pieces;
	asm volatile("" : "+r"(pieces)); /* the compiler must not drop the loop's constant bound, the verifier needs it */
	for (u32 number = 0; number < PIECES_MAX && number < pieces; number++) {
		u32 offset = number * length;

		piece->offset = offset;
		piece->number = number;
		piece->last = number == pieces - 1;
		piece->length = piece->last ? payload - offset : length;
		if (bpf_clone_redirect(skb, skb->ifindex, 0) < 0)
			counters->encapsulation++;
		piece->length = 0;
	}
	counters->split++;
	return 1;
}
