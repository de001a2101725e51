/**
 * What each session's client is told it may reach: asked of the policy thread, once for all clients for whom the same
 * rules hold, and kept until the policy or the time changes it.
 */
import type { ClientPolicy } from "../shared/policy/compiled-policy.ts";
import { type UnixMs, unixMs } from "../shared/units.ts";
import { KNOWN_ROUTES } from "./constants.ts";
import type { LivePolicy } from "./live-policy.ts";

export class RouteBook {
  readonly #live: Pick<LivePolicy, "routes">;
  /** By `ClientPolicy.listKey`: ROUTE_ADVERTISEMENT capsules, or their promises. */
  readonly #capsules = new Map<string, Promise<Uint8Array>>();
  /** The time for which all of them are right: nothing changes before `forget`. */
  #at: UnixMs = unixMs(Date.now());

  constructor(live: Pick<LivePolicy, "routes">) {
    this.#live = live;
  }

  /** The policy is another one, or a time condition flipped. */
  forget(): void {
    this.#capsules.clear();
    this.#at = unixMs(Date.now());
  }

  /** The ROUTE_ADVERTISEMENT for a client of the policy in force. */
  capsuleFor({ name, listKey }: ClientPolicy): Promise<Uint8Array> {
    const known = this.#capsules.get(listKey);
    if (known !== undefined) return known;
    const capsule = this.#live.routes(name, this.#at);
    this.#capsules.set(listKey, capsule);
    // What failed is asked again for the next session; the one that asked is told.
    capsule.catch(() => this.#capsules.get(listKey) === capsule && this.#capsules.delete(listKey));
    const [oldest] = this.#capsules.keys();
    if (this.#capsules.size > KNOWN_ROUTES && oldest !== undefined) this.#capsules.delete(oldest);
    return capsule;
  }
}
