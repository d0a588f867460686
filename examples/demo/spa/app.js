// The page: shows the session, calls the API, counts down to the token's expiry. It never sees a token, so it only tells what it is told.
import { callApi, logOut, readSession } from './bff.js';

const byId = (id) => document.getElementById(id);
const draftKey = 'order-draft';

/** When the access token expires, by this page's own clock; undefined while nobody is signed in. */
let expiresAt;
/** The longest span seen, for a full ring. */
let lifetimeMs = 1;
let lastFingerprint;
let tokenCount = 0;

async function showSession() {
  const outcome = await readSession();
  if (outcome.kind === 'unavailable')
    return tell(`The session cannot be read at the moment. Trying again helps, logging in does not.`);
  const { session } = outcome;
  // Another tab has logged out while this one was open: what was typed here stays.
  if (!session.authenticated && !byId('signed-in').hidden) return offerLogin({ loginUrl: '/bff/login?returnTo=/' });
  byId('signed-out').hidden = session.authenticated;
  byId('signed-in').hidden = !session.authenticated;
  byId('who').hidden = !session.authenticated;
  expiresAt = undefined;
  if (!session.authenticated) return;

  byId('name').textContent = session.user.name ?? session.user.sub;
  byId('email').textContent = session.user.email ?? '';
  byId('session').textContent = JSON.stringify(session, null, 2);
  // Whole seconds, rounded down: with one more, a token that is shown as expired is expired.
  const leftMs = ((session.session.accessTokenExpiresIn ?? 0) + 1) * 1000;
  expiresAt = performance.now() + leftMs;
  lifetimeMs = Math.max(lifetimeMs, leftMs);
  byId('ring').hidden = false;
  showCountdown();
  showHoldings();
}

function showCountdown() {
  if (expiresAt === undefined) return;
  const leftMs = Math.max(0, expiresAt - performance.now());
  byId('ring').style.setProperty('--left', String(leftMs / lifetimeMs));
  byId('ring').classList.toggle('expired', leftMs === 0);
  byId('seconds').textContent = leftMs === 0 ? '0' : String(Math.ceil(leftMs / 1000));
  byId('token-state').textContent = leftMs === 0 ? 'token expired' : 'token valid';
  byId('token-hint').textContent =
    leftMs === 0 ? 'call the API now: it works all the same' : 'seconds left; out of this page’s reach';
}

function showHoldings() {
  byId('cookies').textContent = document.cookie || 'empty';
  byId('local-storage').textContent = describeStorage(localStorage);
  byId('session-storage').textContent = describeStorage(sessionStorage);
}

function describeStorage(storage) {
  return storage.length === 0 ? 'empty' : JSON.stringify({ ...storage });
}

async function call(path, options) {
  const outcome = await callApi(path, options);
  switch (outcome.kind) {
    case 'answer':
      tell();
      showCall(outcome);
      await showSession();
      break;
    case 'signed-out':
      byId('repeat').checked = false;
      offerLogin(outcome);
      break;
    case 'unavailable':
      tell(
        `This cannot be answered at the moment. You are still signed in; try again in ${outcome.retryAfterSeconds} s.`,
      );
      break;
  }
  return outcome;
}

function showCall({ status, body }) {
  const token = body.accessToken;
  const isNew = token !== undefined && token.fingerprint !== lastFingerprint;
  if (isNew) {
    tokenCount += 1;
    lastFingerprint = token.fingerprint;
  }
  byId('api-state').textContent = `answered ${status}`;
  byId('api-hint').textContent =
    token === undefined ? '' : `${token.format} token no. ${tokenCount}, for ${token.user}`;
  if (body.orders !== undefined) showOrders(body.orders);

  byId('calls-empty').hidden = true;
  byId('calls').hidden = false;
  const row = byId('call-rows').insertRow(0);
  row.insertCell().textContent = new Date().toLocaleTimeString();
  row.insertCell().append(badge(String(status), status < 400 ? 'good' : 'bad'));
  const seen = row.insertCell();
  row.insertCell().textContent = token === undefined ? '' : new Date(token.issuedAt).toLocaleTimeString();
  if (token === undefined) return;
  const code = document.createElement('code');
  code.textContent = `#${tokenCount} ${token.fingerprint}…`;
  seen.append(code, isNew ? badge(tokenCount === 1 ? 'first' : 'refreshed', 'new') : '');
  byId('announcement').textContent =
    `The API answered ${status}${isNew && tokenCount > 1 ? ' and saw a new token' : ''}`;
}

function badge(text, kind) {
  const span = document.createElement('span');
  span.className = `badge ${kind}`;
  span.textContent = text;
  return span;
}

function showOrders(orders) {
  byId('orders').replaceChildren(
    ...orders.map(({ text }) => {
      const item = document.createElement('li');
      item.textContent = text;
      return item;
    }),
  );
}

// The page stays as it is, what was typed included: only the person decides when to leave it for the login.
function offerLogin({ code, loginUrl }) {
  showNobody();
  const link = document.createElement('a');
  link.href = loginUrl;
  link.textContent = 'Log in again';
  link.addEventListener('click', () => sessionStorage.setItem(draftKey, byId('order-text').value));
  const reason = code === 'session_expired' ? 'Your session has ended.' : 'You are not signed in any more.';
  tell(`${reason} Nothing you typed is lost. `, link);
}

function showNobody() {
  expiresAt = undefined;
  byId('who').hidden = true;
  byId('ring').hidden = true;
  byId('token-state').textContent = 'no session';
  byId('token-hint').textContent = 'its tokens are gone with it';
  byId('session').textContent = JSON.stringify({ authenticated: false }, null, 2);
}

/** Shows a message above everything else; without content it goes away. */
function tell(...content) {
  byId('notice').hidden = content.length === 0;
  byId('notice').replaceChildren(...content);
}

byId('call').addEventListener('click', () => call('/api/orders'));

byId('order-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const outcome = await call('/api/orders', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text: byId('order-text').value }),
  });
  if (outcome.kind === 'answer' && outcome.status === 201) byId('order-text').value = '';
});

byId('logout').addEventListener('click', async () => {
  const outcome = await logOut();
  if (outcome.kind === 'logged-out') location.assign(outcome.logoutUrl);
  else tell('The logout did not reach the server. Please try again.');
});

// Another tab may have logged in or out meanwhile.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') void showSession();
});

setInterval(showCountdown, 200);
setInterval(() => byId('repeat').checked && call('/api/orders'), 2000);

byId('order-text').value = sessionStorage.getItem(draftKey) ?? '';
sessionStorage.removeItem(draftKey);
await showSession();
