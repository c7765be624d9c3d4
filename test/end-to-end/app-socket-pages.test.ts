// SPDX-License-Identifier: MIT
// Goal: a page is let in by proving its secret to the agent it dialled, and by nothing else; whoever takes the port while the agent is
// away gets nothing that opens a session anywhere. Method: the real agent as a process; strangers with a challenge of their own, and
// an impostor at the port that writes down all the real client says, lies to it, and asks the agent for what to lie.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { connect } from "../../src/apps/client.ts";
import type { WebSocketClass } from "../../src/apps/connection.ts";
import { type DialOptions, type Message, proofOf, SocketClient } from "./socket-client.ts";
import { type Program, type ServiceProcess, Stage } from "./stage.ts";

const PAGE = "http://localhost:8123";
const OTHER_PAGE = "http://localhost:8124";
/** May have pages, and has none. */
const NO_PAGE = "https://nobody.example";
const REFUSAL = {
  heard: ['{"id":1,"error":{"code":"ERR_APP_AUTH","name":"NotAllowedError","message":"not authorised"}}'],
  closeCode: 4401,
};
const GUESS = "A".repeat(43);

let stage: Stage;
let service: ServiceProcess;
let state: string;
let policy: string;
let agent: Program;
let port: number;
const secrets = new Map<string, string>();

beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  state = stage.newDirectory();
  policy = stage.file("policy.json", { permission: "granted", pageOrigins: [PAGE, OTHER_PAGE] });
  await startAgent();
  const token = readFileSync(join(state, "admin.token"), "utf8").trim();
  const admin = await SocketClient.enter(unix(), { role: "admin", token });
  for (const owner of [PAGE, OTHER_PAGE, NO_PAGE])
    secrets.set(owner, String((await admin.ask("pageSecret", { owner })).secret));
  await admin.ask("subscribe", { owner: PAGE, applicationServerKey: null, freshness: null });
  await admin.close();
});
afterAll(() => stage.close());

async function startAgent(at = 0): Promise<void> {
  const args = ["--service", service.origin, "--ca", service.caFile, "--state", state, "--policy", policy];
  agent = stage.userAgent([...args, "--app-port", String(at)]);
  port = Number(/127\.0\.0\.1:(\d+)$/.exec(await agent.stderr.match(/^agent ready/))?.[1]);
}

const unix = (): DialOptions => ({ at: join(state, "app.sock") });
const tcp = (origin?: string): DialOptions => ({ at: port, ...(origin === undefined ? {} : { origin }) });
const here = () => `http://127.0.0.1:${port}`;

async function dialed(dial: DialOptions): Promise<SocketClient> {
  const client = await SocketClient.dial(dial);
  if (typeof client === "number") throw new Error(`refused with ${client}`);
  stage.defer(() => client.webSocket.terminate());
  return client;
}

/** All that is heard by who says hello without a challenge. */
async function hear(dial: DialOptions, hello: object) {
  const client = await dialed(dial);
  client.say({ id: 1, type: "hello", ...hello });
  const { closeCode } = await client.closed;
  return { heard: client.heard, closeCode };
}

/** The same after a challenge; what it is may go into the `hello`. */
async function hearChallenged(dial: DialOptions, helloFor: (challenge: string) => object) {
  const client = await dialed(dial);
  const challenge = await challengeOf(client);
  client.say({ id: 1, type: "hello", ...helloFor(challenge) });
  const { closeCode } = await client.closed;
  return { heard: client.heard.slice(1), closeCode };
}

async function challengeOf(client: SocketClient): Promise<string> {
  client.say({ id: 0, type: "challenge" });
  const { result } = await client.first("the challenge", ({ id }) => id === 0);
  return String((result as Message).challenge);
}

/** What the page of `owner` says that has the secret of `of`, bound to where the agent is, or to another place. */
const pageHello = (owner: string, of: string, challenge: string, agentOrigin = here()) => ({
  role: "page",
  owner,
  proof: proofOf(secrets.get(of) ?? "", challenge, agentOrigin),
});

describe("refused like any other", () => {
  const unchallenged: Record<string, () => object> = {
    "the secret itself": () => ({ role: "page", owner: PAGE, token: secrets.get(PAGE) }),
    "the secret as a proof": () => ({ role: "page", owner: PAGE, proof: secrets.get(PAGE) }),
    "a proof to no challenge": () => pageHello(PAGE, PAGE, ""),
    "a proof to a challenge that is null": () => pageHello(PAGE, PAGE, "null"),
    "a proof to no challenge of an owner that has no page": () => pageHello(NO_PAGE, NO_PAGE, ""),
  };
  test.each(Object.keys(unchallenged))("without a challenge: %s", async (name) => {
    expect(await hear(tcp(PAGE), unchallenged[name]?.() ?? {})).toEqual(REFUSAL);
  });

  /** Where it dials, and what it says. */
  const challenged: Record<string, () => [DialOptions, (challenge: string) => object]> = {
    "no proof": () => [tcp(PAGE), () => ({ role: "page", owner: PAGE })],
    "a guess": () => [tcp(PAGE), () => ({ role: "page", owner: PAGE, proof: GUESS })],
    "a guess for an owner that has no page": () => [
      tcp(NO_PAGE),
      () => ({ role: "page", owner: NO_PAGE, proof: GUESS }),
    ],
    "a guess for an owner that can have none": () => [
      tcp(PAGE),
      () => ({ role: "page", owner: "an-app", proof: GUESS }),
    ],
    "a proof that is no text": () => [tcp(PAGE), () => ({ role: "page", owner: PAGE, proof: [GUESS] })],
    "the secret itself": () => [
      tcp(PAGE),
      () => ({ role: "page", owner: PAGE, proof: secrets.get(PAGE), token: secrets.get(PAGE) }),
    ],
    "the right proof from a page of another origin": () => [
      tcp(OTHER_PAGE),
      (challenge) => pageHello(PAGE, PAGE, challenge),
    ],
    "the right proof without an Origin": () => [tcp(), (challenge) => pageHello(PAGE, PAGE, challenge)],
    "another page's proof": () => [tcp(PAGE), (challenge) => pageHello(PAGE, OTHER_PAGE, challenge)],
    "a proof for another port": () => [
      tcp(PAGE),
      (challenge) => pageHello(PAGE, PAGE, challenge, "http://127.0.0.1:1"),
    ],
    "a proof for another name of this port": () => [
      tcp(PAGE),
      (challenge) => pageHello(PAGE, PAGE, challenge, `http://localhost:${port}`),
    ],
    "a proof at the Unix socket, where there are no pages": () => [
      { ...unix(), origin: NO_PAGE },
      (challenge) => pageHello(NO_PAGE, NO_PAGE, challenge, "http://127.0.0.1"),
    ],
    "a page's proof as an app": () => [
      unix(),
      (challenge) => ({ ...pageHello(PAGE, PAGE, challenge), role: "app" }),
    ],
    "a page's proof as a session": () => [
      tcp(here()),
      (challenge) => ({ ...pageHello(PAGE, PAGE, challenge), role: "admin", claims: PAGE }),
    ],
  };
  test.each(Object.keys(challenged))("challenged: %s", async (name) => {
    const [dial, helloFor] = challenged[name]?.() ?? [unix(), () => ({})];
    expect(await hearChallenged(dial, helloFor)).toEqual(REFUSAL);
  });

  test("what proved a page once, and who asks to be challenged twice", async () => {
    const page = await dialed(tcp(PAGE));
    const hello = await page.pageHello(PAGE, secrets.get(PAGE), here());
    expect(await page.ask("hello", hello)).toEqual({ owner: PAGE, permission: "granted" });
    expect(await hear(tcp(PAGE), hello)).toEqual(REFUSAL);
    expect(await hearChallenged(tcp(PAGE), () => hello)).toEqual(REFUSAL);
    const twice = await dialed(tcp(PAGE));
    await challengeOf(twice);
    twice.say({ id: 1, type: "challenge" });
    const { closeCode } = await twice.closed;
    expect({ heard: twice.heard.slice(1), closeCode }).toEqual(REFUSAL);
    // Who was let in becomes nobody else.
    for (const type of ["hello", "challenge"])
      await expect(page.ask(type, hello)).rejects.toMatchObject({ code: "ERR_OPTION" });
    expect(await page.ask("permissionState")).toEqual({ permission: "granted" });
    await page.close();
  });

  test("under another name of the agent a page proves itself for that name", async () => {
    const page = await dialed({ ...tcp(PAGE), host: `localhost:${port}` });
    const hello = await page.pageHello(PAGE, secrets.get(PAGE), `http://localhost:${port}`);
    expect(await page.ask("hello", hello)).toMatchObject({ owner: PAGE });
    await page.close();
  });
});

test("an impostor at the port gets nothing that is of use, at this agent or at one that moved to another port", async () => {
  const [takenPort, secret] = [port, secrets.get(PAGE) ?? ""];
  const page = connect({
    url: `ws://127.0.0.1:${takenPort}/v1/app`,
    owner: PAGE,
    token: secret,
    WebSocket: webSocketOf(PAGE),
    jitter: () => 0.1,
  });
  stage.defer(() => page.close());
  expect(await page.pushManager.permissionState()).toBe("granted");
  await agent.end("SIGTERM");
  const impostor = new WebSocketServer({ port: takenPort, host: "127.0.0.1" });
  stage.defer(() => impostor.close());
  await once(impostor, "listening");
  const agentMoved = startAgent();

  // It lies what the agent itself asks, and what would be that with more behind it, were both not kept apart.
  const recorded: string[] = [];
  const relayed: unknown[] = [];
  const lies: readonly ((challenge: string) => string)[] = [
    (challenge) => challenge,
    (challenge) => `${challenge}\0${here()}`,
    (challenge) => `${challenge}\0${here()}\0`,
    () => "",
  ];
  const isOver = new Promise<void>((resolve, reject) => {
    impostor.on("connection", (socket, { headers, url }) => {
      recorded.push(JSON.stringify({ headers, url }));
      const relays: SocketClient[] = [];
      const play = async (data: RawData) => {
        recorded.push(String(data));
        await agentMoved;
        const { id, ...said } = JSON.parse(String(data)) as Message;
        const answer = (result: object) => socket.send(JSON.stringify({ id, result }));
        if (said.type === "hello") {
          const relay = relays.at(-1);
          relay?.say({ ...said, id: 1 });
          relayed.push({ ...(await relay?.closed), heard: relay?.heard.slice(1) });
        } else if (said.type === "permissionState") {
          // Whatever it is answered: it has said all it says to its agent.
          return resolve();
        } else if (said.type !== "challenge") return;
        const lie = lies[relays.length];
        if (lie === undefined) return answer({ owner: PAGE, permission: "granted" });
        const relay = await dialed(tcp(PAGE));
        relays.push(relay);
        answer({ challenge: lie(await challengeOf(relay)) });
      };
      socket.on("message", (data) => void play(data).catch(reject));
    });
  });
  const asked = page.pushManager.permissionState();
  await Promise.all([agentMoved, isOver]);
  expect(port).not.toBe(takenPort);
  expect(relayed).toEqual(lies.map(() => REFUSAL));

  // The agent has its port again, and the impostor all that was ever said to it.
  await agent.end("SIGTERM");
  for (const socket of impostor.clients) socket.terminate();
  await new Promise<void>((resolve) => void impostor.close(() => resolve()));
  await startAgent(takenPort);
  expect(recorded.filter((text) => text.includes(secret))).toEqual([]);
  const hellos = recorded.map((text) => JSON.parse(text) as Message).filter(({ type }) => type === "hello");
  expect(hellos).toHaveLength(lies.length);
  for (const { id: _, ...hello } of hellos) {
    for (const member of ["proof", "token"]) {
      const replayed = { ...hello, [member]: hello.proof };
      expect(await hear(tcp(PAGE), replayed)).toEqual(REFUSAL);
      expect(await hearChallenged(tcp(PAGE), () => replayed)).toEqual(REFUSAL);
    }
    // Nor is it a key to prove anything with.
    const withKey = (challenge: string) => ({
      ...hello,
      proof: proofOf(String(hello.proof), challenge, here()),
    });
    expect(await hearChallenged(tcp(PAGE), withKey)).toEqual(REFUSAL);
  }
  page.open();
  expect(await asked).toBe("granted");
});

/** As a browser has it in a page of that origin. */
function webSocketOf(origin: string): WebSocketClass {
  return class extends WebSocket {
    constructor(url: string, subprotocol: string) {
      super(url, subprotocol, { origin });
    }
  };
}
