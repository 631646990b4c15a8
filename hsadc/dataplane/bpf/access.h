/* Access lists: the first rule that fits a packet, as it is or with its ends exchanged, decides; none denies. Each field is looked up
 * once, whatever the number of rules. */
#pragma once

#include "packet.h"

INLINE void fit_address(struct scratch *scratch, u32 list, const struct address *address, struct access_masks *masks)
{
	struct access_network *key = &scratch->network_key;
	const struct access_masks *found;

	key->prefix = 8 * (sizeof(*key) - sizeof(key->prefix));
	key->list = list;
	key->address = *address;
	found = bpf_map_lookup_elem(&access_networks, key);
	masks->source = found ? found->source : 0;
	masks->destination = found ? found->destination : 0;
}

INLINE void fit_port(const struct packet *packet, const struct access_list *head, u32 list, be16 port, struct access_masks *masks)
{
	struct access_port key = {.prefix = 48, .list = list, .port = port};
	const struct access_masks *found = packet->has_ports ? bpf_map_lookup_elem(&access_ports, &key) : &head->portless;

	masks->source &= found ? found->source : 0;
	masks->destination &= found ? found->destination : 0;
}

INLINE int list_permits(struct scratch *scratch, u32 list)
{
	const struct packet *packet = &scratch->packet;
	struct access_protocol key = {.list = list, .protocol = packet->protocol, .family = packet->family};
	const struct access_list *head = bpf_map_lookup_elem(&access_lists, &list);
	struct access_masks source, destination;
	u64 *protocol, fit;

	if (!head || !packet->family)
		return 0;
	protocol = bpf_map_lookup_elem(&access_protos, &key);
	fit_address(scratch, list, &packet->source, &source);
	fit_address(scratch, list, &packet->destination, &destination);
	fit_port(packet, head, list, packet->source_port, &source);
	fit_port(packet, head, list, packet->destination_port, &destination);
	fit = (source.source & destination.destination) | (source.destination & destination.source);
	fit &= protocol ? *protocol : head->any_protocol;
	return (fit & -fit & head->permit) != 0;
}

/* Whether both lists permit the packet; list 0 permits everything. */
INLINE int permits(struct scratch *scratch, u32 first, u32 second)
{
#pragma unroll
	for (u32 i = 0; i < 2; i++) {
		u32 list = i ? second : first;

		if (list && !list_permits(scratch, list))
			return 0;
	}
	return 1;
}
