// What a person does with a session, and what they may expect of each: a success, their own data, unchanged.
import type { IncomingMessage } from 'node:http';
import type { Caller, CallOptions } from '../support/gate-call.ts';
import type { Postern } from '../support/postern.ts';
import { openSocket } from '../support/socket-client.ts';
import { bulk, digestOf, digestOfBulk } from './bulk.ts';

/** One session of one person. */
export interface Visit {
  user: string;
  /** The Cookie header. */
  cookie: string;
  postern: Postern;
  caller: Caller;
  /** Counts an outcome of an act. */
  saw: (act: string, outcome: string | number) => void;
}

export type Act = (visit: Visit) => Promise<void>;

/** All acts, the frequent ones several times. */
export function weightedActs(): Act[] {
  return acts.flatMap(([weight, act]) => Array<Act>(weight).fill(act));
}

/** A whole number, both ends included. */
export const between = (low: number, high: number): number => low + Math.floor(Math.random() * (high - low + 1));

const acts: [weight: number, act: Act][] = [
  [40, get],
  [20, post],
  [3, upload],
  [3, download],
  [6, hangUpOn('a call that waits', { path: '/api/never' })],
  [2, hangUpOn('a download', { path: '/api/bulk?bytes=4000000' })],
  [2, hangUpOn('an upload', { path: '/api/bulk', method: 'PUT', stream: () => bulk(4_000_000) })],
  [3, listen],
  [3, chat],
  [3, refresh],
  [5, whoAmI],
];

interface Outcome {
  status: number;
  /** Whom the answer names. */
  told: unknown;
  body?: string;
}

/** The answer is a success, and it is this person's; throws when it is not. */
export function check({ user, saw }: Visit, act: string, { status, told, body = '' }: Outcome): void {
  saw(act, status);
  if (status !== 200) throw new Error(`${act} answered ${status}: ${body.slice(0, 500)}`);
  if (told !== user) throw new Error(`${act} was answered for ${String(told)}`);
}

async function get(visit: Visit): Promise<void> {
  const { status, headers, body } = await visit.caller.call('/api/who', visit);
  check(visit, 'GET', { status, told: headers['x-user'], body });
}

async function post(visit: Visit): Promise<void> {
  const sent = `${visit.user} ${Math.random()}`;
  const { cookie } = visit;
  const { status, headers, body } = await visit.caller.call('/api/echo', {
    cookie,
    method: 'POST',
    body: Buffer.from(sent),
  });
  check(visit, 'POST', { status, told: headers['x-user'], body });
  if (body !== sent) throw new Error(`what was posted came back as ${body.slice(0, 100)}`);
}

async function upload(visit: Visit): Promise<void> {
  const bytes = between(1, 4) * 1_000_000;
  const { cookie } = visit;
  const { status, headers, body } = await visit.caller.call('/api/bulk', {
    cookie,
    method: 'PUT',
    stream: bulk(bytes),
  });
  check(visit, 'upload', { status, told: headers['x-user'], body });
  if (body !== digestOfBulk(bytes)) throw new Error(`an upload of ${bytes} bytes arrived changed`);
}

async function download(visit: Visit): Promise<void> {
  const bytes = between(1, 4) * 1_000_000;
  const response = await open(visit, `/api/bulk?bytes=${bytes}`);
  const digest = await digestOf(response);
  check(visit, 'download', { status: response.statusCode ?? 0, told: response.headers['x-user'] });
  if (digest !== digestOfBulk(bytes)) throw new Error(`a download of ${bytes} bytes arrived changed`);
}

function hangUpOn(
  what: string,
  { path, method = 'GET', stream }: { path: string; method?: string; stream?: () => ReturnType<typeof bulk> },
): Act {
  return async (visit) => {
    const signal = AbortSignal.timeout(between(1, 60));
    const options = { method, signal, ...(stream && { stream: stream() }) };
    const response = await open(visit, path, options).catch(() => undefined);
    response?.on('error', () => undefined).destroy();
    visit.saw(`hanging up on ${what}`, 'done');
  };
}

async function listen(visit: Visit): Promise<void> {
  const response = await open(visit, '/api/events');
  let text = '';
  for await (const chunk of response) {
    text += String(chunk);
    // Leaving the loop hangs up.
    if (text.split('\n\n').length > 4) break;
  }
  const told = new Set(Array.from(text.matchAll(/^data: (.*)$/gm), ([, user]) => user));
  check(visit, 'event stream', { status: response.statusCode ?? 0, told: [...told].join(' and ') });
}

async function chat(visit: Visit): Promise<void> {
  const client = await openSocket(visit.postern, '/api/socket', { Cookie: visit.cookie });
  client.send(visit.user);
  const [told, echo] = await client.heard(2);
  check(visit, 'WebSocket', { status: 200, told });
  if (echo !== `echo ${visit.user}`) throw new Error(`a WebSocket said ${echo}`);
  if (Math.random() < 0.5) client.socket.destroy();
  else client.close();
  await client.ended();
}

async function refresh(visit: Visit): Promise<void> {
  const { status, body } = await visit.caller.call('/bff/refresh', { cookie: visit.cookie, method: 'POST' });
  check(visit, 'refresh', { status, told: subjectOf(body), body });
}

async function whoAmI(visit: Visit): Promise<void> {
  const { status, body } = await visit.caller.call('/bff/session', visit);
  check(visit, 'who am I', { status, told: subjectOf(body), body });
}

function subjectOf(body: string): unknown {
  return (JSON.parse(body) as { user?: { sub?: unknown } }).user?.sub;
}

function open({ caller, cookie }: Visit, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
  const marks = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
  return caller.open(path, { ...options, headers: { ...marks, cookie } });
}
