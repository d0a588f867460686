// The campaign in its short form: four faults that touch every part. The whole one is `npm run test:chaos`.
import { expect, test } from '@jest/globals';
import { runCampaign } from './campaign.ts';
import { faults } from './faults.ts';

const chosen = ['Redis connections cut', 'Redis restarted', 'provider down', 'a replica stopped by SIGSTOP'];

test('whatever goes away for a while: nobody sees another user’s answer, nobody comes back after a logout, nobody is signed out, and all is well again soon (ST-01, ST-04, ST-14, SES-08)', async () => {
  const short = faults.filter(({ name }) => chosen.includes(name));
  const { findings, violations } = await runCampaign(short, 6);
  expect(findings.map(({ fault }) => fault.name)).toEqual(chosen);
  expect(violations).toEqual([]);
  expect(findings.filter(({ sight }) => sight.lost > 0)).toEqual([]);
}, 240_000);
