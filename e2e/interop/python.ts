/**
 * Virtual environments of Python, in `.venv/` of the repository: made on first use, and again when their
 * `requirements.txt` changed. Nothing is installed outside it, and nothing whose hash is not in that file.
 */
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { ZgateError } from "../../shared/errors.ts";
import { check, run } from "../harness/command.ts";

/** pip downloads up to seventy megabytes. */
const INSTALL_TIMEOUT_MS = 300_000;

let withAioquic: Promise<string> | undefined;

/** The interpreter of one that has aioquic. Throws ZG_HOST_COMMAND that says what to install. */
export function pythonWithAioquic(): Promise<string> {
  withAioquic ??= pythonWith("interop", new URL("requirements.txt", import.meta.url));
  return withAioquic;
}

/** The interpreter of `.venv/NAME`, which has what `requirements` pins. Throws ZG_HOST_COMMAND. */
export async function pythonWith(name: string, requirements: URL): Promise<string> {
  const folder = fileURLToPath(new URL(`../../.venv/${name}`, import.meta.url));
  const python = `${folder}/bin/python`;
  /** Written last: what was installed. */
  const stamp = `${folder}/installed.sha256`;
  const wanted = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  if (contentOf(stamp) === wanted) return python;
  const modules = await run(["python3", "-c", "import ensurepip, venv"]);
  if (modules.code !== 0) {
    throw new ZgateError(
      "ZG_HOST_COMMAND",
      `interop needs Python with its venv module: apt-get install python3 python3-venv (${modules.stderr.trim()})`,
    );
  }
  rmSync(folder, { recursive: true, force: true });
  await check(["python3", "-m", "venv", folder], { timeoutMs: INSTALL_TIMEOUT_MS });
  const pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
  await check([...pip, "--require-hashes", "--requirement", fileURLToPath(requirements)], {
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  writeFileSync(stamp, wanted);
  return python;
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
