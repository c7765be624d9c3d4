// SPDX-License-Identifier: MIT
// Goal: no key, token, endpoint, uaid or payload is in any log, also where something goes wrong. Method: everything as
// processes with full logs, good and bad paths; then every secret, read from the state both sides keep and from what was
// sent, is searched for in every log in raw, base64url, base64, hex and decimal form, whole or in part.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import { signVapid } from "../../src/webpush/vapid.ts";
import { flip, journalPath, journalState } from "./journal.ts";
import { type AgentProcess, type Program, Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";
const CHAT = "https://chat.example";
const MAIL = "https://mail.example";
const PAYLOAD = "a payload that only its app may read";
const TITLE = "A title for the screen and for no log";
const WA_TOKEN = "the app's very own WAToken";
/** Characters in a row that count as a leak; a uaid's first 8 hex digits are shown on purpose. */
const PART_CHARS = 12;

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
/** Secrets by name: bytes, or texts. */
const secrets = new Map<string, Uint8Array | string>();
const logs = new Map<string, string>();

beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  secrets.set("payload", PAYLOAD).set("title", TITLE).set("WAToken", WA_TOKEN);
  secrets.set("VAPID private key", base64urlDecode(sender.keys.privateKey));
  secrets.set("VAPID public key", base64urlDecode(sender.keys.publicKey));
  await playWithPrograms();
  await playWithApps();
  const keyring = JSON.parse(readFileSync(join(service.directory, "keys.json"), "utf8"));
  for (const [id, key] of Object.entries<string>(keyring.keys))
    secrets.set(`sealing key ${id}`, base64urlDecode(key));
  const tlsKey = readFileSync(join(service.directory, "tls", "key.pem"), "utf8");
  secrets.set("TLS key", tlsKey.split("\n")[1] ?? "");
  await service.end("SIGTERM");
  keep("push service", service.program);
});
afterAll(() => stage.close());

test("the search finds what is there", () => {
  const endpoint = secrets.get("endpoint of https://chat.example") as string;
  const key = secrets.get("p256dh of https://chat.example") as Uint8Array;
  expect(leaksIn(`delivered to ${endpoint.slice(5, 30)}…`)).toEqual(["endpoint of https://chat.example"]);
  expect(leaksIn(`key=${Buffer.from(key).toString("hex")}`)).toEqual(["p256dh of https://chat.example"]);
  expect(leaksIn(JSON.stringify([...key]))).toEqual(["p256dh of https://chat.example"]);
  expect(leaksIn(`got ${PAYLOAD.slice(2, 20)}`)).toEqual(["payload"]);
  expect(secrets.size).toBeGreaterThan(25);
});

test("the logs tell what happened", () => {
  expect(logs.get("push service")).toMatch(/^message-accepted /m);
  expect(logs.get("push service")).toMatch(/^refused route=\/p\/ status=410 errno=106$/m);
  expect(logs.get("push service")).toMatch(/^refused route=\/p\/ status=404 errno=102$/m);
  expect(logs.get("push service")).toMatch(/^refused route=\/p\/ status=401 errno=109$/m);
  expect(logs.get("push service")).toMatch(/^refused route=\/v1\/ws status=401 errno=310$/m);
  expect(logs.get("godwit agent")).toMatch(/^shown .*by=declared$/m);
  expect(logs.get("godwit agent")).toMatch(/^dropped .*code=ERR_ECE_AUTH_FAILED$/m);
  expect(logs.get("apps")).toMatch(/"type":"delivered"/);
  expect(logs.get("apps")).toMatch(/"type":"subscriptionLost"/);
  expect(logs.get("apps")).toMatch(/"code":"ERR_JOURNAL_RECORD"/);
});

test.each([
  "push service",
  "godwit agent",
  "godwit agent again",
  "godwit agent --record",
  "godwit send",
  "godwit status",
  "apps",
])("no secret is in the log of %s", (name) => {
  const log = logs.get(name) ?? "";
  expect(log).not.toBe("");
  expect(leaksIn(log)).toEqual([]);
});

test("a recorded trace names no app and no network either", () => {
  const trace = logs.get("godwit agent --record") ?? "";
  expect(trace.match(/^\{"trace":/gm)).toHaveLength(2);
  expect(trace).toMatch(/"type":"notification","id":1/);
  for (const { hostname } of [NEWS, CHAT, MAIL].map((origin) => new URL(origin)))
    expect(trace).not.toContain(hostname);
});

/** Push service, agent, subscribe, send, unsubscribe: all as a person would use them. */
async function playWithPrograms(): Promise<void> {
  const state = stage.newDirectory();
  const vapid = stage.file("vapid.json", sender.keys);
  const ca = ["--ca", service.caFile];
  const agentArgs = [
    "agent",
    "--state",
    state,
    "--service",
    service.origin,
    ...ca,
    "--permission",
    "granted",
    "--record",
    join(state, "trace"),
  ];
  const agent = stage.godwit(agentArgs);
  await agent.stderr.match(/^agent ready/);
  const sent: string[] = [];
  const send = async (subscription: PushSubscriptionJSON, ...args: string[]): Promise<void> => {
    const file = stage.file("subscription.json", subscription);
    const keys = args.includes("--vapid-keys") ? [] : ["--vapid-keys", vapid];
    const { stdout, stderr } = await stage.run(["send", "--subscription", file, ...keys, ...ca, ...args]);
    sent.push(stdout, stderr);
  };
  const subscribe = async (owner: string): Promise<PushSubscriptionJSON> => {
    const key = ["--application-server-key", sender.keys.publicKey];
    const { stdout } = await stage.run(["subscribe", owner, "--state", state, ...key]);
    return JSON.parse(stdout) as PushSubscriptionJSON;
  };
  const news = await subscribe(NEWS);
  await send(news, "--title", TITLE, "--body", PAYLOAD);
  await send(news, PAYLOAD);
  // Encrypted for somebody else, sent by somebody else, to nowhere, and to one that is gone.
  const stranger = await subscribe(MAIL);
  await send({ ...news, keys: stranger.keys }, PAYLOAD);
  await send(news, PAYLOAD, "--vapid-keys", stage.file("stranger.json", new Sender(service).keys));
  await send({ ...news, endpoint: `${news.endpoint}x` }, PAYLOAD);
  await agent.stderr.match(/^dropped .*ERR_ECE_AUTH_FAILED$/);
  collect("first agent", journalState(state));
  const status = await stage.run(["status", "--state", state, "--json"]);
  const list = await stage.run(["subscriptions", "--state", state, "--json"]);
  await stage.run(["unsubscribe", NEWS, "--state", state]);
  await service.stderr.match(/^unregistered /);
  await send(news, PAYLOAD);
  await agent.end("SIGTERM");
  logs.set("godwit send", sent.join("\n"));
  logs.set("godwit status", [status.stdout, status.stderr, list.stdout, list.stderr].join("\n"));
  keep("godwit agent", agent, "stderr");

  // The same state under a token that is void by now.
  await makeVoid("first agent uaToken");
  const again = stage.godwit(agentArgs);
  await again.stderr.match(/^token renewed=true$/);
  await again.stderr.match(/^registered /);
  keep("godwit agent again", again, "stderr");
  await again.end("SIGTERM");
  logs.set("godwit agent --record", readFileSync(join(state, "trace"), "utf8"));
}

/** Apps that take, fail, are revoked, and lose their device's token. */
async function playWithApps(): Promise<void> {
  const options = { service, stateDirectory: stage.newDirectory(), owners: [CHAT, MAIL], random: 0 };
  const first = await stage.agent(options);
  const init = { applicationServerKey: sender.keys.publicKey };
  const chat = await first.subscribe(CHAT, { ...init, waToken: WA_TOKEN });
  const mail = await first.subscribe(MAIL, init);
  const declared = { web_push: 8030, notification: { title: TITLE, navigate: "/" }, mutable: true };
  await sender.send(chat, PAYLOAD);
  await first.pushed(PAYLOAD);
  await sender.send(chat, JSON.stringify(declared), { topic: "a-topic" });
  await first.pushed(TITLE);
  collect("apps", journalState(options.stateDirectory));
  await service.request("DELETE", mail.endpoint, { Authorization: revokeToken(mail.endpoint) });
  await first.changed(MAIL);
  await first.end("SIGKILL");
  const failing = await stage.agent({ ...options, fails: true });
  await sender.send(chat, PAYLOAD);
  await failing.pushed(PAYLOAD);
  await failing.end("SIGKILL");
  await makeVoid("apps uaToken");
  flip(journalPath(options.stateDirectory), ({ type }) => type === "device");
  const last = await stage.agent(options);
  const { newSubscription } = await last.changed(CHAT);
  collect("renewed", journalState(options.stateDirectory));
  if (newSubscription !== null) await sender.send(newSubscription, PAYLOAD);
  await last.pushed(PAYLOAD);
  await last.close();
  logs.set("apps", [first, failing, last].map(reportsOf).join("\n"));
}

/** Uses a fresher token of the same device, which makes the old one void. */
async function makeVoid(name: string): Promise<void> {
  const authorization = `Bearer ${secrets.get(name)}`;
  const { json } = await service.request("POST", "/v1/token", { Authorization: authorization });
  secrets.set(`${name}, fresher`, json.uaToken as string);
  await once(service.dial(`Bearer ${json.uaToken}`), "open");
}

function revokeToken(endpoint: string): string {
  const { publicKey, privateKey } = sender.keys;
  return signVapid({
    keys: { publicKey: base64urlDecode(publicKey), privateKey: base64urlDecode(privateKey) },
    audience: service.origin,
    expiresS: Math.floor(Date.now() / 1000) + 60,
    subject: endpoint,
    claims: { act: "revoke" },
  });
}

/** Everything secret that an agent keeps. */
function collect(name: string, state: ReturnType<typeof journalState>): void {
  const { userAgent, device } = state;
  if (userAgent !== null) {
    secrets.set(`${name} uaToken`, userAgent.uaToken).set(`${name} uaid`, userAgent.uaid);
  }
  if (device !== null) secrets.set(`${name} device secret`, device.deviceSecret);
  for (const subscription of state.subscriptions.values()) {
    const { owner, endpoint, publicKey, privateKey, authSecret, waToken, registrationId } = subscription;
    secrets.set(`p256dh of ${owner}`, publicKey);
    secrets.set(`private key of ${owner}`, privateKey);
    secrets.set(`auth of ${owner}`, authSecret);
    secrets.set(`registration id of ${owner}`, registrationId);
    if (waToken !== null && waToken !== WA_TOKEN) secrets.set(`WAToken of ${owner}`, waToken);
    if (endpoint !== null) secrets.set(`endpoint of ${owner}`, endpoint.slice(endpoint.lastIndexOf("/") + 1));
  }
}

/** Names of the secrets of which `log` holds a part. */
function leaksIn(log: string): string[] {
  return [...secrets]
    .filter(([, secret]) => formsOf(secret).some((form) => hasPart(log, form)))
    .map(([name]) => name);
}

function formsOf(secret: Uint8Array | string): string[] {
  if (typeof secret === "string") return [secret, Buffer.from(secret).toString("base64url")];
  const buffer = Buffer.from(secret);
  const texts = [buffer.toString("base64url"), buffer.toString("base64"), buffer.toString("hex")];
  return [...texts, buffer.toString("latin1"), [...secret].join(","), [...secret].join(", ")];
}

function hasPart(log: string, form: string): boolean {
  for (let at = 0; at + PART_CHARS <= form.length; at++)
    if (log.includes(form.slice(at, at + PART_CHARS))) return true;
  return false;
}

/** stdout of `godwit agent` is the screen; of all others it counts too. */
function keep(name: string, program: Program, only?: "stderr"): void {
  const stdout = only === undefined ? program.stdout.all : [];
  logs.set(name, [...program.stderr.all, ...stdout].join("\n"));
}

function reportsOf(agent: AgentProcess): string {
  return [...agent.events("report").map((report) => JSON.stringify(report)), ...agent.stderr.all].join("\n");
}
