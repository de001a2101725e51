/**
 * What the end of a session takes, in turns: many may end at once, and the packets of the others do not wait.
 *
 *   ended: nothing of it passes any more ▸ waiting ▸ its turn: flows (`flow-audit.ts`), audit, log; its peer is told
 */
import { unixMs } from "../shared/units.ts";
import type { UnixMs } from "../shared/units.ts";
import { FLOWS_ENDED_A_TURN, SESSION_WEIGHT } from "./constants.ts";
import type { FlowAudit } from "./flow-audit.ts";
import type { SessionReports } from "./session-reports.ts";
import type { EndReason, Session } from "./session.ts";

export interface Ending {
  readonly session: Session;
  readonly reason: EndReason;
  readonly detail: string;
  /** What its peer is told, with `detail`; undefined: the peer is gone. */
  readonly code: number | undefined;
}

export class SessionEndings {
  readonly #flowAudit: FlowAudit;
  readonly #reports: SessionReports;
  /** The first ended first. */
  readonly #waiting: (Ending & { readonly at: UnixMs })[] = [];
  #turning = false;

  constructor(flowAudit: FlowAudit, reports: SessionReports) {
    this.#flowAudit = flowAudit;
    this.#reports = reports;
  }

  /** Sessions that have ended and wait for their turn. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Takes over a session that has ended: at once, when it is the first one in this turn of the event loop. */
  add(ending: Ending): void {
    this.#waiting.push({ ...ending, at: unixMs(Date.now()) });
    if (!this.#turning) this.#turn();
  }

  /** Ends all that wait, at once. */
  finish(): void {
    for (const ending of this.#waiting.splice(0)) this.#end(ending);
  }

  #turn(): void {
    for (let left = FLOWS_ENDED_A_TURN; left > 0 && this.#flowAudit.hasRoom;) {
      const ending = this.#waiting.shift();
      if (ending === undefined) break;
      left -= SESSION_WEIGHT + Math.min(ending.session.flows.size, FLOWS_ENDED_A_TURN);
      this.#end(ending);
    }
    this.#turning = true;
    setImmediate(() => {
      this.#turning = false;
      if (this.#waiting.length > 0) this.#turn();
    });
  }

  #end({ session, reason, detail, code, at }: Ending & { readonly at: UnixMs }): void {
    try {
      this.#flowAudit.endAll(session);
      this.#reports.ended(session, reason, detail, at);
    } catch (error) {
      this.#reports.failed(session, error);
    }
    if (code !== undefined) session.http3.close(code, detail);
  }
}
