/* Access lists: the first rule that matches a packet, as it is or with its ends exchanged, decides; none denies. */
#pragma once

#include "packet.h"

INLINE int end_matches(const struct access_end *end, const struct address *address, be16 port, int has_ports)
{
	be32 differs = 0;

	for (int i = 0; i < 4; i++)
		differs |= (address->word[i] & end->mask.word[i]) ^ end->network.word[i];
	if (differs)
		return 0;
	if (end->first == 0 && end->last == 0xffff)
		return 1;
	return has_ports && swap16(port) >= end->first && swap16(port) <= end->last;
}

INLINE int protocol_matches(u32 wanted, const struct packet *packet)
{
	if (wanted == ANY_PROTOCOL)
		return 1;
	if (wanted == ANY_ICMP)
		return packet->protocol == (packet->family == 4 ? ICMP : ICMPV6);
	return packet->protocol == wanted;
}

INLINE int rule_matches(const struct access_rule *rule, const struct packet *packet)
{
	if (!protocol_matches(rule->protocol, packet))
		return 0;
	if (end_matches(&rule->source, &packet->source, packet->source_port, packet->has_ports) &&
	    end_matches(&rule->destination, &packet->destination, packet->destination_port, packet->has_ports))
		return 1;
	return end_matches(&rule->source, &packet->destination, packet->destination_port, packet->has_ports) &&
	       end_matches(&rule->destination, &packet->source, packet->source_port, packet->has_ports);
}

/* `list` 0 permits everything. */
INLINE int permits(u32 list, const struct packet *packet)
{
	struct access_key key = {.list = list};

	if (!list)
		return 1;
	if (!packet->family)
		return 0;
	for (u32 i = 0; i < ACCESS_RULES_MAX; i++) {
		struct access_rule *rule;

		key.number = i;
		rule = bpf_map_lookup_elem(&access_rules, &key);
		if (!rule)
			return 0;
		if (rule_matches(rule, packet))
			return rule->permit;
	}
	return 0;
}
