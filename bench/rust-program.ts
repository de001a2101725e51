/** Programs of the benchmark that are written in Rust: a directory each, built below `out/`. */
import { join } from "node:path";

import { check } from "../e2e/harness/command.ts";
import { INSTALL_TIMEOUT_MS } from "./constants.ts";

/** Builds `name` when its source is newer; ZG_HOST_COMMAND with cargo's words when it cannot. */
export async function buildRust(name: string): Promise<void> {
  const manifest = join(import.meta.dirname, name, "Cargo.toml");
  const target = join(import.meta.dirname, "out", name);
  const argv = ["cargo", "build", "--release", "--locked", "--quiet"];
  await check([...argv, "--manifest-path", manifest, "--target-dir", target], { timeoutMs: INSTALL_TIMEOUT_MS });
}

/** What cargo made of `name`: the file `file`. */
export function builtRust(name: string, file: string): string {
  return join(import.meta.dirname, "out", name, "release", file);
}
