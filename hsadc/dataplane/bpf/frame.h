/* A copied frame on its way through the encapsulator: VLAN tags are taken off while it is worked on, because the kernel makes room
 * in untagged IP packets alone, and put on again where the payload is the frame. */
#pragma once

#include "packet.h"

/* The kernel has the outermost tag apart and the others in the packet; left on the copy it would be put on the outer frame. A tag
 * that is cut off is none. */
INLINE void take_tags(struct __sk_buff *skb, struct frame *frame)
{
	frame->tags = 0;
	for (u32 i = 0; i < TAGS_MAX; i++) {
		u32 length = skb->len, apart = skb->vlan_present;
		long failed;

		if (!apart && !is_vlan(skb->protocol))
			break;
		if (apart) {
			frame->tag_protocol[i] = skb->vlan_proto;
			frame->tag[i] = swap16(skb->vlan_tci);
		} else {
			be16 tag = 0;

			frame->tag_protocol[i] = skb->protocol;
			bpf_skb_load_bytes(skb, ETH_LENGTH, &tag, sizeof(tag));
			frame->tag[i] = tag;
		}
		failed = bpf_skb_vlan_pop(skb); /* also when it is the next tag that cannot be set apart */
		if (failed && !apart && skb->len == length)
			break;
		frame->tags = i + 1;
		if (failed)
			break;
	}
}

/* Makes the frame what it was. */
INLINE void restore(struct __sk_buff *skb, const struct frame *frame)
{
	bpf_skb_store_bytes(skb, ETH_LENGTH - 2, &frame->ethertype, sizeof(frame->ethertype), 0);
	if (frame->tags > 2)
		bpf_skb_vlan_push(skb, frame->tag_protocol[2], swap16(frame->tag[2]));
	if (frame->tags > 1)
		bpf_skb_vlan_push(skb, frame->tag_protocol[1], swap16(frame->tag[1]));
	if (frame->tags > 0)
		bpf_skb_vlan_push(skb, frame->tag_protocol[0], swap16(frame->tag[0]));
}

/* Makes the kernel take a frame of another protocol for an IP packet, so that it makes room in it: what a tag says stands behind it
 * becomes the protocol when the tag is taken off. The kernel keeps one tag apart, so that two are needed to write in one. */
INLINE long pass_as_ip(struct __sk_buff *skb)
{
	be16 ip = ETH_IP;

	if (bpf_skb_vlan_push(skb, ETH_VLAN, 0) || bpf_skb_vlan_push(skb, ETH_VLAN, 0) ||
	    bpf_skb_store_bytes(skb, ETH_LENGTH + 2, &ip, sizeof(ip), 0) || bpf_skb_vlan_pop(skb) || bpf_skb_vlan_pop(skb))
		return -1;
	return skb->protocol == ETH_IP ? 0 : -1;
}

/* Cuts off what stands behind the first `length` bytes after the Ethernet header. */
INLINE long trim(struct __sk_buff *skb, u32 length)
{
	return skb->len > ETH_LENGTH + length ? bpf_skb_change_tail(skb, ETH_LENGTH + length, 0) : 0;
}

INLINE u32 ipv4_of(const struct __sk_buff *skb, struct frame *frame)
{
	struct ip ip;

	if (bpf_skb_load_bytes(skb, ETH_LENGTH, &ip, sizeof(ip)) || ip.version_length >> 4 != 4 || ip_length(&ip) < IP_LENGTH)
		return 0;
	frame->ip_size = ip_length(&ip);
	frame->protocol = ip.protocol;
	frame->plain = !(ip.fragment & IP_FRAGMENT);
	if (skb->gso_size)
		return frame->ip_size; /* the field may not hold the length */
	return swap16(ip.total) < frame->ip_size ? 0 : swap16(ip.total);
}

/* Takes the jumbo payload option out of a packet that will be segmented; see jumbo_length(). */
INLINE long drop_jumbo(struct __sk_buff *skb, struct ipv6 *ip)
{
	struct extension option;

	if (!skb->gso_size || ip->next != HOP_BY_HOP || ip->payload)
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_LENGTH + IPV6_LENGTH, &option, sizeof(option)))
		return -1;
	if (option.length || option.fragment != JUMBO_OPTION)
		return 0;
	ip->next = option.next;
	return bpf_skb_adjust_room(skb, -(s32)JUMBO_LENGTH, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) |
	       bpf_skb_store_bytes(skb, ETH_LENGTH + __builtin_offsetof(struct ipv6, next), &option.next, 1, 0);
}

INLINE u32 ipv6_of(struct __sk_buff *skb, struct scratch *scratch)
{
	struct frame *frame = &scratch->frame;
	struct ipv6 *ip = &scratch->first.ipv6;

	if (bpf_skb_load_bytes(skb, ETH_LENGTH, ip, sizeof(*ip)) || (ip->version_class_label & 0xf0) != 0x60 || drop_jumbo(skb, ip))
		return 0;
	frame->ip_size = IPV6_LENGTH;
	frame->protocol = ip->next;
	frame->plain = 1;
	return IPV6_LENGTH + swap16(ip->payload);
}

/* The Ethertype of a frame whose tags are taken off; one tag more than are passed over is what the frame carries. */
INLINE long read_ethertype(struct __sk_buff *skb, struct frame *frame)
{
	be16 ethertype = (be16)skb->protocol;
	long failed = 0;

	if (skb->vlan_present) {
		ethertype = (be16)skb->vlan_proto;
		failed = pass_as_ip(skb);
	} else if (is_length(ethertype)) {
		failed = bpf_skb_load_bytes(skb, ETH_LENGTH - 2, &ethertype, sizeof(ethertype));
	}
	frame->ethertype = ethertype;
	return failed;
}

/* Reads the IP header of an untagged frame and cuts off what short frames are padded with. */
INLINE long open_frame(struct __sk_buff *skb, struct scratch *scratch)
{
	struct frame *frame = &scratch->frame;
	u32 total = 0;

	frame->family = 0;
	frame->protocol = 0;
	frame->plain = 0;
	if (read_ethertype(skb, frame))
		return -1;
	if (frame->ethertype == ETH_IP)
		total = ipv4_of(skb, frame);
	else if (frame->ethertype == ETH_IPV6)
		total = ipv6_of(skb, scratch);
	if (!total || skb->len < ETH_LENGTH + total || (!skb->gso_size && trim(skb, total)))
		return 0;
	frame->family = frame->ethertype == ETH_IP ? 4 : 6;
	return 0;
}
