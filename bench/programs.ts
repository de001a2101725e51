/** The programs that the benchmark runs but does not ship: found, or installed from Debian's packages. */
import { run } from "../e2e/harness/command.ts";
import { INSTALL_TIMEOUT_MS } from "./constants.ts";

/**
 * Makes sure that `program` is there, with apt-get from `debianPackage` when it is not. Gives the reason
 * when that fails. Where apt-get installs, it starts no service of the package.
 */
export async function provide(program: string, debianPackage: string): Promise<string | undefined> {
  if (await isThere(program)) return undefined;
  const options = { timeoutMs: INSTALL_TIMEOUT_MS, env: { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" } };
  const argv = ["apt-get", "install", "-y", "-q", "--no-install-recommends", debianPackage];
  let install = await run(argv, options);
  if (install.code !== 0) {
    await run(["apt-get", "update", "-q"], options);
    install = await run(argv, options);
  }
  if (await isThere(program)) return undefined;
  return `${program} is not there and "${argv.join(" ")}" failed: ${install.stderr.trim().slice(-300)}`;
}

async function isThere(program: string): Promise<boolean> {
  return (await run(["sh", "-c", 'command -v "$0"', program])).code === 0;
}
