import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from '../support/browser.ts';
import { baseConfig } from '../support/postern.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

const token = randomBytes(32).toString('base64');
const withAdmin = { operations: { listen: '127.0.0.1:0', admin: { token } } };

let party: RelyingParty;
let directory: string;
beforeAll(async () => {
  [party, directory] = await Promise.all([
    startRelyingParty({ config: () => withAdmin }),
    mkdtemp(join(tmpdir(), 'postern-admin-')),
  ]);
});
afterAll(async () => {
  await party[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function login(sub: string): Promise<Browser> {
  party.op.does.idToken = { sub };
  party.op.does.userinfo = { sub };
  return party.signedInBrowser();
}
const isIn = async (browser: Browser): Promise<boolean> => (await party.bearerOf(browser)) !== undefined;

const ask = async (
  query: string,
  { method = 'GET', authorization = `Bearer ${token}` }: { method?: string; authorization?: string } = {},
) => {
  const headers = authorization === '' ? {} : { authorization };
  const response = await fetch(`${party.postern.operationsUrl}/admin/sessions${query}`, { method, headers });
  return { status: response.status, body: await response.json() };
};

/** `postern sessions …` with a configuration file that knows where the party's Postern listens. */
async function cli(args: string[], operations: object = withAdmin.operations) {
  const file = join(directory, 'postern.yaml');
  const listen = new URL(party.postern.operationsUrl).host;
  await writeFile(file, JSON.stringify(baseConfig(1234, party.op, { operations: { ...operations, listen } })));
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, ['src/main.ts', 'sessions', ...args, '--config', file], (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

test('an operator finds the sessions of a user, and nothing that opens them (SES-09)', async () => {
  const browser = await login('carol');
  const { status, body } = await ask('?sub=carol');
  expect(status).toBe(200);
  const { session } = (await browser.fetch('/bff/session')).json() as { session: { handle: string } };
  expect(body).toEqual({
    sessions: [{ handle: session.handle, createdAt: expect.any(String), device: expect.stringContaining('Mozilla') }],
  });
});

test('an operator ends every session of a user and nobody else’s (SES-09)', async () => {
  const [one, other, bob] = [await login('alice'), await login('alice'), await login('bob')];
  expect(await ask('?sub=alice', { method: 'DELETE' })).toEqual({ status: 200, body: { ended: 2 } });
  expect([await isIn(one), await isIn(other), await isIn(bob)]).toEqual([false, false, true]);
  expect((await one.fetch('/api/x')).json()).toMatchObject({ code: 'session_expired' });
  expect(await ask('?sub=alice')).toEqual({ status: 200, body: { sessions: [] } });
});

test('the same sub of another issuer is another user (SES-21)', async () => {
  const dave = await login('dave');
  expect(await ask('?sub=dave&iss=https%3A%2F%2Fother.example.test', { method: 'DELETE' })).toMatchObject({
    body: { ended: 0 },
  });
  expect(await isIn(dave)).toBe(true);
});

test.each([
  ['no token', ''],
  ['a wrong token', 'Bearer wrong'],
  ['the token without its scheme', token],
])('with %s nothing is told and nothing is ended', async (_claim, authorization) => {
  const erin = await login('erin');
  expect(await ask('?sub=erin', { method: 'DELETE', authorization })).toMatchObject({ status: 401 });
  expect(await ask('?sub=erin', { authorization })).toMatchObject({ status: 401 });
  expect(await isIn(erin)).toBe(true);
});

test('a question without a sub, or with two, is refused: it never means everybody', async () => {
  const frank = await login('frank');
  for (const query of ['', '?sub=', '?sub=frank&sub=x']) {
    expect(await ask(query, { method: 'DELETE' })).toMatchObject({ status: 400 });
  }
  expect(await ask('?sub=frank', { method: 'POST' })).toMatchObject({ status: 405 });
  expect(await isIn(frank)).toBe(true);
});

test('without a configured token there is no such address, and never one on the public listener', async () => {
  await using plain = await startRelyingParty();
  const headers = { authorization: `Bearer ${token}` };
  expect((await fetch(`${plain.postern.operationsUrl}/admin/sessions?sub=alice`, { headers })).status).toBe(404);
  expect((await fetch(`${party.postern.publicUrl}/admin/sessions?sub=alice`, { headers })).status).toBe(404);
});

test('the command line lists the sessions of a user and ends them (SES-09)', async () => {
  const grace = await login('grace');
  const listed = await cli(['list', '--sub', 'grace']);
  expect(listed).toMatchObject({ code: 0, stderr: '' });
  expect(listed.stdout).toMatch(/^[\w-]{22} {2}\d{4}-\d\d-\d\dT[\d:.]+Z {2}Mozilla.*\n$/);
  expect(await cli(['end', '--sub', 'grace'])).toMatchObject({ code: 0, stdout: 'ended: 1\n' });
  expect(await isIn(grace)).toBe(false);
  expect(await cli(['list', '--sub', 'grace'])).toMatchObject({ code: 0, stdout: 'no sessions\n' });
});

test('the command line says in one line what is missing', async () => {
  expect(await cli(['list'])).toMatchObject({ code: 64, stderr: expect.stringContaining('--sub is missing') });
  expect(await cli(['drop', '--sub', 'x'])).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('"drop" is neither list nor end'),
  });
  expect(await cli(['list', '--sub', 'x'], {})).toMatchObject({
    code: 78,
    stderr: expect.stringContaining('operations.admin.token'),
  });
  const otherToken = { admin: { token: randomBytes(32).toString('base64') } };
  expect(await cli(['list', '--sub', 'x'], otherToken)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('401'),
  });
});
