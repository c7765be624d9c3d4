// SPDX-License-Identifier: MIT
/**
 * A user agent inside of a program that linked libgodwit: started over the bridge, with the program as its display, asker and apps.
 * godwitd is such a program, and adds what comes over its app socket.
 */

import type { Report } from "../agent/events.ts";
import { GodwitError } from "../errors.ts";
import { type StartOptions, startUserAgent } from "../user-agent/start.ts";
import type { UserAgent } from "../user-agent/user-agent.ts";
import { EmbeddedProgram } from "./embedded-program.ts";
import type { EmbeddingBridge, EmbeddingEvents, EmbeddingVerbs } from "./embedding-bridge.d.ts";
import { EMBEDDING_OPTIONS, type EmbeddingOptions } from "./embedding-options.ts";
import { embeddingVerbs } from "./embedding-verbs.ts";
import { readScriptOptions, startOptionsOf } from "./options.ts";
import { DevicePower } from "./power.ts";
import { type BridgeRuntime, bridgeRuntime } from "./runtime.ts";
import { FAULTS, toldText } from "./told.ts";

/** What a program with a script of its own adds. */
export interface EmbeddingExtension {
  /** Instead of what the program's configuration says. */
  readonly start?: Partial<StartOptions>;
  /** The user agent runs; to the program it has started once this resolves. A GodwitError is why it cannot. */
  open?(userAgent: UserAgent): Promise<void>;
  /** Before the user agent is closed. */
  close?(): Promise<void>;
}

/** Called once, before the user agent is started. */
export type Extend = (options: EmbeddingOptions, runtime: BridgeRuntime) => EmbeddingExtension;

/** Starts the user agent. What it returns is for Bridge.listen. */
export function startEmbedding(bridge: EmbeddingBridge, extend: Extend = () => ({})): EmbeddingEvents {
  const embedding = new Embedding(bridge, extend);
  embedding.start().then(
    () => bridge.started(),
    (error: unknown) => bridge.started(...refusal(error)),
  );
  return embedding.events;
}

class Embedding {
  readonly #bridge: EmbeddingBridge;
  readonly #extend: Extend;
  readonly #runtime: BridgeRuntime;
  #verbs: EmbeddingVerbs | null = null;
  #power: DevicePower | null = null;
  #isNetworkTold = false;

  constructor(bridge: EmbeddingBridge, extend: Extend) {
    this.#bridge = bridge;
    this.#extend = extend;
    this.#runtime = bridgeRuntime(
      Object.create(bridge, { watchNetwork: { value: () => this.#watchNetwork() } }) as EmbeddingBridge,
    );
  }

  get events(): EmbeddingEvents {
    return {
      ...this.#runtime.events,
      network: (...network) => this.#handleNetwork(...network),
      call: (verb, ...values) => {
        try {
          // Until it has started the program has no handle to call with.
          const called = this.#verbs?.[verb] as (...values: unknown[]) => unknown;
          this.#bridge.returned(called(...values));
        } catch (error) {
          this.#bridge.refused(...refusal(error));
        }
      },
    };
  }

  async start(): Promise<void> {
    const bridge = this.#bridge;
    const runtime = this.#runtime;
    const options = readScriptOptions(bridge.options, EMBEDDING_OPTIONS);
    const { platform } = runtime;
    const program = new EmbeddedProgram(bridge, (...wait) => platform.after(...wait), options.callbacks);
    const power = new DevicePower(options.leastUrgency, options.urgencyByPower);
    this.#power = power;
    this.#isNetworkTold = options.network === "told";
    const extension = this.#extend(options, runtime);
    const userAgent = await startUserAgent(
      { ...startOptions(bridge, options, program), ...extension.start },
      platform,
      runtime.makeMachine,
      () => runtime.openJournal(options.stateDirectory),
    );
    power.listen((leastUrgency) => userAgent.setLeastUrgency(leastUrgency));
    // The network was told before there was anybody to tell.
    if (power.leastUrgency !== options.leastUrgency) userAgent.setLeastUrgency(power.leastUrgency);
    if (program.has("askPermission", "askNavigation")) program.askWith(userAgent.questions);
    await extension.open?.(userAgent);
    this.#verbs = embeddingVerbs({
      bridge,
      userAgent,
      program,
      power,
      setNetwork: (...network) => {
        this.#handleNetwork(...network);
        return null;
      },
      stop: () => {
        this.#stop(userAgent, extension).then(() => bridge.stopped());
      },
    });
  }

  async #stop(userAgent: UserAgent, extension: EmbeddingExtension): Promise<void> {
    try {
      await extension.close?.();
      await userAgent.close();
    } catch (error) {
      const [code, , text] = refusal(error);
      this.#bridge.log(WARNING, `${code}: ${text}`);
    }
  }

  /** As {@link Bridge.watchNetwork}; where the program tells, there is none until it does. */
  #watchNetwork(): boolean {
    if (!this.#isNetworkTold) return this.#bridge.watchNetwork();
    this.#handleNetwork(null, "unknown", false, false);
    return true;
  }

  #handleNetwork(...network: Parameters<EmbeddingEvents["network"]>): void {
    const [label, kind] = network;
    this.#runtime.events.network(...network);
    if (label !== null) this.#power?.setNetwork(kind);
  }
}

/** As in syslog. */
const WARNING = 4;

function startOptions(
  bridge: EmbeddingBridge,
  options: EmbeddingOptions,
  program: EmbeddedProgram,
): StartOptions {
  const { urgencyByPower: _power, callbacks: _callbacks, program: _program, ...scriptOptions } = options;
  return {
    ...startOptionsOf(scriptOptions, bridge),
    display: program.has("show", "close", "badge", "openUrl") ? program : null,
    onReport: (report) => tellReport(bridge, program, report),
    startApp: (owner) => program.tell("startApp", owner),
  };
}

function tellReport(bridge: EmbeddingBridge, program: EmbeddedProgram, report: Report): void {
  if (report.type === "fault") bridge.log(WARNING, toldText(`${report.code}: ${report.text}`));
  if (program.has("report")) program.tell("report", report.type, JSON.stringify(report));
}

/** What C is told of an error. What is no GodwitError is a bug: thrown on, it ends the agent. */
function refusal(error: unknown): [code: string, fault: 1 | 2 | 3, text: string] {
  if (!(error instanceof GodwitError)) throw error;
  return [error.code, FAULTS[error.fault], toldText(error.message)];
}
