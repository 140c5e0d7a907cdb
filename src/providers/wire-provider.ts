// Owns one call to a provider over the wire: key, deadline, requests and retries, answer, and the facts of it.
// W1: a call ends at its deadline or its signal, whatever the other side does. W2: no error carries a cause or the key.
import { startDeadline } from '../base/abort.ts';
import type { Deadline } from '../base/abort.ts';
import type { Clock } from '../base/clock.ts';
import { asRuntimeError, RuntimeError } from '../base/errors.ts';
import { readStream, toOutput } from './answer.ts';
import type { ModelCallFacts, ModelInput, ModelOutput, ModelProfile, ModelProvider } from './contract.ts';
import { pairCalls } from './conversation.ts';
import { answerFailure, sealed } from './failure.ts';
import { createFetch } from './http.ts';
import type { Exchange } from './http.ts';
import { createTextGate, outputWithoutKey, readKey } from './key.ts';
import type { Environment } from './key.ts';
import type { VendorAnswer, VendorModel, WireKind } from './model-port.ts';
import { namesOf, toPrompt, toTools } from './prompt.ts';
import { withRetries } from './retry.ts';

export interface WireSetup {
  profile: ModelProfile;
  wire: WireKind;
  /** Throws what is wrong with the base URL of the profile. */
  baseUrl: () => URL;
  env: Environment;
  clock: Clock;
  random: () => number;
  /** Carries one request. */
  fetch: typeof fetch;
}

type GenerateOptions = Parameters<ModelProvider['generate']>[1];

/** What stays the same over the requests of one call. */
interface Call {
  setup: WireSetup;
  baseUrl: URL;
  key: string | undefined;
  signal: AbortSignal;
  onText: ((delta: string) => void) | undefined;
  facts: ModelCallFacts;
}

function withoutSlash(url: URL): string {
  return url.href.replace(/\/+$/, '');
}

async function openVendor(call: Call, exchange: Exchange): Promise<VendorModel> {
  const { wire, profile, clock, fetch: send } = call.setup;
  const limits = { baseUrl: call.baseUrl, maxResponseBytes: profile.maxResponseBytes, clock, send };
  return wire.open({
    baseUrl: withoutSlash(call.baseUrl),
    model: profile.model,
    fetch: createFetch(limits, exchange),
    ...(call.key === undefined ? {} : { apiKey: call.key }),
  });
}

/** A caller's fault in its own callback is not the provider's. */
function telling(call: Call, onText: (delta: string) => void): (delta: string) => void {
  return (delta) => {
    if (call.signal.aborted) return;
    try {
      onText(delta);
    } catch (thrown) {
      throw asRuntimeError(thrown);
    }
  };
}

async function request(call: Call, input: ModelInput, exchange: Exchange): Promise<ModelOutput> {
  const { setup, signal, onText } = call;
  const names = namesOf(input);
  const model = await openVendor(call, exchange);
  const vendorCall = {
    prompt: toPrompt(setup.wire.arrange(pairCalls(input.messages)), names),
    tools: toTools(input.tools, names),
    maxOutputTokens: setup.profile.maxOutputTokens,
    abortSignal: signal,
  };
  let answer: VendorAnswer;
  if (onText === undefined) {
    answer = await model.generate(vendorCall);
  } else {
    const gate = createTextGate(call.key, telling(call, onText));
    answer = await readStream(await model.stream(vendorCall), gate.push);
    gate.end();
  }
  return outputWithoutKey(toOutput(answer, names), call.key);
}

function failureOf(thrown: unknown, exchange: Exchange): RuntimeError {
  if (exchange.failure !== undefined) return exchange.failure;
  if (exchange.status !== undefined || thrown instanceof RuntimeError) return answerFailure(thrown);
  return new RuntimeError('INTERNAL', 'The request to the model provider could not be formed.');
}

async function requestWithRetries(
  call: Call,
  input: ModelInput,
  timeLeft: () => number,
): Promise<ModelOutput> {
  const { clock, random, profile } = call.setup;
  let exchange: Exchange = { answerBytes: 0 };
  const attempt = async (): Promise<ModelOutput> => {
    exchange = { answerBytes: 0 };
    call.facts.attempts += 1;
    try {
      return await request(call, input, exchange);
    } catch (thrown) {
      throw call.signal.aborted ? thrown : failureOf(thrown, exchange);
    } finally {
      if (exchange.status === undefined) delete call.facts.responseStatus;
      else call.facts.responseStatus = exchange.status;
    }
  };
  const options = { clock, random, maxRetries: profile.maxRetries, timeLeft, signal: call.signal };
  return withRetries(attempt, () => exchange.answerBytes === 0, options);
}

/** Settles with `work`, or as soon as the signal ends (W1). */
async function untilEnded<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const ended = new Promise<never>((_, reject) => {
    stop = () => {
      reject(new RuntimeError('CANCELED'));
    };
  });
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([work, ended]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function endOf(thrown: unknown, deadline: Deadline): RuntimeError {
  if (deadline.timedOut()) return new RuntimeError('PROVIDER_TIMEOUT');
  if (deadline.signal.aborted)
    return new RuntimeError('CANCELED', 'The caller ended this call to the model.');
  return asRuntimeError(thrown);
}

async function generate(
  setup: WireSetup,
  input: ModelInput,
  options: GenerateOptions,
): ReturnType<ModelProvider['generate']> {
  const { profile, wire, clock } = setup;
  const baseUrl = setup.baseUrl();
  const key = readKey(profile, setup.env);
  const facts: ModelCallFacts = { requestUrl: withoutSlash(baseUrl) + wire.path, attempts: 0 };
  const due = clock.monotonic() + profile.deadlineMs;
  const deadline = startDeadline(clock, profile.deadlineMs, options.signal);
  // Ends whatever a failed answer left open, such as the unread half of a stream.
  const release = new AbortController();
  const signal = AbortSignal.any([deadline.signal, release.signal]);
  const call: Call = { setup, baseUrl, key, signal, onText: options.onText, facts };
  try {
    const work = requestWithRetries(call, input, () => due - clock.monotonic());
    return { output: await untilEnded(work, deadline.signal), facts };
  } catch (thrown) {
    const known = {
      provider_kind: profile.provider,
      request_url: facts.requestUrl,
      response_status: facts.responseStatus,
      attempts: facts.attempts,
    };
    throw sealed(endOf(thrown, deadline), known, key);
  } finally {
    deadline.done();
    release.abort();
  }
}

export function createWireProvider(setup: WireSetup): ModelProvider {
  let baseUrl = '';
  try {
    baseUrl = setup.baseUrl().href;
  } catch {
    // A profile that cannot be used still exists; its first call says what is wrong.
  }
  return {
    kind: setup.profile.provider,
    model: setup.profile.model,
    baseUrl,
    generate: (input, options) => generate(setup, input, options),
  };
}
