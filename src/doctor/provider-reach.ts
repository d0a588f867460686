// Whether a login could come about at all: the provider is reached and believed, it knows the client and where to send people back to.
import type { Config } from '../config/schema.ts';
import type {
  ClientAnswer,
  DiscoveryAnswer,
  KeysAnswer,
  ProviderExamination,
  RedirectAnswer,
} from '../oidc/examination.ts';
import type { ProviderFailure } from '../oidc/failure.ts';
import { clocksDifferMs } from '../oidc/id-token.ts';
import { signingAlgorithms } from '../oidc/metadata.ts';
import { observe } from './observation.ts';
import type { Observation } from './observation.ts';

type Settings = Config['provider'];
type Found = Extract<ProviderExamination, { kind: 'metadata' }>;

const dayMs = 86_400_000;
const soonMs = 14 * dayMs;
const clocksDriftMs = 60_000;

/** @param now epoch ms */
export function observeReach(settings: Settings, examination: ProviderExamination, now: number): Observation[] {
  const { answer } = examination;
  switch (examination.kind) {
    case 'no-metadata':
      return [observeNoMetadata(settings, answer, examination.cause), ...observeClock(answer)];
    case 'metadata':
      return [
        observe('metadata', 'ok', `had from ${answer.url}`),
        ...observeCertificate(examination, now),
        ...observeClock(answer),
        observeKeys(examination.keys, examination.metadata),
        observeClient(settings, examination.client),
        observeRedirect(settings, examination.redirect),
      ];
  }
}

const isCertificateError = (code: string): boolean => /^(CERT_|ERR_TLS_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code);

function observeNoMetadata(
  { issuer }: Settings,
  answer: DiscoveryAnswer,
  { code, message }: ProviderFailure,
): Observation {
  const failure = (text: string, key: string): Observation => observe('metadata', 'failure', text, key);
  const { url, status } = answer;
  if (status === undefined && isCertificateError(code)) {
    return failure(`the certificate at ${url} is not trusted (${code})`, 'provider.tls.ca.file');
  }
  if (status === undefined) return failure(`nothing answers at ${url} (${code})`, 'provider.issuer');
  if (status !== 200) {
    return failure(`${url} answers ${status}; is the issuer written as the provider writes it?`, 'provider.issuer');
  }
  if (answer.issuer !== undefined && answer.issuer !== issuer) {
    const names = `the provider calls itself ${quoted(answer.issuer)}, and the file says ${quoted(issuer)}`;
    return failure(`${names}: they must be the same to the letter, a slash at the end included`, 'provider.issuer');
  }
  return failure(`what ${url} answers cannot be used: ${message}`, 'provider.issuer');
}

// What a stranger's server says is shown as a string of JSON, so that no control character reaches the terminal.
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

function observeCertificate({ certificateEndsAt }: Found, now: number): Observation[] {
  if (certificateEndsAt === undefined) return [];
  const day = new Date(certificateEndsAt).toISOString().slice(0, 10);
  const isSoon = certificateEndsAt - now < soonMs;
  return [observe('certificate', isSoon ? 'warning' : 'ok', `the provider’s TLS certificate is good until ${day}`)];
}

function observeClock({ clockOffsetMs: offset }: DiscoveryAnswer): Observation[] {
  if (offset === undefined) return [];
  const seconds = Math.round(Math.abs(offset) / 1000);
  if (Math.abs(offset) <= clocksDriftMs) return [observe('clock', 'ok', `agrees with the provider’s within a minute`)];
  const text = `this machine’s clock is ${seconds} s ${offset > 0 ? 'behind' : 'ahead of'} the provider’s`;
  if (Math.abs(offset) <= clocksDifferMs) return [observe('clock', 'warning', `${text}; set both by NTP`)];
  return [observe('clock', 'failure', `${text}, so that its ID tokens are refused and nobody can log in`)];
}

function observeKeys(keys: KeysAnswer, metadata: Found['metadata']): Observation {
  const algorithms = signingAlgorithms(metadata).join(', ');
  if (keys.kind === 'unavailable') {
    return observe('keys', 'failure', `cannot be had from ${new URL(metadata.jwks_uri).href}: ${keys.cause.message}`);
  }
  if (keys.usable === 0) {
    return observe(
      'keys',
      'failure',
      `${new URL(metadata.jwks_uri).href} holds no key for the algorithms of ID tokens, ${algorithms}`,
    );
  }
  return observe('keys', 'ok', `${keys.usable} published that can verify ID tokens`);
}

function observeClient({ clientId }: Settings, client: ClientAnswer): Observation {
  switch (client.kind) {
    case 'accepted':
      return observe('client', 'ok', `the provider lets ${clientId} in`);
    case 'no-refresh':
      return observe(
        'client',
        'warning',
        `${clientId} is let in, but may not use refresh tokens: where a route sends a token, a session ends with its access token. Allow the refresh_token grant at the provider`,
      );
    case 'refused':
      return observe(
        'client',
        'failure',
        `the provider refuses ${clientId} (${client.code}): compare clientId, clientSecret and clientAuth with what is registered`,
        'provider.clientSecret',
      );
    case 'unknown':
      return observe('client', 'note', `the provider does not tell whether it lets ${clientId} in (${client.code})`);
  }
}

/** What a provider says to somebody whom it does not know, and who asked for no page (OpenID Connect Core 3.1.2.6). */
const needsPerson = new Set([
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
]);

function observeRedirect({ scopes }: Settings, redirect: RedirectAnswer): Observation {
  switch (redirect.kind) {
    case 'sent-back':
      if (redirect.error === undefined || needsPerson.has(redirect.error))
        return observe('redirect URI', 'ok', 'the provider knows it');
      return redirect.error === 'invalid_scope'
        ? observe('redirect URI', 'failure', `the provider refuses the scopes ${scopes.join(' ')}`, 'provider.scopes')
        : observe('redirect URI', 'warning', `the provider knows it, and refuses the login: ${redirect.error}`);
    case 'refused':
      return observe(
        'redirect URI',
        redirect.status === 400 ? 'failure' : 'warning',
        `the provider answers ${redirect.status} to a login with it: most likely it is not registered`,
      );
    case 'unknown':
      return observe('redirect URI', 'note', 'whether the provider knows it shows at the first login only');
  }
}
