// A port for a server that must be told its port before it listens.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below what systems hand out by themselves (from 32768 on Linux): such a port may be some outgoing connection's a moment later. Above the last that
// browsers refuse (10080), and no more than 10,000 of them: so far above its own port a server of a Redis Cluster listens as well.
const [lowest, highest] = [10_100, 20_099];

/** A port of 127.0.0.1 that nobody listens on at the moment, drawn by lot. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest + 1);
    const probe = createServer().listen(port, '127.0.0.1');
    const isFree = await once(probe, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}
