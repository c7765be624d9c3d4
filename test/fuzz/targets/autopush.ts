// SPDX-License-Identifier: MIT
/**
 * Frames of dialect autopush: read by both ends as what they are, and by the device's end as what the agent is told. What is read is
 * written and read again as the same; two devices that hear the same understand the same. No tests here.
 */

import { utf8Decode, utf8Encode } from "../../../src/bytes.ts";
import type { ErrorCode } from "../../../src/errors.ts";
import { jsonNesting } from "../../../src/json.ts";
import {
  ACK_RANGES_MAX,
  AUTOPUSH_FRAME_BYTES_MAX,
  AUTOPUSH_JSON_DEPTH_MAX,
  AUTOPUSH_UPDATES_MAX,
} from "../../../src/limits.ts";
import {
  type AutopushDownstream,
  type AutopushUpstream,
  encodeAutopushDownstream,
  encodeAutopushUpstream,
  parseAutopushDownstream,
  parseAutopushUpstream,
} from "../../../src/wire/autopush.ts";
import { autopushChannel, autopushChannelId, autopushDevice } from "../../../src/wire/autopush-device.ts";
import type { Upstream } from "../../../src/wire/dialect.ts";
import { mutateJson } from "../json.ts";
import { holds, resultOrCode, same, type Target } from "../target.ts";

const CODES: readonly ErrorCode[] = [
  "ERR_FRAME_TOO_LONG",
  "ERR_JSON_MALFORMED",
  "ERR_FRAME_UNKNOWN_TYPE",
  "ERR_FRAME_FIELD",
];
const CHANNEL_ID = "d9b74644-4f97-46aa-b8fa-9393985cd6cd";
const REGISTRATION_ID = new Uint8Array(16).fill(7);
const OWN_CHANNEL = autopushChannel(REGISTRATION_ID);

export const target: Target = {
  name: "autopush",
  covers: ["src/wire/autopush", "src/json.ts"],
  inputBytesMax: AUTOPUSH_FRAME_BYTES_MAX + 16,
  inputMsMax: 200,
  words: [
    ...[
      "messageType",
      "hello",
      "register",
      "unregister",
      "broadcast_subscribe",
      "broadcast",
      "ack",
      "nack",
      "ping",
    ],
    ...[
      "notification",
      "channelID",
      "channelIDs",
      "uaid",
      "key",
      "code",
      "updates",
      "version",
      "broadcasts",
      "status",
    ],
    ...[
      "pushEndpoint",
      "use_webpush",
      "data",
      "headers",
      "encoding",
      "encryption",
      "crypto_key",
      "aes128gcm",
      "aesgcm",
    ],
    ...[
      "errors",
      CHANNEL_ID,
      CHANNEL_ID.toUpperCase(),
      CHANNEL_ID.replaceAll("-", ""),
      "c2FsdA",
      "c2FsdA==",
      "-_",
      "+/",
    ],
  ],
  seeds: () => SEEDS.map((seed) => utf8Encode(JSON.stringify(seed))),
  mutate(input, random) {
    return mutateJson(input, this.words, random);
  },
  run(input) {
    const text = utf8Decode(input);
    const up = resultOrCode([...CODES, "ERR_CHANNEL_ID"], () => parseAutopushUpstream(text));
    if ("value" in up) checkUpstream(up.value);
    const down = resultOrCode(CODES, () => parseAutopushDownstream(text));
    if ("value" in down) checkDownstream(down.value);
    if ("value" in up || "value" in down) checkJson(text);
    const heard = hear(input);
    same("what another device hears", hear(input), heard);
    return (
      [up, down].map((read) => ("code" in read ? read.code : read.value.type)).join(" ") + heard.join(" ")
    );
  },
};

function checkJson(text: string): void {
  holds("what is read is within the bound", utf8Encode(text).length <= AUTOPUSH_FRAME_BYTES_MAX);
  holds("it nests within the bound", jsonNesting(text) <= AUTOPUSH_JSON_DEPTH_MAX);
}

function checkUpstream(message: AutopushUpstream): void {
  const again = encodeAutopushUpstream(message);
  // What was escaped before may be longer now, and over the bound.
  const read = resultOrCode(["ERR_FRAME_TOO_LONG"], () => parseAutopushUpstream(again));
  if ("value" in read) same("the message written and read again", read.value, message);
}

function checkDownstream(message: AutopushDownstream): void {
  // What stands for content that makes no sense has no form of its own.
  if (message.type === "notification" && message.data?.length === 0) return;
  const again = encodeAutopushDownstream(message);
  const read = resultOrCode(["ERR_FRAME_TOO_LONG"], () => parseAutopushDownstream(again));
  if ("value" in read) same("the message written and read again", read.value, message);
}

/** What the agent is told of `frame`, on a device that asked for everything one can; and what it answers. */
function hear(frame: Uint8Array): string[] {
  const device = autopushDevice(() => [OWN_CHANNEL, 1]);
  const said = (message: Upstream): string[] => {
    const frames = device.encodeUpstream(message);
    const all = frames instanceof Uint8Array ? [frames] : frames;
    // Whatever the service sent, it is never sent what it could not read.
    return all.map((each) => parseAutopushUpstream(utf8Decode(each)).type);
  };
  const conditions = { heartbeatS: 0, windowS: 0, leastUrgency: "very-low" } as const;
  said({ type: "registerUa", uaToken: "autopush.YQ", conditions, channelsDigest: new Uint8Array(8) });
  said({ type: "registerWa", ref: 1, registrationId: REGISTRATION_ID, applicationServerKey: null });
  said({ type: "unregisterWa", ref: 2, channel: 1 });
  said({ type: "unregisterUa", ref: 3 });
  const heard: string[] = [];
  for (let times = 0; times < 2; times++) {
    const read = resultOrCode([...CODES, "ERR_BASE64URL"], () => device.parseDownstream(frame));
    if ("code" in read) heard.push(read.code);
    else if (read.value === undefined) heard.push("nothing");
    else {
      heard.push(read.value.type);
      if (read.value.type !== "notification") continue;
      const { id } = read.value;
      const acks = said({ type: "ack", code: "ok", ranges: [[id, id]] });
      same("one message is acknowledged once", acks, ["ack"]);
      same("and then no more", said({ type: "ack", code: "ok", ranges: [[id, id]] }), []);
    }
  }
  holds("bounds fit", AUTOPUSH_UPDATES_MAX <= ACK_RANGES_MAX);
  return heard;
}

const OWN_ID = [...autopushChannelId(OWN_CHANNEL)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const headers = { encoding: "aesgcm", encryption: "salt=c2FsdA", crypto_key: "dh=ZGg" };
const SEEDS: readonly object[] = [
  {},
  {
    messageType: "hello",
    uaid: CHANNEL_ID,
    broadcasts: { a: "v1" },
    channelIDs: [CHANNEL_ID],
    use_webpush: true,
  },
  { messageType: "register", channelID: CHANNEL_ID, key: "BA==" },
  { messageType: "unregister", channelID: CHANNEL_ID, code: 200 },
  { messageType: "broadcast_subscribe", broadcasts: { "remote-settings/monitor": '"v1"' } },
  {
    messageType: "ack",
    updates: [
      { channelID: CHANNEL_ID, version: "AAAA:BB", code: 100 },
      { channelID: OWN_ID, version: "" },
    ],
  },
  { messageType: "nack", version: "AAAA", code: 301 },
  { messageType: "ping" },
  {
    messageType: "hello",
    uaid: "abc",
    status: 200,
    use_webpush: true,
    broadcasts: { b: "2", errors: { a: "no" } },
  },
  {
    messageType: "register",
    channelID: OWN_ID,
    status: 200,
    pushEndpoint: "https://push.example/wpush/v2/gAAAA",
  },
  { messageType: "register", channelID: OWN_ID, status: 500 },
  { messageType: "unregister", channelID: OWN_ID, status: 200 },
  {
    messageType: "notification",
    channelID: OWN_ID,
    version: "AAAA",
    data: "aGk",
    headers: { encoding: "aes128gcm" },
  },
  { messageType: "notification", channelID: CHANNEL_ID, version: "BBBB", data: "aGk", headers },
  { messageType: "notification", channelID: CHANNEL_ID, version: "CCCC" },
  { messageType: "broadcast", broadcasts: { "remote-settings/monitor": '"v2"' } },
];
