// Session keys: how long a new one only opens, and what each must be: enough random bytes, readable, and each only once
// (ASVS 11.2.3; RFC 5869 section 3.3 on weak input keys).
import type { Finding, RuleContext } from './rule.ts';

/** How long a process knows a new key beside an older one before it signs and seals with it. */
export const settlingSeconds = 600;

const leastBytes = 32;
const howToMake = 'make one with: openssl rand -base64 32';

export function keyRules({ draft }: Pick<RuleContext, 'draft'>): Finding[] {
  const weakAllowed = draft.insecure?.weakKey === true;
  const seen = new Map<string, number>();
  return (draft.session?.keys ?? []).flatMap((secret, index): Finding[] => {
    if (secret === undefined) return [];
    const path = ['session', 'keys', index];
    const bytes = decodeBase64(secret.reveal());
    if (bytes === undefined) return [{ path, message: `must be base64; ${howToMake}` }];
    const first = seen.get(bytes.toString('base64'));
    if (first !== undefined)
      return [{ path, message: `is the same key as session.keys[${first}]; take one of the two out` }];
    seen.set(bytes.toString('base64'), index);
    const weakness = weaknessOf(bytes);
    return weakness === undefined || weakAllowed ? [] : [{ path, message: `${weakness}; ${howToMake}` }];
  });
}

function decodeBase64(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}

function weaknessOf(bytes: Buffer): string | undefined {
  if (bytes.length < leastBytes) return `holds ${bytes.length} bytes, and at least ${leastBytes} are needed`;
  return bytes.every((byte) => byte === bytes[0]) ? 'repeats one byte, so anybody can guess it' : undefined;
}
