/**
 * A peer with a good certificate and bad manners: it speaks with our own QUIC layer and what it needs of
 * HTTP/3, and breaks the rules as the attack says.
 *
 *   node peer.ts ATTACK ADDRESS:PORT SERVER_NAME CERT KEY CA
 *
 * Prints one line of JSON, an `AttackReport`, and ends.
 */
import { readFileSync } from "node:fs";
import { HTTP3_CODE } from "../../shared/http3/spec.ts";
import { openQuicEndpoint } from "../../shared/native/addon.ts";
import type { QuicConnection, QuicEndpoint, TlsMaterial } from "../../shared/native/quic.ts";
import type { AttackReport } from "./attack.ts";
import { ATTACKS } from "./attacks.ts";
import { openSession } from "./hostile-session.ts";
import type { HostileSession, SessionOptions } from "./hostile-session.ts";
import { fromHex, writeAll } from "./raw-stream.ts";

/** How long the relay may take to close a connection that it has to close. Milliseconds. */
const CLOSE_PATIENCE_MS = 15_000;
/** How long a connection that has to stay open is watched. Milliseconds. */
const OPEN_WATCH_MS = 300;

export class Peer {
  readonly remote: string;
  readonly serverName: string;
  readonly tls: TlsMaterial;
  readonly endpoint: QuicEndpoint;
  /** Of the answers so far, in order. */
  readonly statuses: number[] = [];
  /** UDP packets that came back. */
  echoes = 0;
  #attacked: QuicConnection | undefined;

  constructor(remote: string, serverName: string, tls: TlsMaterial) {
    this.remote = remote;
    this.serverName = serverName;
    this.tls = tls;
    this.endpoint = openQuicEndpoint({ bind: "0.0.0.0:0", alpn: ["h3"] });
  }

  /** A connection whose fate is the attack's. */
  async connect(): Promise<QuicConnection> {
    this.#attacked = await this.endpoint.connect(this.remote, this.serverName, this.tls);
    return this.#attacked;
  }

  /** A session in good order, on a connection whose fate is the attack's. */
  async session(options: SessionOptions = {}): Promise<HostileSession> {
    return openSession(await this.connect(), this, options);
  }

  /**
   * Sends bytes on streams of a fresh connection, as they are: hexadecimal, and `FIN` at the end to finish the
   * stream. Control stream and SETTINGS are part of `uni`.
   */
  async raw(uni: readonly string[], bidi: readonly string[] = []): Promise<void> {
    const connection = await this.connect();
    for (const script of uni) await writeAll(await connection.openUni(), ...fromHex(script));
    for (const script of bidi) await writeAll(await connection.openBidi(), ...fromHex(script));
  }

  async report(closes: boolean): Promise<AttackReport> {
    const closed = await Promise.race([
      this.#attacked?.closed,
      new Promise<undefined>((resolve) => {
        setTimeout(resolve, closes ? CLOSE_PATIENCE_MS : OPEN_WATCH_MS, undefined);
      }),
    ]);
    return { closed: closed ?? null, statuses: this.statuses, echoes: this.echoes };
  }
}

if (import.meta.main) {
  const [name, remote = "", serverName = "", certificate = "", key = "", ca = ""] = process.argv.slice(2);
  const attack = ATTACKS.find((candidate) => candidate.name === name);
  if (attack === undefined) throw new RangeError(`there is no attack ${name}`);
  const [certificatePem, privateKeyPem, caPem] = [certificate, key, ca].map((path) => readFileSync(path, "utf8"));
  const peer = new Peer(remote, serverName, {
    certificatePem: certificatePem ?? "",
    privateKeyPem: privateKeyPem ?? "",
    caPem: caPem ?? "",
    keyExchange: "prefer-pq",
  });
  await attack.run(peer);
  console.log(JSON.stringify(await peer.report(attack.closes !== undefined)));
  await peer.endpoint.close(HTTP3_CODE.H3_NO_ERROR, "the attack is over");
  process.exit(0);
}
