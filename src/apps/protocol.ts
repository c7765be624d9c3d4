// SPDX-License-Identifier: MIT
/**
 * Every message of the app socket (SPEC.md, "App socket"), for both ends of it. Pure types: JSON text frames, byte arrays as
 * unpadded base64url.
 */

import type { AppWarning, Choice, DeclarativeMode, Permission, Report } from "../agent/events.ts";
import type { AgentStatus } from "../agent/status.ts";
import type { AppBadge, GodwitNotification } from "../declarative/index.ts";
import type { ErrorCode } from "../errors.ts";
import type { Freshness } from "../journal/index.ts";

export const APP_SUBPROTOCOL = "godwit.app.v1";
export const APP_PATH = "/v1/app";
/** Close code after a `hello` that was refused; coming back with the same credential is in vain. */
export const CLOSE_REFUSED = 4401;
/** Close code for a peer that does not keep to the protocol or its bounds. */
export const CLOSE_PROTOCOL = 4400;
/** Close code when the agent stops; come back. */
export const CLOSE_GOING = 1001;
/** Close code after a `hello` that was right, where there are too many connections of its kind; come back later. */
export const CLOSE_BUSY = 1013;

/** Whose notification a test push is. An app id: no page can be it. */
export const TEST_OWNER = "godwit.test";
/** Where its link leads, which opens without a question: nobody has this name (RFC 6761). */
export const TEST_ORIGIN = "https://godwit.test";

export type Role = "app" | "page" | "shell" | "admin";

/**
 * May come before `hello`, once: answered with a `challenge` for the proof of a page or a session. What a page sends has to be of no
 * use to a program of somebody else that took the port while the agent was away.
 */
export interface ChallengeRequest {
  readonly request: { readonly type: "challenge" };
  readonly result: { readonly challenge: string };
}

/** First request on every connection, but for {@link ChallengeRequest}. */
export type Hello =
  | { readonly type: "hello"; readonly role: "app"; readonly owner: string; readonly token: string }
  /** `proof`, here and below: base64url of HMAC-SHA-256 by a secret over challenge, a zero byte and the agent's origin as dialled. */
  | { readonly type: "hello"; readonly role: "page"; readonly owner: string; readonly proof: string }
  | { readonly type: "hello"; readonly role: "shell"; readonly token: string }
  /**
   * The admin token, the code of a dashboard link (once), or the session that code was answered with (`CLAIMS.KEY`): its claims, and
   * the proof of its key.
   */
  | { readonly type: "hello"; readonly role: "admin"; readonly token: string }
  | { readonly type: "hello"; readonly role: "admin"; readonly code: string }
  | { readonly type: "hello"; readonly role: "admin"; readonly claims: string; readonly proof: string };

export interface SubscriptionJson {
  readonly subscriptionId: number;
  readonly endpoint: string;
  readonly expirationTime: number | null;
  readonly p256dh: string;
  readonly auth: string;
  readonly applicationServerKey: string | null;
  readonly userVisibleOnly: boolean;
}

export interface NotificationJson {
  readonly notificationId: number;
  readonly shownEpochMs: number;
  readonly notification: GodwitNotification;
}

/** Requests of the roles app and page, with what they are answered with in `result`. */
export interface AppRequests {
  subscribe: {
    readonly request: {
      readonly applicationServerKey: string | null;
      readonly userVisibleOnly: boolean;
      readonly waToken: string | null;
      readonly declarative: DeclarativeMode;
      readonly allowAesgcm: boolean;
      readonly freshness: Freshness | null;
    };
    readonly result: { readonly subscription: SubscriptionJson };
  };
  getSubscription: {
    readonly request: { readonly waToken: string | null };
    readonly result: { readonly subscription: SubscriptionJson | null };
  };
  unsubscribe: {
    readonly request: { readonly subscriptionId: number };
    readonly result: { readonly existed: boolean };
  };
  permissionState: { readonly request: object; readonly result: { readonly permission: Permission } };
  requestPermission: { readonly request: object; readonly result: { readonly permission: Permission } };
  showNotification: {
    readonly request: {
      readonly deliveryId: number | null;
      readonly title: string;
      readonly options: Readonly<Record<string, unknown>>;
    };
    readonly result: object;
  };
  getNotifications: {
    readonly request: { readonly tag: string | null };
    readonly result: { readonly notifications: readonly NotificationJson[] };
  };
  closeNotification: { readonly request: { readonly notificationId: number }; readonly result: object };
  setAppBadge: {
    readonly request: { readonly deliveryId: number | null; readonly badge: AppBadge };
    readonly result: object;
  };
  /** Messages and clicks come from here on. */
  attach: { readonly request: { readonly handlesPush: boolean }; readonly result: object };
  handled: { readonly request: { readonly deliveryId: number }; readonly result: object };
  failed: { readonly request: { readonly deliveryId: number }; readonly result: object };
}

/** Events to the roles app and page. */
export type AppEvent =
  | {
      readonly event: "push";
      readonly deliveryId: number;
      readonly subscriptionId: number;
      readonly messageId: string;
      readonly redelivered: boolean;
      readonly data: string | null;
      readonly notification: GodwitNotification | null;
      readonly appBadge: AppBadge | null;
    }
  /** The budget of that delivery is over. */
  | { readonly event: "cancel"; readonly deliveryId: number }
  | {
      readonly event: "notificationclick";
      readonly notification: GodwitNotification;
      readonly action: string;
    }
  | {
      readonly event: "pushsubscriptionchange";
      readonly oldSubscription: SubscriptionJson | null;
      readonly newSubscription: SubscriptionJson | null;
    }
  | { readonly event: "warning"; readonly code: AppWarning; readonly text: string };

/** Requests of the role shell. `answer*`, `activate` and `dismiss` are the admin's too. */
export interface ShellRequests {
  displayed: { readonly request: { readonly notificationId: number }; readonly result: object };
  displayFailed: { readonly request: { readonly notificationId: number }; readonly result: object };
  /** `action` "" is the body. */
  activate: {
    readonly request: { readonly notificationId: number; readonly action: string };
    readonly result: object;
  };
  /** The person closed it. */
  dismiss: { readonly request: { readonly notificationId: number }; readonly result: object };
  /** "prompt": left undecided. */
  answerPermission: {
    readonly request: { readonly owner: string; readonly permission: Permission };
    readonly result: object;
  };
  answerNavigation: {
    readonly request: {
      readonly notificationId: number;
      readonly action: string;
      readonly allowed: boolean;
    };
    readonly result: object;
  };
  /** What to inject into the page of that owner, and nowhere else. */
  pageSecret: {
    readonly request: { readonly owner: string };
    readonly result: { readonly url: string; readonly owner: string; readonly secret: string };
  };
}

/** Events to shells. Texts are fit for a screen; after `hello` everything that is shown comes once, without alert. */
export type ShellEvent =
  | {
      readonly event: "show";
      readonly notificationId: number;
      readonly owner: string;
      readonly replaces: number | null;
      readonly alert: boolean;
      readonly title: string;
      readonly body: string;
      readonly actions: readonly { readonly action: string; readonly title: string }[];
      readonly notification: Omit<GodwitNotification, "title" | "body" | "actions" | "data">;
    }
  | { readonly event: "close"; readonly notificationId: number }
  /** `text`: "" for none, a dot, a number up to 99, or "99+". */
  | { readonly event: "badge"; readonly owner: string; readonly badge: AppBadge; readonly text: string }
  | { readonly event: "openUrl"; readonly owner: string; readonly url: string }
  /** All page secrets are others from here on: ask for those that were injected. */
  | { readonly event: "pageSecrets" }
  | { readonly event: "permission"; readonly owner: string }
  | { readonly event: "permissionSettled"; readonly owner: string; readonly permission: Permission }
  /** May this link of another origin be opened? Show `host`. */
  | {
      readonly event: "navigation";
      readonly notificationId: number;
      readonly action: string;
      readonly owner: string;
      readonly host: string;
    }
  /** It was answered, or there is nothing to open any more. */
  | { readonly event: "navigationSettled"; readonly notificationId: number; readonly action: string };

/** An installed app as the admin sees it; the token is told once, at installation. */
export interface InstalledApp {
  readonly owner: string;
  /** Program that is run when messages or a click wait for the app, with its arguments; null for none. */
  readonly start: readonly string[] | null;
  /** Absolute path of the file that whoever installed it wrote the token to; a started app finds it in GODWIT_TOKEN_FILE. */
  readonly tokenFile: string | null;
}

/** Requests of the role admin besides `answer*`, `activate`, `dismiss`, `pageSecret`, and one for each {@link Choice} by its type. */
export interface AdminRequests {
  status: { readonly request: object; readonly result: AgentStatus };
  stats: { readonly request: object; readonly result: unknown };
  notifications: {
    readonly request: object;
    readonly result: readonly (NotificationJson & { readonly owner: string })[];
  };
  /** For the default subscription of that owner; answered as application servers take it. */
  subscribe: {
    readonly request: {
      readonly owner: string;
      readonly applicationServerKey: string | null;
      readonly freshness: Freshness | null;
    };
    readonly result: unknown;
  };
  unsubscribe: {
    readonly request: { readonly owner: string };
    readonly result: { readonly existed: boolean };
  };
  installed: { readonly request: object; readonly result: readonly InstalledApp[] };
  /** Also answers with a fresh token for an app that is there; the old one is good no more. */
  installApp: {
    readonly request: InstalledApp;
    readonly result: { readonly token: string };
  };
  uninstallApp: { readonly request: { readonly owner: string }; readonly result: object };
  /** `http://127.0.0.1:PORT/#code=CODE`: whoever opens it first, within 5 min, has the dashboard. */
  dashboardLink: { readonly request: object; readonly result: { readonly url: string } };
  /** A real push message through the push service to this device, shown under the owner `godwit.test`. */
  testPush: { readonly request: object; readonly result: { readonly statusCode: number } };
  /** Events from here on; `changed` comes once at once. */
  watch: { readonly request: object; readonly result: object };
}

export type AdminEvent =
  | { readonly event: "report"; readonly atEpochMs: number; readonly report: Report }
  /** Something of the status is different, at most once a second. */
  | {
      readonly event: "changed";
      readonly status: AgentStatus;
      /** Owners whose permission a person is asked for, and links that wait for their word. */
      readonly questions: {
        readonly permissions: readonly string[];
        readonly navigations: readonly {
          readonly notificationId: number;
          readonly owner: string;
          readonly action: string;
          readonly host: string;
        }[];
      };
    };

export type ChoiceRequest = Choice;

/** What comes back for a request. `name` is the W3C name of the error. */
export type Answer =
  | { readonly id: number; readonly result: unknown }
  | {
      readonly id: number | null;
      readonly error: { readonly code: ErrorCode; readonly name: string; readonly message: string };
    };
