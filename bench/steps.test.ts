import assert from "node:assert/strict";
import { test } from "node:test";

import { footprintUpTo, parseMaps, parseSteps } from "./steps.ts";

const MAPS = `00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/node
00651000-00652000 r--p 00051000 08:02 173521 /usr/bin/node
7f0000000000-7f0000010000 r-xp 00000000 00:00 0 
7f0000100000-7f0000200000 r-xp 00001000 08:02 99 /opt/zgate native/libzgate_native.so
`;

function recorded(...steps: readonly (readonly [bigint, bigint])[]): Buffer {
  const bytes = Buffer.alloc(steps.length * 16);
  for (const [index, [address, call]] of steps.entries()) {
    bytes.writeBigUInt64LE(address, index * 16);
    bytes.writeBigInt64LE(call, index * 16 + 8);
  }
  return bytes;
}

test("code that can run, by the name of its file", () => {
  assert.deepEqual(parseMaps(MAPS), [
    { from: 0x400000n, to: 0x452000n, name: "node" },
    { from: 0x7f0000000000n, to: 0x7f0000010000n, name: "compiled" },
    { from: 0x7f0000100000n, to: 0x7f0000200000n, name: "libzgate_native.so" },
  ]);
});

test("what lies before the system call, and the call itself", () => {
  const steps = parseSteps(
    Buffer.concat([
      recorded(
        [0x400000n, -1n],
        [0x400004n, -1n],
        [0x400040n, 0n],
        [0x401000n, -1n],
        [0x7f0000000000n, -1n],
        [0x400000n, 46n],
        [0x7f0000100000n, -1n],
      ),
      Buffer.alloc(15),
    ]),
  );
  assert.deepEqual(
    [...footprintUpTo(steps, parseMaps(MAPS), 46)],
    [
      ["all", { instructions: 6, lines: 4, pages: 3 }],
      ["node", { instructions: 5, lines: 3, pages: 2 }],
      ["compiled", { instructions: 1, lines: 1, pages: 1 }],
    ],
  );
  assert.throws(() => footprintUpTo(steps, parseMaps(MAPS), 1), /none of 7 steps makes system call 1/);
});
