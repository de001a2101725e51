/** A process with the addon ends cleanly in every state: each case is a process of its own. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { suite, test } from "node:test";
import { nextConnection, openTestEndpoint, testTls } from "./test-pair.ts";

/** Far more than any of these processes needs, far less than a hang. */
const LIMIT_MS = 20_000;

const PROLOGUE = `
  import { openQuicEndpoint } from "${import.meta.resolve("./addon.ts")}";
  import { createSocket } from "node:dgram";
  import { Worker, isMainThread } from "node:worker_threads";
  const { server: serverTls, client: clientTls } = JSON.parse(process.env.TLS);
  const open = (server) => openQuicEndpoint({ bind: "127.0.0.1:0", alpn: ["h3"], ...(server && { server: serverTls }) });
  const held = [];
  const connected = async () => {
    const server = open(true), client = open(false);
    // What nobody holds is collected, and a stream that is collected is stopped.
    server.onConnection = (connection) => { connection.onStream = (stream) => held.push(connection, stream); };
    const connection = await client.connect(server.localAddress, "relay.test", clientTls);
    return { server, client, connection };
  };
  const blackHole = async () => {
    const socket = createSocket("udp4");
    await new Promise((bound) => socket.bind(0, "127.0.0.1", bound));
    return socket;
  };
`;

/** Runs `script` after the prologue; settles when the process ended. */
async function run(script: string): Promise<{ code: number | null; signal: string | null; stderr: string }> {
  const tls = await testTls();
  const source = PROLOGUE + script;
  const env = { ...process.env, TLS: JSON.stringify({ server: tls.server, client: tls.client }), SELF: source };
  const { promise, resolve } = Promise.withResolvers<{ code: number | null; signal: string | null; stderr: string }>();
  const argv = ["--input-type=module", "--eval", source];
  const child = execFile(process.execPath, argv, { env, timeout: LIMIT_MS }, (_error, _stdout, stderr) => {
    resolve({ code: child.exitCode, signal: child.signalCode, stderr });
  });
  return await promise;
}

const cases: readonly { name: string; script: string; code?: number; stderr?: RegExp }[] = [
  { name: "the addon is loaded and nothing is open", script: "" },
  {
    name: "endpoints were closed",
    script: "const { server, client } = await connected(); await client.close(0, ''); await server.close(0, '');",
  },
  { name: "exit with an idle endpoint", script: "open(true); process.exit(3);", code: 3 },
  {
    name: "exit during a handshake",
    script: `
      const hole = await blackHole();
      open(false).connect("127.0.0.1:" + hole.address().port, "relay.test", clientTls).catch(() => {});
      hole.once("message", () => process.exit(4));`,
    code: 4,
  },
  {
    name: "exit before a handshake has sent anything",
    script: `open(false).connect("127.0.0.1:9", "relay.test", clientTls).catch(() => {}); process.exit(5);`,
    code: 5,
  },
  {
    name: "exit while a stream is busy",
    script: `
      const { connection } = await connected();
      const stream = await connection.openBidi(), slab = new Uint8Array(65536);
      let sent = 0;
      const pump = () => {
        for (let n = 1; n > 0; sent += n) n = stream.write(slab, 0, slab.length);
        if (sent > 1e6) process.exit(6);
        stream.onWritable = pump;
      };
      pump();`,
    code: 6,
  },
  {
    name: "an exception in a handler",
    script: `
      const server = open(true);
      server.onConnection = () => { throw new Error("from the handler"); };
      await open(false).connect(server.localAddress, "relay.test", clientTls);`,
    code: 1,
    stderr: /from the handler/,
  },
  {
    name: "exit from within a handler",
    script: `
      const server = open(true);
      server.onConnection = () => process.exit(8);
      await open(false).connect(server.localAddress, "relay.test", clientTls);`,
    code: 8,
  },
  {
    name: "workers that are ended with everything open",
    script: `
      if (isMainThread) {
        for (let i = 0; i < 3; i++) {
          const worker = new Worker(process.env.SELF, { eval: true });
          await new Promise((ready) => worker.once("message", ready));
          await worker.terminate();
        }
      } else {
        await connected();
        (await import("node:worker_threads")).parentPort.postMessage("ready");
      }`,
  },
];

suite("exit", { timeout: 60_000, concurrency: 2 }, () => {
  for (const { name, script, code, stderr } of cases) {
    test(name, async () => {
      const ended = await run(script);
      assert.deepEqual({ code: ended.code, signal: ended.signal }, { code: code ?? 0, signal: null }, ended.stderr);
      assert.match(ended.stderr, stderr ?? /^$/);
    });
  }

  test("a peer learns of an exit at once, not by the idle time-out", async (t) => {
    const tls = await testTls();
    const server = openTestEndpoint(t, { server: tls.server });
    const accepted = nextConnection(server);
    const exited = run(`
      const connection = await open(false).connect("${server.localAddress}", "relay.test", clientTls);
      connection.onStream = () => process.exit(0);`);
    const connection = await accepted;
    (await connection.openUni()).write(Uint8Array.of(1), 0, 1);
    assert.equal((await connection.closed).source, "peer-application");
    await exited;
  });
});
