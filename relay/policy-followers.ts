/**
 * How open sessions follow a change of the policy.
 *
 *   changed ▸ each: a client that is gone from the policy ends, the others judge by it from their next packet on
 *           ▸ in turns: flows without a packet are judged anew ▸ what the client may reach is told again
 */
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import { FLOWS_JUDGED_A_TURN, SESSION_WEIGHT } from "./constants.ts";
import type { LivePolicy } from "./live-policy.ts";
import type { SessionEnds } from "./session-control.ts";
import type { Session } from "./session.ts";

export interface FollowersParts {
  readonly live: Pick<LivePolicy, "current" | "generation">;
  /** Those that are open. */
  readonly sessions: Iterable<Session>;
  readonly ends: SessionEnds;
  /** Tells a client what it may reach. */
  readonly advertise: (session: Session) => void;
}

export class PolicyFollowers {
  readonly #parts: FollowersParts;
  /** Sessions that have not followed the last change in everything. */
  readonly #behind: Session[] = [];

  constructor(parts: FollowersParts) {
    this.#parts = parts;
  }

  /** The policy in force is another one, or a time condition flipped. */
  changed(): void {
    const { sessions } = this.#parts;
    for (const session of [...sessions]) this.#guard(session, () => this.#follow(session));
    const sweeping = this.#behind.length > 0;
    this.#behind.length = 0;
    for (const session of sessions) this.#behind.push(session);
    if (!sweeping) this.#sweep();
  }

  #follow(session: Session): void {
    const { live, ends } = this.#parts;
    const policy = live.current.client(session.client);
    if (policy !== undefined && policy.enabled) {
      session.follow({ policy, compiled: live.current, generation: live.generation });
      return;
    }
    const what = policy === undefined ? "does not know this client any more" : "has this client disabled";
    ends.end(session, "policy", CLOSE_CODE.FORBIDDEN, `the policy ${what}`);
  }

  /** One turn of what follows a change. */
  #sweep(): void {
    for (let left = FLOWS_JUDGED_A_TURN; left > 0;) {
      const session = this.#behind.at(-1);
      if (session === undefined) return;
      const judged = this.#guard(session, () => (session.ended ? 0 : session.sweep(left))) ?? 0;
      if (judged < left) {
        this.#behind.pop();
        this.#parts.advertise(session);
      }
      left -= judged + SESSION_WEIGHT;
    }
    if (this.#behind.length > 0) setImmediate(() => this.#sweep());
  }

  /** A fault while a session follows the policy is that session's end, and nothing to the others. */
  #guard<Result>(session: Session, work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      this.#parts.ends.fail(session, error);
      return undefined;
    }
  }
}
