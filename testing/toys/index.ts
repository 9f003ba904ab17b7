import type { Component } from '../../src/kernel/rump.js';
import { foldfs } from './foldfs.js';
import { movedfs } from './movedfs.js';
import { sharedfs } from './sharedfs.js';
import { stuckfs } from './stuckfs.js';

export const toys: readonly Component[] = [foldfs, movedfs, sharedfs, stuckfs];
