/** Policies on a real disk: includes, what cannot be read, and files that are hostile. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { unixMs } from "../units.ts";
import { loadPolicyFile } from "./load.ts";
import { PolicyError } from "./problem.ts";

const root = mkdtempSync(join(tmpdir(), "zgate-policy-"));
after(() => rmSync(root, { recursive: true }));

let directories = 0;

/** Writes the files into a directory of their own and returns the path of the first. */
function write(files: Readonly<Record<string, string | Uint8Array>>): string {
  const directory = join(root, String(directories++));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  return join(directory, Object.keys(files)[0]!);
}

/** The error's code and message without the directory, or "loaded". */
async function outcome(path: string): Promise<string> {
  try {
    await loadPolicyFile(path, { at: unixMs(0) });
    return "loaded";
  } catch (error) {
    assert.ok(error instanceof PolicyError, String(error));
    return `${error.code} ${error.message.replaceAll(`${dirname(path)}/`, "")}`;
  }
}

const HEAD = 'version: "1.0"\n';
const OWN = `${HEAD}include: [groups.yaml]\nclients:\n  a: { rules: [{ id: own, type: ip_cidr, action: deny, destinations: [web] }] }\n`;

test("included files are read where they are named", async () => {
  const path = write({
    "main.yaml": `${HEAD}include: [sub/one.yaml, two.yaml]\nclients:\n  a:\n  b:\n`,
    "sub/one.yaml": "include: [deep/three.yaml]\ngroups:\n  one: { members: [a] }\n",
    "sub/deep/three.yaml": "groups:\n  three: { members: [a] }\ndestinations:\n  web: [10.0.0.1]\n",
    "two.yaml":
      "version: 1.0\ngroups:\n  two: { members: [b], rules: [{ id: w, type: ip_cidr, action: allow, destinations: [web] }] }\n",
  });
  const { document, files, policy } = await loadPolicyFile(path);
  assert.deepEqual([...document.groups.keys()], ["three", "one", "two"]);
  assert.deepEqual(
    [...files.keys()].map((file) => file.slice(dirname(path).length + 1)),
    ["main.yaml", "sub/one.yaml", "sub/deep/three.yaml", "two.yaml"],
  );
  assert.deepEqual([...policy.clientNames()], ["a", "b"]);
});

test("problems name the file that they are in", async () => {
  const path = write({ "main.yaml": OWN, "groups.yaml": "groups:\n  g: { members: [z] }\ndefault_action: allow\n" });
  assert.equal(
    await outcome(path),
    [
      'ZG_POLICY_INVALID groups.yaml:2:18: member "z" of group "g" is not a client; did you mean "a"?',
      "groups.yaml:3:1: only the main file may give default_action; remove it here",
      'main.yaml:4:71: destination "web" is not defined; define it under the top-level destinations',
    ].join("\n"),
  );
});

const REFUSED: readonly { name: string; files: Readonly<Record<string, string | Uint8Array>>; expected: string }[] = [
  {
    name: "a missing include",
    files: { "main.yaml": OWN },
    expected:
      'main.yaml:2:11: groups.yaml cannot be included: there is no such file\nmain.yaml:4:71: destination "web" is not defined; define it under the top-level destinations',
  },
  {
    name: "an include of itself",
    files: { "main.yaml": `${HEAD}include: [./main.yaml]\nclients: {}\n` },
    expected: "main.yaml:2:11: ./main.yaml includes itself; remove it from the circle",
  },
  {
    name: "a circle of includes",
    files: { "main.yaml": `${HEAD}include: [b.yaml]\nclients: {}\n`, "b.yaml": "include: [main.yaml]\n" },
    expected: "b.yaml:1:11: main.yaml includes itself; remove it from the circle",
  },
  {
    name: "an include that comes twice",
    files: { "main.yaml": `${HEAD}include: [b.yaml, b.yaml]\nclients: {}\n`, "b.yaml": "metadata: {}\n" },
    expected: "main.yaml:2:19: b.yaml is included twice; remove one of them",
  },
  {
    name: "an include that is a directory",
    files: { "main.yaml": `${HEAD}include: [sub]\nclients: {}\n`, "sub/x.yaml": "" },
    expected: "main.yaml:2:11: sub cannot be included: this is not a regular file",
  },
  {
    name: "a client of two files",
    files: { "main.yaml": `${HEAD}include: [b.yaml]\nclients: { a: }\n`, "b.yaml": "clients: { a: }\n" },
    expected: 'main.yaml:3:12: client "a" is defined twice; first at b.yaml:1:12',
  },
  {
    name: "text that is not UTF-8",
    files: { "main.yaml": Uint8Array.of(0x76, 0xff, 0xfe) },
    expected: "main.yaml:1:1: main.yaml is not UTF-8 text",
  },
];

for (const { name, files, expected } of REFUSED) {
  test(`refused: ${name}`, async () => {
    assert.equal(await outcome(write(files)), `ZG_POLICY_INVALID ${expected}`);
  });
}

test("a missing file is refused, and still named for the watcher", async () => {
  const path = join(root, "missing.yaml");
  await assert.rejects(loadPolicyFile(path), (error) => {
    assert.ok(error instanceof PolicyError);
    assert.equal(error.message, `${path}:1:1: there is no such file`);
    assert.deepEqual([...error.files.keys()], [path]);
    return true;
  });
});

test("a missing include is named for the watcher", async () => {
  const path = write({ "main.yaml": OWN });
  await assert.rejects(loadPolicyFile(path), (error) => {
    assert.ok(error instanceof PolicyError);
    assert.deepEqual([...error.files.keys()], [path, join(dirname(path), "groups.yaml")]);
    return true;
  });
});

test("includes that are nested too deep", async () => {
  const names = Array.from({ length: 12 }, (_, index) => `${index}.yaml`);
  const files = Object.fromEntries(
    names.map((name, index) => [name, `${index === 0 ? `${HEAD}clients: {}\n` : ""}include: [${index + 1}.yaml]\n`]),
  );
  assert.equal(await outcome(write(files)), "ZG_POLICY_INVALID 8.yaml:1:11: includes are nested more than 8 deep");
});

test("more files than a policy may have", async () => {
  const names = Array.from({ length: 101 }, (_, index) => `${index}.yaml`);
  const files = Object.fromEntries(names.map((name) => [name, "metadata: {}\n"]));
  const path = write({ "main.yaml": `${HEAD}clients: {}\ninclude: [${names.join(", ")}]\n`, ...files });
  assert.match(await outcome(path), /^ZG_POLICY_INVALID main.yaml:3:\d+: the policy has more than 100 files/);
});

test("a FIFO, a device and a circle of links are refused without waiting", async () => {
  const fifo = join(root, "fifo");
  execFileSync("mkfifo", [fifo]);
  assert.match(await outcome(fifo), /this is not a regular file$/);
  assert.match(await outcome("/dev/zero"), /this is not a regular file$/);
  symlinkSync(join(root, "link"), join(root, "link"));
  assert.match(await outcome(join(root, "link")), /its symbolic links go in a circle$/);
});

test("a file of 100 MB is read no further than the limit", async () => {
  const path = write({ "main.yaml": "" });
  truncateSync(path, 100_000_000);
  assert.match(await outcome(path), /is larger than 33554432 bytes/);
});

test("a policy whose tests fail is not loaded", async () => {
  const path = write({
    "main.yaml": `${HEAD}clients:
  a: { rules: [{ id: web, type: ip_cidr, action: allow, destinations: [10.0.0.0/8], ports: [tcp/443], metadata: { reason: Web } }] }
tests:
  - { client: a, dst: 10.0.0.1, proto: tcp, port: 443, expect: allow }
  - { client: a, dst: 10.0.0.1, proto: tcp, port: 443, expect: deny, name: nobody }
  - { client: a, dst: 10.0.0.1, proto: udp, port: 443, expect: deny, rule: web }
`,
  });
  assert.equal(
    await outcome(path),
    [
      'ZG_POLICY_TESTS_FAILED main.yaml:6:5: test failed: "nobody": a to 10.0.0.1 tcp/443; expected deny, but rule "web" decides allow (Web)',
      'main.yaml:7:5: test failed: a to 10.0.0.1 udp/443; expected deny by rule "web", but rule "default_action" decides deny (no rule matches, and default_action is deny)',
    ].join("\n"),
  );
});

const VALID = `version: "1.0"
destinations: { web: [10.0.0.1, "2001:db8::/32"] }
groups:
  g: { members: [a], rules: [{ id: g1, type: ip_cidr, action: allow, destinations: [web], ports: [tcp/80-90, icmp] }] }
clients:
  a: { max_sessions: 2, rate_limit: { up: 10M } }
  b: { rules: &r [{ id: b1, type: default, action: deny, schedule: { days: [mon-fri], hours: "08:00-18:00", timezone: UTC } }] }
  c: { rules: *r }
tests:
  - { client: a, dst: 10.0.0.1, proto: tcp, port: 80, expect: allow, at: 2026-01-01T00:00:00Z }
`;

test("no bytes do worse than a problem", async () => {
  const path = write({ "main.yaml": VALID });
  assert.equal(await outcome(path), "loaded");
  const bytes = Buffer.from(VALID);
  const mutation = fc.tuple(
    fc.nat(bytes.length),
    fc.nat(12),
    fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc
        .constantFrom("\n", "- ", "{", "]", "&r ", "*r", "!!", ": ", "\t", "~", "1e999", "#", "|", "? ")
        .map((text) => new Uint8Array(Buffer.from(text))),
    ),
  );
  const mutated = fc
    .array(mutation, { minLength: 1, maxLength: 4 })
    .map((mutations) =>
      mutations.reduce(
        (text, [at, removed, added]) => Buffer.concat([text.subarray(0, at), added, text.subarray(at + removed)]),
        bytes,
      ),
    );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 5, arbitrary: mutated }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) }),
      async (content) => {
        writeFileSync(path, content);
        await outcome(path);
      },
    ),
    { numRuns: 1_000 },
  );
});
