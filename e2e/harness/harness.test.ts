import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";

import { Namespace, connect } from "./namespace.ts";
import { waitFor } from "./process.ts";

const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("namespaces and services", { skip }, () => {
  /** a (192.0.2.1, 2001:db8::1) — veth — b (192.0.2.2, 2001:db8::2) */
  it("connects two namespaces, runs commands and services in them, and takes all back", async () => {
    const a = Namespace.create("a");
    const b = Namespace.create("b");
    connect(
      { namespace: a, name: "wan", addresses: ["192.0.2.1/24", "2001:db8::1/64"] },
      { namespace: b, name: "wan", addresses: ["192.0.2.2/24", "2001:db8::2/64"] },
    );
    for (const target of ["192.0.2.2", "2001:db8::2"]) {
      await a.check(["ping", "-c", "1", "-W", "2", target]);
    }
    b.sysctl({ "net.ipv4.ip_forward": "1" });
    assert.equal((await b.check(["cat", "/proc/sys/net/ipv4/ip_forward"])).trim(), "1");
    b.nft("table inet t {\n chain c { type filter hook input priority 0; icmp type echo-request drop; }\n}");
    assert.equal((await a.run(["ping", "-c", "1", "-W", "1", "192.0.2.2"])).code, 1);
    await assert.rejects(a.check(["ip", "link", "show", "nothing"]), {
      code: "ZG_HOST_COMMAND",
      message: /ip link show nothing in namespace zg\..*: exit 1: .*does not exist/,
    });

    const service = b.spawn(["sh", "-c", "echo ready; exec sleep 1000"]);
    await service.waitForOutput(/ready/);
    assert.match(await b.check(["ip", "netns", "pids", b.name]), new RegExp(`^${service.pid}$`, "m"));
    assert.deepEqual(await service.stop(), { code: null, signal: "SIGTERM" });

    const forgotten = b.spawn(["sleep", "1000"]);
    a.delete();
    b.delete();
    assert.equal((await forgotten.waitForExit()).signal, "SIGKILL");
    assert.ok(!existsSync(`/run/netns/${a.name}`) && !existsSync(`/run/netns/${b.name}`));
  });

  it("says what a service printed when it ends too early", async () => {
    const namespace = Namespace.create("early");
    const service = namespace.spawn(["sh", "-c", "echo broken >&2; exit 3"]);
    await assert.rejects(service.waitForOutput(/ready/), /did not print \/ready\/.*ended with 3.*broken/s);
    namespace.delete();
  });

  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    it(`leaves nothing behind after ${signal}`, async () => {
      const source = `
        import { Namespace } from "${import.meta.dirname}/namespace.ts";
        const namespace = Namespace.create("doomed");
        namespace.spawn(["sleep", "1000"]);
        process.stdout.write(namespace.name);
        setInterval(() => {}, 1000);`;
      const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [name] = (await once(child.stdout, "data")) as [Buffer];
      child.kill(signal);
      await once(child, "exit");
      const path = `/run/netns/${name.toString()}`;
      // Of what was killed any run sweeps the rest, also one that makes its namespaces at the same time.
      if (signal === "SIGINT") assert.ok(!existsSync(path));
      Namespace.create(`after-${signal}`).delete();
      await waitFor("the namespace to be swept", () => !existsSync(path));
    });
  }

  it("names the condition that did not come", async () => {
    await assert.rejects(
      waitFor("the moon", () => false, 30),
      /the moon: not within 30 ms/,
    );
  });
});
