// A warning of Node's in the output means a leak or an interface on its way out: listeners that pile up per call, a deprecated function in a library.
import { expect, test } from '@jest/globals';
import { freePort } from '../support/free-port.ts';
import { baseConfig, register, startPosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { signIn } from '../support/signed-in.ts';
import { RecordingUpstream } from '../support/upstream.ts';

test('a login and calls to twelve upstreams print log lines and no warning of Node’s', async () => {
  const provider = await startRealProvider();
  const upstreams = await Promise.all(Array.from({ length: 12 }, () => RecordingUpstream.start()));
  const routes = upstreams.map(({ url }, index) => ({ path: `/api/${index}`, upstream: url }));
  const config = baseConfig(await freePort(), provider, { routes });
  register(provider, String(config['publicUrl']));
  const postern = await startPosternProcess(config);
  try {
    const alice = await signIn(postern, provider);
    for (const { path } of routes) expect(await alice.call(path)).toMatchObject({ status: 200 });
    expect(upstreams.map(({ requests }) => requests.length)).toEqual(upstreams.map(() => 1));
  } finally {
    await Promise.all([postern.stop(), provider.close(), ...upstreams.map((upstream) => upstream.stop())]);
  }
  expect(postern.output.filter((line) => /^\(node:\d+\)|\w+Warning/.test(line))).toEqual([]);
});
