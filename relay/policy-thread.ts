/**
 * The relay's end of the policy thread (`policy-worker.ts`).
 *
 *   ask ─▶ waiting, in order ─▶ thread ─▶ answer
 *                                └─ dies (memory, time, a fault) ─▶ the first one waiting fails; a new thread is told
 *                                   what is in force, and asked the others again
 *
 * The thread is kept when it has nothing to do: a warm one loads a small policy within a millisecond or two. One whose
 * heap has grown large gives it back only by ending: a new one takes its place when it has had nothing to do for a while.
 */
import { Worker } from "node:worker_threads";
import { messageOf, ZgateError } from "../shared/errors.ts";
import {
  POLICY_THREAD_IDLE_MS,
  POLICY_THREAD_KEPT_MEGABYTES,
  POLICY_THREAD_MEGABYTES,
  POLICY_THREAD_MS,
} from "./constants.ts";
import type { AdoptedPolicy, PolicyAnswer, PolicyQuestion, PolicyRequest, PolicyResponse } from "./policy-messages.ts";

interface Waiting {
  readonly request: PolicyRequest;
  resolve(answer: PolicyAnswer): void;
  reject(error: ZgateError): void;
}

/** Tests have smaller ones. */
export interface PolicyThreadLimits {
  /** The heap and the time of one request. */
  readonly megabytes: number;
  readonly milliseconds: number;
  /** The heap that an idle thread may keep, and after how long without a request it is idle. */
  readonly keptMegabytes: number;
  readonly idleMs: number;
}

const LIMITS: PolicyThreadLimits = {
  megabytes: POLICY_THREAD_MEGABYTES,
  milliseconds: POLICY_THREAD_MS,
  keptMegabytes: POLICY_THREAD_KEPT_MEGABYTES,
  idleMs: POLICY_THREAD_IDLE_MS,
};
const MEGABYTE = 1024 * 1024;

export class PolicyThread {
  readonly #limits: PolicyThreadLimits;
  #worker: Worker | undefined;
  /** By request id; the first is the one that the thread is at. */
  readonly #waiting = new Map<number, Waiting>();
  /** What each asker has in force. */
  readonly #adopted = new Map<number, PolicyRequest>();
  /** Until the thread's request takes too long; without one, until it is idle, if it is large. */
  #watchdog: NodeJS.Timeout | undefined;
  /** The heap of the thread when it last answered. */
  #heapBytes = 0;
  /** A thread that is ended because its request took too long. */
  #overdue: Worker | undefined;
  #requests = 0;
  #askers = 0;

  constructor(limits = LIMITS) {
    this.#limits = limits;
  }

  /** A number for somebody who has one policy in force. */
  newAsker(): number {
    return ++this.#askers;
  }

  /** Asks, and returns the request's number with the answer. Rejects with `ZG_POLICY_THREAD` when the thread dies of it. */
  ask(asker: number, ask: PolicyQuestion): { id: number; answer: Promise<PolicyAnswer> } {
    const id = ++this.#requests;
    const { promise, resolve, reject } = Promise.withResolvers<PolicyAnswer>();
    const request = { id, asker, ask };
    this.#waiting.set(id, { request, resolve, reject });
    this.#post(request);
    if (this.#waiting.size === 1) this.#watch();
    return { id, answer: promise };
  }

  /** What the asker's load `id` has made is in force. */
  adopt(asker: number, id: number, adopt: AdoptedPolicy): void {
    const request = { id, asker, adopt };
    this.#adopted.set(asker, request);
    this.#post(request);
  }

  /** The asker asks no more. */
  leave(asker: number): void {
    this.#adopted.delete(asker);
    this.#worker?.postMessage({ asker, gone: true } satisfies PolicyRequest, []);
  }

  #post(request: PolicyRequest): void {
    if (this.#worker === undefined) this.#start();
    else this.#worker.postMessage(request, []);
  }

  /** Starts a thread and posts all that it has to know. */
  #start(): void {
    const worker = new Worker(new URL("./policy-worker.ts", import.meta.url), {
      name: "policy",
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.megabytes },
    });
    let reason: unknown = "it ended by itself";
    worker.on("message", (response: PolicyResponse) => {
      if (this.#worker === worker) this.#answered(response);
    });
    worker.on("error", (error) => (reason = error));
    worker.on("exit", () => this.#died(worker, reason));
    this.#worker = worker;
    this.#heapBytes = 0;
    for (const request of this.#adopted.values()) worker.postMessage(request, []);
    for (const { request } of this.#waiting.values()) worker.postMessage(request, []);
    this.#watch();
  }

  #answered({ id, answer, heapBytes }: PolicyResponse): void {
    this.#heapBytes = heapBytes;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#watch();
    waiting?.resolve(answer);
  }

  /** A new one takes its place when it died of a request: each takes one out of the queue, so that this ends. */
  #died(worker: Worker, reason: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const [first] = this.#waiting;
    if (first === undefined) return this.#watch();
    const [id, { reject }] = first;
    this.#waiting.delete(id);
    this.#start();
    reject(new ZgateError("ZG_POLICY_THREAD", this.#describe(worker, reason), { cause: reason }));
  }

  #describe(worker: Worker, reason: unknown): string {
    if (this.#overdue === worker) return `this takes more than ${this.#limits.milliseconds / 1000} seconds`;
    if (reason instanceof Error && "code" in reason && reason.code === "ERR_WORKER_OUT_OF_MEMORY")
      return `this takes more than ${this.#limits.megabytes} MB of memory`;
    return `the policy thread failed: ${messageOf(reason)}`;
  }

  /** Keeps the process alive and the time while the thread works on something. */
  #watch(): void {
    clearTimeout(this.#watchdog);
    if (this.#waiting.size === 0) return this.#rest();
    const worker = this.#worker;
    worker?.ref();
    this.#watchdog = setTimeout(() => {
      this.#overdue = worker;
      void worker?.terminate();
    }, this.#limits.milliseconds);
    this.#watchdog.unref();
  }

  /** The thread has nothing to do. */
  #rest(): void {
    this.#worker?.unref();
    const { keptMegabytes, idleMs } = this.#limits;
    if (this.#heapBytes <= keptMegabytes * MEGABYTE) return;
    this.#watchdog = setTimeout(() => this.#replace(), idleMs);
    this.#watchdog.unref();
  }

  /** A fresh thread knows what is in force, and reads it again only if it is asked about it. */
  #replace(): void {
    const worker = this.#worker;
    this.#start();
    void worker?.terminate();
  }
}
