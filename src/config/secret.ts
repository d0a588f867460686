// A secret that cannot be printed by accident: interpolation, JSON and util.inspect all give "[redacted]".
import { inspect } from 'node:util';

/** How the file names a secret: never only the value, so that rotation can re-read it. */
export type SecretSource = { file: string } | { env: string } | { value: string };

/** A secret's value together with where it came from. */
export class Secret {
  readonly #value: string;
  /** For people: `file /run/secrets/x`, `env NAME`, or `the configuration file itself`. */
  readonly origin: string;

  constructor(value: string, origin: string) {
    this.#value = value;
    this.origin = origin;
  }

  /** The value itself. Each call is a place where a secret leaves: keep them few. */
  reveal(): string {
    return this.#value;
  }

  /** How a configuration would name this secret again: by its file or variable, never by its value. */
  toSource(): string | { file: string } | { env: string } {
    const [kind, ...rest] = this.origin.split(' ');
    const name = rest.join(' ');
    if (kind === 'file') return { file: name };
    if (kind === 'env') return { env: name };
    return '[redacted]';
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return '[redacted]';
  }
}
