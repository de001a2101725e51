/**
 * A parsed YAML document as a tree whose every key and value knows its offset in the text.
 *
 * An alias is the very node that its anchor names, so a node may be reached by several ways; `offset` is where
 * it was written.
 */

export type YamlValue = string | number | boolean | null;

export interface YamlScalar {
  readonly kind: "scalar";
  readonly offset: number;
  /** By the YAML 1.2 core schema: a quoted scalar is always a string. */
  readonly value: YamlValue;
  /** As it was written, unquoted and unescaped: `1.0` stays `1.0`, `0x1f` stays `0x1f`. */
  readonly text: string;
}

export interface YamlSequence {
  readonly kind: "sequence";
  readonly offset: number;
  readonly items: readonly YamlNode[];
}

export interface YamlEntry {
  readonly key: string;
  readonly keyOffset: number;
  readonly value: YamlNode;
}

/** In the order of the text, keys unique: a repeated key is a problem and its later value is left out. */
export interface YamlMapping {
  readonly kind: "mapping";
  readonly offset: number;
  readonly entries: readonly YamlEntry[];
}

export type YamlNode = YamlScalar | YamlSequence | YamlMapping;

/** What a message calls a node: `a mapping`, `the string "x"`, `nothing`. */
export function describeNode(node: YamlNode): string {
  switch (node.kind) {
    case "mapping":
      return "a mapping";
    case "sequence":
      return "a list";
    case "scalar":
      if (node.value === null) return "nothing";
      if (typeof node.value === "string") return `the string ${JSON.stringify(clipped(node.value))}`;
      return `the ${typeof node.value} ${clipped(node.text)}`;
  }
  return node satisfies never;
}

const CLIP_LENGTH = 60;

function clipped(text: string): string {
  return text.length <= CLIP_LENGTH ? text : `${text.slice(0, CLIP_LENGTH)}…`;
}

export function entryOf(node: YamlNode, key: string): YamlEntry | undefined {
  return node.kind === "mapping" ? node.entries.find((entry) => entry.key === key) : undefined;
}

/** Objects without a prototype, arrays and scalar values: what a schema is checked against. */
export function plainOf(node: YamlNode): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "sequence":
      return node.items.map(plainOf);
    case "mapping": {
      const plain: Record<string, unknown> = Object.create(null);
      for (const entry of node.entries) plain[entry.key] = plainOf(entry.value);
      return plain;
    }
  }
  return node satisfies never;
}

/** Where the path of a schema's complaint points: the value's offset, or that of what is nearest above it. */
export function offsetOf(root: YamlNode, path: readonly PropertyKey[]): number {
  let node = root;
  for (const step of path) {
    const next = typeof step === "number" ? itemOf(node, step) : entryOf(node, String(step))?.value;
    if (next === undefined) break;
    node = next;
  }
  return node.offset;
}

/** Like `offsetOf` with a key of the mapping at `path`: where that key itself is written. */
export function keyOffsetOf(root: YamlNode, path: readonly PropertyKey[], key: string): number {
  let node = root;
  for (const step of path) {
    const next = typeof step === "number" ? itemOf(node, step) : entryOf(node, String(step))?.value;
    if (next === undefined) return node.offset;
    node = next;
  }
  return entryOf(node, key)?.keyOffset ?? node.offset;
}

function itemOf(node: YamlNode, index: number): YamlNode | undefined {
  return node.kind === "sequence" ? node.items[index] : undefined;
}
