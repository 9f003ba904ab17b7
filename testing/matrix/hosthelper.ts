/**
 * The child process of HostFs.proc: takes on a credential and does file system calls for its parent until that goes
 * away.
 */
import { HostFs } from './hostfs.js';

const [uid, gid, groups] = process.argv.slice(2);
process.umask(0o022);
process.setgroups!(groups === '' ? [] : groups!.split(',').map(Number));
process.setgid!(Number(gid));
process.setuid!(Number(uid));

interface Request {
  readonly id: number;
  readonly folder: string;
  readonly method: string;
  readonly args: unknown[];
}

process.on('message', (message) => {
  const { id, folder, method, args } = message as Request;
  const fs = new HostFs(folder) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  // A call may throw at once, or reject.
  Promise.resolve()
    .then(() => fs[method]!(...args))
    .then(
      (result) => process.send!({ id, result }),
      (error: Error & { code?: string }) => process.send!({ id, code: error.code, message: error.message }),
    );
});
process.on('disconnect', () => process.exit(0));
