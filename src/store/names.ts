// Owns what a commit may hold before an engine looks at it: names and numbers that every engine keeps unchanged.
import { RuntimeError } from '../base/errors.ts';
import type { Append, ChainKey, Commit, RowWrite } from './contract.ts';

const LONGEST_NAME = 1024;

function refuse(field: string, why: string): never {
  throw new RuntimeError('INVALID_INPUT', `${field} ${why}`, { field });
}

/** Engines cut text at NUL and replace lone surrogates: two such names could become one. */
export function checkName(field: string, name: string): void {
  if (name === '' || name.length > LONGEST_NAME) refuse(field, `must have 1 to ${LONGEST_NAME} characters`);
  if (name.includes('\0') || !name.isWellFormed()) refuse(field, 'holds a character that cannot be kept');
}

function checkWhole(field: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) refuse(field, 'must be a whole number from 0');
}

function checkNumber(field: string, value: number): void {
  if (!Number.isFinite(value)) refuse(field, 'must be a finite number');
}

export function checkChainKey(chain: ChainKey): void {
  checkName('chain.tenant', chain.tenant);
  checkName('chain.id', chain.id);
}

function checkAppend(append: Append): void {
  checkChainKey(append.chain);
  checkName('append.type', append.type);
  checkWhole('append.at', append.at);
  if ('seq' in append.when) checkWhole('append.when.seq', append.when.seq);
  else checkWhole('append.when.epoch', append.when.epoch);
}

function checkRow(write: RowWrite): void {
  const { row } = write;
  checkName('row.tenant', row.tenant);
  checkName('row.id', row.id);
  checkName('row.principal', row.principal);
  checkName('row.status', row.status);
  if (row.ref !== undefined) checkName('row.ref', row.ref);
  checkWhole('row.updatedAt', row.updatedAt);
}

/** Throws INVALID_INPUT with the first offence in `details.field`. */
export function checkCommit(commit: Commit): void {
  commit.appends?.forEach(checkAppend);
  commit.rows?.forEach(checkRow);
  for (const move of commit.counters ?? []) {
    checkName('counter.key', move.key);
    checkNumber('counter.add', move.add);
    if (move.max !== undefined) checkNumber('counter.max', move.max);
  }
  for (const guard of commit.guards ?? []) checkName('guard.key', guard.key);
  for (const timer of commit.timers ?? []) {
    checkName('timer.tenant', timer.tenant);
    checkName('timer.id', timer.id);
    checkWhole('timer.dueAt', timer.dueAt);
  }
  for (const blob of commit.blobs ?? []) {
    checkName('blob.tenant', blob.tenant);
    checkName('blob.key', blob.key);
  }
}
