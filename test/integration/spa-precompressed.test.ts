// Files that the build compressed, as browsers, old clients and caches ask for them (RFC 9110 sections 8.8, 12.5.3, 14).
import { once } from 'node:events';
import { readdir, readlink, rename, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { appOnDisk, get, navigation, script } from '../support/app-request.ts';
import type { AppOnDisk } from '../support/app-request.ts';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { connect, valuesOf } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const source = 'export const answer = 42;\n'.repeat(200);
const forms = { br: brotliCompressSync(source), zstd: zstdCompressSync(source), gzip: gzipSync(source) };
const page = `<!doctype html><title>App</title>${'<p>words</p>'.repeat(100)}`;

let app: AppOnDisk;
let gate: Gate;

beforeAll(async () => {
  app = await appOnDisk({
    'index.html': page,
    'index.html.br': brotliCompressSync(page),
    'assets/app-BcD3xYz_.js': source,
    'assets/app-BcD3xYz_.js.br': forms.br,
    'assets/app-BcD3xYz_.js.zst': forms.zstd,
    'assets/app-BcD3xYz_.js.gz': forms.gzip,
    'only.css': 'p {}',
    'only.css.gz': gzipSync('p {}'),
    'plain.svg': '<svg/>',
  });
  gate = await startGate({ spa: { directory: app.directory } });
});

afterAll(async () => {
  await gate.stop();
  await app.remove();
});

const asset = '/assets/app-BcD3xYz_.js';
const accepting = (value: string): string[] => [...script, `Accept-Encoding: ${value}`];
const bytesOf = (answer: RawAnswer): Buffer => Buffer.from(answer.body, 'latin1');

test.each([
  ['gzip, deflate, br, zstd', 'br'], // Chromium and Firefox on https
  ['gzip, deflate', 'gzip'], // and on http
  ['gzip, zstd', 'zstd'],
  ['br;q=0.5, gzip;q=0.8', 'gzip'],
  ['gzip;q=0, br;q=0.001', 'br'],
  ['*', 'br'],
  ['br;q=0, *', 'zstd'],
  ['GZIP', 'gzip'],
] as const)('a browser that accepts "%s" gets %s, with the original’s type', async (accepted, coding) => {
  const answer = await get(gate, asset, accepting(accepted));
  expect(answer.status).toBe(200);
  expect(valuesOf(answer, 'content-encoding')).toEqual([coding]);
  expect(valuesOf(answer, 'content-type')).toEqual(['text/javascript; charset=utf-8']);
  expect(valuesOf(answer, 'content-length')).toEqual([String(forms[coding].length)]);
  expect(valuesOf(answer, 'vary')).toEqual(['Accept-Encoding']);
  expect(valuesOf(answer, 'cache-control')).toEqual(['public, max-age=31536000, immutable']);
  expect(bytesOf(answer).equals(forms[coding])).toBe(true);
});

test.each([
  [[]],
  [['Accept-Encoding:']],
  [['Accept-Encoding: identity']],
  [['Accept-Encoding: identity, br;q=0.5']],
  [['Accept-Encoding: br;q=0, gzip;q=0, zstd;q=0']],
  [['Accept-Encoding: deflate, compress']],
  [['Accept-Encoding: bro, xgzip']],
])('who accepts none of the forms gets the original, marked as one of several: %j', async (lines) => {
  const answer = await get(gate, asset, [...script, ...lines]);
  expect(answer).toMatchObject({ status: 200, body: source });
  expect(valuesOf(answer, 'content-encoding')).toEqual([]);
  expect(valuesOf(answer, 'vary')).toEqual(['Accept-Encoding']);
});

test('who refuses every form, the original included, gets the original: better than nothing', async () => {
  expect(await get(gate, asset, accepting('identity;q=0, *;q=0'))).toMatchObject({ status: 200, body: source });
  const plain = await get(gate, '/plain.svg', accepting('br, identity;q=0'));
  expect(plain).toMatchObject({ status: 200, body: '<svg/>' });
});

test('a form that the build did not make is not missed', async () => {
  expect(valuesOf(await get(gate, '/only.css', accepting('br, gzip')), 'content-encoding')).toEqual(['gzip']);
  const plain = await get(gate, '/plain.svg', accepting('br, gzip'));
  expect(plain).toMatchObject({ status: 200, body: '<svg/>' });
  expect(valuesOf(plain, 'content-type')).toEqual(['image/svg+xml']);
  expect(valuesOf(plain, 'content-encoding')).toEqual([]);
});

test('a page is compressed too, at every address of the app', async () => {
  for (const path of ['/', '/index.html', '/cart']) {
    const answer = await get(gate, path, [...navigation, 'Accept-Encoding: br']);
    expect([path, answer.status, valuesOf(answer, 'content-encoding')]).toEqual([path, 200, ['br']]);
    expect(valuesOf(answer, 'content-type')).toEqual(['text/html; charset=utf-8']);
    expect(valuesOf(answer, 'cache-control')).toEqual(['no-cache']);
    expect(bytesOf(answer).equals(brotliCompressSync(page))).toBe(true);
  }
});

test('each form has an ETag of its own, and is not sent again under it alone', async () => {
  for (const path of [asset, '/']) {
    const etags = new Map<string, string>();
    for (const accepted of ['identity', 'br']) {
      const [etag] = valuesOf(await get(gate, path, accepting(accepted)), 'etag');
      etags.set(accepted, etag!);
    }
    expect(new Set(etags.values()).size).toBe(2);
    const known = `If-None-Match: ${etags.get('br')!}`;
    const again = await get(gate, path, [...accepting('br'), known]);
    expect([path, again.status, again.body]).toEqual([path, 304, '']);
    expect(valuesOf(again, 'vary')).toEqual(['Accept-Encoding']);
    expect(valuesOf(again, 'etag')).toEqual([etags.get('br')]);
    expect((await get(gate, path, [...accepting('identity'), known])).status).toBe(200);
  }
});

test('HEAD says what GET would, without the body', async () => {
  for (const path of [asset, '/']) {
    const [whole, head] = await Promise.all(['GET', 'HEAD'].map((method) => get(gate, path, accepting('br'), method)));
    expect(head).toMatchObject({ status: 200, body: '' });
    const lasting = ({ headers }: RawAnswer) =>
      headers.filter(([name]) => name !== 'date' && name !== 'content-security-policy');
    expect(lasting(head!)).toEqual(lasting(whole!));
  }
});

describe('ranges', () => {
  test('are of the bytes that are sent: of the compressed form where that was chosen', async () => {
    for (const [accepted, bytes] of [
      ['br', forms.br],
      ['identity', Buffer.from(source)],
    ] as const) {
      const answer = await get(gate, asset, [...accepting(accepted), 'Range: bytes=3-9']);
      expect(answer.status).toBe(206);
      expect(valuesOf(answer, 'content-range')).toEqual([`bytes 3-9/${bytes.length}`]);
      expect(bytesOf(answer).equals(bytes.subarray(3, 10))).toBe(true);
    }
  });

  test('that are not there are refused with the true length, and nothing of the file', async () => {
    const answer = await get(gate, asset, [...accepting('br'), 'Range: bytes=900000-']);
    expect(answer).toMatchObject({ status: 416, body: '' });
    expect(valuesOf(answer, 'content-range')).toEqual([`bytes */${forms.br.length}`]);
    for (const name of ['content-encoding', 'etag', 'last-modified']) expect(valuesOf(answer, name)).toEqual([]);
    expect(valuesOf(answer, 'cache-control')).toEqual(['no-store']);
  });

  test('of another version than the client holds are not mixed with it: the whole file is sent', async () => {
    const answer = await get(gate, asset, [...accepting('br'), 'Range: bytes=3-9', 'If-Range: "another"']);
    expect(answer.status).toBe(200);
    expect(bytesOf(answer).equals(forms.br)).toBe(true);
  });
});

test('a condition that does not hold is 412, not an error of ours', async () => {
  const answer = await get(gate, asset, [...script, 'If-Match: "another"']);
  expect(answer).toMatchObject({ status: 412, body: '' });
  expect(valuesOf(answer, 'cache-control')).toEqual(['no-store']);
});

test('clients that hang up in the middle of a file leave no file open (DL-10)', async () => {
  await app.write({ 'film.mp4': Buffer.alloc(30_000_000) });
  const openFiles = async (): Promise<string[]> => {
    const descriptors = await readdir('/proc/self/fd');
    const targets = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    return targets.filter((target) => target.endsWith('film.mp4'));
  };
  for (let client = 0; client < 20; client += 1) {
    const socket = connect(gate.address);
    socket.write(`GET /film.mp4 HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`);
    await once(socket, 'data');
    expect((await openFiles()).length).toBeGreaterThan(0);
    socket.destroy();
  }
  await until(async () => (await openFiles()).length === 0);
  expect(gate.log.filter((line) => line.includes('could not be read'))).toEqual([]);
});

describe('a deploy', () => {
  const accept = accepting('br, gzip');

  test('is seen by the next request, without a restart: files and forms that come, change and go', async () => {
    expect((await get(gate, '/late.js', accept)).status).toBe(404);
    await app.write({ 'late.js': 'let one' });
    expect(await get(gate, '/late.js', accept)).toMatchObject({ status: 200, body: 'let one' });
    await app.write({ 'late.js.gz': gzipSync('let one') });
    expect(valuesOf(await get(gate, '/late.js', accept), 'content-encoding')).toEqual(['gzip']);
    await unlink(join(app.directory, 'late.js.gz'));
    expect(await get(gate, '/late.js', accept)).toMatchObject({ status: 200, body: 'let one' });
    await unlink(join(app.directory, 'late.js'));
    expect((await get(gate, '/late.js', accept)).status).toBe(404);
  });

  test('that leaves an old compressed form behind does not hide the new file', async () => {
    await app.write({ 'sw.js': 'new', 'sw.js.br': brotliCompressSync('old') });
    const anHourAgo = new Date(Date.now() - 3_600_000);
    await utimes(join(app.directory, 'sw.js.br'), anHourAgo, anHourAgo);
    expect(await get(gate, '/sw.js', accept)).toMatchObject({ status: 200, body: 'new' });
  });

  test('whose files all have the same date and length as before still shows its new index.html', async () => {
    const index = join(app.directory, 'pages/index.html');
    const date = new Date('1980-01-01T00:00:00Z');
    const deploy = async (content: string): Promise<void> => {
      await app.write({ 'pages/index.html': content });
      await utimes(index, date, date);
    };
    await deploy('<script src="/assets/a-AAAAAAA1.js">');
    const before = await get(gate, '/pages/');
    await deploy('<script src="/assets/a-BBBBBBB2.js">');
    const after = await get(gate, '/pages/', [...navigation, `If-None-Match: ${valuesOf(before, 'etag')[0]!}`]);
    expect(after).toMatchObject({ status: 200, body: '<script src="/assets/a-BBBBBBB2.js">' });
  });
});

describe('links', () => {
  test('that turn the directory from one release to the next are followed at once', async () => {
    const releases = await appOnDisk({ '../1/index.html': 'one', '../2/index.html': 'two' });
    const current = join(releases.directory, '../current');
    await symlink('1', current);
    const linked = await startGate({ spa: { directory: current } });
    expect((await get(linked, '/')).body).toBe('one');
    await symlink('2', `${current}.new`);
    await rename(`${current}.new`, current);
    expect((await get(linked, '/')).body).toBe('two');
    await linked.stop();
    await releases.remove();
  });

  test('inside the directory are followed, through hidden names too, as Kubernetes mounts files', async () => {
    await app.write({ '..2026_11_20/config.json': '{}' });
    await symlink('..2026_11_20', join(app.directory, '..data'));
    await symlink('..data/config.json', join(app.directory, 'config.json'));
    const answer = await get(gate, '/config.json', script);
    expect(answer).toMatchObject({ status: 200, body: '{}' });
    expect(valuesOf(answer, 'content-type')).toEqual(['application/json; charset=utf-8']);
    expect((await get(gate, '/..data/config.json', script)).status).toBe(404);
  });

  test('out of the directory lead nowhere: files, directories, compressed forms, links to links', async () => {
    const outside = join(app.directory, '../outside');
    await app.write({ '../outside/secret.txt': 'SECRET', 'bait.js': 'bait' });
    await symlink(join(outside, 'secret.txt'), join(app.directory, 'secret.txt'));
    await symlink('../outside', join(app.directory, 'out'));
    await symlink('secret.txt', join(app.directory, 'twice.txt'));
    await symlink('../outside/secret.txt', join(app.directory, 'bait.js.br'));
    await symlink('loop', join(app.directory, 'loop'));
    await writeFile(join(app.directory, '../app-too.txt'), 'SECRET');
    await symlink('../app-too.txt', join(app.directory, 'neighbour.txt'));
    for (const path of ['/secret.txt', '/out/secret.txt', '/twice.txt', '/loop', '/neighbour.txt', '/out', '/out/']) {
      const answer = await get(gate, path, accept);
      expect([path, answer.status]).toEqual([path, 404]);
    }
    expect(await get(gate, '/bait.js', accepting('br'))).toMatchObject({ status: 200, body: 'bait' });
  });

  const accept = accepting('br, gzip');
});
