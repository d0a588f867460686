// `postern doctor` and `postern check --online` on a provider: a real one, one that breaks rules, and none at all.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { makeCertificate } from '../support/certificate.ts';
import {
  configText,
  doctorProcess,
  examined,
  failuresIn,
  file,
  runCheckOnline,
  runDoctor,
  summaryOf,
} from '../support/doctor.ts';
import { freePort } from '../support/free-port.ts';
import { findings } from '../support/leak-sweep.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { Misbehaviour, MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';

const redirectUris = ['http://localhost:8080/bff/callback'];

describe('at a real provider', () => {
  let op: RealProvider;
  beforeAll(async () => {
    op = await startRealProvider({ redirectUris });
  });
  afterAll(() => op.close());

  test('everything that a login needs is seen to work, without anybody logging in', async () => {
    const { code, report } = await examined(configText(op));
    expect(code).toBe(0);
    expect(report.ok).toBe(true);
    expect(summaryOf(report.provider.observations)).toEqual(
      expect.arrayContaining([
        'ok metadata',
        'ok clock',
        'ok keys',
        'ok client',
        'ok redirect URI',
        'ok code flow',
        'ok PKCE',
        'ok iss',
        'ok client authentication',
        'ok end_session',
        'ok revocation',
        'ok back-channel logout',
      ]),
    );
    expect(report.provider.features).toMatchObject({
      endSession: true,
      revocation: true,
      backChannelLogout: true,
      backChannelLogoutSession: true,
      frontChannelLogout: false,
      par: 'none',
      iss: true,
      pkceS256: true,
      acrValues: null,
    });
    expect(op.endpoints.seen('userinfo')).toEqual([]);
  });

  test('what to register is listed, word for word as Postern sends it', async () => {
    const { report } = await examined(configText(op, { basePath: '/gate', logout: { frontChannel: true } }));
    expect(report.register).toEqual(
      expect.arrayContaining([
        { field: 'redirect_uris', value: 'http://localhost:8080/gate/callback' },
        { field: 'post_logout_redirect_uris', value: 'http://localhost:8080/gate/logout/callback' },
        { field: 'backchannel_logout_uri', value: 'http://localhost:8080/gate/backchannel-logout' },
        { field: 'frontchannel_logout_uri', value: 'http://localhost:8080/gate/frontchannel-logout' },
      ]),
    );
  });

  test('the report for people has the same in columns, ending with the verdict', async () => {
    const { code, stdout, stderr } = await runDoctor(configText(op));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(
      `Provider ${op.issuer}\n  ok       metadata               had from ${op.issuer}/.well-known/`,
    );
    expect(stdout).toContain('\n  redirect_uris                        http://localhost:8080/bff/callback\n');
    expect(stdout).toContain('\n  session.idleTimeout      30m\n');
    expect(stdout).toContain(`\nWarnings of the configuration\n  ${file}:1:`);
    expect(stdout.endsWith(`\n${file}: everything would work\n`)).toBe(true);
    const said = stdout.slice(0, stdout.indexOf('To register'));
    expect(said.split('\n').filter((line) => line.length > 110)).toEqual([]);
  });

  test('a wrong client secret is found before anybody tries to log in', async () => {
    const { code, report } = await examined(configText({ ...op, clientSecret: 'another-secret' }));
    expect(code).toBe(1);
    expect(failuresIn(report)).toEqual([
      {
        about: 'client',
        text: 'the provider refuses postern (invalid_client): compare clientId, clientSecret and clientAuth with what is registered',
        key: 'provider.clientSecret',
      },
    ]);
  });

  test('a redirect URI that is not registered is found before anybody tries to log in', async () => {
    const { code, report } = await examined(configText(op, { publicUrl: 'http://localhost:9999' }));
    expect(code).toBe(1);
    expect(failuresIn(report)).toMatchObject([{ about: 'redirect URI', text: expect.stringContaining('answers 400') }]);
  });

  test('a slash too many in the issuer is shown beside what the provider calls itself', async () => {
    const { code, report } = await examined(configText({ ...op, issuer: `${op.issuer}/` }));
    expect(code).toBe(1);
    expect(failuresIn(report)).toMatchObject([
      {
        about: 'metadata',
        text: expect.stringContaining(`calls itself "${op.issuer}", and the file says "${op.issuer}/"`),
        key: 'provider.issuer',
      },
    ]);
    expect(report.provider.features).toBeNull();
  });

  test('check --online says only what would not work, and answers 0, 1 or 78', async () => {
    expect(await runCheckOnline(configText(op))).toMatchObject({
      code: 0,
      stdout: `${file}: the configuration is valid\n${file}: the provider and the store work with it\n`,
    });
    const wrong = await runCheckOnline(configText({ ...op, clientSecret: 'another-secret' }));
    expect(wrong.code).toBe(1);
    expect(wrong.stderr.trim().split('\n').at(-1)).toMatch(
      /^\/etc\/postern\/postern\.yaml: provider: client: the provider refuses postern .* \[provider\.clientSecret\]$/,
    );
    expect(await runCheckOnline('publicUrl: 3')).toMatchObject({ code: 78, stdout: '' });
  });

  test('a wrong configuration is told as by check, and asks nobody', async () => {
    const asked = op.endpoints.requests.length;
    const { code, stdout, stderr } = await runDoctor(configText(op, { basePth: '/gate' }));
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(stderr).toContain('did you mean "basePath"?');
    expect(op.endpoints.requests).toHaveLength(asked);
  });
});

test('pushed authorization requests are said to be used where they are required', async () => {
  const op = await startRealProvider({ redirectUris, par: 'required' });
  try {
    const { code, report } = await examined(configText(op));
    expect(code).toBe(0);
    expect(report.provider.features).toMatchObject({ par: 'required' });
    // Nothing is pushed: the provider would have to keep it.
    expect(op.endpoints.seen('par')).toEqual([]);
    expect(summaryOf(report.provider.observations)).toEqual(expect.arrayContaining(['ok PAR', 'note redirect URI']));
  } finally {
    await op.close();
  }
});

test('a provider behind a private authority is reached with that authority only, and its certificate’s end is told', async () => {
  const certificate = makeCertificate(['localhost']);
  const op = await startRealProvider({ redirectUris, tls: certificate, host: 'localhost' });
  const directory = mkdtempSync(join(tmpdir(), 'postern-doctor-'));
  const ca = join(directory, 'ca.pem');
  writeFileSync(ca, certificate.cert);
  const { issuer, clientId, clientSecret } = op;
  const provider = { issuer, clientId, clientSecret };
  try {
    const trusting = await examined(configText(op, { provider: { ...provider, tls: { ca: { file: ca } } } }));
    expect(trusting.code).toBe(0);
    // It ends tomorrow.
    expect(summaryOf(trusting.report.provider.observations)).toContain('warning certificate');
    const doubting = await examined(configText(op, { provider }));
    expect(failuresIn(doubting.report)).toMatchObject([
      { about: 'metadata', text: expect.stringContaining('is not trusted'), key: 'provider.tls.ca.file' },
    ]);
  } finally {
    await op.close();
    rmSync(directory, { recursive: true });
  }
});

describe('at a provider that breaks rules', () => {
  let op: MisbehavingProvider;
  beforeAll(async () => {
    op = await startMisbehavingProvider();
  });
  afterAll(() => op.close());

  test.each<[string, Misbehaviour, { about: string; text: string }]>([
    ['has no keys', { body: { jwks: { text: '{"keys":[]}' } } }, { about: 'keys', text: 'holds no key for' }],
    [
      'has keys of another kind',
      { metadata: { id_token_signing_alg_values_supported: ['ES256'] } },
      { about: 'keys', text: 'ES256' },
    ],
    ['has keys that are none', { body: { jwks: { text: 'no JSON' } } }, { about: 'keys', text: 'cannot be had' }],
    [
      'answers with a page',
      { body: { discovery: { text: '<!doctype html>' } } },
      { about: 'metadata', text: 'cannot be used' },
    ],
    [
      'offers no code flow',
      { metadata: { response_types_supported: ['id_token'] } },
      { about: 'code flow', text: 'not offered' },
    ],
    [
      'wants signed requests',
      { metadata: { require_signed_request_object: true } },
      { about: 'code flow', text: 'signed requests' },
    ],
    [
      'takes the secret in the form only',
      { metadata: { token_endpoint_auth_methods_supported: ['client_secret_post'] } },
      { about: 'client authentication', text: 'write clientAuth: post' },
    ],
    [
      'calls itself by a name with control characters',
      { metadata: { issuer: 'https://evil\u001b[2J' } },
      { about: 'metadata', text: '"https://evil\\u001b[2J"' },
    ],
  ])('it is told that the provider %s', async (_what, does, { about, text }) => {
    Object.assign(op.does, does);
    const { code, report } = await examined(configText(op));
    for (const key of Object.keys(does)) Reflect.deleteProperty(op.does, key);
    expect(code).toBe(1);
    expect(failuresIn(report)).toMatchObject([{ about, text: expect.stringContaining(text) }]);
  });

  test('what it does not offer is no failure, but told with what comes of it', async () => {
    op.does.metadata = {
      end_session_endpoint: undefined,
      revocation_endpoint: undefined,
      userinfo_endpoint: undefined,
    };
    const { code, report } = await examined(configText(op));
    delete op.does.metadata;
    expect(code).toBe(0);
    expect(summaryOf(report.provider.observations)).toEqual(
      expect.arrayContaining([
        'warning end_session',
        'note revocation',
        'note userinfo',
        'note back-channel logout',
        'note PAR',
        'note scopes',
      ]),
    );
    expect(report.register.map(({ field }) => field)).not.toContain('post_logout_redirect_uris');
  });

  test('an answer that never comes is waited for no longer than some seconds (SEC-04)', async () => {
    op.endpoints.behaviours.discovery.fail('hang', 1);
    const { code, report } = await examined(configText(op));
    expect(code).toBe(1);
    expect(failuresIn(report)).toMatchObject([{ about: 'metadata', text: expect.stringContaining('nothing answers') }]);
  }, 180_000);
});

test('when nobody answers the process still ends by itself, and with 1, having told what to register', async () => {
  // Takes connections and never says a word.
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const registration = { issuer: `http://${address}`, clientId: 'postern', clientSecret: 'a-secret' };
  const redis = { url: `redis://${address}` };
  const { code, stdout, stderr } = await doctorProcess(configText(registration, { redis }));
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(stdout).toContain('http://localhost:8080/bff/callback');
  expect(stdout).toContain('postern.yaml: 2 things would not work\n');
  silent.close();
}, 180_000);

test('no secret of the configuration is in what doctor and check print, whatever fails (SEC-01)', async () => {
  const secrets = {
    client: 'canary-client-secret',
    redis: 'canary-redis-password',
    key: Buffer.alloc(32, 'canary!').toString('base64'),
  };
  const op = await startRealProvider({ redirectUris });
  const port = await freePort();
  const texts = [
    `redis://:${secrets.redis}@127.0.0.1:${port}`,
    `rediss://user:${secrets.redis}@${new URL(op.issuer).host}`,
  ].map((url) =>
    configText({ ...op, clientSecret: secrets.client }, { session: { keys: [secrets.key] }, redis: { url } }),
  );
  const ran = await Promise.all(texts.flatMap((text) => [runDoctor(text), runCheckOnline(text)]));
  const json = await Promise.all(texts.map((text) => examined(text)));
  await op.close();
  expect(ran.map(({ code }) => code)).toEqual([1, 1, 1, 1]);
  const said = [...ran.flatMap(({ stdout, stderr }) => [stdout, stderr]), ...json.map((one) => one.text)];
  expect(findings(Object.values(secrets), { output: said })).toEqual([]);
});
