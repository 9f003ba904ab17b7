import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { say } from '../say.js';

interface Finding {
  readonly state: 'good' | 'note' | 'bad';
  readonly text: string;
}

function which(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(':')
    .concat('/usr/sbin', '/sbin')
    .map((dir) => path.join(dir, program))
    .find((file) => existsSync(file));
}

function may(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}

function checkFuseDevice(root: boolean): Finding {
  if (!existsSync('/dev/fuse')) {
    return {
      state: 'bad',
      text: '/dev/fuse is missing: run `modprobe fuse` as root; in a container start it with --device /dev/fuse',
    };
  }
  if (!may('/dev/fuse', constants.R_OK | constants.W_OK)) {
    return {
      state: 'bad',
      text: '/dev/fuse is there but you may not open it: `chmod 666 /dev/fuse` as root (udev does this on ordinary ' +
        'systems)',
    };
  }
  const mode = statSync('/dev/fuse').mode & 0o777;
  if (root && mode !== 0o666) {
    return {
      state: 'note',
      text: `/dev/fuse has mode ${mode.toString(8)}: only root can mount; chmod 666 lets others`,
    };
  }
  return { state: 'good', text: '/dev/fuse can be opened' };
}

function checkFusermount(root: boolean): Finding {
  const file = which('fusermount3');
  if (file === undefined) {
    return {
      state: root ? 'note' : 'bad',
      text: 'fusermount3 is missing: only root can mount; install the fuse3 package',
    };
  }
  const st = statSync(file);
  if ((st.mode & 0o4000) === 0 || st.uid !== 0) {
    return {
      state: root ? 'note' : 'bad',
      text: `${file} is not set-user-ID root: ordinary users cannot mount; reinstall the fuse3 package`,
    };
  }
  return { state: 'good', text: `${file} lets ordinary users mount` };
}

function checkAllowOther(): Finding {
  const configured =
    existsSync('/etc/fuse.conf') && /^\s*user_allow_other\s*$/m.test(readFileSync('/etc/fuse.conf', 'utf8'));
  return configured
    ? { state: 'good', text: 'ordinary users may mount with -o allow_other' }
    : {
        state: 'note',
        text: 'ordinary users may not mount with -o allow_other: put a line `user_allow_other` into /etc/fuse.conf ' +
          'to let them',
      };
}

function checkKernel(): Finding {
  const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
  const [major, minor] = release.split('.').map(Number) as [number, number];
  return major > 5 || (major === 5 && minor >= 4)
    ? { state: 'good', text: `Linux ${release}` }
    : {
        state: 'bad',
        text: `Linux ${release} is older than 5.4, whose FUSE protocol is the oldest that is spoken here`,
      };
}

async function checkPackages(): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, without] of [
    ['koffi', 'ordinary users cannot mount, and devices are not locked against a second writer: run `npm ci` again'],
    ['fuse-native', 'the channel --channel fuse-native is not there (the default channel needs it not)'],
  ] as const) {
    try {
      await import(name);
      findings.push({ state: 'good', text: `the ${name} package loads` });
    } catch (error) {
      const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
      findings.push({ state: 'note', text: `the ${name} package does not load (${why}): ${without}` });
    }
  }
  return findings;
}

/**
 * `rumpfuse doctor`: what this host lacks, in words that say what to do. Returns the exit status: 1 if something needed
 * is missing.
 */
export async function doctor(): Promise<number> {
  const root = process.getuid?.() === 0;
  const findings = [
    checkKernel(),
    checkFuseDevice(root),
    checkFusermount(root),
    checkAllowOther(),
    which('mount') !== undefined
      ? { state: 'good', text: 'mount(8) is there' }
      : { state: root ? 'bad' : 'note', text: 'mount(8) is missing: install the mount package' },
    ...(await checkPackages()),
  ] as Finding[];
  const signs = { good: '  ok  ', note: ' note ', bad: ' LACK ' };
  for (const finding of findings) say(`[${signs[finding.state]}] ${finding.text}`);
  const bad = findings.filter((finding) => finding.state === 'bad').length;
  say(
    bad === 0
      ? 'rumpfuse can mount here.'
      : `${bad} thing${bad > 1 ? 's' : ''} to mend before rumpfuse can mount here.`,
  );
  return bad === 0 ? 0 : 1;
}
