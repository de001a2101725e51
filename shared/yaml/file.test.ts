import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readTextFile } from "./file.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "zgate-yaml-"));
});
after(async () => await rm(folder, { recursive: true }));

test("a file up to the limit is read whole", async () => {
  const path = join(folder, "whole");
  await writeFile(path, "grün\n");
  assert.equal(await readTextFile(path, 6), "grün\n");
});

const REFUSED: readonly [name: string, bytes: Uint8Array | undefined, message: RegExp][] = [
  ["missing", undefined, /missing cannot be read: ENOENT/],
  ["large", Buffer.alloc(7), /large is larger than 6 bytes/],
  ["latin1", Buffer.from([0x67, 0xfc]), /latin1 is not UTF-8 text/],
];

for (const [name, bytes, message] of REFUSED) {
  test(`refused: ${name}`, async () => {
    const path = join(folder, name);
    if (bytes !== undefined) await writeFile(path, bytes);
    await assert.rejects(readTextFile(path, 6), { code: "ZG_FILE_UNREADABLE", message });
  });
}

test("an endless file is read no further than the limit", async () => {
  await assert.rejects(readTextFile("/dev/zero", 100_000), /larger than 100000 bytes/);
});

test("a folder is refused", async () => {
  await assert.rejects(readTextFile(folder, 6), { code: "ZG_FILE_UNREADABLE", message: /EISDIR/ });
});
