/** The TUN device on the Rust addon. */
import type { NativeTun, NativeTunFunctions } from "./binding.ts";
import { run } from "./handler.ts";
import { loadNative } from "./loader.ts";
import { calling, translated } from "./native-error.ts";
import type { OffloadFinding, Tun, TunFeatures, TunOptions, TunStats } from "./tun.ts";

export class AddonTun implements Tun {
  readonly name: string;
  readonly features: TunFeatures;
  readonly offloadFindings: readonly OffloadFinding[];
  readonly #native: NativeTun;
  readonly #functions: NativeTunFunctions;
  #onReadable: (() => void) | undefined;
  #paused = false;

  constructor({ name, mtu, offload, queues = 1, steering }: TunOptions) {
    this.#native = calling(() =>
      loadNative().NativeTun.open(name, mtu, offload, queues, steering, () => this.#readable()),
    );
    this.#functions = this.#native.functions();
    this.name = name;
    this.features = this.#native.features;
    this.offloadFindings = this.#native.offloadFindings();
  }

  read(slab: Uint8Array, from: number, to: number): number {
    try {
      return this.#functions.read(slab, from, to);
    } catch (thrown) {
      throw translated(thrown);
    }
  }

  write(slab: Uint8Array, from: number, to: number, queue = 0): number {
    try {
      return this.#functions.write(slab, from, to, queue);
    } catch (thrown) {
      throw translated(thrown);
    }
  }

  get onReadable(): (() => void) | undefined {
    return this.#onReadable;
  }

  set onReadable(handler: (() => void) | undefined) {
    this.#onReadable = handler;
    this.#watch();
  }

  pause(): void {
    this.#paused = true;
    this.#watch();
  }

  resume(): void {
    this.#paused = false;
    this.#watch();
  }

  stats(): TunStats {
    return this.#native.stats();
  }

  close(): void {
    this.#native.close();
  }

  #watch(): void {
    this.#native.watch(this.#onReadable !== undefined && !this.#paused);
  }

  #readable(): void {
    if (this.#onReadable !== undefined && !this.#paused) run(this.#onReadable);
  }
}
