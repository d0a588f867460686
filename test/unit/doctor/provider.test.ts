// What doctor concludes from a provider's metadata for a configuration: the cases that no provider of the tests has.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { featuresOf } from '../../../src/doctor/features.ts';
import type { Observation } from '../../../src/doctor/observation.ts';
import { observeFeatures } from '../../../src/doctor/provider-features.ts';
import { observeLogout } from '../../../src/doctor/provider-logout.ts';
import { observeReach } from '../../../src/doctor/provider-reach.ts';
import { observeRefresh } from '../../../src/doctor/provider-refresh.ts';
import { registrationsFor } from '../../../src/doctor/registration.ts';
import type { ProviderExamination } from '../../../src/oidc/examination.ts';
import { keysThatSign } from '../../../src/oidc/metadata.ts';
import type { Metadata } from '../../../src/oidc/metadata.ts';
import { load, rightSave } from '../../support/config-text.ts';

const issuer = 'https://id.example.com';

function configOf(text: string, { at = issuer, scopes = '[openid]', more = '' } = {}) {
  const provider = `provider:\n  issuer: ${at}\n  clientId: shop\n  clientSecret: { env: CLIENT_SECRET }\n  scopes: ${scopes}\n${more}`;
  const outcome = load(rightSave(provider + text));
  if (outcome.kind !== 'ok') throw new Error(JSON.stringify(outcome.problems));
  return outcome.config;
}

const metadataOf = (more: Record<string, unknown> = {}): Metadata => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
  ...more,
});

const about = (name: string, observations: Observation[]) => observations.find((one) => one.about === name);

test.each([
  [
    'a provider that lists offline_access is asked for it',
    { scopes: '[openid]' },
    ['openid', 'offline_access'],
    'warning',
  ],
  ['it has been asked for', { scopes: '[openid, offline_access]' }, ['openid', 'offline_access'], 'ok'],
  ['it has been asked for in vain', { scopes: '[openid, offline_access]' }, ['openid'], 'warning'],
  ['nothing is known', { scopes: '[openid]' }, undefined, 'note'],
  ['Keycloak needs none', { at: `${issuer}/realms/shop` }, ['openid', 'offline_access'], 'ok'],
  [
    'Keycloak makes another kind of session of it',
    { at: `${issuer}/realms/shop`, scopes: '[openid, offline_access]' },
    undefined,
    'note',
  ],
  ['Google has a way of its own', { at: 'https://accounts.google.com' }, ['openid'], 'warning'],
  [
    'Google was asked in its own way',
    {
      at: 'https://accounts.google.com',
      more: '  authorizationParameters: { access_type: offline, prompt: consent }\n',
    },
    ['openid'],
    'ok',
  ],
])('refresh tokens: %s', (_what, provider, scopes_supported, level) => {
  const features = featuresOf(metadataOf({ scopes_supported }));
  expect(about('offline_access', observeRefresh(configOf('', provider), features))).toMatchObject({ level });
});

test('without a route that sends a token nobody is warned about refresh tokens', () => {
  const features = featuresOf(
    metadataOf({ scopes_supported: ['openid', 'offline_access'], grant_types_supported: ['authorization_code'] }),
  );
  const config = configOf('routes: [{ path: /api, upstream: http://orders:8080, token: none }]\n');
  const levels = observeRefresh(config, features).map(({ level }) => level);
  expect(levels).toEqual(['note', 'note', 'note']);
  expect(about('refresh', observeRefresh(configOf(''), features))).toMatchObject({ level: 'warning' });
});

test.each([
  [{}, undefined, undefined],
  [{ acr_values_supported: ['gold', 'silver'] }, 'ok', undefined],
  [{ acr_values_supported: ['silver'] }, 'warning', 'routes[].stepUp.acrValues'],
])('step-up to gold at a provider with %j: %s', (more, level = 'note', key) => {
  const config = configOf('routes: [{ path: /api, upstream: http://orders:8080, stepUp: { acrValues: [gold] } }]\n');
  const seen = about('acr_values', observeFeatures(config, featuresOf(metadataOf(more))));
  expect(seen).toMatchObject({ level, ...(key !== undefined && { key }) });
});

test.each([
  ['always', issuer, true, 'ok'],
  ['auto', issuer, true, 'ok'],
  ['auto', `${issuer}/realms/shop`, true, 'note'],
  ['never', issuer, true, 'note'],
  ['always', issuer, false, 'warning'],
  ['auto', issuer, false, 'note'],
])('logout.revoke %s at %s, offered: %s: %s', (revoke, at, offered, level) => {
  const features = featuresOf(metadataOf(offered ? { revocation_endpoint: `${issuer}/revoke` } : {}));
  const config = configOf(`logout: { revoke: ${revoke} }\n`, { at });
  expect(about('revocation', observeLogout(config, features))).toMatchObject({ level });
});

test('at Keycloak it says which switch keeps back-channel logout from being sent, and what a revocation would take along', () => {
  const features = featuresOf(
    metadataOf({ backchannel_logout_supported: true, revocation_endpoint: `${issuer}/revoke` }),
  );
  const said = (what: string, at: string): string | undefined =>
    about(what, observeLogout(configOf('', { at }), features))?.text;
  const keycloak = `${issuer}/realms/shop`;
  expect(said('back-channel logout', keycloak)).toContain('Front channel logout is switched off');
  expect(said('back-channel logout', issuer)).not.toContain('Front channel');
  expect(said('revocation', keycloak)).toContain('forget the consent');
});

test('front-channel logout is proposed only where it is the one way there is', () => {
  const front = { frontchannel_logout_supported: true };
  const both = { ...front, backchannel_logout_supported: true };
  const seen = (text: string, more: object) =>
    about('front-channel logout', observeLogout(configOf(text), featuresOf(metadataOf({ ...more }))))?.level;
  expect(seen('', front)).toBe('note');
  expect(seen('', both)).toBeUndefined();
  expect(seen('logout: { frontChannel: true }\n', front)).toBe('ok');
  expect(seen('logout: { frontChannel: true }\n', {})).toBe('warning');
});

test.each([
  [0, 'ok'],
  [-59_000, 'ok'],
  [120_000, 'warning'],
  [-301_000, 'failure'],
])('a provider’s clock that is %d ms ahead: %s', (clockOffsetMs, level) => {
  const examination: ProviderExamination = {
    kind: 'metadata',
    answer: { url: issuer, status: 200, issuer, clockOffsetMs },
    metadata: metadataOf(),
    keys: { kind: 'keys', usable: 1 },
    client: { kind: 'accepted' },
    redirect: { kind: 'sent-back', error: 'login_required' },
    certificateEndsAt: undefined,
  };
  expect(about('clock', observeReach(configOf('').provider, examination, 0))).toMatchObject({ level });
});

test.each([
  ['of another use', { kty: 'RSA', use: 'enc' }, 0],
  ['of another kind', { kty: 'EC' }, 0],
  ['for another algorithm', { kty: 'RSA', alg: 'RS512' }, 0],
  ['that is symmetric', { kty: 'oct' }, 0],
  ['that says no more than its kind', { kty: 'RSA' }, 1],
  ['that is right', { kty: 'RSA', use: 'sig', alg: 'RS256' }, 1],
  ['that is none', null, 0],
])('a key %s verifies ID tokens: %d', (_what, key, count) => {
  expect(keysThatSign({ keys: [key] }, metadataOf())).toBe(count);
});

test.each([
  [`${issuer}/realms/shop`, 'Valid redirect URIs'],
  ['https://shop.eu.auth0.com/', 'Allowed Callback URLs'],
  ['https://login.microsoftonline.com/0000/v2.0', 'Redirect URIs of the platform Web'],
  ['https://shop.okta.com/oauth2/default', 'Sign-in redirect URIs'],
  ['https://accounts.google.com', 'Authorized redirect URIs'],
  [issuer, undefined],
])('at %s the redirect URI goes under: %s', (at, label) => {
  const [registration] = registrationsFor(configOf('', { at }), undefined).filter(
    ({ field }) => field === 'redirect_uris',
  );
  expect(registration).toEqual({
    field: 'redirect_uris',
    value: 'https://shop.example.com/bff/callback',
    ...(label && { label }),
  });
});

test('metadata that is no metadata says nothing, and nothing of it reaches the terminal', () => {
  const features = featuresOf(
    metadataOf({ scopes_supported: ['openid\u001b[2J'], acr_values_supported: 'gold', grant_types_supported: [3] }),
  );
  expect(features).toMatchObject({ scopes: null, acrValues: null, grantTypes: null });
});

test('the page about doctor explains everything that it may speak of, and nothing else', () => {
  const root = join(import.meta.dirname, '../../..');
  const page = readFileSync(join(root, 'docs/doctor.md'), 'utf8');
  const sources = readdirSync(join(root, 'src/doctor')).map((name) =>
    readFileSync(join(root, 'src/doctor', name), 'utf8'),
  );
  const named = sources.flatMap((source) =>
    Array.from(source.matchAll(/(?:observe\(\s*|about = )'([^']+)'/g), ([, name]) => name!),
  );
  const explained = Array.from(page.matchAll(/^\| `([^`]+)` +\|/gm), ([, name]) => name!);
  expect(explained.sort()).toEqual([...new Set(named)].sort());
});
