/** What the agent says of itself: the state of its session and what passed. */
import type { QuicConnection } from "../shared/native/quic.ts";
import { formatPrefix } from "../shared/packet/address.ts";
import type { Prefix } from "../shared/packet/address.ts";
import type { DeviceStatus } from "../shared/tunnel/offload-report.ts";
import type { Downlink } from "./downlink.ts";
import type { AgentSession } from "./session.ts";
import type { Uplink } from "./uplink.ts";

type State =
  | { readonly name: "connecting" }
  | { readonly name: "down"; readonly reason: string; readonly since: Date }
  | {
      readonly name: "open";
      readonly session: AgentSession;
      readonly quic: QuicConnection;
      readonly relay: string;
      readonly since: Date;
      routes: readonly Prefix[];
    };

export class AgentStatus {
  readonly #device: () => DeviceStatus;
  readonly #uplink: Uplink;
  readonly #downlink: Downlink;
  #state: State = { name: "connecting" };

  constructor(device: () => DeviceStatus, uplink: Uplink, downlink: Downlink) {
    this.#device = device;
    this.#uplink = uplink;
    this.#downlink = downlink;
  }

  /** Traffic can pass. */
  get ready(): boolean {
    return this.#state.name === "open";
  }

  up(session: AgentSession, quic: QuicConnection, relay: string): void {
    this.#state = { name: "open", session, quic, relay, since: new Date(), routes: [] };
  }

  routes(routes: readonly Prefix[]): void {
    if (this.#state.name === "open") this.#state.routes = routes;
  }

  down(reason: string): void {
    this.#state = { name: "down", reason, since: new Date() };
  }

  /** As JSON. */
  report(): object {
    const common = {
      device: this.#device(),
      up: this.#uplink.stats(),
      down: { bytes: this.#downlink.bytes, malformed: this.#downlink.malformed },
    };
    const state = this.#state;
    switch (state.name) {
      case "connecting":
        return { state: state.name, ...common };
      case "down":
        return { state: state.name, reason: state.reason, since: state.since, ...common };
      case "open":
        return {
          state: state.name,
          since: state.since,
          relay: state.relay,
          certificate: state.session.serial,
          addresses: state.session.addresses.map(formatPrefix),
          routes: state.routes.map(formatPrefix),
          agreed: state.session.agreement,
          keyExchange: state.quic.keyExchangeGroup,
          cipher: state.quic.cipherSuite,
          path: state.quic.stats(),
          ...common,
        };
      default:
        return state satisfies never;
    }
  }
}
