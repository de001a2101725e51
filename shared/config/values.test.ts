import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { z } from "zod";
import { durationMs } from "../units.ts";
import { formatHostPort, parseHostPort } from "./host-port.ts";
import {
  bindAddress,
  bindAddressOrOff,
  choice,
  count,
  countOrAlways,
  dnsName,
  duration,
  interfaceName,
  list,
  loopbackAddress,
  mtu,
  onOff,
  path,
  prefix4,
  prefix6,
  remoteAddress,
  remoteAddressOrOnOff,
  route,
} from "./values.ts";

const KINDS: Readonly<Record<string, z.ZodType<unknown, string>>> = {
  onOff,
  choice: choice(["a", "b", "c"]),
  count: count(1, 64),
  retry: countOrAlways(10),
  mtu,
  duration: duration(durationMs(10)),
  path,
  interfaceName,
  dnsName,
  bind: bindAddress,
  bindOrOff: bindAddressOrOff,
  loopback: loopbackAddress,
  remote: remoteAddress(4433),
  remoteOrOnOff: remoteAddressOrOnOff(4433),
  prefix4: prefix4(8, 29),
  prefix6: prefix6(32, 124),
  route,
};

const GOOD: readonly [kind: string, text: string, value: unknown][] = [
  ["onOff", "on", true],
  ["onOff", "false", false],
  ["choice", "b", "b"],
  ["count", "64", 64],
  ["retry", "always", 0],
  ["retry", "7", 7],
  ["mtu", "1280", 1280],
  ["duration", "500ms", 500],
  ["duration", "30", 30_000],
  ["duration", "1.5s", 1500],
  ["duration", "5m", 300_000],
  ["duration", "24h", 86_400_000],
  ["path", "a b", "a b"],
  ["interfaceName", "zgate-0.1_x", "zgate-0.1_x"],
  ["dnsName", "Relay.Example", "relay.example"],
  ["dnsName", "::1", "::1"],
  ["bind", "0.0.0.0:4433", { host: "0.0.0.0", port: 4433 }],
  ["bind", "[::]:0", { host: "::", port: 0 }],
  ["bind", "[2001:DB8:0::1]:1", { host: "2001:db8::1", port: 1 }],
  ["loopback", "127.1.2.3:1", { host: "127.1.2.3", port: 1 }],
  ["loopback", "[::1]:1", { host: "::1", port: 1 }],
  ["loopback", "off", null],
  ["remoteOrOnOff", "off", null],
  ["remoteOrOnOff", "on", "on"],
  ["remoteOrOnOff", "relay", { host: "relay", port: 4433 }],
  ["bindOrOff", "off", null],
  ["bindOrOff", "0.0.0.0:1", { host: "0.0.0.0", port: 1 }],
  ["remote", "relay.example", { host: "relay.example", port: 4433 }],
  ["remote", "10.0.0.1:1", { host: "10.0.0.1", port: 1 }],
  ["remote", "[fd00::1]", { host: "fd00::1", port: 4433 }],
  ["prefix4", "10.77.0.0/16", "10.77.0.0/16"],
  ["prefix6", "FD77:7a67:0:0::/64", "fd77:7a67::/64"],
  ["route", "default", "default"],
  ["route", "0.0.0.0/0", "0.0.0.0/0"],
  ["route", "10.0.0.1", "10.0.0.1/32"],
  ["route", "::/0", "::/0"],
  ["route", "fd00::1", "fd00::1/128"],
  ["route", "::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104"],
];

for (const [kind, text, value] of GOOD) {
  test(`${kind} reads ${JSON.stringify(text)}`, () => assert.deepEqual(KINDS[kind]?.parse(text), value));
}

const BAD: readonly [kind: string, text: string, message: string][] = [
  ["remoteOrOnOff", "a b", 'expected on, off, or HOST:PORT, such as relay.example:4433, got "a b"'],
  ["bindOrOff", "x", 'expected off, or ADDRESS:PORT with an IP address, such as 0.0.0.0:4433, got "x"'],
  ["onOff", "yes", 'expected on or off, got "yes"'],
  ["choice", "d", 'expected a, b or c, got "d"'],
  ["count", "0", 'expected a whole number from 1 to 64, got "0"'],
  ["count", "1e1", 'expected a whole number from 1 to 64, got "1e1"'],
  ["count", "-1", 'expected a whole number from 1 to 64, got "-1"'],
  ["count", "", 'expected a whole number from 1 to 64, got ""'],
  ["retry", "11", 'expected always, or a whole number from 0 to 10, got "11"'],
  ["mtu", "1279", 'expected a number of bytes from 1280 to 65521, got "1279"'],
  ["duration", "5 s", 'expected a duration such as 500ms, 30s, 5m or 1h, from 10ms to 24h, got "5 s"'],
  ["duration", "9ms", 'expected a duration such as 500ms, 30s, 5m or 1h, from 10ms to 24h, got "9ms"'],
  ["duration", "25h", 'expected a duration such as 500ms, 30s, 5m or 1h, from 10ms to 24h, got "25h"'],
  ["path", "", 'expected the path of a file, got ""'],
  ["path", "a\0b", 'expected the path of a file, got "a\\u0000b"'],
  [
    "interfaceName",
    "0123456789abcdef",
    'expected an interface name of at most 15 letters, digits, - _ or ., got "0123456789abcdef"',
  ],
  ["interfaceName", "..", 'expected an interface name of at most 15 letters, digits, - _ or ., got ".."'],
  ["interfaceName", "a/b", 'expected an interface name of at most 15 letters, digits, - _ or ., got "a/b"'],
  ["dnsName", "a..b", 'expected a DNS name or an IP address, got "a..b"'],
  [
    "bind",
    "relay.example:1",
    'expected ADDRESS:PORT with an IP address, such as 0.0.0.0:4433 or [::]:4433, got "relay.example:1"',
  ],
  ["bind", "::1:4433", 'expected ADDRESS:PORT with an IP address, such as 0.0.0.0:4433 or [::]:4433, got "::1:4433"'],
  ["bind", "0.0.0.0", 'expected ADDRESS:PORT with an IP address, such as 0.0.0.0:4433 or [::]:4433, got "0.0.0.0"'],
  [
    "bind",
    "0.0.0.0:65536",
    'expected ADDRESS:PORT with an IP address, such as 0.0.0.0:4433 or [::]:4433, got "0.0.0.0:65536"',
  ],
  [
    "loopback",
    "0.0.0.0:1",
    'expected off, or ADDRESS:PORT with a loopback address, such as 127.0.0.1:9443, got "0.0.0.0:1"',
  ],
  [
    "loopback",
    "localhost:1",
    'expected off, or ADDRESS:PORT with a loopback address, such as 127.0.0.1:9443, got "localhost:1"',
  ],
  ["remote", "10.0.0.256:1", 'expected HOST:PORT, such as relay.example:4433, got "10.0.0.256:1"'],
  ["remote", "relay:0", 'expected HOST:PORT, such as relay.example:4433, got "relay:0"'],
  ["remote", "https://relay", 'expected HOST:PORT, such as relay.example:4433, got "https://relay"'],
  ["prefix4", "10.77.0.1/16", "10.77.0.1/16 has bits set beyond its length; 10.77.0.0/16 may be meant"],
  ["prefix4", "10.0.0.0/30", 'expected an IPv4 prefix such as 10.77.0.0/16, from /8 to /29, got "10.0.0.0/30"'],
  ["prefix4", "010.0.0.0/8", 'expected an IPv4 prefix such as 10.77.0.0/16, from /8 to /29, got "010.0.0.0/8"'],
  ["prefix6", "fd00::1/64", "fd00::1/64 has bits set beyond its length; fd00::/64 may be meant"],
  [
    "prefix6",
    "fe80::%eth0/64",
    'expected an IPv6 prefix such as fd77:7a67::/64, from /32 to /124, got "fe80::%eth0/64"',
  ],
  ["route", "10.0.0.0/33", 'expected default, or a prefix such as 10.50.0.0/24 or fd00:50::/48, got "10.0.0.0/33"'],
  ["route", "10.0.0.0/8/8", 'expected default, or a prefix such as 10.50.0.0/24 or fd00:50::/48, got "10.0.0.0/8/8"'],
  [
    "route",
    "::ffff:10.0.0.1/104",
    "::ffff:10.0.0.1/104 has bits set beyond its length; ::ffff:10.0.0.0/104 may be meant",
  ],
];

for (const [kind, text, message] of BAD) {
  test(`${kind} refuses ${JSON.stringify(text)}`, () => {
    const result = KINDS[kind]?.safeParse(text);
    assert.deepEqual(
      result?.error?.issues.map((issue) => issue.message),
      [message],
    );
  });
}

test("a list has a limit", () => {
  const result = list(route).safeParse(Array.from({ length: 257 }, () => "10.0.0.1"));
  assert.deepEqual(
    result.error?.issues.map((issue) => issue.message),
    ["expected at most 256 values"],
  );
});

test("no text makes a kind throw, and what it read it reads again", () => {
  const text = fc.oneof(
    fc.string(),
    fc.ipV4(),
    fc.ipV6(),
    fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(140)).map(([address, length]) => `${address}/${length}`),
    fc.tuple(fc.oneof(fc.ipV4(), fc.domain()), fc.nat(70_000)).map(([host, port]) => `${host}:${port}`),
    fc.tuple(fc.ipV6(), fc.nat(70_000)).map(([host, port]) => `[${host}]:${port}`),
  );
  fc.assert(
    fc.property(text, (given) => {
      for (const kind of Object.values(KINDS)) {
        const { data } = kind.safeParse(given);
        if (typeof data === "string") assert.deepEqual(kind.parse(data), data);
      }
      const parsed = parseHostPort(given);
      if (parsed !== undefined) assert.deepEqual(parseHostPort(formatHostPort(parsed)), parsed);
    }),
    { numRuns: 1000 },
  );
});
