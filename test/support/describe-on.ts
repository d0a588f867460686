// Claims about programs that not every machine has: they run, or are skipped under a name that says why, and are never left out in silence.
import { describe } from '@jest/globals';

/** @param absence why the program is not there, or undefined when it is */
export function describeOn(name: string, absence: string | undefined, claims: () => void): void {
  if (absence === undefined) describe(name, claims);
  else describe.skip(`${name}: NOT run, ${absence}`, claims);
}
