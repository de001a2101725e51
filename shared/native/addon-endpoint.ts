/**
 * A QUIC endpoint on the Rust addon: its doorbell rings once a burst, then everything that waits is fetched
 * and handed to the objects it belongs to.
 */
import { ZgateError } from "../errors.ts";
import { AddonConnection, Tickets } from "./addon-connection.ts";
import { ConnectFailure } from "./connect-failure.ts";
import type { Armed } from "./addon-stream.ts";
import { AddonStream } from "./addon-stream.ts";
import { NOTICES_WAIT } from "./binding.ts";
import type {
  NativeConnectFailure,
  NativeConnection,
  NativeEndpoint,
  NativeEndpointFunctions,
  NativeNotice,
} from "./binding.ts";
import { run } from "./handler.ts";
import { loadNative } from "./loader.ts";
import { calling, errorCode } from "./native-error.ts";
import type {
  EndpointOptions,
  HandshakeRefusal,
  HandshakeStats,
  QuicConnection,
  QuicEndpoint,
  QuicStream,
  TlsMaterial,
} from "./quic.ts";

/** Words for the edges of one `drain`: 512 streams become ready at once before a second call is due. */
const EDGE_WORDS = 1024;

/** Notices that are handled before the event loop goes on, a fraction of a millisecond: a peer may open streams faster than that. */
const NOTICES_A_TURN = 64;

/** Endpoints that a `process.exit` has to end: Node runs no clean-up hook of an addon then. */
const open = new Set<NativeEndpoint>();

function endAll(): void {
  for (const native of open) native.exit();
}

export class AddonEndpoint implements QuicEndpoint {
  onConnection: ((connection: QuicConnection) => void) | undefined;
  onRefused: ((refusal: HandshakeRefusal) => void) | undefined;
  readonly armed = new Map<number, Armed>();
  readonly opening = new Tickets<QuicStream>();
  readonly functions: NativeEndpointFunctions;
  readonly #native: NativeEndpoint;
  readonly #connecting = new Tickets<QuicConnection>();
  readonly #connections = new Map<number, AddonConnection>();
  readonly #edges = new Uint32Array(EDGE_WORDS);
  readonly #done = Promise.withResolvers<void>();
  #closing = false;
  /** More notices than a turn takes were there: the rest comes in the next one. */
  #resuming = false;

  constructor(options: EndpointOptions) {
    this.#native = calling(() =>
      loadNative().NativeEndpoint.open(options, (token, bits) => this.#dispatch(token, bits)),
    );
    this.functions = this.#native.functions();
    if (open.size === 0) process.on("exit", endAll);
    open.add(this.#native);
  }

  get localAddress(): string {
    return this.#native.localAddress;
  }

  handshakeStats(): HandshakeStats {
    return { retries: this.#native.retries, untoldRefusals: this.#native.untoldRefusals };
  }

  setServerTls(tls: TlsMaterial): void {
    calling(() => this.#native.setServerTls(tls));
  }

  async connect(remote: string, serverName: string, tls: TlsMaterial): Promise<QuicConnection> {
    const { ticket, promise } = this.#connecting.issue();
    try {
      calling(() => this.#native.connect(ticket, remote, serverName, tls));
    } catch (thrown) {
      this.#connecting.take(ticket);
      throw thrown;
    }
    return promise;
  }

  rebind(bind: string): void {
    calling(() => this.#native.rebind(bind));
  }

  close(code: number, reason: string): Promise<void> {
    if (this.#closing) return this.#done.promise;
    try {
      calling(() => this.#native.close(code, reason));
    } catch (thrown) {
      if (!(thrown instanceof ZgateError)) return Promise.reject(thrown);
      // The QUIC thread is gone already: it panicked.
      this.#ended();
    }
    this.#closing = true;
    return this.#done.promise;
  }

  /** `token` is 0 when there is more than one edge. */
  #dispatch(token: number, bits: number): void {
    if (token !== 0) {
      this.armed.get(token)?.edge(bits);
      return;
    }
    const edges = this.#edges;
    let filled: number;
    do {
      const drained = this.functions.drain(edges);
      if (drained >= NOTICES_WAIT) this.#notices();
      filled = drained % NOTICES_WAIT;
      for (let at = 0; at < filled; at += 2) {
        this.armed.get(edges[at] ?? 0)?.edge(edges[at + 1] ?? 0);
      }
    } while (filled === edges.length);
  }

  #notices(): void {
    for (let count = 0; count < NOTICES_A_TURN; count++) {
      const notice = this.#native.nextNotice();
      if (notice === null) return;
      this.#notice(notice);
    }
    if (this.#resuming) return;
    this.#resuming = true;
    setImmediate(() => {
      this.#resuming = false;
      this.#notices();
    });
  }

  #notice(notice: NativeNotice): void {
    switch (notice.kind) {
      case "accepted":
        this.#accepted(notice.connection);
        break;
      case "connected":
        this.#connecting.take(notice.ticket)?.resolve(this.#connection(notice.connection));
        break;
      case "connectFailed":
        this.#connecting.take(notice.ticket)?.reject(connectFailure(notice));
        break;
      case "refused": {
        const { remote, source, code, reason } = notice;
        run(() => this.onRefused?.({ remote, source, code, reason }));
        break;
      }
      case "stream":
        this.#connections.get(notice.token)?.accepted(notice.stream);
        break;
      case "opened":
        this.opening.take(notice.ticket)?.resolve(new AddonStream(notice.stream, this));
        break;
      case "openFailed":
        this.opening
          .take(notice.ticket)
          ?.reject(new ZgateError("ZG_CONNECTION_CLOSED", `no stream can be opened: ${notice.reason}`));
        break;
      case "closed": {
        const { token, source, code, reason } = notice;
        this.#connections.get(token)?.ended({ source, code, reason });
        this.#connections.delete(token);
        break;
      }
      case "endpointClosed":
        this.#ended();
        break;
      case "panicked":
        run(() => {
          throw new ZgateError("ZG_NATIVE_FAILED", notice.reason);
        });
        break;
      default:
        notice satisfies never;
    }
  }

  #connection(native: NativeConnection): AddonConnection {
    const connection = new AddonConnection(native, this);
    this.#connections.set(native.token, connection);
    return connection;
  }

  #accepted(native: NativeConnection): void {
    const connection = this.#connection(native);
    const handler = this.onConnection;
    if (handler === undefined) connection.close(0, "nobody takes connections here");
    else run(() => handler(connection));
  }

  /** The QUIC thread is done: whatever still waits gets its answer. */
  #ended(): void {
    this.#native.dispose();
    open.delete(this.#native);
    if (open.size === 0) process.off("exit", endAll);
    const error = new ZgateError("ZG_CONNECTION_CLOSED", "the endpoint is closed");
    this.#connecting.rejectAll(error);
    this.opening.rejectAll(error);
    for (const connection of this.#connections.values()) {
      connection.ended({ source: "local", code: 0, reason: "the endpoint is closed" });
    }
    this.#connections.clear();
    this.#done.resolve();
  }
}

function connectFailure(failure: NativeConnectFailure): ConnectFailure {
  const { errorCode: code, reason } = failure;
  if (failure.source === undefined) return new ConnectFailure(errorCode(code), reason, undefined);
  const end = { source: failure.source, code: failure.code, reason: failure.detail };
  return new ConnectFailure(errorCode(code), reason, end);
}
