export async function statusOf(url: string): Promise<string> {
  const answer = await fetch(url);
  const session = (await answer.json()) as { authenticated: boolean };
  return session.authenticated ? 'Signed in' : 'Signed out';
}
