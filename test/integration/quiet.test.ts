// A warning of Node's in the output means a leak or an interface on its way out: listeners that pile up per call, a deprecated function in a library.
import { expect, test } from '@jest/globals';
import { freePort } from '../support/free-port.ts';
import { baseConfig, register, startPosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { signIn } from '../support/signed-in.ts';
import { RecordingUpstream } from '../support/upstream.ts';

test('a login and ten proxied calls print log lines and no warning of Node’s', async () => {
  const [provider, upstream] = await Promise.all([startRealProvider(), RecordingUpstream.start()]);
  const config = baseConfig(await freePort(), provider, { routes: [{ path: '/api', upstream: upstream.url }] });
  register(provider, String(config['publicUrl']));
  const postern = await startPosternProcess(config);
  try {
    const alice = await signIn(postern, provider);
    for (let calls = 0; calls < 10; calls += 1) expect(await alice.call('/api/x')).toMatchObject({ status: 200 });
    expect(upstream.requests).toHaveLength(10);
  } finally {
    await Promise.all([postern.stop(), provider.close(), upstream.stop()]);
  }
  expect(postern.output.filter((line) => /^\(node:\d+\)|\w+Warning/.test(line))).toEqual([]);
});
