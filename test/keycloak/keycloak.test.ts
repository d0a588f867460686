// The example with Docker Compose, with a real Keycloak: what its users see, and what Keycloak sees of them. One Keycloak for all of it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openEvents } from '../support/event-stream.ts';
import { startPosternProcess } from '../support/postern.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { startHouse } from './house.ts';
import type { House } from './house.ts';

let house: House;
beforeAll(async () => {
  house = await startHouse();
}, 300_000);
afterAll(() => house.stop(), 60_000);

// Events are counted from each test's start.
beforeEach(async () => {
  await house.keycloak.set({ eventsEnabled: true, enabledEventTypes: ['REFRESH_TOKEN', 'REFRESH_TOKEN_ERROR'] });
  await house.keycloak.admin('DELETE', '/events');
});

const logIn = (user = 'alice'): Promise<SignedIn> => signIn(house.posterns[0], house.keycloak, user);
const codeOf = ({ body }: { body: string }): string => (JSON.parse(body) as { code: string }).code;

/** The access token has run out, on both Posterns. */
const expire = (person: SignedIn): Promise<void> => expireToken(person, house.redis, house.posterns);

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
    const [{ id }] = await house.keycloak.admin(
      'GET',
      `/users/${await house.keycloak.userId('alice')}/sessions`,
    );
    const phone = await logIn();
    const stream = await openEvents(laptop, house.posterns[1]);
    await house.keycloak.admin('DELETE', `/sessions/${id}`);
    expect((await stream.heard('ended')).data).toEqual({ reason: 'back-channel' });
    expect((await laptop.call('/api/orders')).status).toBe(401);
    expect((await phone.call('/api/orders')).status).toBe(200);
  });

  test('who goes on working outlives Keycloak’s idle time; who does not is asked to log in again', async () => {
    const { ssoSessionIdleTimeout } = await house.keycloak.admin('GET', '');
    await house.keycloak.set({ ssoSessionIdleTimeout: 15 });
    try {
      const alice = await logIn();
      const loggedInAt = performance.now();
      while (performance.now() - loggedInAt < 25_000) {
        await expire(alice);
        expect((await alice.call('/api/orders')).status).toBe(200);
        await until(() => (performance.now() - loggedInAt) % 5_000 > 4_900);
      }
      const idleSince = performance.now();
      await until(() => performance.now() - idleSince > 16_000);
      expect(codeOf(await alice.call('/api/orders'))).toBe('session_expired');
    } finally {
      await house.keycloak.set({ ssoSessionIdleTimeout });
    }
  }, 90_000);
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
  }, 240_000);

  test('when it comes back with other keys and no memory, sessions end cleanly, and logging in works without a restart of Postern', async () => {
    const alice = await logIn();
    await house.keycloak.stop();
    await house.keycloak.renew();
    await house.keycloak.start();
    await expire(alice);
    await until(async () => (await alice.call('/api/orders')).status !== 503, 60_000);
    expect(codeOf(await alice.call('/api/orders'))).toBe('session_expired');
    expect((await (await logIn()).call('/api/orders')).status).toBe(200);
  }, 240_000);
});

test('a route can require a role of the realm, once Keycloak puts roles into the ID token', async () => {
  const { keycloak } = house;
  await keycloak.admin('POST', '/roles', { name: 'staff' });
  const [role, alice] = [await keycloak.admin('GET', '/roles/staff'), await keycloak.userId('alice')];
  await keycloak.admin('POST', `/users/${alice}/role-mappings/realm`, [role]);
  const [{ id }] = await keycloak.admin('GET', '/clients?clientId=shop-bff');
  await keycloak.admin('POST', `/clients/${id}/protocol-mappers/models`, {
    name: 'roles',
    protocol: 'openid-connect',
    protocolMapper: 'oidc-usermodel-realm-role-mapper',
    config: { 'claim.name': 'roles', multivalued: 'true', 'jsonType.label': 'String', 'id.token.claim': 'true' },
  });
  expect((await (await logIn('alice')).call('/staff/x')).status).toBe(200);
  expect((await (await logIn('bob')).call('/staff/x')).status).toBe(403);
});

/** Whether Keycloak still remembers that Alice has agreed, after a logout. */
async function consentSurvivesLogout(revoke: 'auto' | 'always'): Promise<boolean> {
  const { keycloak, config } = house;
  await keycloak.setClient('shop-bff', { consentRequired: true });
  const postern = await startPosternProcess({ ...config, listen: '127.0.0.1:0', logout: { revoke } });
  try {
    const user = await keycloak.userId('alice');
    const alice = await signIn(postern, keycloak);
    expect(await keycloak.admin('GET', `/users/${user}/consents`)).toHaveLength(1);
    expect((await alice.call('/bff/logout', { method: 'POST' })).status).toBe(200);
    // Stopped, it has finished what it does in the background.
    await postern.stop();
    return (await keycloak.admin('GET', `/users/${user}/consents`)).length === 1;
  } finally {
    await postern.stop();
    await keycloak.setClient('shop-bff', { consentRequired: false });
  }
}

test('a logout leaves the user’s consent at Keycloak alone, which revoking the refresh token would drop (RV-02)', async () => {
  expect(await consentSurvivesLogout('auto')).toBe(true);
  expect(await consentSurvivesLogout('always')).toBe(false);
});
