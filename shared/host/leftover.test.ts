import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { RUN_DIRECTORY } from "./constants.ts";
import { inFreshNamespace } from "./fresh-namespace.ts";
import { findLeftovers, Leftover } from "./leftover.ts";
import { changeSysctls, readSysctl, writeSysctl } from "./sysctl.ts";

const schema = z.strictObject({ routes: z.array(z.string()) });

inFreshNamespace(import.meta.filename, () => {
  test("a record lives until it is forgotten, and its owner is known to live", () => {
    const leftover = new Leftover<z.infer<typeof schema>>("test-a");
    assert.deepEqual(findLeftovers("test-", schema), []);
    leftover.remember({ routes: ["10.0.0.0/8"] });
    leftover.remember({ routes: ["10.1.0.0/16"] });
    const [found] = findLeftovers("test-", schema);
    assert.deepEqual(
      { name: found?.name, content: found?.content, ownerAlive: found?.ownerAlive },
      { name: "test-a", content: { routes: ["10.1.0.0/16"] }, ownerAlive: true },
    );
    leftover.forget();
    assert.deepEqual(findLeftovers("test-", schema), []);
  });

  test("the record of a process that was killed is found without its owner", () => {
    const source = `
      import { Leftover } from "${join(import.meta.dirname, "leftover.ts")}";
      new Leftover("test-killed").remember({ routes: [] });
      process.kill(process.pid, "SIGKILL");`;
    const killed = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", source]);
    assert.equal(killed.signal, "SIGKILL");
    const [found] = findLeftovers("test-", schema);
    assert.equal(found?.ownerAlive, false);
    found?.forget();
    assert.deepEqual(findLeftovers("test-", schema), []);
  });

  test("records that cannot be read, or that another version wrote, are dropped", () => {
    const leftover = new Leftover<unknown>("test-b");
    leftover.remember({ other: true });
    assert.deepEqual(findLeftovers("test-", schema), []);
    leftover.remember({ routes: [] });
    const [file] = findLeftovers("test-", z.unknown());
    assert.ok(file);
    for (const text of ["", "{", "[]", `{"pid":1}`]) {
      leftover.remember({ routes: [] });
      writeFileSync(join(RUN_DIRECTORY, pathOf("test-b")), text);
      assert.deepEqual(findLeftovers("test-", schema), [], text);
    }
  });

  test("changeSysctls returns only what it changed", () => {
    writeSysctl("net/ipv4/ip_forward", "0");
    const wanted = { "net/ipv4/ip_forward": "1", "net/ipv4/no_such_setting": "1" };
    assert.deepEqual(changeSysctls(wanted), { "net/ipv4/ip_forward": "0" });
    assert.deepEqual(changeSysctls(wanted), {});
    assert.equal(readSysctl("net/ipv4/ip_forward"), "1");
    assert.equal(readSysctl("net/ipv4/no_such_setting"), undefined);
    assert.throws(() => writeSysctl("net/ipv4/no_such_setting", "1"), {
      code: "ZG_PRIVILEGE",
      message: /^net\.ipv4\.no_such_setting cannot be set to 1: .*sysctls: in compose\.yaml/,
    });
  });
});

function pathOf(name: string): string {
  const inode = spawnSync("readlink", ["/proc/self/ns/net"], { encoding: "utf8" }).stdout.replace(/\D/g, "");
  return `${name}@${inode}.json`;
}
