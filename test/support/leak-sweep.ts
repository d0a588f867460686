// Looking for secrets: which ones a journey through Postern had, and where any of them turned up.
import { Redis } from 'ioredis';
import type { Browser } from './browser.ts';
import type { RelyingParty } from './relying-party.ts';

export interface Secrets {
  /** Tokens, codes, verifiers, keys, passwords, session ids: nothing that Postern says holds one, but the Set-Cookie that a session id travels in. */
  everywhere: string[];
  /** What the browser has to have, and nobody else: cookies, and what stands in its address bar on the way. */
  elsewhere: string[];
}

/** The secrets of one journey. `own` are those of the configuration. */
export function secretsOf({ op }: RelyingParty, browser: Browser, own: string[]): Secrets {
  const seen = op.endpoints.requests;
  const verifiers = seen.flatMap(({ parameters }) => parameters.get('code_verifier') ?? []);
  const credentials = seen.flatMap(({ authorization }) => authorization?.replace(/^\w+ /, '') ?? []);
  const received = browser.received.join('\n');
  const cookies = matches(received, /postern-\d+(?:-tx-[\w-]+)?=([^;"]{20,})/g).map(decodeURIComponent);
  const sessionIds = matches(cookies.join('\n'), /^s:([\w-]{43})\./gm);
  return {
    everywhere: [op.clientSecret, ...own, ...op.issued, ...verifiers, ...credentials, ...sessionIds],
    elsewhere: [...cookies, ...matches(received, /[?&](?:state|nonce|ticket)=([\w-]{43})/g)],
  };
}

function matches(text: string, pattern: RegExp): string[] {
  return Array.from(text.matchAll(pattern), ([, found]) => found!);
}

/** Where which secret stands, in any of its usual spellings. */
export function findings(secrets: string[], places: Record<string, string[]>): string[] {
  return Object.entries(places).flatMap(([place, texts]) => {
    const text = texts.join('\n');
    return secrets
      .filter((secret) => spellingsOf(secret).some((spelling) => text.includes(spelling)))
      .map((secret) => `${place}: ${secret}`);
  });
}

function spellingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const form = new URLSearchParams({ secret }).toString().slice('secret='.length);
  return [
    secret,
    encodeURIComponent(secret),
    form,
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ];
}

/** What the browser received, less the two places where a secret belongs: Set-Cookie, and the redirect to the provider's logout, out of reach of scripts. */
export function receivedBy(browser: Browser, { op }: RelyingParty): string[] {
  const logout = new RegExp(`"location":"${op.issuer}/logout[^"]*"`, 'g');
  return browser.received.map((text) => text.replace(/"set-cookie":(\[[^\]]*\]|"[^"]*")/g, '').replace(logout, ''));
}

/** Every key of a Redis with its whole content. */
export async function contentOf(redisUrl: string): Promise<string> {
  const client = new Redis(redisUrl);
  try {
    const texts: (string | null)[] = [];
    for (const key of await client.keys('*')) {
      texts.push(key);
      switch (await client.type(key)) {
        case 'string':
          texts.push(await client.get(key));
          break;
        case 'hash':
          texts.push(JSON.stringify(await client.hgetall(key)));
          break;
        case 'zset':
          texts.push(...(await client.zrange(key, '0', '-1')));
          break;
        case 'none':
          break; // Gone meanwhile.
        default:
          throw new Error(`A kind of key that this sweep does not know: ${key}`);
      }
    }
    return texts.join('\n');
  } finally {
    client.disconnect();
  }
}
