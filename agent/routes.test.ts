/**
 *   lan0 192.0.2.2/24, 2001:db8::2/64 (default routes via .1 and ::1) ── veth ── lan1
 *   zgt0 a TUN device, as the agent's
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { tunMtu } from "../shared/units.ts";
import { inFreshNamespace } from "../shared/host/fresh-namespace.ts";
import { runCommandSync } from "../shared/host/command.ts";
import { writeSysctl } from "../shared/host/sysctl.ts";
import { parseAddress, parsePrefix } from "../shared/packet/address.ts";
import { AgentRoutes } from "./routes.ts";

const DEVICE = "zgt0";
const MTU = tunMtu(1500);
const ADDRESSES = [parsePrefix("10.77.0.2/32"), parsePrefix("fd77:7a67::2/128")];
const RELAY = parseAddress("198.51.100.1");
const RELAY6 = parseAddress("2001:db8:ff::1");

const prefixes = (...texts: string[]) => texts.map(parsePrefix);

function ip(...args: string[]): string {
  return runCommandSync("ip", args);
}

/** Destinations of zgate's own routes, with their devices. */
function ownRoutes(): string[] {
  return ["-4", "-6"].flatMap((family) =>
    ip(family, "route", "show", "proto", "122")
      .split("\n")
      .filter(Boolean)
      .map((line) =>
        line
          .replace(/ (metric|src|scope|pref|linkdown).*/, "")
          .replace(" proto 122", "")
          .trim(),
      ),
  );
}

function network(): string {
  return ip("-j", "address") + ip("-j", "-4", "route") + ip("-j", "-6", "route");
}

inFreshNamespace(import.meta.filename, () => {
  ip("link", "set", "lo", "up");
  ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1");
  ip("address", "add", "192.0.2.2/24", "dev", "lan0");
  ip("-6", "address", "add", "2001:db8::2/64", "dev", "lan0", "nodad");
  ip("link", "set", "lan0", "up", "addrgenmode", "none");
  ip("link", "set", "lan1", "up", "addrgenmode", "none");
  ip("route", "add", "default", "via", "192.0.2.1");
  ip("-6", "route", "add", "default", "via", "2001:db8::1");

  beforeEach(() => {
    spawnSync("ip", ["link", "delete", DEVICE]);
    ip("tuntap", "add", "dev", DEVICE, "mode", "tun");
    ip("link", "set", DEVICE, "up", "addrgenmode", "none");
  });

  test("declares addresses and routes, twice the same, and takes all back", async () => {
    const before = network();
    const routes = new AgentRoutes(DEVICE);
    const state = { addresses: ADDRESSES, mtu: MTU, destinations: prefixes("10.50.0.0/24", "fd50::/64"), relay: RELAY };
    assert.deepEqual(await routes.declare(state), []);
    const declared = network();
    assert.deepEqual(ownRoutes(), [`10.50.0.0/24 dev ${DEVICE}`, `fd50::/64 dev ${DEVICE}`]);
    await routes.declare(state);
    assert.equal(network(), declared);
    routes.removeSync();
    assert.equal(network(), before);
    routes.removeSync();
  });

  test("a default route is split and the relay stays reachable, in both families", async () => {
    const before = network();
    const routes = new AgentRoutes(DEVICE);
    for (const [relay, host] of [
      [RELAY, "198.51.100.1 via 192.0.2.1 dev lan0"],
      [RELAY6, "2001:db8:ff::1 via 2001:db8::1 dev lan0"],
    ] as const) {
      await routes.declare({ addresses: ADDRESSES, mtu: MTU, destinations: prefixes("0.0.0.0/0", "::/0"), relay });
      const tunnel = [
        `0.0.0.0/1 dev ${DEVICE}`,
        `128.0.0.0/1 dev ${DEVICE}`,
        `::/1 dev ${DEVICE}`,
        `8000::/1 dev ${DEVICE}`,
      ];
      assert.deepEqual(ownRoutes().toSorted(), [...tunnel, host].toSorted());
    }
    assert.match(ip("route", "get", "198.51.100.2"), new RegExp(`dev ${DEVICE} src 10.77.0.2`));
    assert.match(ip("-6", "route", "get", "2001:db8:ff::1"), /via 2001:db8::1 dev lan0/);
    routes.removeSync();
    assert.equal(network(), before);
  });

  test("another lease and other routes replace the ones before", async () => {
    const before = network();
    const routes = new AgentRoutes(DEVICE);
    await routes.declare({ addresses: ADDRESSES, mtu: MTU, destinations: prefixes("0.0.0.0/0"), relay: RELAY });
    const other = [parsePrefix("10.77.0.3/32")];
    await routes.declare({
      addresses: other,
      mtu: MTU,
      destinations: prefixes("10.50.0.0/24", "fd50::/64"),
      relay: RELAY,
    });
    assert.deepEqual(ownRoutes(), [`10.50.0.0/24 dev ${DEVICE}`]);
    assert.match(ip("route", "get", "10.50.0.1"), /src 10\.77\.0\.3/);
    assert.doesNotMatch(ip("address", "show", "dev", DEVICE), /10\.77\.0\.2|fd77/);
    routes.removeSync();
    assert.equal(network(), before);
  });

  test("a relay on this machine needs no host route; one without any way is refused", async () => {
    const routes = new AgentRoutes(DEVICE);
    const destinations = prefixes("0.0.0.0/0");
    await routes.declare({ addresses: ADDRESSES, mtu: MTU, destinations, relay: parseAddress("192.0.2.2") });
    assert.deepEqual(ownRoutes(), [`0.0.0.0/1 dev ${DEVICE}`, `128.0.0.0/1 dev ${DEVICE}`]);
    routes.removeSync();
    ip("route", "delete", "default");
    await assert.rejects(routes.declare({ addresses: ADDRESSES, mtu: MTU, destinations, relay: RELAY }), {
      code: "ZG_CONNECT_FAILED",
      message: /^the relay 198\.51\.100\.1 would be cut off: /,
    });
    ip("route", "add", "default", "via", "192.0.2.1");
    routes.removeSync();
  });

  test("a route of this machine to the same prefix stays, and that is said", async () => {
    const routes = new AgentRoutes(DEVICE);
    const warnings = await routes.declare({
      addresses: ADDRESSES,
      destinations: prefixes("192.0.2.0/24"),
      relay: RELAY,
      mtu: MTU,
    });
    assert.deepEqual(warnings, [
      "192.0.2.0/24 does not go through the tunnel: this machine has a route to it via lan0",
    ]);
    routes.removeSync();
    assert.match(ip("route", "show", "192.0.2.0/24"), /dev lan0/);
  });

  test("IPv6 is switched on for the device where the machine has it off", async () => {
    writeSysctl(`net/ipv6/conf/${DEVICE}/disable_ipv6`, "1");
    const routes = new AgentRoutes(DEVICE);
    assert.deepEqual(
      await routes.declare({ addresses: ADDRESSES, mtu: MTU, destinations: prefixes("fd50::/64"), relay: RELAY }),
      [],
    );
    assert.deepEqual(ownRoutes(), [`fd50::/64 dev ${DEVICE}`]);
    routes.removeSync();
  });

  test("a device that is not there is an error", async () => {
    const routes = new AgentRoutes("gone0");
    const state = { addresses: ADDRESSES.slice(0, 1), mtu: MTU, destinations: [], relay: RELAY };
    await assert.rejects(routes.declare(state), { code: "ZG_HOST_COMMAND", message: /"gone0" does not exist/ });
    routes.removeSync();
  });

  test("the host route of an agent that was killed goes with the next start; a living one's stays", async () => {
    const before = network();
    const source = `
      import { AgentRoutes } from "${join(import.meta.dirname, "routes.ts")}";
      import { parseAddress, parsePrefix } from "${join(import.meta.dirname, "../shared/packet/address.ts")}";
      await new AgentRoutes("${DEVICE}").declare({
        addresses: [parsePrefix("10.77.0.2/32")],
        destinations: [parsePrefix("0.0.0.0/0")],
        relay: parseAddress(process.argv[1]),
        mtu: 1500,
      });
      process.kill(process.pid, "SIGKILL");`;
    const kill = (relay: string) => {
      const killed = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", source, relay], {
        encoding: "utf8",
      });
      assert.equal(killed.signal, "SIGKILL", killed.stderr);
    };
    kill("198.51.100.7");
    assert.match(ip("route"), /198\.51\.100\.7 via 192\.0\.2\.1 dev lan0 proto 122/);
    const routes = new AgentRoutes("zgt1");
    assert.doesNotMatch(ip("route"), /198\.51\.100\.7/);

    ip("tuntap", "add", "dev", "zgt1", "mode", "tun");
    ip("link", "set", "zgt1", "up", "addrgenmode", "none");
    ip("-4", "route", "flush", "dev", DEVICE);
    await routes.declare({
      addresses: [parsePrefix("10.77.0.3/32")],
      destinations: prefixes("198.51.0.0/16"),
      relay: RELAY,
      mtu: MTU,
    });
    kill("198.51.100.1");
    new AgentRoutes("zgt2").removeSync();
    assert.match(ip("route"), /198\.51\.100\.1 via 192\.0\.2\.1 dev lan0 proto 122/);
    routes.removeSync();
    ip("link", "delete", "zgt1");
    ip("-4", "route", "flush", "dev", DEVICE);
    ip("address", "flush", "dev", DEVICE);
    assert.equal(network(), before);
  });
});
