import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FileWatch } from "./file-watch.ts";

const changes: readonly { name: string; change: (directory: string) => void }[] = [
  { name: "a write in place", change: (directory) => writeFileSync(join(directory, "policy.yaml"), "after") },
  {
    name: "an editor that renames over the file",
    change: (directory) => {
      writeFileSync(join(directory, "policy.yaml~"), "after");
      renameSync(join(directory, "policy.yaml~"), join(directory, "policy.yaml"));
    },
  },
  { name: "the file being removed", change: (directory) => rmSync(join(directory, "policy.yaml")) },
];

for (const { name, change } of changes) {
  test(`notices ${name}`, { timeout: 10_000 }, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), "zgate-watch-"));
    t.after(() => rmSync(directory, { recursive: true }));
    writeFileSync(join(directory, "policy.yaml"), "before");
    const changed = Promise.withResolvers<void>();
    const watch = new FileWatch([join(directory, "policy.yaml")], changed.resolve);
    t.after(() => watch.close());
    change(directory);
    await changed.promise;
  });
}

test("notices a swapped symbolic link, as Kubernetes mounts configuration", { timeout: 10_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "zgate-watch-"));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const version of ["v1", "v2"]) {
    mkdirSync(join(directory, version));
    writeFileSync(join(directory, version, "policy.yaml"), version);
  }
  symlinkSync("v1", join(directory, "..data"));
  symlinkSync("..data/policy.yaml", join(directory, "policy.yaml"));
  const changed = Promise.withResolvers<void>();
  const watch = new FileWatch([join(directory, "policy.yaml")], changed.resolve);
  t.after(() => watch.close());
  symlinkSync("v2", join(directory, "..data_tmp"));
  renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
  await changed.promise;
});

test("says nothing when another file beside it changes", { timeout: 10_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "zgate-watch-"));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, "policy.yaml"), "before");
  let changes = 0;
  const first = Promise.withResolvers<void>();
  const watch = new FileWatch([join(directory, "policy.yaml")], () => {
    changes++;
    first.resolve();
  });
  t.after(() => watch.close());
  writeFileSync(join(directory, "other"), "x");
  writeFileSync(join(directory, "policy.yaml"), "after");
  await first.promise;
  assert.equal(changes, 1);
});
