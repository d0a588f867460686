// The pages of the demo's provider. They look unlike the shop on purpose: the password is typed on another site.

export function loginPage(form: { uid: string; username: string; isUnknown: boolean }): string {
  return page(
    'Log in',
    `<p>to go on to <strong>Demo shop</strong></p>
    <form method="post" action="/interaction/${escape(form.uid)}">
      ${form.isUnknown ? '<p class="problem" role="alert">Nobody here has that name. Try alice or bob.</p>' : ''}
      <label>User name <input name="username" value="${escape(form.username)}" autocomplete="username" autocapitalize="none" required autofocus></label>
      <label>Password <input name="password" type="password" autocomplete="current-password"></label>
      <button name="answer" value="login">Log in</button>
      <button class="quiet" name="answer" value="cancel" formnovalidate>Cancel</button>
    </form>
    <p class="note">This is the demo’s identity provider. Its users are <strong>alice</strong> and <strong>bob</strong>; any password will do.</p>`,
  );
}

const meanings: Record<string, string> = {
  openid: 'know that it is you',
  profile: 'see your name',
  email: 'see your e-mail address',
  orders: 'read and place orders for you',
};

export function consentPage(form: { uid: string; name: string; scope: string }): string {
  const wishes = form.scope
    .split(' ')
    .map((scope) => `<li>${escape(meanings[scope] ?? scope)} <code>${escape(scope)}</code></li>`)
    .join('\n');
  return page(
    'Allow access?',
    `<p>Hello ${escape(form.name)}. <strong>Demo shop</strong> would like to</p>
    <ul>${wishes}</ul>
    <form method="post" action="/interaction/${escape(form.uid)}">
      <button name="answer" value="allow" autofocus>Allow</button>
      <button class="quiet" name="answer" value="cancel">Cancel</button>
    </form>`,
  );
}

/** `form` is oidc-provider's own, an empty one with the id `op.logoutForm`. */
export function logoutPage(form: string): string {
  return page(
    'Log out here too?',
    `<p>You have left <strong>Demo shop</strong>. This provider still knows you; if that stays so, the next login there asks for no password.</p>
    ${form}
    <div class="answers">
      <button form="op.logoutForm" name="logout" value="yes" autofocus>Log out</button>
      <button form="op.logoutForm" class="quiet">Stay logged in</button>
    </div>`,
  );
}

export function errorPage(text: string): string {
  return page('Nothing more to do here', `<p>${escape(text)}</p>`);
}

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Demo ID</title>
<style>${style}</style>
</head>
<body>
<main>
<div class="brand"><span aria-hidden="true">◆</span> Demo ID</div>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const style = `
:root { color-scheme: light dark; --ground: #eef0f6; --card: #fff; --ink: #1b2033; --soft: #5b6279; --line: #c9cede; --accent: #4a3fb5; --on-accent: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12131c; --card: #1d1f2c; --ink: #eceef7; --soft: #a3a9c0; --line: #3d4158; --accent: #a69dff; --on-accent: #14122b }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { width: min(25rem, calc(100vw - 2rem)); padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 1rem; box-shadow: 0 1rem 3rem #0001 }
.brand { color: var(--accent); font-weight: 600 }
h1 { margin: .75rem 0 .25rem; font-size: 1.6rem; line-height: 1.2 }
p { margin: .25rem 0 1.25rem }
ul { margin: 0 0 1.5rem; padding-left: 1.25rem }
li { margin: .35rem 0 }
code { margin-left: .35rem; padding: .1rem .4rem; border-radius: .35rem; background: var(--ground); color: var(--soft); font-size: .85em }
form, .answers { display: grid; gap: .75rem }
form:empty { display: none }
label { display: grid; gap: .25rem; font-size: .9rem; color: var(--soft) }
input { font: inherit; color: var(--ink); background: transparent; padding: .6rem .75rem; border: 1px solid var(--line); border-radius: .5rem }
button { font: inherit; font-weight: 600; padding: .7rem; border: 1px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--on-accent); cursor: pointer }
button.quiet { background: transparent; border-color: var(--line); color: var(--ink); font-weight: 400 }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.problem { margin: 0; padding: .6rem .75rem; border-radius: .5rem; background: #c0392b22; border: 1px solid #c0392b88 }
.note { margin: 1.5rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line); font-size: .875rem; color: var(--soft) }
`;
