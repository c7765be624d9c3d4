// SPDX-License-Identifier: MIT
// Goal: options of the firmware scripts mean what they say, or are refused by name. Method: one wrong member at a time.

import { describe, expect, test } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import { readScriptOptions, SCRIPT_OPTIONS } from "../../src/quickjs/options.ts";

const LEAST = { serviceUrl: "https://push.example", stateDirectory: "/var/lib/godwit" };
const DEFAULTS = {
  deviceId: null,
  mqttUrls: null,
  heartbeatMs: null,
  windowS: 0,
  leastUrgency: "very-low",
  portalProbeUrl: null,
  keepConnected: false,
  httpAllowed: false,
  originsAllowed: [],
  permission: "denied",
  network: "follow",
};
const read = (options: unknown) => readScriptOptions(JSON.stringify(options), SCRIPT_OPTIONS);

describe("script options", () => {
  test("what is missing, or null, has its default", () => {
    expect(read(LEAST)).toEqual({ ...LEAST, ...DEFAULTS });
    const nulls = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, null]));
    expect(read({ ...LEAST, ...nulls })).toEqual({ ...LEAST, ...DEFAULTS });
  });

  test("what is given counts", () => {
    const given = {
      ...LEAST,
      deviceId: "phone 7",
      mqttUrls: [],
      heartbeatMs: 60_000,
      windowS: 30,
      leastUrgency: "normal",
      portalProbeUrl: "http://probe.example/",
      keepConnected: true,
      httpAllowed: true,
      originsAllowed: ["https://a.example"],
      permission: "ask",
      network: "told",
    };
    expect(read(given)).toEqual(given);
  });

  test.each([
    ["serviceUrl", 1, "serviceUrl must be a text of at most 1024 characters"],
    ["serviceUrl", null, "serviceUrl is missing"],
    ["stateDirectory", "state", "stateDirectory must be an absolute path"],
    ["stateDirectory", `/${"a".repeat(3072)}`, "stateDirectory must be an absolute path"],
    ["stateDirectory", "/a\0b", "stateDirectory must be an absolute path"],
    ["deviceId", "", "deviceId must be a text of at most 256 characters"],
    ["mqttUrls", "mqtts://a.example", "mqttUrls must be a list of at most 4 texts"],
    ["mqttUrls", ["a", "b", "c", "d", "e"], "mqttUrls must be a list of at most 4 texts"],
    ["mqttUrls", [1], "mqttUrls must be a list of at most 4 texts"],
    ["heartbeatMs", 1, "heartbeatMs must be a whole number from 15000 to 86400000"],
    ["heartbeatMs", 20_000.5, "heartbeatMs must be a whole number from 15000 to 86400000"],
    ["windowS", -1, "windowS must be a whole number from 0 to 86400"],
    ["windowS", "1", "windowS must be a whole number from 0 to 86400"],
    ["leastUrgency", "medium", "leastUrgency must be one of very-low, low, normal, high"],
    ["keepConnected", 1, "keepConnected must be true or false"],
    ["permission", "toString", "permission must be one of granted, denied, ask"],
    ["colour", "red", "there is no option colour"],
    ["__proto__x", 1, "there is no option __proto__x"],
  ])("%s %j is refused", (name, value, message) => {
    expect(() => read({ ...LEAST, [name]: value })).toThrow(new GodwitError("ERR_CONFIG", message));
  });

  test.each([
    ["", "the options are no JSON"],
    ["[]", "the options are no object"],
    ["null", "the options are no object"],
    ['{"__proto__": {"serviceUrl": "https://a.example"}}', "there is no option __proto__"],
    ['{"constructor": 1}', "there is no option constructor"],
  ])("%s is refused", (json, message) => {
    expect(() => readScriptOptions(json, SCRIPT_OPTIONS)).toThrow(new GodwitError("ERR_CONFIG", message));
  });
});
