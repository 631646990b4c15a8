/* The tap: looks at every packet of a device and copies those that a rule names. It never writes to the packet, and its
 * verdict is always "go on as if I were not here", so no fault of the mirror reaches the traffic. */
#pragma once

#include "maps.h"
#include "packet.h"

/* The IPv4 header of `skb`, which may carry a VLAN tag behind the one that the kernel keeps apart. Returns its offset, or 0. */
INLINE u32 find_ip(const struct __sk_buff *skb, struct ip *ip)
{
	u32 offset = ETH_LENGTH;
	be16 ethertype = skb->protocol;

	if (is_vlan(ethertype)) {
		if (bpf_skb_load_bytes(skb, ETH_LENGTH + 2, &ethertype, sizeof(ethertype)))
			return 0;
		offset += VLAN_LENGTH;
	}
	if (ethertype != ETH_IP || bpf_skb_load_bytes(skb, offset, ip, sizeof(*ip)) || ip_length(ip) < IP_LENGTH)
		return 0;
	return offset;
}

INLINE struct rule *find_rule(be32 address, be16 port, u8 protocol)
{
	struct rule_key key = {.port = port, .protocol = protocol};

	*(u16 *)(key.address + 10) = 0xffff;
	*(be32 *)(key.address + 12) = address;
	return bpf_map_lookup_elem(&rules, &key);
}

INLINE void copy(struct __sk_buff *skb, const struct rule *rule, u32 offset, const struct ip *ip)
{
	u32 id = rule->id, segments = skb->gso_segs;
	struct rule_counters *counters = bpf_map_lookup_elem(&rule_counters, &id);

	if (!counters)
		return;
	if (ip->fragment & IP_FRAGMENT) {
		counters->fragmented++;
		return;
	}
	if (!skb->gso_size || !segments)
		segments = 1;
	counters->matched_packets += segments;
	counters->matched_bytes += skb->gso_size ? skb->len - offset : swap16(ip->total);
	if (segments > 1)
		counters->matched_bytes += (segments - 1) * headers_length(skb, offset, ip);
	/* Positive results are drops that the encapsulator decided on, and counted. */
	if (bpf_clone_redirect(skb, rule->helper, 0) < 0)
		counters->clone_failed += segments;
	else
		counters->cloned += segments;
}

INLINE int tap(struct __sk_buff *skb)
{
	struct ip ip;
	be16 ports[2];
	u32 offset;
	struct rule *rule;

	if (skb->mark == COPY_MARK)
		return TC_ACT_UNSPEC;
	offset = find_ip(skb, &ip);
	/* Only the first fragment has ports. GRE has none: a copy that lost its mark on the way is not copied either. */
	if (!offset || (ip.fragment & IP_OFFSET) || (ip.protocol != PROTOCOL_TCP && ip.protocol != PROTOCOL_UDP))
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, offset + ip_length(&ip), ports, sizeof(ports)))
		return TC_ACT_UNSPEC;
	rule = find_rule(ip.destination, ports[1], ip.protocol);
	if (!rule)
		rule = find_rule(ip.source, ports[0], ip.protocol);
	if (rule)
		copy(skb, rule, offset, &ip);
	return TC_ACT_UNSPEC;
}
