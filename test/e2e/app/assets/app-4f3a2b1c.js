// A single-page app in a few lines: who am I, call the API, log out.
const show = (selector, text) => (document.querySelector(selector).textContent = text);

document.querySelector('#call').onclick = async () => {
  const answer = await fetch('/api/orders');
  const { code = '' } = await answer.json();
  show('#result', `${answer.status} ${code}`.trim());
};

document.querySelector('#logout').onclick = async () => {
  const answer = await fetch('/bff/logout', { method: 'POST' });
  location.assign((await answer.json()).logoutUrl);
};

const answer = await fetch('/bff/session');
const session = await answer.json();
show('[role=status]', session.authenticated ? `Signed in as ${session.user.name}` : 'Signed out');
