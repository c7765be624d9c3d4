// SPDX-License-Identifier: MIT
// Goal: the broker inside the push service. Method: see mqtt-suite.ts.

import { mqttSuite } from "./mqtt-suite.ts";

mqttSuite("embedded", {
  start: async () => ({ port: 0 }),
  url: (bench) => `mqtt://127.0.0.1:${bench.service.mqttPort}`,
  stop: async () => {},
});
