import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatPrefix } from "../packet/address.ts";
import { CONNECT_IP_PATH, lanePath, parseConnectIpPath, parseLanePath } from "./request-path.ts";

describe("parseConnectIpPath", () => {
  const accepted = [
    { path: CONNECT_IP_PATH, target: undefined, ipProtocol: undefined },
    { path: "/.well-known/masque/ip/%2A/6/", target: undefined, ipProtocol: 6 },
    { path: "/.well-known/masque/ip/10.0.0.0%2F8/0/", target: "10.0.0.0/8", ipProtocol: 0 },
    { path: "/.well-known/masque/ip/192.0.2.1/255/", target: "192.0.2.1/32", ipProtocol: 255 },
    { path: "/.well-known/masque/ip/2001%3Adb8%3A%3A42/*/", target: "2001:db8::42/128", ipProtocol: undefined },
    { path: "/.well-known/masque/ip/2001%3adb8%3a%3a%2f32/17/", target: "2001:db8::/32", ipProtocol: 17 },
    { path: "/.well-known/masque/ip/Target.Example/*/", target: "target.example", ipProtocol: undefined },
  ];
  for (const { path, target, ipProtocol } of accepted) {
    test(path, () => {
      const result = parseConnectIpPath(path);
      assert.ok(result.ok);
      const { target: found } = result.scope;
      assert.equal(typeof found === "object" ? formatPrefix(found) : found, target);
      assert.equal(result.scope.ipProtocol, ipProtocol);
    });
  }

  const shape = "the path is not /.well-known/masque/ip/*/*/ or a narrower scope of it";
  const refused = [
    { path: "/", reason: shape },
    { path: "/.well-known/masque/ip/*/*", reason: shape },
    { path: "/.well-known/masque/ip//*/", reason: shape },
    { path: "/.well-known/masque/ip/10.0.0.0/8/*/", reason: shape },
    { path: "/.well-known/masque/ip/*/*/?x", reason: shape },
    { path: "/.well-known/masque/ip/%zz/*/", reason: "the path has a broken percent-encoding" },
    { path: "/.well-known/masque/ip/%ff/*/", reason: "the path has a broken percent-encoding" },
    { path: "/.well-known/masque/ip/*/256/", reason: "the path's IP protocol is not * or a number from 0 to 255" },
    { path: "/.well-known/masque/ip/*/tcp/", reason: "the path's IP protocol is not * or a number from 0 to 255" },
    { path: "/.well-known/masque/ip/-x/*/", reason: "the path's target is no *, IP prefix or host name" },
    { path: "/.well-known/masque/ip/a..b/*/", reason: "the path's target is no *, IP prefix or host name" },
    {
      path: `/.well-known/masque/ip/${"a".repeat(64)}/*/`,
      reason: "the path's target is no *, IP prefix or host name",
    },
    {
      path: "/.well-known/masque/ip/10.0.0.1%2F8/*/",
      reason: `the path's target: "10.0.0.1/8" has bits set behind its prefix length: did you mean 10.0.0.0/8?`,
    },
  ];
  for (const { path, reason } of refused) {
    test(`${path.slice(0, 60)} is refused`, () => assert.deepEqual(parseConnectIpPath(path), { ok: false, reason }));
  }

  test("random paths are a scope or a reason", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => void parseConnectIpPath(`/.well-known/masque/ip/${a}/${b}/`)),
    );
    fc.assert(fc.property(fc.string(), (path) => void parseConnectIpPath(path)));
  });
});

describe("parseLanePath", () => {
  test("round trip", () => {
    for (let lane = 0; lane < 64; lane++) assert.equal(parseLanePath(lanePath(lane)), lane);
  });
  for (const path of ["/lane/64", "/lane/", "/lane/01", "/lane/-1", "/lane/1/", "/lane/1?x", "/lane/ 1", "lane/1"]) {
    test(`${path} is none`, () => assert.equal(parseLanePath(path), undefined));
  }
});
