import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatAddress, parseAddress } from "./address.ts";
import { isMartian } from "./martian.ts";

const MARTIANS = new BlockList();
for (const [net, length] of [
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const) {
  MARTIANS.addSubnet(net, length, "ipv4");
}
for (const [net, length] of [
  ["::", 96],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  MARTIANS.addSubnet(net, length, "ipv6");

describe("isMartian", () => {
  const rows = [
    { text: "0.0.0.0", martian: true },
    { text: "0.255.255.255", martian: true },
    { text: "1.0.0.0", martian: false },
    { text: "10.0.0.1", martian: false },
    { text: "126.255.255.255", martian: false },
    { text: "127.0.0.1", martian: true },
    { text: "169.253.255.255", martian: false },
    { text: "169.254.169.254", martian: true },
    { text: "169.255.0.0", martian: false },
    { text: "223.255.255.255", martian: false },
    { text: "224.0.0.1", martian: true },
    { text: "240.0.0.1", martian: true },
    { text: "255.255.255.255", martian: true },
    { text: "::", martian: true },
    { text: "::1", martian: true },
    { text: "::10.0.0.1", martian: true },
    { text: "::ffff:10.0.0.1", martian: true },
    { text: "64:ff9b::10.0.0.1", martian: false },
    { text: "fd00::1", martian: false },
    { text: "2001:db8::1", martian: false },
    { text: "fe7f::1", martian: false },
    { text: "fe80::1", martian: true },
    { text: "febf:ffff::1", martian: true },
    { text: "fec0::1", martian: false },
    { text: "ff02::1", martian: true },
  ];
  for (const { text, martian } of rows) {
    test(text, () => {
      const { version, words } = parseAddress(text);
      assert.equal(isMartian(version, ...words), martian);
    });
  }

  test("any address, against node:net", () => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    const word = fc.oneof(u32, fc.constantFrom(0, 1, 0xffff, 0xfe80_0000, 0xfebf_0000, 0xff02_0000));
    fc.assert(
      fc.property(u32, (w3) =>
        assert.equal(isMartian(4, 0, 0, 0, w3), MARTIANS.check(formatAddress(4, 0, 0, 0, w3), "ipv4")),
      ),
    );
    fc.assert(
      fc.property(word, word, word, word, (w0, w1, w2, w3) => {
        // node:net judges an IPv4-mapped address by its IPv4 part; zgate lets none pass.
        const mapped = w0 === 0 && w1 === 0 && w2 === 0xffff;
        assert.equal(isMartian(6, w0, w1, w2, w3), mapped || MARTIANS.check(formatAddress(6, w0, w1, w2, w3), "ipv6"));
      }),
    );
  });
});
