/** The errno and message of what a call fails with. */
export async function failure(call: Promise<unknown> | (() => unknown)): Promise<{ code: string; message: string }> {
  try {
    await (typeof call === 'function' ? call() : call);
  } catch (e) {
    return { code: (e as { code: string }).code, message: (e as Error).message };
  }
  return { code: 'none', message: '' };
}
