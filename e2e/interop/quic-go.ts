/**
 * The program of `quic-go/`, built into `.venv/` of the repository by Go from the module proxy, whose content `go.sum`
 * pins.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { check, run } from "../harness/command.ts";

const SOURCES = fileURLToPath(new URL("quic-go", import.meta.url));
const PROGRAM = fileURLToPath(new URL("../../.venv/quic-go-peer", import.meta.url));
/** From 1.21 on, Go fetches the newer one that go.mod asks for: 1.25 is the first that tells the negotiated group. */
const NEEDED = "Go 1.21 or later (https://go.dev/dl)";
/** Go downloads and compiles some megabytes the first time. */
const BUILD_TIMEOUT_MS = 300_000;

/** The path of the program, or why there is none: Go is not needed for anything else. */
export async function quicGoPeer(): Promise<{ readonly program: string } | { readonly missing: string }> {
  const version = await run(["sh", "-c", "command -v go >/dev/null && go env GOVERSION"]);
  if (version.code !== 0) return { missing: `needs ${NEEDED}` };
  const [, minor = "0"] = /^go1\.(\d+)/.exec(version.stdout) ?? [];
  if (Number(minor) < 21) return { missing: `needs ${NEEDED}, found ${version.stdout.trim()}` };
  mkdirSync(dirname(PROGRAM), { recursive: true });
  await check(["go", "build", "-C", SOURCES, "-mod=readonly", "-trimpath", "-o", PROGRAM, "."], {
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  return { program: PROGRAM };
}
