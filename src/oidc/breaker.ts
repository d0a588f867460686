// A circuit breaker over the provider's token endpoint: when it keeps failing, sessions stop queueing up in front of it.

const opensAfter = 5;
const staysOpenMs = 10_000;

/** One breaker. Ask `mayCall` before each call, then report how it went: every permitted call must be reported. */
export class CircuitBreaker {
  readonly #now: () => number;
  readonly #onChange: (isOpen: boolean) => void;
  #failures = 0;
  #nextTrialAt = 0;

  /** `onChange` is told at once that it is closed. */
  constructor(now: () => number, onChange: (isOpen: boolean) => void = () => undefined) {
    this.#now = now;
    this.#onChange = onChange;
    onChange(false);
  }

  /** False while the breaker is open. 10 s after the last failure one caller is let through to try. */
  mayCall(): boolean {
    if (this.#failures < opensAfter) return true;
    if (this.#now() < this.#nextTrialAt) return false;
    this.#nextTrialAt = this.#now() + staysOpenMs;
    return true;
  }

  /** The endpoint answered, be it with a refusal. */
  succeeded(): void {
    if (this.#failures >= opensAfter) this.#onChange(false);
    this.#failures = 0;
  }

  /** No answer, or 5xx. Five in a row open the breaker. */
  failed(): void {
    this.#failures += 1;
    if (this.#failures === opensAfter) this.#onChange(true);
    this.#nextTrialAt = this.#now() + staysOpenMs;
  }
}
