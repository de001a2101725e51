/**
 * YAML text → positioned tree: js-yaml's events → nodes, each with its offset; duplicate keys, keys that are not
 * scalars, tags, unknown aliases and second documents become problems.
 *
 * Bounded by `MAX_YAML_DEPTH` and `MAX_YAML_NODES`; the size of the text is the caller's to bound
 * (`readTextFile`). The text is trusted for nothing else.
 */
import {
  boolCoreTag,
  EVENT_ID,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  NOT_RESOLVED,
  nullCoreTag,
  parseEvents,
  SCALAR_STYLE,
  YAMLException,
} from "js-yaml";
import type { Event, ScalarEvent, ScalarTagDefinition } from "js-yaml";
import { messageOf } from "../errors.ts";
import { MAX_YAML_DEPTH, MAX_YAML_NODES, MAX_YAML_PROBLEMS } from "./constants.ts";
import type { YamlEntry, YamlMapping, YamlNode, YamlScalar, YamlSequence, YamlValue } from "./node.ts";
import type { SourceProblem, SourceText } from "./source.ts";

export interface ParsedYaml {
  /** An empty document is a null scalar. Undefined when the text is not YAML or breaks a limit. */
  readonly root: YamlNode | undefined;
  readonly problems: readonly SourceProblem[];
}

/** Parses one YAML 1.2 document. Never throws on any text. */
export function parseYaml(source: SourceText): ParsedYaml {
  let events: Event[];
  try {
    events = parseEvents(source.text, { filename: source.file, maxDepth: MAX_YAML_DEPTH });
  } catch (error) {
    const offset = error instanceof YAMLException ? (error.mark?.position ?? 0) : 0;
    const reason = error instanceof YAMLException ? error.reason : messageOf(error);
    return { root: undefined, problems: [source.problem(offset, `this is not YAML: ${reason}`)] };
  }
  const builder = new TreeBuilder(source);
  for (const event of events) {
    builder.take(event);
    if (builder.stopped) return { root: undefined, problems: builder.problems };
  }
  return { root: builder.root ?? NOTHING, problems: builder.problems };
}

const NOTHING: YamlScalar = { kind: "scalar", offset: 0, value: null, text: "" };

/** A collection that is being filled. `weight` counts its nodes, aliases as what they stand for. */
type Frame =
  | { readonly kind: "document" }
  | {
      readonly kind: "sequence";
      readonly node: YamlSequence;
      readonly items: YamlNode[];
      readonly anchor: string;
      weight: number;
    }
  | {
      readonly kind: "mapping";
      readonly node: YamlMapping;
      readonly entries: YamlEntry[];
      readonly keys: Set<string>;
      readonly anchor: string;
      weight: number;
      key: YamlNode | undefined;
    };

class TreeBuilder {
  readonly problems: SourceProblem[] = [];
  root: YamlNode | undefined;
  stopped = false;

  readonly #source: SourceText;
  readonly #frames: Frame[] = [];
  readonly #anchors = new Map<string, { readonly node: YamlNode; readonly weight: number }>();
  #documents = 0;
  #weight = 0;
  /** Where the last written thing ended: the place of a value that was left out. */
  #lastOffset = 0;

  constructor(source: SourceText) {
    this.#source = source;
  }

  take(event: Event): void {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        this.#documents++;
        this.#anchors.clear();
        this.#frames.push({ kind: "document" });
        return;
      case EVENT_ID.SEQUENCE: {
        const items: YamlNode[] = [];
        const node: YamlSequence = { kind: "sequence", offset: event.start, items };
        this.#open(event);
        this.#frames.push({ kind: "sequence", node, items, anchor: this.#anchorOf(event), weight: 1 });
        return;
      }
      case EVENT_ID.MAPPING: {
        const entries: YamlEntry[] = [];
        const node: YamlMapping = { kind: "mapping", offset: event.start, entries };
        this.#open(event);
        const anchor = this.#anchorOf(event);
        this.#frames.push({ kind: "mapping", node, entries, keys: new Set(), anchor, weight: 1, key: undefined });
        return;
      }
      case EVENT_ID.SCALAR:
        this.#scalar(event);
        return;
      case EVENT_ID.ALIAS:
        this.#alias(event.anchorStart, event.anchorEnd);
        return;
      case EVENT_ID.POP:
        this.#close();
        return;
    }
    event satisfies never;
  }

  #open(event: { start: number; tagStart: number }): void {
    this.#lastOffset = event.start;
    this.#refuseTag(event.tagStart);
  }

  #scalar(event: ScalarEvent): void {
    const offset = event.valueStart < 0 ? this.#lastOffset : event.valueStart;
    if (event.valueEnd >= 0) this.#lastOffset = event.valueEnd;
    this.#refuseTag(event.tagStart);
    const text = getScalarValue(this.#source.text, event);
    const value = event.style === SCALAR_STYLE.PLAIN ? valueOf(text) : text;
    // A quoted scalar's range starts behind its quote, a block scalar's behind its header.
    const quoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
    const node: YamlScalar = { kind: "scalar", offset: quoted ? offset - 1 : offset, value, text };
    this.#place(node, 1, 1, node.offset);
    const anchor = this.#anchorOf(event);
    if (anchor !== "") this.#anchors.set(anchor, { node, weight: 1 });
  }

  #alias(start: number, end: number): void {
    this.#lastOffset = end;
    const name = this.#source.text.slice(start, end);
    const anchor = this.#anchors.get(name);
    if (anchor === undefined) {
      this.#problem(start - 1, `alias *${name} stands before or inside what it names, or names nothing`);
      this.#place({ kind: "scalar", offset: start - 1, value: null, text: "" }, 1, 1, start - 1);
      return;
    }
    this.#place(anchor.node, anchor.weight, anchor.weight, start - 1);
  }

  #close(): void {
    const frame = this.#frames.pop();
    if (frame === undefined || frame.kind === "document") return;
    if (frame.anchor !== "") this.#anchors.set(frame.anchor, { node: frame.node, weight: frame.weight });
    // The items were counted as they came; the collection itself counts as one more.
    this.#place(frame.node, frame.weight, 1, frame.node.offset);
  }

  /** Puts a finished node where it belongs, which is written at `at`; `counted` is what it adds to the document. */
  #place(node: YamlNode, weight: number, counted: number, at: number): void {
    this.#weight += counted;
    if (this.#weight > MAX_YAML_NODES) {
      this.#problem(at, `the document has more than ${MAX_YAML_NODES} values, aliases counted as what they stand for`);
      this.stopped = true;
      return;
    }
    const frame = this.#frames.at(-1);
    if (frame === undefined) return;
    switch (frame.kind) {
      case "document":
        if (this.#documents > 1) this.#problem(node.offset, "a second document begins here; one is expected");
        else this.root = node;
        return;
      case "sequence":
        frame.weight += weight;
        frame.items.push(node);
        return;
      case "mapping":
        frame.weight += weight;
        if (frame.key === undefined) {
          frame.key = node;
          return;
        }
        this.#entry(frame, frame.key, node);
        frame.key = undefined;
        return;
    }
    frame satisfies never;
  }

  #entry(frame: Extract<Frame, { kind: "mapping" }>, key: YamlNode, value: YamlNode): void {
    if (key.kind !== "scalar") {
      this.#problem(key.offset, "a key must be a string");
      return;
    }
    if (frame.keys.has(key.text)) {
      this.#problem(key.offset, `key ${JSON.stringify(key.text)} stands twice in the same mapping`);
      return;
    }
    frame.keys.add(key.text);
    frame.entries.push({ key: key.text, keyOffset: key.offset, value });
  }

  #anchorOf(event: { anchorStart: number; anchorEnd: number }): string {
    return event.anchorStart < 0 ? "" : this.#source.text.slice(event.anchorStart, event.anchorEnd);
  }

  #refuseTag(tagStart: number): void {
    if (tagStart >= 0) this.#problem(tagStart, "a YAML tag (!…) is not supported here");
  }

  #problem(offset: number, message: string): void {
    this.problems.push(this.#source.problem(offset, message));
    if (this.problems.length >= MAX_YAML_PROBLEMS) this.stopped = true;
  }
}

/** First character → the tags that a plain scalar may resolve to (YAML 1.2.2 section 10.3). */
const tagsByFirstCharacter = new Map<string, ScalarTagDefinition[]>();
for (const tag of [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag]) {
  for (const character of tag.implicitFirstChars ?? []) {
    const tags = tagsByFirstCharacter.get(character);
    if (tags === undefined) tagsByFirstCharacter.set(character, [tag]);
    else tags.push(tag);
  }
}

function valueOf(text: string): YamlValue {
  for (const tag of tagsByFirstCharacter.get(text.charAt(0)) ?? []) {
    const value: unknown = tag.resolve(text, false, tag.tagName);
    if (value === NOT_RESOLVED) continue;
    if (value === null || typeof value === "number" || typeof value === "boolean") return value;
  }
  return text;
}
