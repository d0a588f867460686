// What the client's registration and its authorization requests must be (OIDC Core 3.1.2.1, RFC 9700 section 2.1, RFC 10017 section 6.1.3.1).
import { isLoopback } from './network.ts';
import { pemFindings } from './pem.ts';
import type { Finding, RuleContext } from './rule.ts';

// Postern sets these, each login anew: a fixed value would switch off what they protect, or ask for another flow (RFC 9700 section 2.1.2).
const ownParameters = new Set([
  'response_type',
  'response_mode',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'request',
  'request_uri',
  'max_age',
]);

const insteadOf: Record<string, string> = { scope: 'list scopes in provider.scopes', max_age: 'set login.maxAge' };

export function providerRules(context: RuleContext): Finding[] {
  return [issuerRules, scopeRules, clientSecretRules, parameterRules, authorityRules].flatMap((rule) => rule(context));
}

function issuerRules({ draft: { provider, insecure } }: RuleContext): Finding[] {
  const issuer = provider?.issuer;
  const metadata = /\/\.well-known\/openid-configuration\/?$/;
  if (issuer !== undefined && metadata.test(issuer)) {
    return [
      {
        path: ['provider', 'issuer'],
        message: `is the address of the metadata; the issuer is what "issuer" says in there, most likely "${issuer.replace(metadata, '')}"`,
      },
    ];
  }
  if (issuer === undefined || insecure?.httpIssuer === true) return [];
  const url = new URL(issuer);
  if (url.protocol === 'https:' || isLoopback(url)) return [];
  return [
    {
      path: ['provider', 'issuer'],
      message: `"${issuer}" would send the client secret and tokens unencrypted; http is for loopback only: use https, or set insecure.httpIssuer`,
    },
  ];
}

function scopeRules({ draft: { provider } }: RuleContext): Finding[] {
  const scopes = provider?.scopes;
  if (scopes === undefined || scopes.includes('openid') || scopes.includes(undefined)) return [];
  return [{ path: ['provider', 'scopes'], message: 'must hold openid: without it there is no ID token, so no user' }];
}

function clientSecretRules({ draft: { provider, insecure }, isGiven }: RuleContext): Finding[] {
  const path = ['provider', 'clientSecret'];
  if (!isGiven(['provider'])) return [];
  const isPublic = insecure?.publicClient === true;
  if (isPublic && isGiven(path)) {
    return [
      { path, message: 'contradicts insecure.publicClient: a public client has no secret; take one of the two out' },
    ];
  }
  if (isPublic || isGiven(path) || provider === undefined) return [];
  return [
    {
      path,
      message:
        'missing; it must be { file: /path } or { env: NAME } (a client without a secret needs insecure.publicClient)',
    },
  ];
}

function parameterRules({ draft: { provider } }: RuleContext): Finding[] {
  return Object.keys(provider?.authorizationParameters ?? {})
    .filter((name) => ownParameters.has(name))
    .map((name) => ({
      path: ['provider', 'authorizationParameters', name],
      message: `Postern sets this itself; ${insteadOf[name] ?? 'take it out'}`,
    }));
}

function authorityRules({ draft: { provider }, readFile }: RuleContext): Finding[] {
  return pemFindings(['provider', 'tls', 'ca', 'file'], provider?.tls?.ca?.file, 'certificate', readFile);
}
