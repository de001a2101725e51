import assert from "node:assert/strict";
import { test } from "node:test";
import { ZgateError } from "../errors.ts";
import { runCommand, runCommandSync } from "./command.ts";

const FAILURES: readonly { name: string; command: string; args: readonly string[]; code: string; message: RegExp }[] = [
  {
    name: "a command that is not installed",
    command: "zgate-no-such-command",
    args: ["x"],
    code: "ZG_HOST_COMMAND",
    message: /^"zgate-no-such-command x" cannot run: zgate-no-such-command is not installed$/,
  },
  {
    name: "an exit code",
    command: "sh",
    args: ["-c", "echo it broke >&2; exit 3"],
    code: "ZG_HOST_COMMAND",
    message: /failed: it broke$/,
  },
  {
    name: "an exit code without a word",
    command: "sh",
    args: ["-c", "exit 3"],
    code: "ZG_HOST_COMMAND",
    message: /^"sh -c exit 3" failed: exit code 3$/,
  },
  {
    name: "a refusal by the kernel",
    command: "sh",
    args: ["-c", "echo RTNETLINK answers: Operation not permitted >&2; exit 2"],
    code: "ZG_PRIVILEGE",
    message: /is not permitted \(RTNETLINK answers: Operation not permitted\): run as root or with CAP_NET_ADMIN$/,
  },
];

for (const { name, command, args, code, message } of FAILURES) {
  test(`${name} is ${code}`, async () => {
    const check = (thrown: unknown): boolean => {
      assert.ok(thrown instanceof ZgateError);
      assert.equal(thrown.code, code);
      assert.match(thrown.message, message);
      return true;
    };
    await assert.rejects(runCommand(command, args), check);
    assert.throws(() => runCommandSync(command, args), check);
  });
}

test("input and output pass unchanged, and no shell looks at the arguments", async () => {
  assert.equal(await runCommand("cat", [], "a\nb"), "a\nb");
  assert.equal(runCommandSync("cat", [], "a\nb"), "a\nb");
  assert.equal(await runCommand("printf", ["%s", "$(id); `id` ; x"]), "$(id); `id` ; x");
});

test("a command that reads no input does not fail for it", async () => {
  assert.equal(await runCommand("true", [], "x".repeat(1 << 20)), "");
});
