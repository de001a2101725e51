/** Verdicts into the columns of a `PolicyImage`, numbered from 0. */
import type { Action } from "./document.ts";
import {
  VERDICT_ALLOWS,
  VERDICT_HAS_LOG,
  VERDICT_LOGS,
  VERDICT_UNEXPLAINED,
  type VerdictColumns,
} from "./policy-image.ts";
import { sharedBytes, sharedNumbers } from "./shared-columns.ts";
import { TextWriter } from "./text-columns.ts";

interface NewVerdict {
  readonly action: Action;
  /** The rule's. */
  readonly id: string;
  readonly reason: string | undefined;
  readonly log?: boolean | undefined;
  /** Whose rule it is: the reason of one that gives none. */
  readonly ownerName?: string;
}

export class VerdictWriter {
  readonly #texts = new TextWriter();
  readonly #flags: number[] = [];
  readonly #ids: number[] = [];
  readonly #reasons: number[] = [];

  /** Returns the verdict's index. */
  add({ action, id, reason, log, ownerName = "" }: NewVerdict): number {
    this.#ids.push(this.#texts.add(id));
    this.#reasons.push(this.#texts.add(reason ?? ownerName));
    const allows = action === "allow" ? VERDICT_ALLOWS : 0;
    const logs = log === undefined ? 0 : VERDICT_HAS_LOG | (log ? VERDICT_LOGS : 0);
    return this.#flags.push(allows | logs | (reason === undefined ? VERDICT_UNEXPLAINED : 0)) - 1;
  }

  finish(): VerdictColumns {
    return {
      texts: this.#texts.finish(),
      flags: sharedBytes(this.#flags),
      ids: sharedNumbers(this.#ids),
      reasons: sharedNumbers(this.#reasons),
    };
  }
}
