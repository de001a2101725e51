/**
 * The policy thread: loads policies and answers for those in force, one request after the other, so that the relay's
 * own thread moves packets meanwhile. It keeps the documents; the relay keeps what it needs to judge.
 */
import { getHeapStatistics } from "node:v8";
import { parentPort } from "node:worker_threads";
import { messageOf, ZgateError } from "../shared/errors.ts";
import { summariseChange } from "../shared/policy/change-summary.ts";
import { CompiledPolicy } from "../shared/policy/compiled-policy.ts";
import type { PolicyDocument } from "../shared/policy/document.ts";
import { explainFlow, readQuestion } from "../shared/policy/explain.ts";
import { loadPolicyFile, rereadPolicy } from "../shared/policy/load.ts";
import { PolicyError } from "../shared/policy/problem.ts";
import { ClientRoutes } from "../shared/policy/routes.ts";
import { MAX_CAPSULE_ROUTES } from "../shared/tunnel/constants.ts";
import { encodeRouteAdvertisement } from "../shared/tunnel/route-capsule.ts";
import { limitRoutes } from "../shared/tunnel/route-limit.ts";
import type { UnixMs } from "../shared/units.ts";
import type {
  AdoptedPolicy,
  PolicyAnswer,
  PolicyFailure,
  PolicyQuestion,
  PolicyRequest,
  PolicyResponse,
} from "./policy-messages.ts";

/** A policy, made again from its image and its text where another thread had loaded it. */
class KnownPolicy {
  readonly #adopted: AdoptedPolicy;
  #document: PolicyDocument | undefined;
  #compiled: CompiledPolicy | undefined;
  #routes: { at: UnixMs; routes: ClientRoutes } | undefined;

  constructor(adopted: AdoptedPolicy, document?: PolicyDocument, compiled?: CompiledPolicy) {
    this.#adopted = adopted;
    this.#document = document;
    this.#compiled = compiled;
  }

  /** Takes as long as the load did where another thread had loaded it. */
  get document(): PolicyDocument {
    return (this.#document ??= rereadPolicy(this.#adopted.text));
  }

  get compiled(): CompiledPolicy {
    return (this.#compiled ??= new CompiledPolicy(this.#adopted.image));
  }

  /** Many sessions ask at the same time. */
  routesAt(at: UnixMs): ClientRoutes {
    if (this.#routes?.at !== at) this.#routes = { at, routes: new ClientRoutes(this.document, at) };
    return this.#routes.routes;
  }
}

/** What is known of one asker's policies. */
class Asker {
  #loaded: { id: number; policy: KnownPolicy } | undefined;
  #before: KnownPolicy | undefined;
  #inForce: KnownPolicy | undefined;

  adopt(id: number, adopted: AdoptedPolicy): void {
    this.#before = this.#inForce;
    this.#inForce = this.#loaded?.id === id ? this.#loaded.policy : new KnownPolicy(adopted);
    this.#loaded = undefined;
  }

  async answer(id: number, ask: PolicyQuestion): Promise<PolicyAnswer> {
    const { kind, at } = ask;
    switch (kind) {
      case "load": {
        // What an earlier load made and nobody has put in force makes room first.
        this.#loaded = undefined;
        const { policy, document, files, text } = await loadPolicyFile(ask.path, { at });
        const { image } = policy;
        this.#loaded = { id, policy: new KnownPolicy({ image, text }, document, policy) };
        return { kind, image, outlook: policy.outlook(at), files, text };
      }
      case "changes": {
        const before = this.#before;
        this.#before = undefined;
        if (before === undefined) return { kind, changes: ["what changed is not known: see zgate policy diff"] };
        return { kind, changes: summariseChange(before.document, this.#policy.document, at) };
      }
      case "routes": {
        const routes = limitRoutes(this.#policy.routesAt(at).of(ask.client), MAX_CAPSULE_ROUTES);
        return { kind, capsule: encodeRouteAdvertisement(routes) };
      }
      case "explain": {
        const { target, at: when } = readQuestion(ask.question, at);
        return { kind, explanation: explainFlow(this.#policy.document, ask.question.client, target, when) };
      }
      case "outlook":
        return { kind, outlook: this.#policy.compiled.outlook(at) };
      default:
        return kind satisfies never;
    }
  }

  get #policy(): KnownPolicy {
    if (this.#inForce === undefined) throw new Error("a question about a policy that is not in force");
    return this.#inForce;
  }
}

const askers = new Map<number, Asker>();

function askerOf(number: number): Asker {
  const asker = askers.get(number) ?? new Asker();
  askers.set(number, asker);
  return asker;
}

async function take(request: PolicyRequest): Promise<void> {
  if ("gone" in request) askers.delete(request.asker);
  else if ("adopt" in request) askerOf(request.asker).adopt(request.id, request.adopt);
  else {
    const answer = await askerOf(request.asker).answer(request.id, request.ask).catch(failureOf);
    const heapBytes = getHeapStatistics().total_heap_size;
    const response: PolicyResponse = { id: request.id, answer, heapBytes };
    parentPort?.postMessage(response, []);
  }
}

function failureOf(error: unknown): PolicyFailure {
  const { problems, files } = error instanceof PolicyError ? error : { problems: [], files: new Map<string, string>() };
  const code = error instanceof ZgateError ? error.code : undefined;
  return { kind: "failure", code, message: messageOf(error), problems, files };
}

let last = Promise.resolve();
parentPort?.on("message", (request: PolicyRequest) => {
  last = last.then(() => take(request));
});
