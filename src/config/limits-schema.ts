// The `limits` section: how much strangers, sessions and upstreams may ask of one process. What routes limit themselves is in route-schema.ts.
import * as z from 'zod';
import { countOf, headSize, timeLimit } from './values.ts';

export const limitsSection = z
  .strictObject({
    headers: headSize.prefault('32kb').describe('The largest request head; more gets 431.'),
    streams: countOf('streams')
      .default(10_000)
      .describe(
        'The most event streams open at once in one process, those of APIs to signed-in callers included; more get 503.',
      ),
    websockets: countOf('WebSockets')
      .default(10_000)
      .describe('The most WebSockets open at once in one process; more get 503.'),
    websocketsPerSession: countOf('WebSockets')
      .default(32)
      .describe('The most WebSockets of one session open at once in one process; more get 429.'),
    upstreamRequests: countOf('requests')
      .default(10_000)
      .describe('The most requests that one process has under way at one upstream; more get 503 at once.'),
    sessionRequests: z
      .strictObject({
        count: countOf('requests').describe('How many requests.'),
        per: timeLimit.describe('In which time.'),
      })
      .optional()
      .describe(
        'The most proxied calls of one session in a span of time, counted in each process; more get 429. Without it they are not counted.',
      ),
    logins: countOf('logins')
      .default(100)
      .describe('The most logins that one process starts at once, and as many that it finishes; more get 503.'),
  })
  .prefault({})
  .describe('How much a request may ask for.');
