/* Memory of one CPU: what one program tells the next, and room for what is too much for the stack (512 bytes).
 *
 * The programs of one copy run in one call of the kernel's stack, one within the other. Other packets may pass a tap in the middle of
 * it: the kernel asks for the copy's next hop, or takes the occasion to send what has waited in the queue that the copy goes to. They
 * are copied as well, with memory of their own; what passes while that is going on, a third time, is not. */
#pragma once

#include "maps.h"

enum { TAGS_MAX = 3, CHUNK = 256 /* bytes summed at a time */ };

/* What a packet is selected by. */
struct packet {
	struct address source, destination;
	be16 source_port, destination_port;
	u8 protocol;
	u8 family;    /* 4, 6, or 0: not IP, and nothing here is set but the Ethertype */
	u8 has_ports; /* TCP or UDP, and its ports are known */
	u8 part;      /* of a datagram that comes in fragments */
	be16 ethertype; /* behind VLAN tags */
	u16 offset;     /* of the IP header */
	u32 length;     /* of the IP packet as its header says, or of what there is of it */
	u32 transport;  /* offset of what follows the IP headers */
	u32 later;      /* a fragment, and not the first */
	be32 identification;
};

/* What is at the front of a copied frame, VLAN tags already taken off. */
struct frame {
	u32 tags;
	be16 tag_protocol[TAGS_MAX], tag[TAGS_MAX]; /* from the outside */
	be16 ethertype;
	u16 family;   /* 4, 6, or 0: no complete IP packet */
	u32 ip_size;  /* of the IP header without extension headers */
	u32 protocol; /* that follows it */
	u32 plain;    /* no fragment */
};

/* The part of a packet that the next one on this CPU shall be cut down to; length 0: it is no part. */
struct piece {
	u32 offset; /* of its first byte in the segment's payload, or in what stands behind the outer IP header */
	u32 length;
	u32 number; /* from 0 */
	u32 last;
	u32 fragment; /* a fragment of the outer packet, else a TCP segment */
};

struct scratch {
	/* from the tap to the encapsulator */
	u32 depth;   /* in the first entry: taps that are handing a copy over, one within the other */
	u32 profile; /* that made the copy; 0: user space did */
	u32 hash;    /* of its flow */
	u32 limited; /* whether the profile asks anything of single copies */
	/* of the outer packet */
	u32 identification;
	u32 sequence;
	u32 taken_by; /* within the tap: profile that has got the packet already */
	struct frame frame;
	struct piece piece;
	u8 outer[160]; /* as a tunnel has it; the verifier takes a length for 127 at most */
	/* within the tap */
	struct source rule, port; /* of which the packet is; profile 0: of none */
	u32 direction;            /* of the packet, as the rule has it */
	u32 chosen, end;          /* the destinations that get a copy */
	/* room */
	struct packet packet;
	struct fragment_key fragment_key;
	struct rule_key rule_key;
	struct access_network network_key;
	struct packet quoted;
	union header first, second;
	u8 chunk[CHUNK];
};

/* What was written to scratch is read from there again, by the compiler and so by the verifier: it takes it for unknown then, and
 * follows one way on instead of one for each value that it might have. */
#define FORGET() asm volatile("" ::: "memory")

/* Makes a pointer that is made on one of several ways (told apart by `way`) there: the compiler would join the ways and add a number
 * that differs from way to way to one pointer, which the verifier refuses to a process without CAP_PERFMON. Nor may a short loop be
 * left a loop where nothing in it ends what the verifier follows in speculation: such ones are unrolled. */
#define SETTLE(pointer, way) asm volatile("# " way : "+r"(pointer))

enum { DEPTH_MAX = 2 };

struct map scratches SECTION("maps") = {BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(u32), sizeof(struct scratch), DEPTH_MAX, 0};

INLINE struct scratch *find_scratch(u32 level) { return bpf_map_lookup_elem(&scratches, &level); }
