/**
 * What an option is: one zod schema that carries its description, from which come its flag, its variable, its key in
 * a configuration file, its help and its row in the documentation.
 */
import { z } from "zod";

export interface OptionMeta {
  /** What stands for the value in help: `ADDRESS:PORT`. */
  readonly value: string;
  /** One sentence without its full stop. */
  readonly description: string;
  /** The value is a path: from a configuration file it is relative to that file's folder. */
  readonly path?: true;
  /** The default as a user would write it; absent when there is none. */
  readonly default?: string;
}

const registry = z.registry<OptionMeta>();

/** Option names in camel case → schemas. An optional schema is an option that may be left out. */
export type OptionShape = Readonly<Record<string, z.ZodType>>;

/** The frozen result of loading options of a shape: every key is there. */
export type ConfigOf<Shape extends OptionShape> = { readonly [Name in keyof Shape]: z.output<Shape[Name]> };

/** An option that must be given. */
export function required<Schema extends z.ZodType>(schema: Schema, meta: OptionMeta): Schema {
  // A copy, because several options are of one kind and each has its own description.
  return described(schema.clone(), meta);
}

/** An option that may be left out; its value is then undefined. */
export function optional<Schema extends z.ZodType>(schema: Schema, meta: OptionMeta): z.ZodOptional<Schema> {
  return described(schema.optional(), meta);
}

/** An option with a default, written as a user would write it, so that help and value cannot differ. */
export function defaulted<Value>(
  schema: z.ZodType<Value, string>,
  text: string,
  meta: OptionMeta,
): z.ZodPrefault<z.ZodType<Value, string>> {
  return described(schema.prefault(text), { ...meta, default: text });
}

function described<Schema extends z.ZodType>(schema: Schema, meta: OptionMeta): Schema {
  registry.add(schema, meta);
  return schema;
}

/** One option with all its names. */
export interface OptionRow extends OptionMeta {
  /** Its name in code, in camel case. */
  readonly name: string;
  /** `--tun-name` */
  readonly flag: string;
  /** `ZGATE_TUN_NAME` */
  readonly variable: string;
  /** `tun_name`, its key in a configuration file. */
  readonly key: string;
  readonly required: boolean;
  readonly repeatable: boolean;
  readonly schema: z.ZodType;
}

/** The rows of a shape, in its order. */
export function optionRows(shape: OptionShape): readonly OptionRow[] {
  return Object.entries(shape).map(([name, schema]) => {
    const meta = registry.get(schema);
    if (meta === undefined) throw new TypeError(`option ${name} has no description`);
    const key = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return {
      ...meta,
      name,
      key,
      flag: `--${key.replaceAll("_", "-")}`,
      variable: `ZGATE_${key.toUpperCase()}`,
      required: !schema.safeParse(undefined).success,
      repeatable: schema.safeParse([]).success,
      schema,
    };
  });
}
