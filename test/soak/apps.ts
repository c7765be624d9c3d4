// SPDX-License-Identifier: MIT
// The apps, a process each, and the screen. No tests here.

import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import type { RunningAgent } from "../end-to-end/running-agent.ts";
import type { Program, Stage } from "../end-to-end/stage.ts";
import { killed } from "../killed.ts";
import type { Ledger } from "./ledger.ts";

const APP = fileURLToPath(new URL("app.mjs", import.meta.url));

type Said =
  | { readonly event: "push"; readonly text: string | null; readonly redelivered: boolean }
  | { readonly event: "change" }
  | { readonly event: "subscribed"; readonly subscription: PushSubscriptionJSON };

export class SoakApp {
  readonly owner: string;
  readonly #stage: Stage;
  readonly #ledger: Ledger;
  readonly #command: readonly string[];
  readonly #environment: NodeJS.ProcessEnv;
  #program: Program | null = null;
  #subscription: PushSubscriptionJSON | null = null;

  constructor(
    owner: string,
    token: unknown,
    options: { stage: Stage; agent: RunningAgent; ledger: Ledger; applicationServerKey: string },
  ) {
    const { stage, agent, ledger, applicationServerKey } = options;
    this.owner = owner;
    this.#stage = stage;
    this.#ledger = ledger;
    this.#command = [process.execPath, APP, applicationServerKey];
    this.#environment = {
      GODWIT_OWNER: owner,
      GODWIT_SOCKET: agent.socketPath,
      GODWIT_TOKEN_FILE: stage.file("token", String(token)),
    };
  }

  get subscription(): PushSubscriptionJSON {
    if (this.#subscription === null) throw new Error(`${this.owner} has no subscription yet`);
    return this.#subscription;
  }

  /** Resolves once it has its subscription. */
  async run(): Promise<void> {
    const program = this.#stage.start(this.owner, this.#command, {
      stdio: ["ignore", "pipe", "pipe"],
      env: this.#stage.environment(this.#environment),
    });
    this.#program = program;
    if (program.child.stdout === null) throw new Error("its stdout is piped");
    const lines = createInterface({ input: program.child.stdout });
    lines.on("line", (line) => this.#hear(JSON.parse(line)));
    await program.stdout.match(/"subscribed"/);
  }

  async kill(): Promise<void> {
    if (this.#program !== null) await killed(this.#program.child);
  }

  #hear(said: Said): void {
    if (said.event === "push") this.#ledger.came(this.owner, "app", said.text ?? "", said.redelivered);
    else if (said.event === "change") this.#ledger.note(`${this.owner} was told of another subscription`);
    else {
      this.#subscription ??= said.subscription;
      if (said.subscription.endpoint !== this.#subscription.endpoint)
        this.#ledger.note(`${this.owner} has another endpoint`);
    }
  }
}

/** Shows what is declared, and takes it away again. To be called for each run of the agent. */
export async function watchScreen(agent: RunningAgent, ledger: Ledger): Promise<void> {
  const shell = await agent.enterShell();
  // Beyond those of enterShell().
  let lastId = 1_000_000;
  const hear = (message: string): void => {
    const { event, owner, title, alert, notificationId } = JSON.parse(message);
    if (event !== "show") return;
    ledger.came(owner, "screen", title, !alert);
    for (const type of ["displayed", "dismiss"]) shell.say({ id: ++lastId, type, notificationId });
  };
  // What the agent had kept came with the answer to hello.
  shell.heard.splice(0).forEach(hear);
  shell.webSocket.on("message", (data) => {
    // Nobody reads it again.
    shell.heard.length = 0;
    hear(String(data));
  });
}
