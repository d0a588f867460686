// A real Chromium: what a browser does with cookies, redirects and policies is looked at, not assumed.
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { findChromium, needBrowser } from '../../scripts/machine.js';

/** Starts Chromium without a window; close it. Each context in it is a browser of its own, which shares no cookie with the others. */
export async function startChromium(...flags: string[]): Promise<Browser> {
  needBrowser();
  const executablePath = findChromium()!;
  return chromium.launch({ executablePath, args: ['--disable-gpu', '--disable-sync', '--disable-quic', ...flags] });
}
