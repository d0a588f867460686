// One refresh, from the claim to its result (the process's side; the store's scripts keep the other half).
//   begin → token endpoint → commit | fail | endIf, or wait for whoever is at it and look again.
import { setTimeout as pause } from 'node:timers/promises';
import { PosternError, storeAway } from '../errors.ts';
import { tokenCallMs } from '../oidc/provider.ts';
import type { Provider, RefreshOutcome } from '../oidc/provider.ts';
import type { TokenSet } from '../oidc/token-set.ts';
import type { AttemptRef, BeginOutcome, CommitOutcome, LoadedRecord, Store, StoreMessage } from '../store/store.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Audit } from '../telemetry/audit.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { outcomeOf, providerAway, type AccessTokenOutcome } from './access-token-outcome.ts';
import { attemptDeadlineMs, createAttempts } from './attempts.ts';
import { createBackOff } from './back-off.ts';
import type { OpenedSession } from './opened-session.ts';
import { askForTokens, isUnanswered } from './refresh-call.ts';
import type { TokenVault } from './token-vault.ts';
import { createWakers } from './wakers.ts';

type Refreshed = Extract<RefreshOutcome, { kind: 'refreshed' }>;

export interface RefreshFlightOptions {
  store: Store;
  vault: TokenVault;
  provider: Provider;
  /** For a refresh token that has come to no session. */
  discardToken: (refreshToken: string) => void;
  now: () => number;
  randomId: () => string;
  metrics: Metrics;
  audit: Audit;
  log: Logger;
}

const storeRetryMs = 100;
/** A maintenance page that says "tomorrow" does not decide about sessions for so long. */
const longestRetryAfterMs = 60_000;
/** Short: those who wait are to hear within two seconds that the store is away. */
const beginRetriesMs = 1_000;
/** How long a dead refresh token waits for the commit of the attempt that was taken over: that one may have rotated it. */
const otherCommitMs = 2_000;
/** Messages wake a waiter; this is for the message that never came. */
const slowPollMs = 1_000;
const unsettledPollMs = 100;

/** The flights of one process; `now` is epoch ms, never going backwards. */
export function createRefreshFlight(options: RefreshFlightOptions) {
  const { store, vault, provider, now, metrics, log } = options;
  const backOff = createBackOff();
  const wakers = createWakers();
  const attempts = createAttempts(log);

  /** Leads or awaits the refresh of a session until its result is known. Never rejects. */
  async function fly(session: OpenedSession): Promise<AccessTokenOutcome> {
    try {
      return await claim(session);
    } catch (cause) {
      if (cause instanceof StoreUnavailable) return { kind: 'unavailable', error: storeAway(cause) };
      log.error({ err: cause }, 'a refresh failed in a way that is a defect');
      return { kind: 'unavailable', error: new PosternError('internal_error', { cause }) };
    }
  }

  async function claim(session: OpenedSession): Promise<AccessTokenOutcome> {
    const attempt: AttemptRef = { h: session.h, revision: session.record.revision, owner: options.randomId() };
    if (session.tokens.refreshToken === undefined) return { kind: 'signed-out' };
    while (!attempts.state.draining) {
      // Just after a reconnect the store may be one that has not heard of the attempt that is under way.
      if (!store.settled()) {
        await store.ping();
        await pause(unsettledPollMs, undefined, { ref: false });
        continue;
      }
      const result = await attempts.untilOver(once(session, attempt));
      if (result === 'look-again') continue;
      if (result.kind !== 'wait') return result;
      await wakers.wakened(session.h, Math.min(result.waitMs, slowPollMs));
    }
    return providerAway(slowPollMs);
  }

  async function once(
    session: OpenedSession,
    attempt: AttemptRef,
  ): Promise<AccessTokenOutcome | 'look-again' | Extract<BeginOutcome, { kind: 'wait' }>> {
    const claimed = await begin(attempt);
    switch (claimed.kind) {
      case 'gone':
        return { kind: 'signed-out' };
      case 'moved':
        return use(session, claimed.record);
      case 'back-off':
        return providerAway(claimed.retryInMs);
      case 'wait':
        return claimed;
      case 'begun':
        if (claimed.takeover) metrics.takeovers.inc();
        return lead(session, attempt, claimed.takeover);
    }
  }

  // A claim whose answer was lost may stand in the record; only its own owner can find out, and nobody else gets past it before its deadline.
  function begin(attempt: AttemptRef): Promise<BeginOutcome> {
    const startedAt = now();
    return untilAnswered(
      () => store.begin(attempt, attemptDeadlineMs),
      () => now() - startedAt > beginRetriesMs,
    );
  }

  async function lead(
    session: OpenedSession,
    attempt: AttemptRef,
    takeover: boolean,
  ): Promise<AccessTokenOutcome | 'look-again'> {
    const answer = await askForTokens(session.tokens, { provider, now, onResend: () => metrics.resends.inc() });
    switch (answer.kind) {
      case 'refreshed':
        return settle(session, attempt, answer);
      case 'ended':
        metrics.refreshes.inc({ outcome: 'ended' });
        tellFailure(session, answer);
        return endSession(session, attempt, takeover);
      case 'misconfigured':
        metrics.refreshes.inc({ outcome: 'misconfigured' });
        tellFailure(session, answer);
        log.error(
          { err: answer.cause },
          'the provider refuses this client: nobody is logged out, but no token can be refreshed until the configuration is mended',
        );
        return giveUp(attempt, undefined);
      case 'unavailable':
        metrics.refreshes.inc({ outcome: 'unavailable' });
        tellFailure(session, answer);
        // Sent and unanswered: the provider may have rotated. The attempt stands until its deadline, and whoever comes then takes over.
        if (isUnanswered(answer)) return providerAway(attemptDeadlineMs - tokenCallMs);
        return giveUp(attempt, answer.retryAfterMs);
    }
  }

  function tellFailure({ h, record }: OpenedSession, answer: Exclude<RefreshOutcome, Refreshed>): void {
    const [reason, cause] = answer.kind === 'ended' ? [answer.error, undefined] : [answer.kind, answer.cause];
    options.audit('refresh_failed', { h, issuer: record.issuer, reason, cause });
  }

  async function settle(
    session: OpenedSession,
    attempt: AttemptRef,
    { tokens, unverifiedIdToken }: Refreshed,
  ): Promise<AccessTokenOutcome> {
    const committed = await commit(session, attempt, tokens);
    backOff.clear(session.h);
    switch (committed.kind) {
      case 'committed':
        metrics.refreshes.inc({ outcome: 'refreshed' });
        if (unverifiedIdToken !== undefined) void checkLate(session.h, unverifiedIdToken);
        return outcomeOf(vault.committed(session.sessionId, session.h, committed.record));
      case 'moved':
        // Somebody else's tokens are in place. Revoking ours could end the whole grant, theirs included.
        metrics.refreshes.inc({ outcome: 'superseded' });
        return use(session, committed.record);
      case 'gone':
        // The user logged out meanwhile: what we were given must not outlive that.
        metrics.refreshes.inc({ outcome: 'signed-out' });
        if (tokens.refreshToken !== undefined) options.discardToken(tokens.refreshToken);
        return { kind: 'signed-out' };
    }
  }

  // Keys out of reach are no reason to end anything: the session keeps its old ID token and claims, and the next refresh brings new ones.
  async function checkLate(h: string, idToken: string): Promise<void> {
    const check = await provider.verifyIdToken(idToken);
    if (check.kind !== 'invalid') return;
    log.error({ err: check.cause }, 'a refreshed ID token has a wrong signature: its session ends');
    await vault.end(h, 'revoked');
  }

  // The provider has rotated: these tokens exist nowhere else. They are kept until the store takes them or the session could not live any longer.
  function commit(session: OpenedSession, attempt: AttemptRef, tokens: TokenSet): Promise<CommitOutcome> {
    const main = vault.seal(session, attempt.revision + 1, tokens);
    const receivedAt = now();
    return untilAnswered(
      () => {
        const elapsedMs = now() - receivedAt;
        const rest = (ms: number | undefined) => (ms === undefined ? undefined : Math.max(0, ms - elapsedMs));
        const expiresInMs = rest(tokens.expiresInMs);
        return store.commit(attempt, { main, expiresInMs, refreshExpiresInMs: rest(tokens.refreshExpiresInMs) });
      },
      () => attempts.state.closed || now() + session.offsetMs >= session.record.absoluteExpiresAt,
    );
  }

  async function endSession(
    session: OpenedSession,
    attempt: AttemptRef,
    takeover: boolean,
  ): Promise<AccessTokenOutcome | 'look-again'> {
    if (takeover) await wakers.wakened(session.h, otherCommitMs);
    const ended = await store.endIf(attempt, 'revoked');
    switch (ended.kind) {
      case 'ended':
        vault.ended(session.h, 'revoked');
        return { kind: 'signed-out' };
      case 'gone':
        return { kind: 'signed-out' };
      case 'kept':
        return ended.record.revision === attempt.revision ? 'look-again' : use(session, ended.record);
    }
  }

  async function giveUp(attempt: AttemptRef, retryAfterMs: number | undefined): Promise<AccessTokenOutcome> {
    const waitMs = Math.max(Math.min(retryAfterMs ?? 0, longestRetryAfterMs), backOff.next(attempt.h));
    await store.fail(attempt, waitMs);
    return providerAway(waitMs);
  }

  function use({ sessionId, h }: OpenedSession, record: LoadedRecord): AccessTokenOutcome {
    return outcomeOf(vault.adopt(sessionId, h, record));
  }

  return { fly, notice: (message: StoreMessage) => wakers.notice(message), drain: (ms: number) => attempts.drain(ms) };
}

/** Asks the store again and again, until it answers or is away when it is too late. */
async function untilAnswered<Answer>(ask: () => Promise<Answer>, isTooLate: () => boolean): Promise<Answer> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || isTooLate()) throw error;
      await pause(storeRetryMs);
    }
  }
}
