/**
 * A Python with aioquic, in `.venv/interop` of the repository: made on first use, and again when
 * `requirements.txt` changed. Nothing is installed outside it.
 */
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { ZgateError } from "../../shared/errors.ts";
import { check, run } from "../harness/command.ts";

const FOLDER = fileURLToPath(new URL("../../.venv/interop", import.meta.url));
const REQUIREMENTS = fileURLToPath(new URL("requirements.txt", import.meta.url));
/** Written last: what was installed. */
const STAMP = `${FOLDER}/installed.sha256`;
/** pip downloads a few megabytes. */
const INSTALL_TIMEOUT_MS = 300_000;

let made: Promise<string> | undefined;

/** The path of its interpreter. Throws ZG_HOST_COMMAND that says what to install. */
export function pythonWithAioquic(): Promise<string> {
  made ??= install();
  return made;
}

async function install(): Promise<string> {
  const python = `${FOLDER}/bin/python`;
  const wanted = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex");
  if (installed() === wanted) return python;
  const modules = await run(["python3", "-c", "import ensurepip, venv"]);
  if (modules.code !== 0) {
    throw new ZgateError(
      "ZG_HOST_COMMAND",
      `interop needs Python with its venv module: apt-get install python3 python3-venv (${modules.stderr.trim()})`,
    );
  }
  rmSync(FOLDER, { recursive: true, force: true });
  await check(["python3", "-m", "venv", FOLDER], { timeoutMs: INSTALL_TIMEOUT_MS });
  const pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
  await check([...pip, "--require-hashes", "--requirement", REQUIREMENTS], { timeoutMs: INSTALL_TIMEOUT_MS });
  writeFileSync(STAMP, wanted);
  return python;
}

function installed(): string | undefined {
  try {
    return readFileSync(STAMP, "utf8");
  } catch {
    return undefined;
  }
}
