// SPDX-License-Identifier: MIT
/**
 * The shell: the frame around the kiosk's page, in which notifications, badge and questions stand. What the person does there goes
 * to the agent; the page gets its secret and nothing else, and no other page gets that.
 */

import { ShellSocket } from "./shell-socket.mjs";

/** Through this function of its window the shell's document speaks to us. Nobody else's document has it. */
const BINDING = "tellKiosk";
const PERMISSIONS = ["granted", "denied", "prompt"];

export class Shell {
  #origin;
  #home;
  #log;
  #devTools = null;
  #socket = null;
  /** What the page needs at the agent, once the agent told. */
  #credential = null;
  /** Of the browser's one page, which shows the shell's document. */
  #session = null;
  #targetId = null;
  /** Where the shell's document runs; and whether it has said that it can be drawn. */
  #contextId = null;
  #isDrawable = false;
  /** What is in its frame. */
  #frameId = null;
  /** What is in the frame: the page, or a page elsewhere that the person chose to open. `id` counts what was opened there. */
  #place;
  #isAgentThere = false;
  #notifications = new Map();
  #badges = new Map();
  /** By what they are about. */
  #questions = new Map();
  /** Notifications the agent was not told of yet that they are on the screen. */
  #untold = new Set();
  #lastId = 0;

  /**
   * @param {string} origin the shell's own
   * @param {string} home the page's: an owner
   * @param {(text: string) => void} log
   */
  constructor(origin, home, log) {
    this.#origin = origin;
    this.#home = home;
    this.#log = log;
    this.#place = { id: 0, url: `${home}/` };
  }

  /** What the shell's document may frame: the page and nothing else; away from home, where no secret is, any page. */
  get frameSource() {
    return this.#isHome ? this.#home : "http: https:";
  }

  /** Resolves once the shell is on its way onto the screen. */
  async open(devTools, stateDirectory) {
    this.#devTools = devTools;
    devTools.exited.then(() => {
      this.#isDrawable = false;
    });
    devTools.on("Target.attachedToTarget", (params, session) => {
      // It may be gone again by then.
      this.#handleTarget(params, session).catch((error) => this.#log(error.message));
    });
    devTools.on("Runtime.executionContextCreated", ({ context }, session) =>
      this.#handleContext(context, session),
    );
    devTools.on("Runtime.bindingCalled", (params, session) => this.#handleBinding(params, session));
    devTools.on("Page.frameNavigated", ({ frame }) => this.#handleNavigated(frame));
    // A kiosk that lies dead on the screen helps nobody: end, and be started again.
    devTools.on("Inspector.targetCrashed", () => devTools.close());
    await devTools.call("Target.setAutoAttach", {
      autoAttach: true,
      waitForDebuggerOnStart: false,
      flatten: true,
      filter: [{ type: "page" }],
    });
    this.#socket = new ShellSocket(stateDirectory, {
      onOpen: () => this.#handleAgent(),
      onEvent: (event) => this.#handleEvent(event),
      onLost: () => {
        this.#isAgentThere = false;
        this.#draw();
      },
    });
  }

  close() {
    this.#socket?.close();
  }

  // --- the browser ---------------------------------------------------------------------------------------------------

  async #handleTarget({ sessionId, targetInfo, waitingForDebugger }, parent) {
    const call = (method, params = {}) => this.#devTools.call(method, params, sessionId);
    if (parent === undefined && this.#session === null) {
      this.#session = sessionId;
      this.#targetId = targetInfo.targetId;
      await Promise.all([
        call("Inspector.enable"),
        call("Page.enable"),
        call("Runtime.enable"),
        call("Runtime.addBinding", { name: BINDING }),
        call("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: true, flatten: true }),
      ]);
      await this.#load();
    } else if (parent === undefined) {
      // There is one page. Nobody can open another, but nobody needs to be believed.
      await this.#devTools.call("Target.closeTarget", { targetId: targetInfo.targetId });
    } else if (targetInfo.type === "iframe") {
      // What is in the frame, in a process of its own, and before it runs.
      this.#frameId = targetInfo.targetId;
      await Promise.all([call("Inspector.enable"), call("Page.enable"), this.#inject(call)]);
    }
    if (waitingForDebugger) await call("Runtime.runIfWaitingForDebugger");
  }

  /**
   * Puts the credential where `godwit/apps` looks for it. Away from home there is nothing to inject; at home the shell's content
   * security policy lets no other origin into the frame, and the script itself looks where it is.
   */
  async #inject(call) {
    if (!this.#isHome || this.#credential === null) return;
    const [origin, credential] = [this.#home, this.#credential].map((value) => JSON.stringify(value));
    const define = `Object.defineProperty(globalThis, "godwit", { value: Object.freeze(${credential}) })`;
    await call("Page.addScriptToEvaluateOnNewDocument", {
      source: `if (location.origin === ${origin}) ${define};`,
    });
  }

  /** Loads the shell's document anew, for another frame source or another credential. */
  async #load() {
    this.#contextId = null;
    this.#isDrawable = false;
    await this.#devTools.call("Page.navigate", { url: `${this.#origin}/` }, this.#session);
  }

  #handleContext({ id, origin, auxData }, session) {
    if (session !== this.#session || !auxData?.isDefault) return;
    // The topmost frame has the id of its target.
    if (auxData.frameId === this.#targetId && origin === this.#origin) this.#contextId = id;
  }

  #handleBinding({ name, payload, executionContextId }, session) {
    const isShell = session === this.#session && executionContextId === this.#contextId;
    if (isShell && name === BINDING) this.#handlePerson(JSON.parse(payload));
  }

  /** Which page it really is, after links and redirects. */
  #handleNavigated({ id, url }) {
    if (id !== this.#frameId || this.#isHome || !/^https?:/.test(url)) return;
    this.#place.host = new URL(url).host;
    this.#draw();
  }

  // --- the agent -----------------------------------------------------------------------------------------------------

  #handleAgent() {
    this.#isAgentThere = true;
    // Everything comes again.
    for (const all of [this.#notifications, this.#badges, this.#questions, this.#untold]) all.clear();
    this.#askCredential();
  }

  /** Another secret needs another document. */
  async #askCredential() {
    try {
      const { url, owner, secret } = await this.#socket.request("pageSecret", { owner: this.#home });
      const before = this.#credential;
      this.#credential = { url, owner, secret };
      if (before?.secret !== secret || before.url !== url) await this.#load();
    } catch (error) {
      this.#log(`no page secret: ${error.message}`);
    }
    this.#draw();
  }

  #handleEvent(event) {
    const { notificationId, owner, action } = event;
    switch (event.event) {
      case "show":
        this.#show(event);
        break;
      case "close":
        this.#notifications.delete(notificationId);
        break;
      case "badge":
        this.#badges.set(owner, event.text);
        break;
      case "permission":
        this.#questions.set(owner, { key: owner, owner });
        break;
      case "permissionSettled":
        this.#questions.delete(owner);
        break;
      case "navigation": {
        const key = `${notificationId} ${action}`;
        this.#questions.set(key, { key, owner, notificationId, action, host: event.host });
        break;
      }
      case "navigationSettled":
        this.#questions.delete(`${notificationId} ${action}`);
        break;
      case "openUrl":
        this.#open(event.url);
        break;
      case "pageSecrets":
        this.#askCredential();
        break;
    }
    this.#draw();
  }

  /** The newest comes last, also when it takes the place of another. */
  #show({ notificationId, owner, replaces, alert, title, body, actions }) {
    for (const id of [replaces, notificationId]) this.#notifications.delete(id);
    const alertId = alert ? ++this.#lastId : null;
    this.#notifications.set(notificationId, { notificationId, owner, title, body, actions, alertId });
    this.#untold.add(notificationId);
  }

  /** The agent has decided, or asked, whether it may be opened; here it is only seen to that it is a page. */
  #open(url) {
    const { protocol, origin, host } = new URL(url);
    if (!["http:", "https:"].includes(protocol)) return;
    const wasHome = this.#isHome;
    this.#place = { id: ++this.#lastId, url, ...(origin === this.#home ? {} : { host }) };
    if (this.#isHome && wasHome) this.#draw();
    else this.#load().catch((error) => this.#log(error.message));
  }

  // --- the person ----------------------------------------------------------------------------------------------------

  get #isHome() {
    return new URL(this.#place.url).origin === this.#home;
  }

  /** @param {any} message what the shell's document says */
  #handlePerson(message) {
    const { type, notificationId, action, key } = message;
    const question = this.#questions.get(key);
    if (type === "ready") this.#isDrawable = true;
    else if (type === "home") this.#open(`${this.#home}/`);
    else if (type === "activate" && this.#notifications.has(notificationId))
      this.#tell("activate", { notificationId, action });
    else if (type === "dismiss" && this.#notifications.has(notificationId))
      this.#tell("dismiss", { notificationId });
    else if (type === "answer" && question !== undefined) this.#answer(question, message);
    this.#draw();
  }

  #answer({ key, owner, notificationId, action }, { permission, allowed }) {
    this.#questions.delete(key);
    if (notificationId !== undefined)
      this.#tell("answerNavigation", { notificationId, action, allowed: allowed === true });
    else if (PERMISSIONS.includes(permission)) this.#tell("answerPermission", { owner, permission });
  }

  /** Away, the agent hears nothing: what is on the screen stays, and everything comes again. */
  #tell(type, members) {
    this.#socket.request(type, members).catch((error) => this.#log(`${type}: ${error.message}`));
  }

  /** Draws everything; the shell's document finds out what is new. */
  async #draw() {
    if (!this.#isDrawable) return;
    const view = {
      isAgentThere: this.#isAgentThere,
      home: this.#home,
      // Without its credential the page could do nothing with the agent, and would not look again.
      place: this.#credential === null ? null : this.#place,
      badge: this.#badges.get(this.#home) ?? "",
      notifications: [...this.#notifications.values()].reverse(),
      questions: [...this.#questions.values()],
    };
    const drawn = [...this.#untold];
    this.#untold.clear();
    const expression = `draw(${JSON.stringify(view)})`;
    const contextId = this.#contextId;
    try {
      const { exceptionDetails } = await this.#devTools.call(
        "Runtime.evaluate",
        { expression, contextId },
        this.#session,
      );
      if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description);
      for (const notificationId of drawn) this.#tell("displayed", { notificationId });
    } catch (error) {
      if (contextId !== this.#contextId) {
        // Another document is on its way, and draws everything.
        for (const notificationId of drawn)
          if (this.#notifications.has(notificationId)) this.#untold.add(notificationId);
        return;
      }
      for (const notificationId of drawn) this.#tell("displayFailed", { notificationId });
      this.#log(`the screen cannot be drawn: ${error.message}`);
    }
  }
}
