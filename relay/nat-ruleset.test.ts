import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "../shared/packet/address.ts";
import { deletionRuleset, forwardBlockers, natRuleset, type NatRules, tableName } from "./nat-ruleset.ts";

const RULES: NatRules = {
  device: "zgate0",
  mtu: 1500,
  pools: [parsePrefix("10.77.0.0/16"), parsePrefix("fd77:7a67::/64")],
  masquerade: "any",
  reachable: [],
};

test("the whole table", () => {
  assert.equal(
    natRuleset(RULES),
    `add table inet zgate_zgate0
delete table inet zgate_zgate0
table inet zgate_zgate0 {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifname "zgate0" ip saddr != 10.77.0.0/16 counter drop comment "not a tunnel address"
    iifname != { "zgate0", "lo" } ip saddr 10.77.0.0/16 counter drop comment "a tunnel address from elsewhere"
    iifname "zgate0" ip6 saddr != fd77:7a67::/64 counter drop comment "not a tunnel address"
    iifname != { "zgate0", "lo" } ip6 saddr fd77:7a67::/64 counter drop comment "a tunnel address from elsewhere"
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname "zgate0" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    iifname "zgate0" meta nfproto ipv4 tcp flags & (syn | rst) == syn tcp option maxseg size set 1460
    iifname "zgate0" meta nfproto ipv6 tcp flags & (syn | rst) == syn tcp option maxseg size set 1440
    iifname "zgate0" accept
    oifname "zgate0" ct state established,related accept
    oifname "zgate0" counter drop comment "nobody asked for it"
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname != "zgate0" accept
    ct state established,related accept
    counter drop comment "the relay itself"
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname != "zgate0" ip saddr 10.77.0.0/16 masquerade
    oifname != "zgate0" ip6 saddr fd77:7a67::/64 masquerade
  }
}
`,
  );
});

const VARIANTS: readonly { name: string; rules: Partial<NatRules>; has: RegExp; hasNot?: RegExp }[] = [
  {
    name: "masquerade behind one interface",
    rules: { masquerade: { interface: "eth1" } },
    has: /oifname "eth1" ip saddr 10\.77\.0\.0\/16 masquerade/,
  },
  { name: "no masquerade", rules: { masquerade: "off" }, has: /chain input/, hasNot: /masquerade|srcnat/ },
  {
    name: "a reachable address",
    rules: { reachable: [parsePrefix("10.77.0.1")] },
    has: /ip daddr 10\.77\.0\.1\/32 accept\n {4}counter drop/,
  },
  {
    name: "an IPv6 reachable address",
    rules: { reachable: [parsePrefix("fd77:7a67::1")] },
    has: /ip6 daddr fd77:7a67::1\/128 accept/,
  },
  { name: "one family", rules: { pools: [parsePrefix("10.77.0.0/16")] }, has: /ip saddr 10/, hasNot: /ip6 saddr/ },
  { name: "a small MTU", rules: { mtu: 1280 }, has: /ipv4 .* size set 1240\n.*ipv6 .* size set 1220/ },
];

for (const { name, rules, has, hasNot } of VARIANTS) {
  test(`the table with ${name}`, () => {
    const text = natRuleset({ ...RULES, ...rules });
    assert.match(text, has);
    if (hasNot !== undefined) assert.doesNotMatch(text, hasNot);
  });
}

test("the table carries the device's name, and is deleted whether it is there or not", () => {
  assert.equal(tableName("tun-7"), "zgate_tun-7");
  assert.equal(deletionRuleset("tun-7"), "add table inet zgate_tun-7\ndelete table inet zgate_tun-7\n");
});

test("forwardBlockers names the chains of others that drop", () => {
  const chain = (family: string, table: string, name: string, hook: string, policy: string) => ({
    chain: { family, table, name, handle: 1, type: "filter", hook, prio: 0, policy },
  });
  const json = JSON.stringify({
    nftables: [
      { metainfo: { version: "1.0.6" } },
      chain("ip", "filter", "FORWARD", "forward", "drop"),
      chain("ip", "filter", "INPUT", "input", "drop"),
      chain("inet", "firewalld", "filter_FORWARD", "forward", "accept"),
      chain("inet", "zgate_zgate0", "forward", "forward", "drop"),
      { chain: { family: "ip", table: "filter", name: "DOCKER-USER", handle: 2 } },
    ],
  });
  assert.deepEqual(forwardBlockers(json, "zgate0"), ["ip filter FORWARD"]);
});
