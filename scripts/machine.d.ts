export function needRedis(): void;
export function needBrowser(): void;
export function findChromium(): string | undefined;
