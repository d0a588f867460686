// A debugger on a running process could read every token in its memory, and Node opens one on loopback for whoever may send it a signal.
import { expect, test } from '@jest/globals';
import { request } from 'undici';
import { freePort } from '../support/free-port.ts';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import { until } from '../support/until.ts';

test.each([1, 2])('SIGUSR1 opens no debugger, with %i process(es) that serve (TK-17)', async (workers) => {
  const redis = workers > 1 ? { redis: { url: 'redis://127.0.0.1:1' } } : {};
  const registration = { issuer: 'http://127.0.0.1:1', clientId: 'shop', clientSecret: 'unused' };
  const postern = await startPosternProcess(baseConfig(await freePort(), registration, { workers, ...redis }));
  try {
    postern.signal('SIGUSR1');
    // Whatever the signal does is done before what it is told next.
    postern.signal('SIGHUP');
    await until(() => postern.output.some((line) => line.includes('configuration_reloaded')));
    const live = await request(`${postern.operationsUrl}/livez`);
    await live.body.dump();
    expect(live.statusCode).toBe(200);
    expect(postern.output.filter((line) => /debugger/i.test(line))).toEqual([]);
  } finally {
    await postern.stop();
  }
});
