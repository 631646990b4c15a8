/* Sends a packet that is larger than the path in pieces: the encapsulator sends clones of it to the helper device it sits on, each
 * clone comes back to the encapsulator, and is there cut down to its piece.
 *
 * A TCP segment is cut as segmentation offload would have:
 *
 *     segment   | IP | TCP | payload 0 .. n-1                 |
 *     piece k   | IP | TCP | payload offset .. offset+length-1|   IP: length, id + k; TCP: sequence + offset, flags, checksum
 *
 * and the outer packet as routers fragment (RFC 791, RFC 8200):
 *
 *     packet    | outer IP | shim, payload: bytes 0 .. n-1       |
 *     piece k   | outer IP | bytes offset .. offset+length-1     |
 */
#pragma once

#include "frame.h"

enum {
	PIECES_MAX = 8,
	PAYLOAD_MIN = 40,   /* the kernel leaves at least this much when it takes bytes away from the front */
	CHUNKS_MAX = 40,    /* 10 KiB: more than any packet that leaves in one Ethernet frame */
	ADJUST_MAX = 0xfff, /* bytes that bpf_skb_adjust_room adds or takes in one call */
	ADJUST_TIMES = 5,
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

/* Sum of the packet's bytes from `offset`, which is even in what is summed, to its end. */
INLINE long sum_rest(const struct __sk_buff *skb, struct scratch *scratch, u32 offset, u32 *total)
{
	u32 left = skb->len - offset;

	for (u32 i = 0; i < CHUNKS_MAX && left >= CHUNK; i++, offset += CHUNK, left -= CHUNK) {
		if (bpf_skb_load_bytes(skb, offset, scratch->chunk, CHUNK))
			return -1;
		*total = sum(scratch->chunk, CHUNK, *total);
	}
	if (left >= CHUNK)
		return -1;
	if (!left)
		return 0;
	__builtin_memset(scratch->chunk, 0, CHUNK);
	left--;
	asm volatile("%0 &= 255; %0 += 1" : "+r"(left)); /* 1..256 */
	if (bpf_skb_load_bytes(skb, offset, scratch->chunk, left))
		return -1;
	*total = sum(scratch->chunk, CHUNK, *total);
	return 0;
}

/* Takes `length` bytes away behind the Ethernet header. */
INLINE long take_front(struct __sk_buff *skb, u32 length)
{
#pragma unroll
	for (u32 i = 0; i < ADJUST_TIMES && length; i++) {
		u32 step = length < ADJUST_MAX ? length : ADJUST_MAX;

		if (bpf_skb_adjust_room(skb, -(s32)step, BPF_ADJ_ROOM_MAC, 0))
			return -1;
		length -= step;
	}
	return length ? -1 : 0;
}

/* The IP header of a piece, `length` bytes of TCP behind it; returns the sum of its pseudo header (RFC 9293, RFC 8200). */
INLINE u32 rewrite_ip(union header *ip, u32 family, u32 size, u32 length, u32 number)
{
	be32 tail[2] = {swap32(length), swap32(TCP)};
	u32 total = sum(tail, sizeof(tail), 0);
	const void *ends;

	if (family == 6) {
		ip->ipv6.payload = swap16((u16)length);
		ends = &ip->ipv6.source;
		SETTLE(ends, "IPv6");
		return sum(ends, 2 * sizeof(struct address), total);
	}
	ip->ip.total = swap16((u16)(size + length));
	ip->ip.id = swap16((u16)(swap16(ip->ip.id) + number));
	ip->ip.checksum = 0;
	ip->ip.checksum = fold(sum(ip, HEADER_MAX, 0));
	ends = &ip->ip.source;
	SETTLE(ends, "IPv4");
	return sum(ends, 8, total);
}

INLINE void rewrite_tcp(union header *tcp, const struct piece *piece)
{
	tcp->tcp.sequence = swap32(swap32(tcp->tcp.sequence) + piece->offset);
	if (!piece->last)
		tcp->tcp.flags &= ~(TCP_FIN | TCP_PSH);
	if (piece->number)
		tcp->tcp.flags &= ~TCP_CWR;
	tcp->tcp.checksum = 0;
}

/* Cuts a TCP segment down to `piece`. Both headers are taken away with what stands before the piece, then room is made for them
 * again: this makes the kernel forget that the device was to fill in the checksum, so the one computed here is what is sent. */
INLINE long cut_segment(struct __sk_buff *skb, struct scratch *scratch, const struct piece *piece)
{
	union header *ip = &scratch->first, *tcp = &scratch->second;
	u32 ip_size = scratch->frame.ip_size, tcp_size, total;

	__builtin_memset(ip, 0, sizeof(*ip));
	__builtin_memset(tcp, 0, sizeof(*tcp));
	if (load_header(skb, ETH_LENGTH, ip, ip_size) || load_header(skb, ETH_LENGTH + ip_size, tcp, TCP_LENGTH))
		return -1;
	tcp_size = tcp_length(&tcp->tcp);
	if (load_header(skb, ETH_LENGTH + ip_size, tcp, tcp_size))
		return -1;
	if (trim(skb, ip_size + tcp_size + piece->offset + piece->length) || take_front(skb, ip_size + tcp_size + piece->offset) ||
	    bpf_skb_adjust_room(skb, (s32)(ip_size + tcp_size), BPF_ADJ_ROOM_MAC, 0))
		return -1;
	total = rewrite_ip(ip, scratch->frame.family, ip_size, tcp_size + piece->length, piece->number);
	rewrite_tcp(tcp, piece);
	total = sum(tcp, HEADER_MAX, total);
	if (sum_rest(skb, scratch, ETH_LENGTH + ip_size + tcp_size, &total))
		return -1;
	tcp->tcp.checksum = fold(total);
	if (store_header(skb, ETH_LENGTH, ip, ip_size) || store_header(skb, ETH_LENGTH + ip_size, tcp, tcp_size))
		return -1;
	return 0;
}

/* Whether the packet is a TCP segment that may be cut: SYN and URG give sequence numbers a meaning that pieces would change. */
INLINE int can_cut(const struct __sk_buff *skb, const struct frame *frame, u32 headers)
{
	struct tcp tcp;

	if (!frame->plain || frame->protocol != TCP || bpf_skb_load_bytes(skb, ETH_LENGTH + frame->ip_size, &tcp, sizeof(tcp)))
		return 0;
	return tcp_length(&tcp) >= TCP_LENGTH && !(tcp.flags & (TCP_SYN | TCP_RST | TCP_URG)) &&
	       skb->len - ETH_LENGTH >= headers + 2 * PAYLOAD_MIN;
}

/* Sends `total` bytes in `pieces` of `length` bytes each, the last one what is left. */
INLINE void send_pieces(struct __sk_buff *skb, struct piece *piece, struct destination_counters *counters, u32 total, u32 pieces,
			u32 length, u32 fragment)
{
	asm volatile("" : "+r"(pieces)); /* the compiler must not drop the loop's constant bound, the verifier needs it */
#pragma unroll
	for (u32 number = 0; number < PIECES_MAX && number < pieces; number++) {
		u32 offset = number * length;

		piece->offset = offset;
		piece->number = number;
		piece->last = number == pieces - 1;
		piece->fragment = fragment;
		piece->length = piece->last ? total - offset : length;
		if (bpf_clone_redirect(skb, skb->ifindex, 0) < 0)
			COUNT(counters, encapsulation, 1);
		piece->length = 0; /* should the clone not have come back */
	}
	COUNT(counters, extra, pieces - 1);
}
