/** The units of packaging/systemd: correct, and as closed as they say. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { run } from "./command.ts";

const FOLDER = join(import.meta.dirname, "../../packaging/systemd");
/** The most exposure that a unit may have: systemd-analyze(1) gives 0 (closed) to 10, in tenths here. */
const EXPOSURE_TENTHS = 30;
const skip =
  spawnSync("systemd-analyze", ["--version"], { stdio: "ignore" }).status === 0
    ? false
    : "systemd-analyze is not installed (apt-get install systemd)";

describe("systemd units", { skip }, () => {
  for (const unit of ["zgate-relay.service", "zgate-agent.service"]) {
    test(`${unit} is rated ${EXPOSURE_TENTHS / 10} or better`, async () => {
      const threshold = `--threshold=${EXPOSURE_TENTHS}`;
      const argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", threshold, join(FOLDER, unit)];
      const { code, stdout, stderr } = await run(argv);
      assert.equal(code, 0, stdout + stderr);
    });

    test(`${unit} has no setting that systemd does not know`, async () => {
      const { stdout, stderr } = await run(["systemd-analyze", "verify", "--no-pager", join(FOLDER, unit)]);
      assert.doesNotMatch(stdout + stderr, /Unknown|Failed to parse|Invalid|ignoring/i);
    });
  }
});
