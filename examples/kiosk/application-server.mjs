// SPDX-License-Identifier: MIT
/**
 * What the page's application server would keep: its key pair (VAPID) and the subscription it got, as files that `godwit send`
 * takes. A real one is on another machine, and sends by itself.
 */

import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Both are secrets: who has them can send. */
const PRIVATE = { mode: 0o600 };

export class ApplicationServer {
  vapidFile;
  subscriptionFile;
  /** base64url of the 65-byte point. */
  publicKey;

  /** @param {string} directory exists already */
  constructor(directory) {
    this.vapidFile = join(directory, "vapid.json");
    this.subscriptionFile = join(directory, "subscription.json");
    if (!existsSync(this.vapidFile)) writeFileSync(this.vapidFile, JSON.stringify(newKeys()), PRIVATE);
    this.publicKey = JSON.parse(readFileSync(this.vapidFile, "utf8")).publicKey;
  }

  /**
   * True when it is another one than before.
   *
   * @param {object | null} subscription what `PushSubscription.toJSON()` gave
   */
  keep(subscription) {
    const before = existsSync(this.subscriptionFile) ? readFileSync(this.subscriptionFile, "utf8") : "null";
    const json = JSON.stringify(subscription);
    if (json === before) return false;
    // Removed first, since an existing file would keep whatever mode it has.
    rmSync(this.subscriptionFile, { force: true });
    if (subscription !== null) writeFileSync(this.subscriptionFile, json, PRIVATE);
    return true;
  }
}

/** As `web-push` writes them. */
function newKeys() {
  const { x, y, d } = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  return { publicKey: point.toString("base64url"), privateKey: d };
}
