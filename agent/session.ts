/**
 * One session with a relay, from the agent's side (docs/protocol.md):
 *
 *   SETTINGS ▸ control request ▸ 200 ▸ ADDRESS_ASSIGN, ROUTE_ADVERTISEMENT ▸ lanes ▸ open
 *                               └▶ anything else: SessionRefused
 */
import { ZgateError } from "../shared/errors.ts";
import type { Http3Connection } from "../shared/http3/connection.ts";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import type { Http3Stream } from "../shared/http3/stream.ts";
import { readWholeBody } from "../shared/http3/whole-body.ts";
import type { CloseInfo } from "../shared/native/quic.ts";
import type { Prefix } from "../shared/packet/address.ts";
import { rangePrefixes } from "../shared/packet/address-range.ts";
import { MAX_ANSWER_BYTES, RENEWAL_PATH, SESSION_SERIAL_FIELD } from "../shared/pki/constants.ts";
import type { RenewalAnswer } from "../shared/pki/enrolment-client.ts";
import type { LoadedTls } from "../shared/pki/tls-files.ts";
import { decodeAddressAssign } from "../shared/tunnel/address-capsule.ts";
import { CapsuleChannel } from "../shared/tunnel/capsule-channel.ts";
import { CAPSULE_ADDRESS_ASSIGN, CAPSULE_ROUTE_ADVERTISEMENT } from "../shared/tunnel/constants.ts";
import { LaneSender } from "../shared/tunnel/lane-sender.ts";
import { lanesOnDemand, readAgreement, requestFields } from "../shared/tunnel/negotiation.ts";
import type { SessionAgreement, SessionWish } from "../shared/tunnel/negotiation.ts";
import { CONNECT_IP_PATH } from "../shared/tunnel/request-path.ts";
import { decodeRouteAdvertisement } from "../shared/tunnel/route-capsule.ts";
import { checkStatus, connectFields } from "./connect-request.ts";
import { ASSIGN_TIMEOUT_MS } from "./constants.ts";
import { Lane } from "./lane.ts";
import type { LaneOptions } from "./lane.ts";

export interface SessionOptions extends LaneOptions {
  /** What the connection was made with. */
  readonly tls: LoadedTls;
  readonly wish: SessionWish;
  /** The relay advertised other routes, after the session opened. */
  readonly onRoutes: (routes: readonly Prefix[]) => void;
}

/** What ADDRESS_ASSIGN and ROUTE_ADVERTISEMENT said last. */
interface Assigned {
  readonly addresses: readonly Prefix[];
  readonly routes: readonly Prefix[];
  /** Called with the routes when they are advertised again. */
  onRoutes: ((routes: readonly Prefix[]) => void) | undefined;
}

interface SessionParts extends Omit<Assigned, "onRoutes"> {
  readonly agreement: SessionAgreement;
  /** One a lane. */
  readonly senders: readonly LaneSender[];
}

export class AgentSession implements SessionParts {
  readonly agreement: SessionAgreement;
  readonly addresses: readonly Prefix[];
  /** As they were when the session opened. */
  readonly routes: readonly Prefix[];
  readonly senders: readonly LaneSender[];
  readonly closed: Promise<CloseInfo>;
  readonly #http3: Http3Connection;
  readonly #authority: string;
  readonly #tls: LoadedTls;
  #serial: string;

  private constructor(http3: Http3Connection, { authority, tls }: SessionOptions, parts: SessionParts) {
    this.#http3 = http3;
    this.#authority = authority;
    this.#tls = tls;
    this.#serial = tls.leaf.serial;
    this.agreement = parts.agreement;
    this.addresses = parts.addresses;
    this.routes = parts.routes;
    this.senders = parts.senders;
    this.closed = http3.closed;
  }

  /** Rejects with `SessionRefused`, or another `ZgateError`; then the connection is closed. */
  static async open(http3: Http3Connection, options: SessionOptions): Promise<AgentSession> {
    try {
      return new AgentSession(http3, options, await openParts(http3, options));
    } catch (error) {
      http3.close(HTTP3_CODE.H3_NO_ERROR, "the session did not open");
      throw error;
    }
  }

  /** Serial number of the certificate that the session stands on, as `LoadedTls.leaf` has it. */
  get serial(): string {
    return this.#serial;
  }

  /** The session needs no successor to follow these files: its certificate is theirs, and so is what it trusts. */
  standsOn({ leaf, material }: LoadedTls): boolean {
    const { caPem, crlPem } = this.#tls.material;
    return leaf.serial === this.#serial && material.caPem === caPem && material.crlPem === crlPem;
  }

  /** Renewal of this agent's certificate by the relay, on the session's own connection, which may then go on with it. */
  async renewal(body: string): Promise<RenewalAnswer> {
    const authority = this.#authority;
    const stream = await this.#http3.request(
      [
        [":method", "POST"],
        [":scheme", "https"],
        [":authority", authority],
        [":path", RENEWAL_PATH],
        ["content-type", "application/json"],
      ],
      { body: Buffer.from(body), end: true },
    );
    const answer = await readWholeBody(stream, MAX_ANSWER_BYTES);
    this.#serial = stream.field(SESSION_SERIAL_FIELD) ?? this.#serial;
    const reason = stream.field("zgate-reason");
    const text = reason === undefined ? Buffer.from(answer ?? []).toString("utf8") : JSON.stringify({ error: reason });
    return { service: `the relay at ${authority}`, status: stream.status, body: text };
  }

  /** Ends the session in good order. */
  close(reason: string): void {
    this.#http3.close(HTTP3_CODE.H3_NO_ERROR, reason);
  }
}

async function openParts(http3: Http3Connection, options: SessionOptions): Promise<SessionParts> {
  const settings = await http3.peerSettings;
  if (!settings.enableConnectProtocol) {
    throw new ZgateError("ZG_CONNECT_FAILED", `${options.authority} does not offer extended CONNECT: it is no relay`);
  }
  const control = await http3.request([
    ...connectFields("connect-ip", options.authority, CONNECT_IP_PATH),
    ["capsule-protocol", "?1"],
    ...requestFields(options.wish),
  ]);
  checkStatus(control);
  const agreement = readAgreement(control.response, options.wish);
  if (agreement.lanes === 0) {
    throw new ZgateError("ZG_CONNECT_FAILED", `${options.authority} offers no lanes: it is a plain RFC 9484 proxy`);
  }
  const assigned = await readControl(http3, control);
  const lane0 = new Lane(http3, 0, agreement, options, undefined);
  const lanes = Array.from({ length: agreement.lanes }, (_, lane) =>
    lane === 0 ? lane0 : new Lane(http3, lane, agreement, options, lane0),
  );
  const first = lanesOnDemand(control.response) ? lanes.slice(0, 1) : lanes;
  await Promise.all(first.map((lane) => lane.open()));
  const senders = lanes.map((lane) => new LaneSender(lane));
  // Whoever opens the session knows it from the next event on: what was advertised until now is its beginning.
  assigned.onRoutes = options.onRoutes;
  return { addresses: assigned.addresses, routes: assigned.routes, agreement, senders };
}

/** Follows the control stream; resolves when both addresses and routes have come for the first time. */
function readControl(http3: Http3Connection, control: Http3Stream): Promise<Assigned> {
  const first = Promise.withResolvers<Assigned>();
  let addresses: readonly Prefix[] | undefined;
  let routes: readonly Prefix[] | undefined;
  let assigned: { -readonly [Part in keyof Assigned]: Assigned[Part] } | undefined;
  const late = setTimeout(() => {
    first.reject(new ZgateError("ZG_CONNECT_FAILED", `the relay assigned no address within ${ASSIGN_TIMEOUT_MS} ms`));
  }, ASSIGN_TIMEOUT_MS);
  const fail = (code: number, error: ZgateError): void => {
    first.reject(error);
    http3.close(code, error.message);
  };
  // Kept alive by the stream's handlers.
  new CapsuleChannel(control, {
    onCapsule: (type, value) => {
      if (type === CAPSULE_ADDRESS_ASSIGN) {
        addresses = decodeAddressAssign(value).map(({ prefix }) => prefix);
      } else if (type === CAPSULE_ROUTE_ADVERTISEMENT) {
        routes = decodeRouteAdvertisement(value).flatMap(rangePrefixes);
        if (assigned !== undefined) assigned.routes = routes;
        assigned?.onRoutes?.(routes);
      }
      if (assigned !== undefined || addresses === undefined || routes === undefined) return;
      assigned = { addresses, routes, onRoutes: undefined };
      first.resolve(assigned);
    },
    onEnd: (reason) => fail(HTTP3_CODE.H3_NO_ERROR, new ZgateError("ZG_CONNECTION_CLOSED", reason)),
    onFault: (error) => fail(HTTP3_CODE.H3_DATAGRAM_ERROR, error),
  });
  void http3.closed.then(({ reason }) => {
    first.reject(new ZgateError("ZG_CONNECTION_CLOSED", `the connection closed: ${reason}`));
  });
  return first.promise.finally(() => clearTimeout(late));
}
