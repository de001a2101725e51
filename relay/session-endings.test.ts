import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { formatAddress } from "../shared/packet/address.ts";
import { ipv4, udp } from "../shared/packet/fixture.ts";
import { decodeAddressAssign } from "../shared/tunnel/address-capsule.ts";
import { CAPSULE_ADDRESS_ASSIGN, CLOSE_CODE } from "../shared/tunnel/constants.ts";
import type { Client } from "./client-fixture.ts";
import { ENDING_SESSIONS, FLOWS_ENDED_A_TURN, MAX_CLIENT_WAITING, SESSION_WEIGHT } from "./constants.ts";
import { RelayCore, until } from "./core-fixture.ts";

const ALL = "rules: [{ id: all, type: ip_cidr, action: allow, destinations: [0.0.0.0/0] }]";
const STAYS = `stays: { ${ALL} }`;
/** Sessions whose ends one turn of the event loop sees at most: each weighs something, one may go over the limit. */
const ENDED_A_TURN = Math.ceil(FLOWS_ENDED_A_TURN / SESSION_WEIGHT);

/** Sessions that have flows, each more than end at once, and more sessions than may wait for their flows' end. */
const BUSY = ENDING_SESSIONS + 36;
const FLOWS = FLOWS_ENDED_A_TURN + 8;

let core: RelayCore;
afterEach(() => core.close());

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const ended = (): number => core.counters.total("sessionsEnded");
const flowsEnded = async (): Promise<number> => (await core.audited("flow")).length;

async function opened(clients: string): Promise<void> {
  core = await RelayCore.open({ policy: `clients: { ${clients} }`, maxSessions: 2_000, pool4: "10.90.0.0/16" });
}

/** Opens sessions with one lane, as many at the same time as one client may. */
async function joinAll(count: number, nameOf: (session: number) => string): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) {
    const batch = Array.from({ length: MAX_CLIENT_WAITING }, (_, index) => core.join(nameOf(clients.length + index)));
    clients.push(...(await Promise.all(batch)));
  }
  return clients;
}

/** Packets of so many flows, with the client's own address. */
function packets(client: Client, flows: number): Uint8Array[] {
  const assignment = client.capsules.find(({ type }) => type === CAPSULE_ADDRESS_ASSIGN);
  const address = assignment === undefined ? undefined : decodeAddressAssign(assignment.value)[0]?.prefix;
  assert.ok(address);
  const src = formatAddress(4, ...address.words);
  return Array.from({ length: flows }, (_, port) => ipv4({ src, dst: "192.0.2.1", payload: udp(port + 1, 53) }));
}

describe("many sessions that end at once", () => {
  for (const { name, clients, of } of [
    { name: "of one client", clients: `many: { max_sessions: 1000, ${ALL} }`, of: () => "many" },
    {
      name: "of many clients",
      clients: Array.from({ length: 20 }, (_, number) => `c${number}: { max_sessions: 50, ${ALL} }`).join(", "),
      of: (session: number) => `c${session % 20}`,
    },
  ]) {
    test(`1,000 ${name} that the policy does not know any more: nothing of them passes, and they end in turns`, async () => {
      await opened(`${STAYS}, ${clients}`);
      const all = await joinAll(1_000, of);
      const neighbour = await core.join("stays");
      const busy = all.slice(0, BUSY);
      for (const client of busy) client.send(...packets(client, FLOWS));
      const written = BUSY * FLOWS;
      await until("the flows", () => core.tun.written.length === written);
      let most = 0;
      let after = 0;
      core.onSwap = () => {
        core.onSwap = undefined;
        after = ended();
        assert.equal(core.sessions.size, 1, "none of them is found any more");
        for (const client of busy.slice(MAX_CLIENT_WAITING)) client.send(...packets(client, 1));
      };
      const enforced = core.enforce(`clients: { ${STAYS} }`);
      for (let last = 0; last < 1_000;) {
        await turn();
        most = Math.max(most, ended() - last);
        last = ended();
      }
      await enforced;
      assert.ok(after <= ENDED_A_TURN && most <= ENDED_A_TURN, `${after} at once, then ${most} in a turn`);
      for (const client of all) {
        const { code, reason } = await until("the end", () => client.closed);
        assert.deepEqual([code, reason], [CLOSE_CODE.FORBIDDEN, "the policy does not know this client any more"]);
      }
      neighbour.send(...packets(neighbour, 1));
      await until("the neighbour's packet", () => core.tun.written.length > written);
      assert.equal(core.tun.written.length, written + 1, "nothing else passed");
      assert.equal(core.pool.active, 1);
      while ((await flowsEnded()) < BUSY * FLOWS) await turn();
      const downs = await core.audited("session-down");
      assert.deepEqual([downs.length, new Set(downs.map(({ session }) => session)).size], [1_000, 1_000]);
    });
  }
});
