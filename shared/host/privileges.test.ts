import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CAPABILITY } from "../native/privileges.ts";
import { capabilitiesFor, currentPrivileges } from "./privileges.ts";
import type { Needs } from "./privileges.ts";

const NET_ADMIN = 1 << CAPABILITY.NET_ADMIN;
const BIND = 1 << CAPABILITY.NET_BIND_SERVICE;
const OVERRIDE = 1 << CAPABILITY.DAC_OVERRIDE;
/** The owner of the files below; to the kernel just a number. */
const OWNER = process.geteuid?.() ?? 0;
const SOMEBODY = OWNER + 1;
/** Root whose files these are not: it has to be uid 0 for the capability to matter. */
let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "zgate-privileges-"));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, "open"), "", { mode: 0o644 });
  writeFileSync(join(folder, "closed"), "", { mode: 0o600 });
  mkdirSync(join(folder, "locked"), { mode: 0o700 });
  writeFileSync(join(folder, "locked", "open"), "", { mode: 0o644 });
});

after(() => rmSync(folder, { recursive: true }));

const needs = (some: Partial<Needs>): Needs => ({ reads: [], writes: [], ports: [], ...some });

test("nothing but CAP_NET_ADMIN is kept, unless a port or a file asks for more", () => {
  const who = { uid: OWNER, groups: [] };
  for (const [name, some, kept] of [
    ["nothing", needs({}), NET_ADMIN],
    ["a high port", needs({ ports: [4433, 0] }), NET_ADMIN],
    ["a low port", needs({ ports: [443] }), NET_ADMIN | BIND],
    [
      "own files",
      needs({ reads: [join(folder, "closed"), undefined], writes: [join(folder, "new", "file")] }),
      NET_ADMIN,
    ],
  ] as const) {
    assert.deepEqual(capabilitiesFor(some, who), { kept, warnings: [] }, name);
  }
});

test("files of somebody else are told, and only root has a capability for them", { skip: OWNER !== 0 }, () => {
  const stranger = { uid: SOMEBODY, groups: [] };
  const closed = join(folder, "closed");
  assert.equal(capabilitiesFor(needs({ reads: [closed] }), stranger).kept, NET_ADMIN);
});

test("what permissions keep from root makes it keep CAP_DAC_OVERRIDE, with a sentence", () => {
  chmodSync(join(folder, "closed"), 0o044);
  const who = { uid: 0, groups: [] };
  if (OWNER !== 0) return;
  const { kept, warnings } = capabilitiesFor(needs({ reads: [join(folder, "closed")] }), who);
  assert.equal(kept, NET_ADMIN | OVERRIDE);
  assert.match(warnings.join(), /closed.*CAP_DAC_OVERRIDE/);
});

test("the kernel's words about a process are read", () => {
  const status = "Name:\tnode\nCapPrm:\t0000000000001000\nNoNewPrivs:\t1\n";
  assert.deepEqual(currentPrivileges(status), { permitted: 0x1000n, mayGain: false });
  assert.deepEqual(currentPrivileges(status.replace("Privs:\t1", "Privs:\t0")), { permitted: 0x1000n, mayGain: true });
  assert.throws(() => currentPrivileges("Name:\tnode\n"), { code: "ZG_PRIVILEGE" });
});
