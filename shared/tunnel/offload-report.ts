/** What became of the device's offloads, in words: for the log at start, and for status. */
import type { OffloadFinding, OffloadKind, Tun, TunFeatures, TunStats } from "../native/tun.ts";
import type { CutStats, DeviceWriter } from "./device-writer.ts";

/** A line for the log. */
export interface OffloadNote {
  readonly level: "info" | "warn";
  readonly text: string;
}

/** What status says of the device, flat but for what comes with it. */
export interface DeviceStatus extends TunFeatures, TunStats {
  readonly name: string;
  /** By kind of super-packet, a verdict and its detail; empty with `--offload off`. */
  readonly selfTest: Readonly<Partial<Record<OffloadKind, string>>>;
  /** Super-packets from the tunnel that were cut into packets here. */
  readonly cut: CutStats;
}

const NAMES: Readonly<Record<OffloadKind, string>> = {
  tso4: "TCP over IPv4",
  tso6: "TCP over IPv6",
  uso4: "UDP over IPv4",
  uso6: "UDP over IPv6",
};

/** The first super-packet that the kernel refused. */
export const REFUSAL_NOTE =
  "the kernel refused a super-packet that passed all checks: it was cut into packets instead, and so will be others, " +
  "which cost more CPU time; status counts them (cut.refused). Please report it with the kernel's version";

/** What is to be said about the findings of a device that was opened; nothing when all is right. */
export function offloadNotes(findings: readonly OffloadFinding[]): OffloadNote[] {
  const good = findings.filter(({ verdict }) => verdict === "right" || verdict === "taken");
  const rest = good.length === 0 ? NONE_LEFT : SOME_LEFT;
  const notes: OffloadNote[] = [];
  const failed = findings.filter(({ verdict }) => verdict === "refused" || verdict === "wrong");
  if (failed.length > 0) {
    const how = failed.map((finding) => `${NAMES[finding.kind]}: ${wordsOf(finding)}`).join("; ");
    notes.push({ level: "warn", text: `this kernel does not carry all super-packets rightly (${how}): ${rest}` });
  }
  const unknown = findings.filter(({ verdict }) => verdict === "unknown");
  if (unknown.length > 0) {
    const which = unknown.map(({ kind }) => NAMES[kind]).join(", ");
    notes.push({ level: "info", text: `this kernel has no super-packets of ${which}: ${rest}` });
  }
  const taken = findings.find(({ verdict }) => verdict === "taken");
  if (taken !== undefined) {
    notes.push({
      level: "info",
      text:
        `super-packets are in use, but what this kernel makes of them was not seen (${taken.detail ?? ""}): ` +
        "should large transfers stall, --offload off switches them off",
    });
  }
  return notes;
}

export function deviceStatus(tun: Tun, device: DeviceWriter): DeviceStatus {
  const selfTest = Object.fromEntries(tun.offloadFindings.map((finding) => [finding.kind, wordsOf(finding)]));
  return { name: tun.name, ...tun.features, selfTest, ...tun.stats(), cut: device.cut };
}

const SOME_LEFT =
  "those from the tunnel are cut into packets here, for about 0.1 ms of CPU time each; all others cross whole";
const NONE_LEFT = "packets travel one by one, for bulk TCP at half the throughput and three times the CPU time";

function wordsOf({ verdict, detail }: OffloadFinding): string {
  return detail === undefined ? verdict : `${verdict}: ${detail}`;
}
