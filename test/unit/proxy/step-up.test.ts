import { expect, test } from '@jest/globals';
import { challengesOf } from '../../../src/proxy/challenges.ts';
import { stepUpOf } from '../../../src/proxy/step-up.ts';

const asked = (parameters: string) =>
  challengesOf(`Bearer error="insufficient_user_authentication"${parameters === '' ? '' : `, ${parameters}`}`);
const everything = { acrValues: ['gold', 'silver'], maxAge: true };

test('an upstream may ask for the login that its route allows, and for no more', () => {
  const both = asked('acr_values="platinum gold silver", max_age="300"');
  expect(stepUpOf(both, everything)).toEqual({ acr_values: 'gold silver', max_age: '300' });
  expect(stepUpOf(both, { acrValues: ['silver'], maxAge: false })).toEqual({ acr_values: 'silver' });
  expect(stepUpOf(both, { acrValues: [], maxAge: true })).toEqual({ max_age: '300' });
  expect(stepUpOf(asked('max_age=0'), everything)).toEqual({ max_age: '0' });
});

test('what a login cannot mend is no step-up: it would lead back to the same answer', () => {
  expect(stepUpOf(asked(''), everything)).toBeUndefined();
  expect(stepUpOf(asked('acr_values="platinum"'), everything)).toBeUndefined();
  expect(stepUpOf(asked('max_age="300"'), { acrValues: ['gold'], maxAge: false })).toBeUndefined();
  for (const maxAge of ['-1', '1e3', '300 ', '9999999999', '5&prompt=none'])
    expect(stepUpOf(asked(`max_age="${maxAge}"`), everything)).toBeUndefined();
  expect(stepUpOf(challengesOf('Bearer error="invalid_token", max_age=5'), everything)).toBeUndefined();
  expect(
    stepUpOf(challengesOf('Basic error="insufficient_user_authentication", max_age=5'), everything),
  ).toBeUndefined();
});
