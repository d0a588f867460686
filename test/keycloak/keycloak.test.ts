// The example with Docker Compose, with a real Keycloak: what its users see, and what Keycloak sees of them. One Keycloak for all of it.
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { startChromium } from '../support/chromium.ts';
import { examined, failuresIn, runCheckOnline } from '../support/doctor.ts';
import { openEvents } from '../support/event-stream.ts';
import { startPosternProcess } from '../support/postern.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { startHouse } from './house.ts';
import type { House } from './house.ts';

// Keycloak takes its time to start.
jest.setTimeout(300_000);

let house: House;
beforeAll(async () => {
  house = await startHouse();
});
afterAll(() => house.stop());

// Events are counted from each test's start.
beforeEach(async () => {
  await house.keycloak.set({ eventsEnabled: true, enabledEventTypes: ['REFRESH_TOKEN', 'REFRESH_TOKEN_ERROR'] });
  await house.keycloak.admin('DELETE', '/events');
});

const logIn = (user = 'alice'): Promise<SignedIn> => signIn(house.posterns[0], house.keycloak, user);
const codeOf = ({ body }: { body: string }): string => (JSON.parse(body) as { code: string }).code;

/** The access token has run out, on both Posterns. */
const expire = (person: SignedIn): Promise<void> => expireToken(person, house.redis, house.posterns);

test('in a browser: Keycloak’s login page, the app, a logout that asks nothing, and a login that asks again', async () => {
  const chromium = await startChromium();
  try {
    const page = await chromium.newPage();
    const visited: string[] = [];
    page.on('framenavigated', (frame) => visited.push(frame.url()));
    const home = `${house.posterns[0].publicUrl}/`;
    await page.goto(home);
    await page.getByRole('link', { name: 'Log in' }).click();
    await page.locator('#username').fill('alice');
    await page.locator('#password').fill('alice');
    await page.locator('#kc-login').click();
    await page.locator('#name', { hasText: 'Alice Liddell' }).waitFor();
    expect(page.url()).toBe(home);
    expect(await page.evaluate(async () => (await fetch('/api/orders')).status)).toBe(200);
    expect(await page.evaluate(() => document.cookie)).toBe('');

    visited.length = 0;
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('link', { name: 'Log in' }).waitFor();
    expect(visited).toEqual([home]);
    await page.getByRole('link', { name: 'Log in' }).click();
    await page.locator('#password').waitFor();
    expect(new URL(page.url()).origin).toBe(house.keycloak.origin);
  } finally {
    await chromium.close();
  }
});

test('the API of the example takes the access token, which names it in its audience, and nobody else’s calls', async () => {
  const alice = await logIn();
  const answer = await alice.call('/api/orders');
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.body)).toMatchObject({ orders: [{ text: 'Tea for one' }], accessToken: { format: 'JWT' } });
  expect((await alice.call('/api/orders', { headers: { cookie: '' } })).status).toBe(401);
  const { user } = JSON.parse((await alice.call('/bff/session')).body);
  expect(user).toMatchObject({ name: 'Alice Liddell', email: 'alice@example.com' });
});

test('50 calls over two Posterns on an expired token are one refresh, and so are the next 50: each refresh token is used once (TK-04)', async () => {
  const alice = await logIn();
  for (const round of [1, 2]) {
    await expire(alice);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => alice.call('/api/orders', { on: house.posterns[index % 2]! })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
    const types = (await house.keycloak.refreshes()).map(({ type }) => type);
    expect(types).toEqual(Array(round).fill('REFRESH_TOKEN'));
  }
});

describe('Keycloak ends sessions', () => {
  test('an administrator logs a user out: every session here ends at once, with its open streams, and nobody else’s (BCL-01)', async () => {
    const [laptop, phone, bob] = [await logIn(), await logIn(), await logIn('bob')];
    const streams = await Promise.all(
      [laptop, phone].map((device, index) => openEvents(device, house.posterns[index]!)),
    );
    await house.keycloak.admin('POST', `/users/${await house.keycloak.userId('alice')}/logout`);
    for (const stream of streams) expect((await stream.heard('ended')).data).toEqual({ reason: 'back-channel' });
    for (const device of [laptop, phone]) expect(codeOf(await device.call('/api/orders'))).toBe('session_expired');
    expect((await bob.call('/api/orders')).status).toBe(200);
  });

  test('one session of a user ends, and the others of the same user go on (BCL-01)', async () => {
    await house.keycloak.admin('POST', `/users/${await house.keycloak.userId('alice')}/logout`);
    const laptop = await logIn();
    const [{ id }] = await house.keycloak.admin('GET', `/users/${await house.keycloak.userId('alice')}/sessions`);
    const phone = await logIn();
    const stream = await openEvents(laptop, house.posterns[1]);
    await house.keycloak.admin('DELETE', `/sessions/${id}`);
    expect((await stream.heard('ended')).data).toEqual({ reason: 'back-channel' });
    expect((await laptop.call('/api/orders')).status).toBe(401);
    expect((await phone.call('/api/orders')).status).toBe(200);
  });

  test('who goes on working outlives Keycloak’s idle time; who does not is asked to log in again', async () => {
    const { ssoSessionIdleTimeout } = await house.keycloak.admin('GET', '');
    await house.keycloak.set({ ssoSessionIdleTimeout: 20 });
    const passed = (seconds: number): Promise<void> => {
      const end = performance.now() + seconds * 1000;
      return until(() => performance.now() >= end, 60_000);
    };
    try {
      const alice = await logIn();
      for (let round = 0; round < 6; round += 1) {
        await passed(5);
        await expire(alice);
        expect((await alice.call('/api/orders')).status).toBe(200);
      }
      await passed(21);
      expect(codeOf(await alice.call('/api/orders'))).toBe('session_expired');
    } finally {
      await house.keycloak.set({ ssoSessionIdleTimeout });
    }
  });
});

describe('Keycloak is away', () => {
  test('valid tokens go on, expired ones wait as 503, and the same cookie works when it is back', async () => {
    const [alice, bob] = [await logIn(), await logIn('bob')];
    await house.keycloak.stop();
    try {
      expect((await alice.call('/own/x')).status).toBe(200);
      await expire(bob);
      const answer = await bob.call('/own/x');
      expect([answer.status, codeOf(answer)]).toEqual([503, 'provider_unavailable']);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    } finally {
      await house.keycloak.start();
    }
    await until(async () => (await bob.call('/api/orders')).status === 200, 60_000);
    await expire(alice);
    expect((await alice.call('/api/orders', { on: house.posterns[1] })).status).toBe(200);
  });

  test('when it comes back with other keys and no memory, sessions end cleanly, and logging in works without a restart of Postern', async () => {
    const alice = await logIn();
    await house.keycloak.stop();
    await house.keycloak.renew();
    await house.keycloak.start();
    await expire(alice);
    await until(async () => (await alice.call('/api/orders')).status !== 503, 60_000);
    expect(codeOf(await alice.call('/api/orders'))).toBe('session_expired');
    expect((await (await logIn()).call('/api/orders')).status).toBe(200);
  });
});

test('a route can require a role of the realm, once Keycloak puts roles into the ID token', async () => {
  const { keycloak } = house;
  await keycloak.admin('POST', '/roles', { name: 'staff' });
  const [role, alice] = [await keycloak.admin('GET', '/roles/staff'), await keycloak.userId('alice')];
  await keycloak.admin('POST', `/users/${alice}/role-mappings/realm`, [role]);
  expect((await (await logIn('alice')).call('/staff/x')).status).toBe(403);

  await keycloak.changeMapper('roles', 'realm roles', { 'id.token.claim': 'true' });
  expect((await (await logIn('alice')).call('/staff/x')).status).toBe(200);
  expect((await (await logIn('bob')).call('/staff/x')).status).toBe(403);
});

test('a logout leaves the token to Keycloak’s own logout; with logout.revoke: always it ends that one session there by itself, and the consent stays (RV-01)', async () => {
  const { keycloak, config, posterns } = house;
  const user = await keycloak.userId('alice');
  const sessions = async (): Promise<string[]> =>
    (await keycloak.admin('GET', `/users/${user}/sessions`)).map(({ id }: { id: string }) => id);
  await keycloak.admin('POST', `/users/${user}/logout`);
  await keycloak.setClient('shop-bff', { consentRequired: true });
  const revoking = await startPosternProcess({ ...config, listen: '127.0.0.1:0', logout: { revoke: 'always' } });
  try {
    const usual = await logIn();
    const [itsSession] = await sessions();
    const revoked = await signIn(revoking, keycloak);
    const endedSession = (await sessions()).find((id) => id !== itsSession)!;
    await signIn(posterns[1], keycloak);
    // In this order: what the first had set off would be there before what the second does.
    for (const device of [usual, revoked])
      expect((await device.call('/bff/logout', { method: 'POST' })).status).toBe(200);
    await until(async () => !(await sessions()).includes(endedSession));
    expect(await sessions()).toHaveLength(2);
    expect(await sessions()).toContain(itsSession);
    expect(await keycloak.admin('GET', `/users/${user}/consents`)).toHaveLength(1);
  } finally {
    await revoking.stop();
    await keycloak.setClient('shop-bff', { consentRequired: false });
  }
});

describe('postern doctor', () => {
  test('finds nothing wrong with the example, and asks for the registration that the realm has', async () => {
    const { code, report } = await examined(JSON.stringify(house.config));
    expect(failuresIn(report)).toEqual([]);
    expect(code).toBe(0);
    const warnings = report.provider.observations.filter(({ level }) => level === 'warning');
    expect(warnings).toEqual([]);
    const [client] = await house.keycloak.admin('GET', '/clients?clientId=shop-bff');
    const asked = Object.fromEntries(report.register.map(({ field, value }) => [field, value]));
    expect(asked).toMatchObject({
      client_id: client.clientId,
      redirect_uris: client.redirectUris[0],
      post_logout_redirect_uris: client.attributes['post.logout.redirect.uris'],
      backchannel_logout_uri: client.attributes['backchannel.logout.url'],
      backchannel_logout_session_required: client.attributes['backchannel.logout.session.required'],
    });
  });

  test.each([
    ['a wrong secret', { clientSecret: 'wrong' }, 'provider: client: the provider refuses shop-bff'],
    ['a client that there is not', { clientId: 'shop' }, 'provider: client: the provider refuses shop '],
    [
      'a scope that there is not',
      { scopes: ['openid', 'orders'] },
      'provider: redirect URI: the provider refuses the scopes openid orders',
    ],
  ])('tells of %s', async (_what, mistake, complaint) => {
    const provider = { ...(house.config['provider'] as object), ...mistake };
    const { code, stderr } = await runCheckOnline(JSON.stringify({ ...house.config, provider }));
    expect(stderr).toContain(complaint);
    expect(code).toBe(1);
  });

  test('tells of a redirect URI that is not registered', async () => {
    const { code, stderr } = await runCheckOnline(
      JSON.stringify({ ...house.config, publicUrl: 'http://other.localhost:1' }),
    );
    expect(stderr).toContain('provider: redirect URI: the provider answers 400 to a login with it');
    expect(code).toBe(1);
  });
});
