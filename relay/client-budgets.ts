/**
 * What a client may do however many sessions it opens, at once or one after another: a new session gets no fresh burst.
 *
 *   session opens ▸ `of` its client ─▶ kept while a session is open, and until its buckets are full again ─▶ forgotten
 *
 * Clients are those that the policy names, so there are no more budgets than it has clients.
 */
import type { Limits } from "../shared/policy/document.ts";
import { FLOWS_BURST, FLOWS_PER_SECOND } from "./constants.ts";
import { RateLimit } from "./rate-limit.ts";
import { TokenBucket } from "./token-bucket.ts";

export class ClientBudget {
  /** Flows that it may open. */
  readonly newFlows = new TokenBucket(FLOWS_PER_SECOND, FLOWS_BURST);
  /** Bytes that it may send and receive. */
  readonly rate: RateLimit;

  constructor(limits: Limits) {
    this.rate = new RateLimit(limits);
  }

  /** A new one would allow no more. */
  isFull(nowMs: number): boolean {
    return this.newFlows.isFull(nowMs) && this.rate.isFull(nowMs);
  }
}

export class ClientBudgets {
  readonly #byClient = new Map<string, ClientBudget>();

  get size(): number {
    return this.#byClient.size;
  }

  /** The client's, with the limits that the policy has for it now. */
  of(client: string, limits: Limits): ClientBudget {
    const known = this.#byClient.get(client);
    if (known !== undefined) {
      known.rate.follow(limits);
      return known;
    }
    const budget = new ClientBudget(limits);
    this.#byClient.set(client, budget);
    return budget;
  }

  /** Forgets the clients that have no session and would get the same again. */
  forget(nowMs: number, hasSession: (client: string) => boolean): void {
    for (const [client, budget] of this.#byClient) {
      if (!hasSession(client) && budget.isFull(nowMs)) this.#byClient.delete(client);
    }
  }
}
