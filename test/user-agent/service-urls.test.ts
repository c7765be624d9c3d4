// SPDX-License-Identifier: MIT
// Goal: URLs of a configuration are read the same with and without an engine's URL, and refused alike. Method: tables; the spec runs
// inside QuickJS too, which has no URL.

import { expect, test } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import {
  defaultMqttUrls,
  dialectOf,
  isLoopbackOrigin,
  readMqttUrl,
  readServiceUrl,
} from "../../src/user-agent/service-urls.ts";

/** What it gives, or the code and text of what it throws. */
function outcome(read: () => string): string {
  try {
    return read();
  } catch (error) {
    return error instanceof GodwitError ? `${error.code}: ${error.message}` : String(error);
  }
}

test.each([
  ["https://push.example", "https://push.example"],
  ["HTTPS://Push.Example/", "https://push.example"],
  ["https://push.example:443", "https://push.example"],
  ["https://push.example:8443", "https://push.example:8443"],
  ["https://b\u00fccher.example", "https://xn--bcher-kva.example"],
  ["https://[2001:DB8::0:1]:8443/", "https://[2001:db8::1]:8443"],
  ["https://192.0.2.1", "https://192.0.2.1"],
  ["http://localhost:8080", "http://localhost:8080"],
  ["http://127.0.0.1", "http://127.0.0.1"],
  ["http://[::1]:1/", "http://[::1]:1"],
  ["wss://push.services.mozilla.com/", "https://push.services.mozilla.com"],
  ["WSS://push.example:443", "https://push.example"],
  ["ws://localhost:8080", "http://localhost:8080"],
])("the service %s is %s", (text, origin) => {
  expect(outcome(() => readServiceUrl(text))).toBe(origin);
});

const NO_URL = "ERR_CONFIG: serviceUrl must be an https URL, or a wss URL for dialect autopush";
const NOT_CLEAR = "ERR_CONFIG: http is for loopback only: use an https serviceUrl";
const NO_MORE = "ERR_CONFIG: serviceUrl must have no path, query or user";

test.each([
  ["", NO_URL],
  ["nonsense", NO_URL],
  ["push.example", NO_URL],
  ["ftp://push.example", NO_URL],
  ["file:///etc/passwd", NO_URL],
  ["https://", NO_URL],
  ["https://push.example:99999", NO_URL],
  ["https://push example", NO_URL],
  ["http://push.example", NOT_CLEAR],
  ["ws://push.example", NOT_CLEAR],
  ["wss://push.example/path", NO_MORE],
  ["http://localhost.example", NOT_CLEAR],
  ["http://localhost@push.example", NOT_CLEAR],
  ["http://127.0.0.2", NOT_CLEAR],
  ["https://push.example/path", NO_MORE],
  ["https://push.example//", NO_MORE],
  ["https://push.example/?a", NO_MORE],
  ["https://push.example#a", NO_MORE],
  ["https://user@push.example", NO_MORE],
  ["https://:password@push.example", NO_MORE],
])("the service %j is refused: %s", (text, error) => {
  expect(outcome(() => readServiceUrl(text))).toBe(error);
});

test.each([
  ["mqtts://push.example", "mqtts://push.example:8883"],
  ["mqtts://push.example:443/", "mqtts://push.example:443"],
  ["MQTTS://[2001:db8::1]", "mqtts://[2001:db8::1]:8883"],
  ["mqtt://localhost", "mqtt://localhost:1883"],
  ["mqtt://127.0.0.1:2883", "mqtt://127.0.0.1:2883"],
  ["mqtt://push.example", "ERR_CONFIG: mqtt is for loopback only: use an mqtts URL"],
  ["https://push.example", "ERR_CONFIG: an MQTT URL is like mqtts://push.example:8883"],
  ["mqtts:push.example", "ERR_CONFIG: an MQTT URL is like mqtts://push.example:8883"],
  ["mqtts://", "ERR_CONFIG: an MQTT URL is like mqtts://push.example:8883"],
  ["mqtts:///a", "ERR_CONFIG: an MQTT URL is like mqtts://push.example:8883"],
  ["mqtts://push.example:70000", "ERR_CONFIG: an MQTT URL is like mqtts://push.example:8883"],
  ["mqtts://push.example/a", "ERR_CONFIG: an MQTT URL has no path, query or user"],
  ["mqtts://push.example?a", "ERR_CONFIG: an MQTT URL has no path, query or user"],
  ["mqtts://user:password@push.example", "ERR_CONFIG: an MQTT URL has no path, query or user"],
])("of the broker %j comes %s", (text, expected) => {
  expect(outcome(() => readMqttUrl(text))).toBe(expected);
});

test("MQTT is looked for beside a service on its own port, and not beside another", () => {
  expect(defaultMqttUrls("https://push.example")).toEqual([
    "mqtts://push.example:8883",
    "mqtts://push.example:443",
  ]);
  expect(defaultMqttUrls("https://[2001:db8::1]")[1]).toBe("mqtts://[2001:db8::1]:443");
  expect(defaultMqttUrls("https://push.example:8443")).toEqual([]);
  expect(defaultMqttUrls("http://localhost")).toEqual([]);
});

test("only this machine needs no network", () => {
  expect(["http://localhost:1", "https://[::1]", "https://127.0.0.1:3"].map(isLoopbackOrigin)).toEqual([
    true,
    true,
    true,
  ]);
  expect(["https://localhost.example", "https://192.0.2.1"].map(isLoopbackOrigin)).toEqual([false, false]);
});

test.each([
  ["https://push.example", undefined, "godwit.v1"],
  ["http://localhost", undefined, "godwit.v1"],
  ["wss://push.example", undefined, "autopush"],
  ["ws://localhost", undefined, "autopush"],
  ["https://push.example", "autopush", "autopush"],
  ["wss://push.example", "godwit.v1", "godwit.v1"],
] as const)("%s, told %j: %s", (serviceUrl, dialect, spoken) => {
  expect(dialectOf({ serviceUrl, ...(dialect === undefined ? {} : { dialect }) })).toBe(spoken);
});
