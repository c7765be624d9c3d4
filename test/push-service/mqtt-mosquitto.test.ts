// SPDX-License-Identifier: MIT
// Goal: the same at a real Mosquitto, whose dynamic-security plugin the service tells of its devices. Method: see
// mqtt-suite.ts; each test has a broker of its own on a free port. Besides: the broker dies, the service is new.

import { describe, test } from "vitest";
import { isMosquittoInstalled, Mosquitto } from "./mosquitto.ts";
import { mqttSuite } from "./mqtt-suite.ts";

if (isMosquittoInstalled) {
  let mosquitto: Mosquitto;
  mqttSuite("Mosquitto", {
    start: async () => {
      mosquitto = await Mosquitto.start();
      return mosquitto.options;
    },
    url: () => mosquitto.url,
    stop: () => mosquitto.stop(),
  });
} else {
  describe.skip("MQTT, Mosquitto: not installed (apt-get install mosquitto)", () => {
    test("all of it", () => {});
  });
}
