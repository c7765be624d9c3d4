// SPDX-License-Identifier: MIT
// Goal: application server identification works on the portable provider. Method: the shared VAPID suite.
import { nobleSigningProvider } from "../../src/webpush/noble-signing.ts";
import { describeVapid } from "./vapid-suite.ts";

describeVapid(nobleSigningProvider);
