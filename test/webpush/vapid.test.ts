// SPDX-License-Identifier: MIT
// Goal: application server identification works on the portable provider. Method: the shared VAPID suite.
import { nobleProvider } from "../../src/webpush/noble.ts";
import { describeVapid } from "./vapid-suite.ts";

describeVapid(nobleProvider);
