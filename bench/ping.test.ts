import assert from "node:assert/strict";
import { it } from "node:test";

import { parsePing } from "./ping.ts";

it("reads the times that ping printed, and nothing else", () => {
  const output = `PING 203.0.113.2 (203.0.113.2) 56(84) bytes of data.
64 bytes from 203.0.113.2: icmp_seq=1 ttl=63 time=0.342 ms
64 bytes from 203.0.113.2: icmp_seq=3 ttl=63 time=12 ms
64 bytes from 203.0.113.2: icmp_seq=3 ttl=63 time=13.0 ms (DUP!)
From 203.0.113.1 icmp_seq=4 Destination Host Unreachable

--- 203.0.113.2 ping statistics ---
4 packets transmitted, 2 received, +1 duplicates, 50% packet loss, time 3004ms
rtt min/avg/max/mdev = 0.342/6.171/12.000/5.829 ms`;
  assert.deepEqual(parsePing(output), [0.342, 12]);
});
