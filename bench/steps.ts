/** The records of `single-step/`, and what they say. Pure. */
import { basename } from "node:path";

/** Bytes of a record: address and system call (`Step` in single-step/src/lib.rs). */
const STEP_BYTES = 16;
const LINE_SHIFT = 6n;
const PAGE_SHIFT = 12n;

export interface Step {
  readonly address: bigint;
  /** The number of the system call that the instruction makes, or -1. */
  readonly call: number;
}

/** A part of an address space: proc_pid_maps(5). */
export interface Mapping {
  readonly from: bigint;
  readonly to: bigint;
  /** The file's name; `compiled` where there is none, which is what V8 compiled. */
  readonly name: string;
}

/** Of code: instructions that ran, cache lines of 64 bytes and pages of 4 KiB that they are in. */
export interface Footprint {
  instructions: number;
  lines: number;
  pages: number;
}

/** A record that is not whole is left out. */
export function parseSteps(bytes: Buffer): Step[] {
  return Array.from({ length: Math.floor(bytes.length / STEP_BYTES) }, (_, index) => ({
    address: bytes.readBigUInt64LE(index * STEP_BYTES),
    call: Number(bytes.readBigInt64LE(index * STEP_BYTES + 8)),
  }));
}

export function parseMaps(text: string): Mapping[] {
  return [...text.matchAll(/^([0-9a-f]+)-([0-9a-f]+) ..x. \S+ \S+ \d+ *(.*)$/gm)].map(([, from, to, path = ""]) => ({
    from: BigInt(`0x${from}`),
    to: BigInt(`0x${to}`),
    name: path === "" ? "compiled" : basename(path),
  }));
}

/** Up to the first system call `call`, by mapping, the largest first, under `all`. Throws when there is no such call. */
export function footprintUpTo(
  steps: readonly Step[],
  maps: readonly Mapping[],
  call: number,
): ReadonlyMap<string, Footprint> {
  const end = steps.findIndex((step) => step.call === call);
  if (end < 0) throw new Error(`none of ${steps.length} steps makes system call ${call}`);
  const parts = new Map<string, { instructions: number; lines: Set<bigint>; pages: Set<bigint> }>();
  for (const { address } of steps.slice(0, end + 1)) {
    const mapping = maps.find(({ from, to }) => from <= address && address < to);
    for (const name of ["all", mapping?.name ?? "compiled"]) {
      let part = parts.get(name);
      if (part === undefined) parts.set(name, (part = { instructions: 0, lines: new Set(), pages: new Set() }));
      part.instructions++;
      part.lines.add(address >> LINE_SHIFT);
      part.pages.add(address >> PAGE_SHIFT);
    }
  }
  return new Map(
    [...parts]
      .map(([name, { instructions, lines, pages }]) => {
        return [name, { instructions, lines: lines.size, pages: pages.size }] as const;
      })
      .toSorted(([, one], [, other]) => other.lines - one.lines),
  );
}
