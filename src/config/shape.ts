// Walks the schema itself: which keys a section has, where a key belongs, which values are secrets,
// and what of a file with mistakes can still be understood, so that one mistake does not hide another.
import * as z from 'zod';
import type { Path } from './problem.ts';
import type { Secret } from './secret.ts';

type Schema = z.core.$ZodType;

/** What was understood of a file: every value may be missing, and none is invented. */
export type Draft<T> = T extends Secret
  ? T
  : T extends readonly (infer Item)[]
    ? (Draft<Item> | undefined)[]
    : T extends object
      ? { [Key in keyof T]?: Draft<T[Key]> | undefined }
      : T;

/** Parses value by value: what fits is in its place, what does not is undefined, defaults stand where nothing was said. */
export function salvage<S extends z.ZodType>(schema: S, value: unknown): Draft<z.output<S>> | undefined {
  return salvageAny(schema, value) as Draft<z.output<S>> | undefined;
}

function salvageAny(schema: Schema, value: unknown): unknown {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject && isRecord(value)) {
    const shape: Record<string, Schema> = inner.shape;
    return Object.fromEntries(Object.entries(shape).map(([key, child]) => [key, salvageAny(child, value[key])]));
  }
  if (inner instanceof z.ZodArray && Array.isArray(value)) {
    return value.map((item) => salvageAny(inner.element, item));
  }
  if (inner instanceof z.ZodRecord && isRecord(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, salvageAny(inner.valueType, child)]));
  }
  const result = z.safeParse(schema, value);
  return result.success ? result.data : undefined;
}

/** The keys that a section may have, of all its alternatives; none where the path leads to no section. */
export function allowedKeys(schema: Schema, path: Path): string[] {
  const keys = sectionsOf(schemaAt(schema, path)).flatMap((section) => Object.keys(section.shape));
  return [...new Set(keys)];
}

/** The keys that a section must have. */
export function requiredKeys(schema: Schema, path: Path): string[] {
  const sections = sectionsOf(schemaAt(schema, path));
  if (sections.length !== 1) return [];
  return sections.flatMap((section) => {
    const shape: Record<string, Schema> = section.shape;
    return Object.keys(shape).filter((key) => shape[key] !== undefined && !z.safeParse(shape[key], undefined).success);
  });
}

/** Whether what stands at a path is a secret, and so must not be shown. */
export function isSecret(schema: Schema, path: Path): boolean {
  return path.some((_segment, index) => {
    const at = schemaAt(schema, path.slice(0, index + 1));
    return at !== undefined && z.globalRegistry.get(at)?.writeOnly === true;
  });
}

/** Whether a secret may stand at a path or anywhere below it, and so also what was put there in its place. */
export function mayHoldSecret(schema: Schema, path: Path): boolean {
  return isSecret(schema, path) || holdsSecret(schemaAt(schema, path));
}

function holdsSecret(schema: Schema | undefined): boolean {
  if (schema === undefined) return false;
  if (z.globalRegistry.get(schema)?.writeOnly === true) return true;
  const inner = unwrap(schema);
  if (inner !== schema) return holdsSecret(inner);
  if (inner instanceof z.ZodArray) return holdsSecret(inner.element);
  return sectionsOf(inner).some((section) => Object.values<Schema>(section.shape).some(holdsSecret));
}

/** The sections that have a key of this name. */
export function homesOf(schema: Schema, key: string, path: Path = []): Path[] {
  return sectionsOf(schema).flatMap((section) =>
    Object.entries<Schema>(section.shape).flatMap(([name, child]) =>
      name === key ? [path] : homesOf(child, key, [...path, name]),
    ),
  );
}

function schemaAt(schema: Schema, path: Path): Schema | undefined {
  let at: Schema | undefined = unwrap(schema);
  for (const segment of path) {
    const children = typeof segment === 'number' ? itemsOf(at) : childrenOf(at, segment);
    if (children[0] === undefined) return undefined;
    at = unwrap(children[0]);
  }
  return at;
}

function itemsOf(schema: Schema): Schema[] {
  return schema instanceof z.ZodArray ? [schema.element] : [];
}

function childrenOf(schema: Schema, key: string): Schema[] {
  return sectionsOf(schema).flatMap((section) => {
    const shape: Record<string, Schema> = section.shape;
    return Object.hasOwn(shape, key) && shape[key] !== undefined ? [shape[key]] : [];
  });
}

/** A section itself, or the sections that a value may be. */
function sectionsOf(schema: Schema | undefined): z.ZodObject[] {
  if (schema === undefined) return [];
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) return [inner];
  if (inner instanceof z.ZodUnion) return inner.options.flatMap(sectionsOf);
  if (inner instanceof z.ZodArray) return sectionsOf(inner.element);
  if (inner instanceof z.ZodPipe) return sectionsOf(inner.in);
  return [];
}

function unwrap(schema: Schema): Schema {
  const wraps = schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return wraps ? unwrap(schema.unwrap()) : schema;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
