// The code that docs/front-end.md tells people to copy, run as it stands there.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';

const page = readFileSync(join(import.meta.dirname, '../../docs/front-end.md'), 'utf8');
const apiFile = /^```js\n\/\/ api\.js\n([^]*?)^```$/m.exec(page)![1]!.replaceAll(/^export /gm, '');
const formCode = /^```js\nimport [^\n]*\n([^]*?)^```$/m.exec(page)![1]!;

const problem = (status: number, code: string, more: object = {}, headers: Record<string, string> = {}) =>
  Response.json(
    { type: `urn:postern:error:${code}`, code, status, ...more },
    { status, headers: { 'content-type': 'application/problem+json; charset=utf-8', ...headers } },
  );

function globals(answer: Response) {
  return {
    fetch: () => Promise.resolve(answer),
    URL,
    location: { origin: 'https://shop.example.com', pathname: '/cart', search: '?item=7' },
  };
}

/** What `callApi` makes of an answer: its name and fields if it throws, else its status. */
async function outcomeOf(answer: Response): Promise<unknown> {
  const callApi = runInNewContext(`${apiFile}; callApi`, globals(answer)) as (path: string) => Promise<Response>;
  try {
    return (await callApi('/api/orders')).status;
  } catch (error) {
    return { ...(error as object) };
  }
}

test('a call without a session leads to the login and back to the same page', async () => {
  expect(await outcomeOf(problem(401, 'session_expired', { loginUrl: '/bff/login' }))).toEqual({
    loginUrl: 'https://shop.example.com/bff/login?returnTo=%2Fcart%3Fitem%3D7',
  });
});

test('what a better login must be is not lost on the way', async () => {
  expect(await outcomeOf(problem(401, 'step_up_required', { loginUrl: '/bff/login?acr_values=gold' }))).toEqual({
    loginUrl: 'https://shop.example.com/bff/login?acr_values=gold&returnTo=%2Fcart%3Fitem%3D7',
  });
});

test('an outage is worth another try, and no login', async () => {
  const away = problem(503, 'session_store_unavailable', {}, { 'retry-after': '5' });
  expect(await outcomeOf(away)).toEqual({ seconds: 5 });
});

test.each([
  ['an answer', Response.json([])],
  ['a 401', new Response('', { status: 401 })],
  [
    'a problem',
    Response.json({ type: 'about:blank' }, { status: 401, headers: { 'content-type': 'application/problem+json' } }),
  ],
])('%s of the API’s own is returned as it is', async (_what, answer) => {
  expect(await outcomeOf(answer)).toBe(answer.status);
});

test('a form that is sent without a session keeps what was typed, and has it again after the login', async () => {
  const stored = new Map<string, string>();
  const field = { value: 'two scones' };
  const banners: unknown[] = [];
  let submit: ((event: object) => Promise<void>) | undefined;
  const load = () =>
    runInNewContext(`${apiFile}; ${formCode}`, {
      ...globals(problem(401, 'session_required', { loginUrl: '/bff/login' })),
      form: {
        elements: { text: field },
        addEventListener: (_event: string, listener: typeof submit) => (submit = listener),
      },
      FormData: function () {
        return Object.entries({ text: field.value });
      },
      sessionStorage: {
        getItem: (key: string) => stored.get(key) ?? null,
        setItem: (key: string, value: string) => stored.set(key, value),
        removeItem: (key: string) => stored.delete(key),
      },
      showBanner: (_text: string, link: unknown) => banners.push(link),
    });

  load();
  await submit!({ preventDefault: () => undefined });
  expect(banners).toEqual([expect.objectContaining({ href: expect.stringContaining('/bff/login?returnTo=') })]);
  field.value = '';
  load();
  expect(field.value).toBe('two scones');
  expect(stored.size).toBe(0);
});
