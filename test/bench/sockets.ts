// What a WebSocket costs while it is idle, and that handshakes which are refused leave nothing behind. `node test/bench/sockets.ts [sockets] [refusals]`
import { readFileSync, readdirSync } from 'node:fs';
import { baseConfig, register, startPosternProcess } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import { freePort } from '../support/free-port.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { signIn } from '../support/signed-in.ts';
import { openSocket, refusedHandshake } from '../support/socket-client.ts';
import type { Client } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { until } from '../support/until.ts';

const sockets = Number(process.argv[2] ?? 5_000);
const refusals = Number(process.argv[3] ?? 10_000);
const atOnce = 50;

const [provider, upstream] = await Promise.all([startRealProvider({}), SocketUpstream.start()]);
const config = baseConfig(await freePort(), provider, {
  routes: [{ path: '/ws', upstream: upstream.url, websocket: true }],
  limits: { websockets: sockets + 1_000, websocketsPerSession: sockets + 1_000 },
  log: { access: false },
});
register(provider, String(config['publicUrl']));
const postern = await startPosternProcess(config);
const alice = await signIn(postern, provider);

async function open(count: number): Promise<() => Promise<void>> {
  const clients: Client[] = [];
  while (clients.length < count) {
    const next = Array.from({ length: Math.min(atOnce, count - clients.length) }, () =>
      openSocket(postern, '/ws', { Cookie: alice.cookie }),
    );
    clients.push(...(await Promise.all(next)));
  }
  return async () => {
    for (const client of clients) client.socket.destroy();
    await until(() => upstream.connections === 0, 60_000);
  };
}

const inMiB = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

// What is made once, by the first ones, is not what one of many costs.
await (
  await open(Math.min(500, sockets))
)();
const before = await settled(postern);
const close = await open(sockets);
const during = await settled(postern);
console.log(`${sockets} idle WebSockets of one session`);
console.log(
  `  resident memory  ${inMiB(before.resident)} → ${inMiB(during.resident)}: ${each(during.resident - before.resident, sockets)}`,
);
console.log(
  `  heap in use      ${inMiB(before.heap)} → ${inMiB(during.heap)}: ${each(during.heap - before.heap, sockets)}`,
);
console.log(`  open files       ${before.files} → ${during.files}`);
await close();
await until(() => filesOf(postern.pid) <= before.files, 60_000);
console.log(`  after they have gone: ${described(await settled(postern))}`);

const kinds = [{}, { Origin: 'https://evil.example' }, { Upgrade: 'h2c' }, { 'Sec-WebSocket-Version': '8' }];
const startedAt = performance.now();
for (let made = 0; made < refusals; made += atOnce) {
  await Promise.all(
    Array.from({ length: atOnce }, (_, at) => refusedHandshake(postern, '/ws', kinds[at % kinds.length])),
  );
}
const seconds = (performance.now() - startedAt) / 1000;
await until(() => filesOf(postern.pid) <= before.files, 60_000);
console.log(`${refusals} refused handshakes in ${seconds.toFixed(1)} s`);
console.log(`  after them: ${described(await settled(postern))}`);

await postern.stop();
await upstream.stop();
await provider.close();

interface Footprint {
  resident: number;
  heap: number;
  files: number;
}

/** The least of several looks: garbage comes and goes. */
async function settled({ pid, operationsUrl }: PosternProcess): Promise<Footprint> {
  const looks: Footprint[] = [];
  const end = performance.now() + 8_000;
  await until(async () => {
    const text = await (await fetch(`${operationsUrl}/metrics`)).text();
    const heap = Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(text)?.[1]);
    looks.push({ resident: residentOf(pid), heap, files: filesOf(pid) });
    return performance.now() > end;
  }, 30_000);
  return {
    resident: Math.min(...looks.map(({ resident }) => resident)),
    heap: Math.min(...looks.map(({ heap }) => heap)),
    files: looks.at(-1)?.files ?? 0,
  };
}

function described({ resident, heap, files }: Footprint): string {
  return `${files} open files, ${inMiB(heap)} of heap in use, ${inMiB(resident)} resident`;
}

function residentOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

function filesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function each(bytes: number, count: number): string {
  return `${(bytes / count / 1024).toFixed(1)} KiB each`;
}
