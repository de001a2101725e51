/** Connections whose client has not opened a session yet: few in all, and few of one client. */
import { MAX_CLIENT_WAITING, MAX_WAITING } from "./constants.ts";

export class WaitingConnections {
  readonly #byClient = new Map<string, number>();
  #total = 0;

  /** Counts one more; undefined when there are too many. The function that is returned takes it back, once. */
  enter(client: string): (() => void) | undefined {
    const count = this.#byClient.get(client) ?? 0;
    if (this.#total >= MAX_WAITING || count >= MAX_CLIENT_WAITING) return undefined;
    this.#total++;
    this.#byClient.set(client, count + 1);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#leave(client);
    };
  }

  #leave(client: string): void {
    this.#total--;
    const count = this.#byClient.get(client) ?? 0;
    if (count > 1) this.#byClient.set(client, count - 1);
    else this.#byClient.delete(client);
  }
}
