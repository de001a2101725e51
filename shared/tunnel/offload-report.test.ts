import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeTun } from "../native/fake-tun.ts";
import type { OffloadFinding, OffloadKind } from "../native/tun.ts";
import { DeviceWriter } from "./device-writer.ts";
import { deviceStatus, offloadNotes } from "./offload-report.ts";

type Verdict = OffloadFinding["verdict"];

const KINDS: readonly OffloadKind[] = ["tso4", "tso6", "uso4", "uso6"];

function findings(verdicts: readonly Verdict[], detail?: string): OffloadFinding[] {
  const explained = (verdict: Verdict): boolean => verdict !== "right" && verdict !== "unknown" && detail !== undefined;
  return KINDS.map((kind, i) => {
    const verdict = verdicts[i]!;
    return explained(verdict) ? { kind, verdict, detail: detail! } : { kind, verdict };
  });
}

describe("the log", () => {
  const tables: { name: string; found: OffloadFinding[]; notes: [level: string, text: RegExp][] }[] = [
    { name: "no offload was asked for", found: [], notes: [] },
    { name: "all is right", found: findings(["right", "right", "right", "right"]), notes: [] },
    {
      name: "a kernel before 6.2",
      found: findings(["right", "right", "unknown", "unknown"]),
      notes: [["info", /^this kernel has no super-packets of UDP over IPv4, UDP over IPv6: those .* are cut .* here/]],
    },
    {
      name: "UDP is summed up wrongly",
      found: findings(["right", "right", "wrong", "right"], "byte 36 of packet 0 is 0x00 instead of 0x01"),
      notes: [["warn", /\(UDP over IPv4: wrong: byte 36 of packet 0 is 0x00 instead of 0x01\): those from the tunnel/]],
    },
    {
      name: "all are refused",
      found: findings(["refused", "refused", "refused", "refused"], "Invalid argument (os error 22)"),
      notes: [["warn", /TCP over IPv6: refused: Invalid argument \(os error 22\); .*: packets travel one by one/]],
    },
    {
      name: "TCP is refused and UDP not known",
      found: findings(["refused", "refused", "unknown", "unknown"], "Invalid argument (os error 22)"),
      notes: [
        ["warn", /: packets travel one by one/],
        ["info", /no super-packets of UDP over IPv4, UDP over IPv6: packets travel one by one/],
      ],
    },
    {
      name: "no traffic control",
      found: findings(["taken", "taken", "taken", "taken"], "it could not be read back"),
      notes: [["info", /was not seen \(it could not be read back\): should large transfers stall, --offload off/]],
    },
  ];
  for (const { name, found, notes } of tables) {
    test(name, () => {
      const said = offloadNotes(found);
      assert.deepEqual(
        said.map(({ level }) => level),
        notes.map(([level]) => level),
      );
      for (const [i, [, text]] of notes.entries()) assert.match(said[i]!.text, text);
    });
  }
});

test("status", () => {
  const found = findings(["right", "right", "refused", "unknown"], "Invalid argument");
  const tun = Object.assign(new FakeTun("offload", { uso4: false, uso6: false }), { offloadFindings: found });
  assert.deepEqual(deviceStatus(tun, new DeviceWriter(tun, () => undefined)), {
    name: "fake0",
    ...{ vnetHeader: true, tso4: true, tso6: true, uso4: false, uso6: false, steered: false },
    selfTest: { tso4: "right", tso6: "right", uso4: "refused: Invalid argument", uso6: "unknown" },
    ...{ readPackets: 0, writtenPackets: 0, refusedPackets: 0, refusedOffloads: 0, overflowPackets: 0 },
    cut: { lacking: 0, refused: 0 },
  });
});
