/* The mirror's programs: taps on the interfaces that carry traffic, one encapsulator on each tunnel's helper device.
 *
 *     packet --tap--> goes on unchanged
 *               +---> clone --> helper device --encapsulate--> GRE --> next hop --> analyzer
 *
 * A section is one program, and its name says where the loader attaches it. */
#include "encap.h"
#include "tap.h"

SECTION("hsadc_tap_in") int tap_in(struct __sk_buff *skb) { return tap(skb, FORWARD, 0); }

SECTION("hsadc_tap_out") int tap_out(struct __sk_buff *skb) { return tap(skb, BACKWARD, 0); }

SECTION("hsadc_hop_in") int hop_in(struct __sk_buff *skb) { return tap(skb, 0, 1); }

SECTION("hsadc_hop_out") int hop_out(struct __sk_buff *skb) { return tap(skb, 0, 1); }

SECTION("hsadc_encap") int encap(struct __sk_buff *skb) { return encapsulate(skb); }

char gpl[] SECTION("license") = "GPL";
