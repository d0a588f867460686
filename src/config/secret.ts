// A secret that cannot be printed by accident: interpolation, JSON and util.inspect all give "[redacted]".
import { inspect } from 'node:util';

/** How the file names a secret: never only the value, so that rotation can re-read it. */
export type SecretSource = { file: string } | { env: string } | { value: string };

/** A secret's value together with where it came from. */
export class Secret {
  readonly #value: string;
  readonly #source: SecretSource;

  constructor(value: string, source: SecretSource = { value }) {
    this.#value = value;
    this.#source = source;
  }

  /** The value itself. Each call is a place where a secret leaves: keep them few. */
  reveal(): string {
    return this.#value;
  }

  /** How a configuration would name this secret again: by its file or variable, never by its value. */
  toSource(): string | { file: string } | { env: string } {
    return 'value' in this.#source ? '[redacted]' : { ...this.#source };
  }

  /** Whether the value itself stands in the configuration. */
  get isWritten(): boolean {
    return 'value' in this.#source;
  }

  /** For people: `file /run/secrets/x`, `env NAME`, or `the configuration file itself`. */
  get origin(): string {
    if ('file' in this.#source) return `file ${this.#source.file}`;
    return 'env' in this.#source ? `env ${this.#source.env}` : 'the configuration file itself';
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
