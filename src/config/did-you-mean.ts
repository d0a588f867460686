// The nearest valid name for a mistyped one: keys, values of an enumeration, commands, options.
import { distance } from 'fastest-levenshtein';

/** The candidate that was most likely meant; undefined when none is near. Case, `-` and `_` do not count. */
export function nearest(given: string, candidates: readonly string[]): string | undefined {
  const word = plain(given);
  const [best] = candidates
    .map((candidate) => ({ candidate, far: farness(word, plain(candidate)) }))
    .filter(({ candidate, far }) => far <= Math.max(1, Math.floor(Math.min(word.length, candidate.length) / 3)))
    .sort((a, b) => a.far - b.far);
  return best?.candidate;
}

/** `; did you mean "scopes"?`, or nothing. */
export function didYouMean(given: string, candidates: readonly string[]): string {
  const candidate = nearest(given, candidates);
  return candidate === undefined ? '' : `; did you mean "${candidate}"?`;
}

// Swapped letters are one slip of the fingers, not two.
function farness(word: string, candidate: string): number {
  return sorted(word) === sorted(candidate) ? Math.min(1, distance(word, candidate)) : distance(word, candidate);
}

function sorted(word: string): string {
  return Array.from(word).sort().join('');
}

function plain(word: string): string {
  return word.slice(0, 100).toLowerCase().replace(/[-_]/g, '');
}
