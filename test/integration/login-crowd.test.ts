// Strangers can make Postern call the provider, by logins (RFC 9126) and by callbacks: only so many at once.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { logIn, openBrowser, startLogin } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { until } from '../support/until.ts';

let provider: RealProvider;
let postern: LocalPostern;

beforeAll(async () => {
  provider = await startRealProvider({ par: 'offered' });
  postern = await startPostern(provider, { limits: { logins: 2 } });
  await startLogin(openBrowser(postern));
});

afterAll(async () => {
  await postern.stop();
  await provider.close();
});

afterEach(() => {
  provider.endpoints.behaviours.par.recover();
  provider.endpoints.behaviours.token.recover();
});

const login = () => openBrowser(postern).step('/bff/login');

describe('a crowd of strangers (SEC-06, DL-09)', () => {
  test('starts as many logins at once as the limit says; the others are told to come back, and may', async () => {
    const before = provider.endpoints.seen('par').length;
    const release = provider.endpoints.behaviours.par.hold();
    const admitted = [login(), login()];
    await until(() => provider.endpoints.seen('par').length === before + 2);
    const refused = await Promise.all(Array.from({ length: 20 }, login));
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([503]));
    expect(refused[0]).toMatchObject({ headers: { 'retry-after': '1' }, body: expect.stringContaining('overloaded') });
    release();
    expect((await Promise.all(admitted)).map(({ status }) => status)).toEqual([302, 302]);
    expect(provider.endpoints.seen('par')).toHaveLength(before + 2);
    expect((await login()).status).toBe(302);
  });

  test('leaves room for those who come back from the provider, and a failed login makes room too', async () => {
    const browser = openBrowser(postern);
    const callbackUrl = await provider.visit(await startLogin(browser), { user: 'alice' });
    const before = provider.endpoints.seen('par').length;
    const release = provider.endpoints.behaviours.par.hold();
    provider.endpoints.behaviours.par.fail('unavailable', 2);
    const admitted = [login(), login()];
    await until(() => provider.endpoints.seen('par').length === before + 2);
    expect((await browser.step(callbackUrl, { from: provider.issuer })).status).toBe(303);
    release();
    expect((await Promise.all(admitted)).map(({ status }) => status)).toEqual([503, 503]);
    expect((await login()).status).toBe(302);
  });

  test('redeems as many codes at once; a callback that is refused works when it is loaded again', async () => {
    const arrivals: { browser: Browser; callbackUrl: URL }[] = [];
    for (const user of ['alice', 'bob', 'alice']) {
      const browser = openBrowser(postern);
      arrivals.push({ browser, callbackUrl: await provider.visit(await startLogin(browser), { user }) });
    }
    const before = provider.endpoints.seen('token').length;
    const release = provider.endpoints.behaviours.token.hold();
    const arrive = ({ browser, callbackUrl }: (typeof arrivals)[number]) =>
      browser.step(callbackUrl, { from: provider.issuer });
    const admitted = arrivals.slice(0, 2).map(arrive);
    await until(() => provider.endpoints.seen('token').length === before + 2);
    expect((await arrive(arrivals[2]!)).status).toBe(503);
    release();
    expect((await Promise.all(admitted)).map(({ status }) => status)).toEqual([303, 303]);
    expect((await arrive(arrivals[2]!)).status).toBe(303);
  });
});

test('the limit is no queue: when nobody is there, a login takes its usual way', async () => {
  expect((await logIn(openBrowser(postern), provider)).status).toBe(303);
});
