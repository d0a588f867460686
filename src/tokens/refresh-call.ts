// What a refresh asks of the provider: one call, and a second one where nobody knows whether the first arrived. If it did, the old token is used up in any
// case: providers that allow for a retry give the same tokens again, and with the others nothing is lost by asking (RFC 9700 section 4.14.2).
import { setTimeout as pause } from 'node:timers/promises';
import { timeLimit } from '../fair-limits.ts';
import { tokenCallMs } from '../oidc/provider.ts';
import type { Provider, RefreshOutcome } from '../oidc/provider.ts';
import type { Tokens } from '../oidc/token-set.ts';

const resendAfterMs = 1_000;
/** A second call is worth it only with this much of `tokenCallMs` left. */
const resendNeedsMs = 5_000;

/** Asks for new tokens, for at most `tokenCallMs` in all. `onResend` is called as the second call begins. Never rejects. */
export async function askForTokens(
  tokens: Tokens,
  options: { provider: Pick<Provider, 'refresh'>; now: () => number; onResend: () => void },
): Promise<RefreshOutcome> {
  const { provider, now, onResend } = options;
  const startedAt = now();
  const signal = timeLimit(tokenCallMs);
  const first = await provider.refresh(tokens, signal);
  if (!isUnanswered(first) || now() - startedAt + resendAfterMs + resendNeedsMs > tokenCallMs) return first;
  onResend();
  await pause(resendAfterMs);
  const second = await provider.refresh(tokens, signal);
  // Whatever became of the second, the provider may have rotated at the first.
  return second.kind === 'unavailable' && !second.answered ? { ...second, sent: true } : second;
}

/** Sent, and no answer came: the provider may have rotated the refresh token, or not. */
export function isUnanswered(outcome: RefreshOutcome): boolean {
  return outcome.kind === 'unavailable' && outcome.sent && !outcome.answered;
}
