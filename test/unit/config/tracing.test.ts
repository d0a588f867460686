import { expect, test } from '@jest/globals';
import { tracingSettings } from '../../../src/config/tracing.ts';

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

test.each([
  {},
  { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
  { ...endpoint, OTEL_SDK_DISABLED: 'true' },
  { ...endpoint, OTEL_TRACES_EXPORTER: 'none' },
])('no spans are made unless an endpoint is named and nothing switches them off: %j', (env) => {
  expect(tracingSettings(env)).toBeUndefined();
});

test.each([
  [undefined, undefined, { ratio: 1, isParentBased: true }],
  ['always_on', undefined, { ratio: 1, isParentBased: false }],
  ['always_off', undefined, { ratio: 0, isParentBased: false }],
  ['parentbased_always_off', undefined, { ratio: 0, isParentBased: true }],
  ['traceidratio', '0.1', { ratio: 0.1, isParentBased: false }],
  ['parentbased_traceidratio', '0.25', { ratio: 0.25, isParentBased: true }],
  ['parentbased_traceidratio', 'much', { ratio: 1, isParentBased: true }],
  ['unheard_of', '0.1', { ratio: 1, isParentBased: true }],
])('the sampler %s with %s is understood as OpenTelemetry specifies', (sampler, argument, settings) => {
  const env = { ...endpoint, OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: argument };
  expect(tracingSettings(env)).toMatchObject(settings);
});

test('a collector is waited for shortly, unless a variable of OpenTelemetry’s says how long', () => {
  expect(tracingSettings(endpoint)?.timeoutMs).toBe(3_000);
  expect(tracingSettings({ ...endpoint, OTEL_EXPORTER_OTLP_TIMEOUT: '9000' })?.timeoutMs).toBeUndefined();
  expect(tracingSettings({ ...endpoint, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '9000' })?.timeoutMs).toBeUndefined();
  expect(tracingSettings({ ...endpoint, OTEL_EXPORTER_OTLP_TIMEOUT: 'long' })?.timeoutMs).toBe(3_000);
});
