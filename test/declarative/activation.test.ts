// Goal: activating follows harmless links only, asks before leaving the app's origin, and wakes the app only without one.
// Method: single activations; every scheme that must stay shut, also when a policy lists it.

import { describe, expect, test } from "vitest";
import { type ActivationPolicy, activate, type GodwitNotification } from "../../src/declarative/index.ts";
import { message, parsed } from "./support.ts";

const policy: ActivationPolicy = { baseUrl: "https://app.example/mail/", httpAllowed: false };
const ofUrl = (navigate: string): GodwitNotification => ({ ...parsed(message()), navigate });

describe("links", () => {
  test("the app's own origin opens at once", () => {
    expect(activate(ofUrl("https://app.example/x?y"), "", policy)).toStrictEqual({
      kind: "navigate",
      url: "https://app.example/x?y",
      crossOrigin: false,
      ask: false,
      host: "app.example",
    });
  });

  test.each([
    ["https://evil.example/", "evil.example"],
    ["https://app.example.evil.example/", "app.example.evil.example"],
    ["https://app.example@evil.example/", "evil.example"],
    ["https://app.example:8443/", "app.example:8443"],
    ["https://u:p@app.example:8443/@app.example/", "app.example:8443"],
  ])("%s leaves the origin", (url, host) => {
    expect(activate(ofUrl(url), "", policy)).toMatchObject({
      kind: "navigate",
      crossOrigin: true,
      ask: true,
      host,
    });
  });

  test("an allowed origin is still another one, but nobody is asked", () => {
    const allowing = { ...policy, originsAllowed: ["https://news.example"] };
    expect(activate(ofUrl("https://news.example/1"), "", allowing)).toMatchObject({
      crossOrigin: true,
      ask: false,
    });
    expect(activate(ofUrl("https://x.news.example/1"), "", allowing)).toMatchObject({ ask: true });
  });

  test("an app without an origin has no link of its own", () => {
    expect(activate(ofUrl("https://app.example/"), "", { ...policy, baseUrl: null })).toMatchObject({
      crossOrigin: true,
      ask: true,
    });
  });

  test("plain http needs configuration, unless the app itself lives there", () => {
    expect(activate(ofUrl("http://app.example/"), "", policy)).toEqual({ kind: "refused", reason: "http" });
    const allowing = { ...policy, httpAllowed: true };
    expect(activate(ofUrl("http://app.example/"), "", allowing)).toMatchObject({
      kind: "navigate",
      crossOrigin: true,
    });
    const local = { ...policy, baseUrl: "http://localhost:8080/" };
    expect(activate(ofUrl("http://localhost:8080/x"), "", local)).toMatchObject({ crossOrigin: false });
    expect(activate(ofUrl("http://localhost/x"), "", local)).toEqual({ kind: "refused", reason: "http" });
  });

  test.each([
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "blob:https://app.example/0",
    "filesystem:https://app.example/x",
    "vbscript:x",
    "about:blank",
    "view-source:https://app.example/",
  ])("%s never opens", (url) => {
    const scheme = url.slice(0, url.indexOf(":"));
    expect(activate(ofUrl(url), "", policy)).toEqual({ kind: "refused", reason: "scheme" });
    const careless = { ...policy, httpAllowed: true, schemesAllowed: [scheme] };
    expect(activate(ofUrl(url), "", careless)).toEqual({ kind: "refused", reason: "scheme" });
  });

  test("other schemes open when the device's owner allows them, and ask", () => {
    expect(activate(ofUrl("tel:+123"), "", policy)).toEqual({ kind: "refused", reason: "scheme" });
    expect(activate(ofUrl("tel:+123"), "", { ...policy, schemesAllowed: ["tel"] })).toEqual({
      kind: "navigate",
      url: "tel:+123",
      crossOrigin: true,
      ask: true,
      host: "tel",
    });
  });
});

describe("actions", () => {
  const declared = parsed(message({ actions: [{ action: "a", title: "A", navigate: "/a" }] }));

  test("an action opens its own link", () => {
    expect(activate(declared, "a", policy)).toMatchObject({ kind: "navigate", url: "https://app.example/a" });
  });

  test("without a link the app gets the event, with the action's name or none", () => {
    const made: GodwitNotification = {
      ...declared,
      navigate: null,
      actions: [{ action: "b", title: "B", navigate: null, icon: null }],
    };
    expect(activate(made, "", policy)).toEqual({ kind: "event", action: "" });
    expect(activate(made, "b", policy)).toEqual({ kind: "event", action: "b" });
  });

  test("an action without link does not open the link of the body", () => {
    const made = { ...declared, actions: [{ action: "b", title: "B", navigate: null, icon: null }] };
    expect(activate(made, "b", policy)).toEqual({ kind: "event", action: "b" });
  });

  test("an action that does not exist does nothing", () => {
    expect(activate(declared, "nope", policy)).toEqual({ kind: "refused", reason: "unknown-action" });
  });
});
