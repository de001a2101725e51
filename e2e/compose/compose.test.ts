/**
 * compose.yaml as its users run it, on a real engine: everything comes up healthy, the restricted client
 * reaches one target and the free one both, and the relay follows an edited policy. The image `zgate` has been
 * built before (`make e2e-compose`).
 */
import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { check, run } from "../harness/command.ts";
import { onProcessEnd } from "../harness/cleanup.ts";
import { contentSha256 } from "../harness/content.ts";
import { waitFor } from "../harness/process.ts";
import { jsonLines } from "../harness/product.ts";

const ROOT = join(import.meta.dirname, "../..");
const TARGET_A = { ipv4: "10.50.0.10", ipv6: "fd50::10" } as const;
const TARGET_B = { ipv4: "10.50.0.20", ipv6: "fd50::20" } as const;
const DOWNLOAD_BYTES = 10_000_000;
/** Containers, certificates, health checks: a minute at most on a slow machine; in milliseconds. */
const UP_TIMEOUT_MS = 180_000;

const skip = (await run(["docker", "info"])).code === 0 ? false : "no Docker engine answers here";

describe("compose", { skip }, () => {
  let compose: (args: readonly string[], timeoutMs?: number) => Promise<string>;
  let policyFile: string;

  before(async () => {
    // A copy of what compose.yaml refers to, so that a policy can be edited without touching the repository.
    const folder = mkdtempSync(join(tmpdir(), "zgate-compose-"));
    copyFileSync(join(ROOT, "compose.yaml"), join(folder, "compose.yaml"));
    cpSync(join(ROOT, "e2e/compose/policy"), join(folder, "e2e/compose/policy"), { recursive: true });
    policyFile = join(folder, "e2e/compose/policy/policy.yaml");
    const plugin = (await run(["docker", "compose", "version"])).code === 0;
    const program = plugin ? ["docker", "compose"] : ["docker-compose"];
    const project = ["--project-name", `zgate-e2e-${process.pid}`, "--file", join(folder, "compose.yaml")];
    compose = (args, timeoutMs = 60_000) => check([...program, ...project, ...args], { timeoutMs });
    onProcessEnd(() => rmSync(folder, { recursive: true, force: true }));
    await compose(["up", "--detach", "--no-build"], UP_TIMEOUT_MS);
    await waitFor(
      "healthy agents",
      async () => (await healthy("agent-1")) && (await healthy("agent-2")),
      UP_TIMEOUT_MS,
    );
  });

  after(async () => {
    await compose(["down", "--volumes", "--timeout", "5"], UP_TIMEOUT_MS);
  });

  const exec = (service: string, ...argv: string[]): Promise<string> => compose(["exec", "-T", service, ...argv]);
  const answers = (service: string, host: string): Promise<boolean> =>
    exec(service, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", host).then(
      () => true,
      () => false,
    );

  async function healthy(service: string): Promise<boolean> {
    const id = (await compose(["ps", "--quiet", service])).trim();
    return (await check(["docker", "inspect", "--format", "{{.State.Health.Status}}", id])).trim() === "healthy";
  }

  test("every service is healthy, the one-shot one has ended well", async () => {
    for (const service of ["relay", "target-a", "target-b"]) assert.ok(await healthy(service), service);
    const ids = await check([
      "docker",
      "ps",
      "--all",
      "--quiet",
      "--filter",
      `label=com.docker.compose.project=zgate-e2e-${process.pid}`,
      "--filter",
      "label=com.docker.compose.service=certs",
    ]);
    const [exitCode] = (await check(["docker", "inspect", "--format", "{{.State.ExitCode}}", ids.trim()])).split("\n");
    assert.equal(exitCode, "0");
  });

  for (const family of ["ipv4", "ipv6"] as const) {
    test(`over ${family} the restricted client reaches the allowed target only, the free one both`, async () => {
      assert.ok(await answers("agent-1", TARGET_A[family]));
      assert.ok(!(await answers("agent-1", TARGET_B[family])));
      assert.ok(await answers("agent-2", TARGET_A[family]));
      assert.ok(await answers("agent-2", TARGET_B[family]));
    });
  }

  test("a download through the tunnel arrives unchanged", async () => {
    const script = `curl -sS -m 60 http://${TARGET_A.ipv4}/bytes/${DOWNLOAD_BYTES} | sha256sum`;
    const [sum] = (await exec("agent-1", "sh", "-c", script)).split(" ");
    assert.equal(sum, contentSha256(DOWNLOAD_BYTES));
  });

  test("the audit has the denied flow with its rule", async () => {
    const record = await waitFor("the record", async () => {
      const lines = (await compose(["logs", "--no-color", "relay"])).replaceAll(/^[^{\n]*\| ?/gm, "");
      return jsonLines(lines).find(
        (line) => line["type"] === "flow" && line["dst"] === TARGET_B.ipv4 && line["action"] === "deny",
      );
    });
    assert.equal(record["client"], "client-1");
    assert.equal(record["rule"], "deny-default");
  });

  test("an edited policy holds at once", async () => {
    const text = readFileSync(policyFile, "utf8");
    writeFileSync(
      policyFile,
      text.replace("[10.50.0.10/32,", "[10.50.0.10/32, 10.50.0.20/32,").replace(/^tests:[^]*/m, ""),
    );
    await waitFor("target-b", () => answers("agent-1", TARGET_B.ipv4));
    writeFileSync(policyFile, text);
    await waitFor("silence", async () => !(await answers("agent-1", TARGET_B.ipv4)));
  });

  test("containers have a read-only root, no capability but NET_ADMIN, and only their own key", async () => {
    await assert.rejects(exec("agent-1", "touch", "/opt/zgate/x"), /Read-only file system/);
    const status = await exec("agent-1", "cat", "/proc/1/status");
    // Bit 12 is CAP_NET_ADMIN (linux/capability.h).
    assert.match(status, /^CapBnd:\s+0000000000001000$/m);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    const files = (await exec("agent-1", "ls", "/certs")).trim().split("\n");
    assert.deepEqual(files, ["ca.pem", "client-1-key.pem", "client-1.pem"]);
  });
});
