/** A machine with a loopback device and `zgt0`, the relay's TUN device; packets cross it in e2e/netns. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { runCommandSync } from "../shared/host/command.ts";
import { inFreshNamespace } from "../shared/host/fresh-namespace.ts";
import { readSysctl, writeSysctl } from "../shared/host/sysctl.ts";
import { parsePrefix } from "../shared/packet/address.ts";
import { type NatState, RelayNat } from "./nat.ts";

const DEVICE = "zgt0";
const STATE: NatState = {
  addresses: ["10.77.0.1/16", "fd77:7a67::1/64"],
  mtu: 1500,
  pools: [parsePrefix("10.77.0.0/16"), parsePrefix("fd77:7a67::/64")],
  masquerade: "any",
  reachable: [],
};

const ruleset = () => runCommandSync("nft", ["-s", "list", "ruleset"]);

/** Every forwarding switch and what hangs on them. */
function switches(): Record<string, string | undefined> {
  const names = ["net/ipv4/ip_forward", "net/ipv4/conf/all/accept_redirects"];
  for (const family of ["ipv4", "ipv6"]) {
    for (const device of readdirSync(`/proc/sys/net/${family}/conf`))
      names.push(`net/${family}/conf/${device}/forwarding`);
  }
  for (const device of readdirSync("/proc/sys/net/ipv6/conf")) names.push(`net/ipv6/conf/${device}/accept_ra`);
  return Object.fromEntries(names.map((name) => [name, readSysctl(name)]));
}

function machine(): unknown {
  return { ruleset: ruleset(), switches: switches(), addresses: runCommandSync("ip", ["-j", "address"]) };
}

inFreshNamespace(import.meta.filename, () => {
  runCommandSync("ip", ["link", "set", "lo", "up"]);
  writeSysctl("net/ipv4/ip_forward", "0");
  writeSysctl("net/ipv4/conf/all/accept_redirects", "0");
  writeSysctl("net/ipv4/conf/lo/forwarding", "1");

  beforeEach(() => {
    spawnSync("ip", ["link", "delete", DEVICE]);
    runCommandSync("ip", ["tuntap", "add", "dev", DEVICE, "mode", "tun"]);
    runCommandSync("ip", ["link", "set", DEVICE, "up", "addrgenmode", "none"]);
  });

  test("declares the table, forwarding and addresses, twice the same, and takes all back", async () => {
    const before = machine();
    const nat = new RelayNat(DEVICE);
    assert.deepEqual(await nat.declare(STATE), []);
    const declared = machine();
    assert.equal(readSysctl("net/ipv4/ip_forward"), "1");
    assert.equal(readSysctl("net/ipv6/conf/all/forwarding"), "1");
    assert.equal(readSysctl("net/ipv6/conf/lo/accept_ra"), "2");
    assert.match(ruleset(), /table inet zgate_zgt0 \{[^]*masquerade/);
    assert.match(runCommandSync("ip", ["route"]), /10\.77\.0\.0\/16 dev zgt0 .* src 10\.77\.0\.1/);
    await nat.declare(STATE);
    assert.deepEqual(machine(), declared);
    nat.removeSync();
    assert.deepEqual(machine(), before);
    nat.removeSync();
    assert.deepEqual(machine(), before);
  });

  test("what changes replaces the table in one transaction", async () => {
    const nat = new RelayNat(DEVICE);
    await nat.declare(STATE);
    await nat.declare({ ...STATE, masquerade: "off", reachable: [parsePrefix("10.77.0.1")] });
    assert.doesNotMatch(ruleset(), /masquerade/);
    assert.match(ruleset(), /ip daddr 10\.77\.0\.1 accept/);
    assert.equal(ruleset().match(/table inet zgate_/g)?.length, 1);
    nat.removeSync();
  });

  test("a machine that forwards already goes on forwarding", async () => {
    writeSysctl("net/ipv4/ip_forward", "1");
    writeSysctl("net/ipv6/conf/all/forwarding", "1");
    const before = machine();
    const nat = new RelayNat(DEVICE);
    await nat.declare(STATE);
    nat.removeSync();
    assert.deepEqual(machine(), before);
    writeSysctl("net/ipv6/conf/all/forwarding", "0");
    writeSysctl("net/ipv4/ip_forward", "0");
  });

  test("another table that drops is named, and the tables of others stay", async () => {
    runCommandSync(
      "nft",
      ["-f", "-"],
      "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }",
    );
    const before = ruleset();
    const nat = new RelayNat(DEVICE);
    const [warning] = await nat.declare(STATE);
    assert.match(warning ?? "", /^the nft chain "ip filter FORWARD" may drop the tunnel's packets/);
    nat.removeSync();
    assert.equal(ruleset(), before);
    runCommandSync("nft", ["delete", "table", "ip", "filter"]);
  });

  test("what a killed relay left is taken over by the next and then taken back", async () => {
    const before = machine();
    killRelay(DEVICE);
    assert.match(ruleset(), /table inet zgate_zgt0/);
    assert.equal(readSysctl("net/ipv4/ip_forward"), "1");
    const nat = new RelayNat(DEVICE);
    await nat.declare(STATE);
    assert.equal(ruleset().match(/table inet zgate_/g)?.length, 1);
    nat.removeSync();
    assert.deepEqual(machine(), before);
  });

  test("a killed relay of another name is cleaned up too", () => {
    const before = machine();
    killRelay(DEVICE);
    const nat = new RelayNat("zgt1");
    assert.equal(ruleset(), "");
    nat.removeSync();
    runCommandSync("ip", ["address", "flush", "dev", DEVICE]);
    assert.deepEqual(machine(), before);
  });

  test("a record without its table is of another namespace, and is dropped", async () => {
    killRelay(DEVICE);
    runCommandSync("nft", ["delete", "table", "inet", `zgate_${DEVICE}`]);
    const before = machine();
    const nat = new RelayNat(DEVICE);
    await nat.declare(STATE);
    nat.removeSync();
    runCommandSync("ip", ["address", "add", "10.77.0.1/16", "dev", DEVICE]);
    assert.deepEqual(machine(), before);
    writeSysctl("net/ipv4/ip_forward", "0");
    writeSysctl("net/ipv4/conf/lo/forwarding", "1");
    writeSysctl("net/ipv4/conf/all/accept_redirects", "0");
  });

  test("of two relays on one machine the last to leave restores forwarding", async () => {
    const before = machine();
    runCommandSync("ip", ["tuntap", "add", "dev", "zgt1", "mode", "tun"]);
    runCommandSync("ip", ["link", "set", "zgt1", "up", "addrgenmode", "none"]);
    const second = new RelayNat("zgt1");
    const source = `
      import { RelayNat } from "${join(import.meta.dirname, "nat.ts")}";
      import { parsePrefix } from "${join(import.meta.dirname, "../shared/packet/address.ts")}";
      const nat = new RelayNat("${DEVICE}");
      await nat.declare({ addresses: ["10.77.0.1/16"], mtu: 1500, pools: [parsePrefix("10.77.0.0/16")], masquerade: "any", reachable: [] });
      process.stdout.write("declared");
      process.stdin.once("data", () => { nat.removeSync(); process.exit(0); });`;
    const first = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(first.stdout, "data");
    await second.declare({ ...STATE, addresses: ["10.78.0.1/16"], pools: [parsePrefix("10.78.0.0/16")] });
    first.stdin.write("go");
    await once(first, "exit");
    assert.equal(readSysctl("net/ipv4/ip_forward"), "1");
    second.removeSync();
    runCommandSync("ip", ["link", "delete", "zgt1"]);
    assert.deepEqual(machine(), before);
  });
});

/** A relay that declares its network and is killed. */
function killRelay(device: string): void {
  const source = `
    import { RelayNat } from "${join(import.meta.dirname, "nat.ts")}";
    import { parsePrefix } from "${join(import.meta.dirname, "../shared/packet/address.ts")}";
    await new RelayNat("${device}").declare({
      addresses: ["10.77.0.1/16"], mtu: 1500, pools: [parsePrefix("10.77.0.0/16")], masquerade: "any", reachable: [],
    });
    process.kill(process.pid, "SIGKILL");`;
  const killed = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", source], { encoding: "utf8" });
  assert.equal(killed.signal, "SIGKILL", killed.stderr);
}
