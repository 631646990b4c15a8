/* The tap: looks at every packet of a device and copies those of a mirrored virtual server, or all. It never writes to the packet,
 * and its verdict is always "go on as if I were not here", so no fault of the mirror reaches the traffic. */
#pragma once

#include "access.h"
#include "packet.h"

static const u32 SAMPLE_SEED = 0x73616d70, DESTINATION_FACTOR = 0x9e3779b1;

INLINE struct source *find_rule(struct scratch *scratch, const struct address *address, be16 port, u32 hop)
{
	struct rule_key *key = &scratch->rule_key;

	key->address = *address;
	key->port = port;
	key->protocol = scratch->packet.protocol;
	key->hop = hop;
	return bpf_map_lookup_elem(&rules, key);
}

INLINE int is_analyzer(const struct address *address) { return bpf_map_lookup_elem(&analyzers, address) != 0; }

INLINE int is_vxlan(be16 port)
{
	u32 key = port;

	return bpf_map_lookup_elem(&vxlan_ports, &key) != 0;
}

/* Whether a packet is encapsulated, or an analyzer's. */
INLINE int is_copy(const struct packet *packet)
{
	if (packet->protocol == GRE_PROTOCOL || is_analyzer(&packet->source) || is_analyzer(&packet->destination))
		return 1;
	return packet->protocol == UDP && packet->has_ports && is_vxlan(packet->destination_port);
}

/* Whether a packet is an ICMP or ICMPv6 error (RFC 792; RFC 4443, section 2.1) that quotes a copy. */
INLINE int quotes_copy(const struct __sk_buff *skb, struct scratch *scratch)
{
	const struct packet *packet = &scratch->packet;
	struct packet *quoted = &scratch->quoted;
	struct ports ports;
	u8 type;

	if (packet->protocol != (packet->family == 4 ? ICMP : ICMPV6) || packet->later ||
	    bpf_skb_load_bytes(skb, packet->transport, &type, 1))
		return 0;
	if (packet->family == 4 ? type != 3 && type != 4 && type != 5 && type != 11 && type != 12 : type >= 128)
		return 0;
	read_headers(skb, scratch, quoted, packet->ethertype, packet->transport + 8);
	if (!quoted->family)
		return 0;
	if (!quoted->later && !bpf_skb_load_bytes(skb, quoted->transport, &ports, sizeof(ports))) {
		quoted->destination_port = ports.destination;
		quoted->has_ports = 1;
	}
	return is_copy(quoted);
}

/* What a mirrored interface must not copy, lest copies of copies go round. */
INLINE int may_loop(const struct __sk_buff *skb, struct scratch *scratch)
{
	return scratch->packet.family && (is_copy(&scratch->packet) || quotes_copy(skb, scratch));
}

/* The place of the destination that gets the flow, of those that are up, goes to scratch->chosen. */
INLINE void choose(struct scratch *scratch, const struct profile *profile, u32 hash)
{
	u32 live = profile->live ? profile->live : 0xff, best = 0;

#pragma unroll
	for (u32 i = 0; i < DESTINATIONS_MAX; i++) {
		u32 rank = mix(hash ^ (DESTINATION_FACTOR * (i + 1)));

		if (i >= profile->count || !(live >> i & 1))
			continue;
		if (profile->distribute == FAILOVER) {
			scratch->chosen = i;
			return;
		}
		if (rank > best) {
			best = rank;
			scratch->chosen = i;
		}
		FORGET();
	}
}

INLINE void hand_over(struct __sk_buff *skb, struct source_counters *counters, const struct profile *profile, u32 number, u32 place,
		      u32 packets)
{
	u32 device = profile->devices[place];

	/* A record that is replaced twice while this CPU stands still may have become another profile's. */
	FORGET();
	if (profile->number != number) {
		COUNT(counters, failed, packets);
		return;
	}
	/* Positive results are drops that the encapsulator decided on, and counted. */
	if (bpf_clone_redirect(skb, device, 0) < 0)
		COUNT(counters, failed, packets);
	else
		COUNT(counters, copied, packets);
}

INLINE void distribute(struct __sk_buff *skb, struct scratch *scratch, u32 number, const struct profile *profile, struct source_counters *counters,
		       u32 packets, u32 hash)
{
	scratch->chosen = 0;
	if (profile->distribute != REPLICATE)
		choose(scratch, profile, hash);
	scratch->end = profile->distribute == REPLICATE ? profile->count : scratch->chosen + 1;
	struct scratch *first = find_scratch(0);

	if (!first)
		return;
	first->depth++;
	scratch->profile = number;
	scratch->hash = hash;
	scratch->limited = profile->limited;
	scratch->piece.length = 0;
	for (u32 i = 0; i < DESTINATIONS_MAX; i++) {
		FORGET();
		if (i >= scratch->end)
			break;
		if (i >= scratch->chosen)
			hand_over(skb, counters, profile, number, i, packets);
	}
	scratch->profile = 0;
	first->depth--;
}

/* Bytes of the IP packets that the packet stands for. */
INLINE u32 bytes_of(const struct __sk_buff *skb, const struct packet *packet, u32 packets)
{
	u32 bytes = skb->gso_size ? skb->len - packet->offset : packet->length;

	if (packets > 1)
		bytes += (packets - 1) * headers_length(skb, packet->offset, packet->transport, packet->protocol);
	return bytes - packets * jumbo_length(skb, packet);
}

/* Looks at the packet as one of a source; what may be a copy is not copied from a `guarded` one. */
INLINE void mirror(struct __sk_buff *skb, struct scratch *scratch, const struct source *source, u32 direction, u32 guarded)
{
	const struct packet *packet = &scratch->packet;
	struct source_counters *counters = bpf_map_lookup_elem(&source_counters, &source->id);
	struct profile *profile = bpf_map_lookup_elem(&profiles, &source->profile);
	u32 packets = segments_of(skb), hash = 0;

	if (!counters || !profile)
		return;
	COUNT(counters, seen, packets);
	if (guarded && may_loop(skb, scratch)) {
		COUNT(counters, loop_guard, packets);
		return;
	}
	FORGET();
	if (!(source->directions & profile->directions & direction) ||
	    !permits(scratch, source->access_list, profile->access_list)) {
		COUNT(counters, filtered, packets);
		return;
	}
	FORGET();
	if (profile->needs_hash)
		hash = hash_flow(packet);
	if (profile->sample_flows > 1 && mix(hash ^ SAMPLE_SEED) % profile->sample_flows) {
		COUNT(counters, sampled_out, packets);
		return;
	}
	COUNT(counters, matched_packets, packets);
	COUNT(counters, matched_bytes, bytes_of(skb, packet, packets));
	if (scratch->taken_by == source->profile)
		return; /* one copy is enough */
	scratch->taken_by = source->profile;
	distribute(skb, scratch, source->profile, profile, counters, packets, hash);
}

/* The virtual server's rule that takes the packet, by its destination (forward), else by its source (backward). */
INLINE void match(struct scratch *scratch, u32 hop)
{
	struct source *rule;

	scratch->rule.profile = 0;
	if (!scratch->packet.has_ports)
		return;
	scratch->direction = FORWARD;
	rule = find_rule(scratch, &scratch->packet.destination, scratch->packet.destination_port, hop);
	if (!rule) {
		scratch->direction = BACKWARD;
		rule = find_rule(scratch, &scratch->packet.source, scratch->packet.source_port, hop);
	}
	if (rule)
		scratch->rule = *rule;
}

/* What passes for a third time within one call is not copied. */
INLINE int refuse(const struct __sk_buff *skb, const struct source *port)
{
	u32 id = port->id;
	struct source_counters *counters = bpf_map_lookup_elem(&source_counters, &id);

	if (counters) {
		COUNT(counters, seen, segments_of(skb));
		COUNT(counters, loop_guard, segments_of(skb));
	}
	return TC_ACT_UNSPEC;
}

/* Both are known when this is compiled. The clear hop (`hop` 1) has rules of its own, and is no interface that could be mirrored. */
INLINE int tap(struct __sk_buff *skb, u32 port_direction, u32 hop)
{
	struct scratch *scratch = find_scratch(0);
	u32 ifindex = skb->ifindex;
	struct source *port;

	if (!scratch || skb->mark == COPY_MARK)
		return TC_ACT_UNSPEC;
	port = hop ? 0 : bpf_map_lookup_elem(&port_mirrors, &ifindex);
	if (scratch->depth >= DEPTH_MAX)
		return port ? refuse(skb, port) : TC_ACT_UNSPEC;
	if (scratch->depth)
		scratch = find_scratch(1);
	if (!scratch)
		return TC_ACT_UNSPEC;
	read_packet(skb, scratch);
	FORGET();
	match(scratch, hop);
	scratch->taken_by = 0;
	scratch->port.profile = 0;
	if (port)
		scratch->port = *port;
	FORGET();
#pragma unroll
	for (u32 i = 0; i < 2 - hop; i++) {
		const struct source *source = i ? &scratch->port : &scratch->rule;

		if (source->profile)
			mirror(skb, scratch, source, i ? port_direction : scratch->direction, i);
		FORGET();
	}
	return TC_ACT_UNSPEC;
}
