// SPDX-License-Identifier: MIT
/**
 * Why plaintext is not a declarative message: stable names with the sentence a developer reads. Pure data.
 */

export const REASONS = {
  "no-body": "the push had no body",
  never: "the subscription takes no declarative messages",
  "not-json": "not JSON",
  "json-too-deep": "objects and arrays nest too deeply",
  "not-an-object": "top level is not an object",
  "no-magic": "web_push missing or not the number 8030",
  "no-notification": "notification missing",
  "notification-not-an-object": "notification is not an object",
  "no-title": "title missing or not a string",
  "empty-title": "title is an empty string",
  "no-navigate": "navigate missing or not a string",
  "no-default-action-url": "default_action_url missing or not a string",
  "options-not-an-object": "options is not an object",
  "navigate-url": "the navigation URL does not parse",
  "action-url": "the URL of an action does not parse",
  "silent-vibrate": "silent true with vibrate present",
  "renotify-tag": "renotify true without a tag",
  "wrong-type": "a member has the wrong type",
} as const;

export type Reason = keyof typeof REASONS;
