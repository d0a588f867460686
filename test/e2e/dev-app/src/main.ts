/// <reference types="vite/client" />
// An app as Vite serves it while it is written: TypeScript, a stylesheet that is a module, an import that is fetched late.
import './style.css';
import { greeting } from './greeting.ts';

const show = (selector: string, text: string): void => {
  document.querySelector(selector)!.textContent = text;
};

show('output', greeting);
import.meta.hot?.accept('./greeting.ts', (changed) => show('output', String(changed?.['greeting'])));

const { statusOf } = await import('./status.ts');
show('[role=status]', await statusOf('/bff/session'));
