// Whether spans are asked for, by OpenTelemetry's own environment variables: who operates it sets them for all services alike.

/** What share of new traces is recorded, and whether a trace that has begun elsewhere decides for itself. */
export interface TracingSettings {
  ratio: number;
  isParentBased: boolean;
  /** How long to wait for the collector; undefined when a variable says so, which the exporter reads. */
  timeoutMs: number | undefined;
}

// OpenTelemetry has ten seconds, and a process that ends could wait for them longer than whoever ends it waits.
const usualTimeoutMs = 3_000;

/** Undefined unless an OTLP endpoint is named, or when something else switches spans off. What is named wrongly counts as not named, as the specification wants. */
export function tracingSettings(env: Readonly<Record<string, string | undefined>>): TracingSettings | undefined {
  const endpoint = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '';
  const isOff = env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none';
  if (endpoint === '' || isOff) return undefined;
  const sampler = env['OTEL_TRACES_SAMPLER'] ?? 'parentbased_always_on';
  return {
    ratio: ratioOf(sampler.replace('parentbased_', ''), env['OTEL_TRACES_SAMPLER_ARG']),
    timeoutMs: isTimeoutGiven(env) ? undefined : usualTimeoutMs,
    isParentBased: !['always_on', 'always_off', 'traceidratio'].includes(sampler),
  };
}

function isTimeoutGiven(env: Readonly<Record<string, string | undefined>>): boolean {
  return ['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'OTEL_EXPORTER_OTLP_TIMEOUT'].some((name) => Number(env[name]) > 0);
}

function ratioOf(sampler: string, argument: string | undefined): number {
  if (sampler === 'always_off') return 0;
  const ratio = argument === undefined || argument === '' ? 1 : Number(argument);
  return sampler === 'traceidratio' && ratio >= 0 && ratio <= 1 ? ratio : 1;
}
