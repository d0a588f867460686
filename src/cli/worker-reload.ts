// What a worker goes by is what the first process says. A text that it cannot take over, because a file that it names has changed in between,
// is tried again until it can, as the first process does with the file.
import type { Audit } from '../telemetry/audit.ts';

export interface WorkerReloadsOptions {
  /** Puts a configuration in force, whose text this is. Gives why not; then the former one still is. */
  takeOver: (text: string) => string[];
  retryMs: number;
  audit: Audit;
}

export interface WorkerReloads {
  /** Goes by this text from now on, or from when it can be taken over. */
  follow: (text: string) => void;
  /** `down`: the last text is not in force. */
  state: () => 'up' | 'down';
  close: () => void;
}

export function createWorkerReloads({ takeOver, retryMs, audit }: WorkerReloadsOptions): WorkerReloads {
  let refused: string | undefined;
  let told = '';

  function follow(text: string): void {
    const problems = takeOver(text);
    refused = problems.length === 0 ? undefined : text;
    const saying = problems.join('\n');
    // The first process has read the same text, and right.
    if (refused !== undefined && saying !== told) audit('configuration_refused', { problems });
    told = saying;
  }

  const retries = setInterval(() => {
    if (refused !== undefined) follow(refused);
  }, retryMs).unref();
  return {
    follow,
    state: () => (refused === undefined ? 'up' : 'down'),
    close: () => clearInterval(retries),
  };
}
