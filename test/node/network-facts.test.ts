// SPDX-License-Identifier: MIT
// Goal: one network has one label, another network another, "no network" means that nothing can be sent, and nothing a tool
// prints makes the agent fall over. Method: answers in the form of iproute2, iw and mmcli, whole, damaged and random.

import { describe, expect, test } from "vitest";
import { NETWORK_LABEL_CHARS_MAX } from "../../src/limits.ts";
import {
  chooseUplink,
  followAddresses,
  type Identity,
  kindOf,
  networkOf,
  readAddresses,
  readMac,
  readOperator,
  readSsid,
} from "../../src/node/network-facts.ts";
import { fc } from "../properties.ts";

const UP = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"];
const GLOBAL = { family: "inet", local: "192.168.1.20", prefixlen: 24, scope: "global" };

function link(ifname: string, members: object = {}): object {
  return {
    ifindex: 2,
    ifname,
    flags: UP,
    operstate: "UP",
    link_type: "ether",
    addr_info: [GLOBAL],
    ...members,
  };
}
const LOOPBACK = link("lo", {
  flags: ["LOOPBACK", "UP", "LOWER_UP"],
  link_type: "loopback",
  addr_info: [{ family: "inet", local: "127.0.0.1", prefixlen: 8, scope: "host" }],
});

function route(dev: string, members: object = {}): object {
  return { dst: "default", gateway: "192.168.1.1", dev, protocol: "dhcp", flags: [], ...members };
}

function choose(routes4: object[], routes6: object[] = [], links: object[] = [LOOPBACK, link("eth0")]) {
  return chooseUplink(JSON.stringify(routes4), JSON.stringify(routes6), JSON.stringify(links));
}

describe("the uplink", () => {
  const eth0 = { device: "eth0", gateway: "192.168.1.1", isEthernetLike: true };

  test("is the default route's interface", () => {
    expect(choose([route("eth0")])).toEqual(eth0);
  });

  test("is that of the lowest metric; a route without one has the lowest", () => {
    const routes = [route("wlan0", { metric: 600 }), route("eth0", { metric: 100 })];
    expect(choose(routes)).toEqual(eth0);
    expect(choose([...routes, route("tun0", { gateway: undefined })])).toEqual({
      device: "tun0",
      gateway: null,
      isEthernetLike: false,
    });
  });

  test("is the IPv6 route's where there is no other, and not an unreachable one's", () => {
    const unreachable = { type: "unreachable", dst: "default", dev: "lo", metric: 4294967295, flags: [] };
    expect(choose([], [unreachable, route("eth0", { gateway: "fe80::1", metric: 1024 })])).toEqual({
      ...eth0,
      gateway: "fe80::1",
    });
    expect(choose([], [unreachable], [LOOPBACK])).toBeNull();
  });

  test.each(["linkdown", "dead"])("is no route that is %s", (flag) => {
    expect(choose([route("eth0", { flags: [flag] }), route("wlan0", { metric: 600 })])).toMatchObject({
      device: "wlan0",
    });
  });

  test("takes the first working hop of several, and an IPv4 route's IPv6 gateway", () => {
    const nexthops = [
      { gateway: "10.0.0.1", dev: "eth1", weight: 1, flags: ["dead", "linkdown"] },
      { via: { family: "inet6", host: "fe80::2" }, dev: "eth0", weight: 1, flags: [] },
    ];
    expect(choose([{ dst: "default", flags: [], nexthops }])).toEqual({ ...eth0, gateway: "fe80::2" });
  });

  test("without a default route is an interface that is up and has a global address", () => {
    const isolated = { device: "eth0", gateway: null, isEthernetLike: true };
    expect(choose([])).toEqual(isolated);
    const noCarrier = ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"];
    expect(choose([], [], [LOOPBACK, link("docker0", { flags: noCarrier }), link("eth0")])).toEqual(isolated);
  });

  test.each([
    ["only loopback", [LOOPBACK]],
    ["no carrier", [LOOPBACK, link("eth0", { flags: ["NO-CARRIER", "BROADCAST", "UP"] })]],
    ["no address", [LOOPBACK, link("eth0", { addr_info: [] })]],
    ["a link-local address", [link("eth0", { addr_info: [{ ...GLOBAL, scope: "link" }] })]],
    ["an address being tried out", [link("eth0", { addr_info: [{ ...GLOBAL, tentative: true }] })]],
    ["an address somebody else has", [link("eth0", { addr_info: [{ ...GLOBAL, dadfailed: true }] })]],
  ])("is none with %s", (_name, links) => {
    expect(choose([], [], links)).toBeNull();
  });

  test("nothing printed is an empty list; anything but a list says nothing", () => {
    expect(chooseUplink("", "\n", "")).toBeNull();
    for (const text of ["{", "null", "{}", 'Object "-j" is unknown', '[{"dev":'])
      expect(chooseUplink(text, "[]", "[]")).toBeUndefined();
  });
});

describe("the kind", () => {
  const ethernet = { device: "eth0", gateway: null, isEthernetLike: true };
  test.each([
    ["ethernet", ethernet, false, "INTERFACE=eth0\nIFINDEX=2\n"],
    ["wifi", { ...ethernet, device: "wlp2s0" }, true, ""],
    ["wifi", { ...ethernet, device: "mlan0" }, false, "DEVTYPE=wlan\nINTERFACE=mlan0\n"],
    ["cellular", { ...ethernet, device: "usb1" }, false, "DEVTYPE=wwan\nINTERFACE=usb1\n"],
    ["cellular", { ...ethernet, device: "wwan0", isEthernetLike: false }, false, ""],
    ["cellular", { ...ethernet, device: "ppp0", isEthernetLike: false }, false, ""],
    ["cellular", { ...ethernet, device: "rmnet_data0", isEthernetLike: false }, false, ""],
    ["unknown", { ...ethernet, device: "wg0", isEthernetLike: false }, false, "DEVTYPE=wireguard\n"],
  ] as const)("%s: %o", (kind, uplink, isWireless, uevent) => {
    expect(kindOf(uplink, isWireless, uevent)).toBe(kind);
  });
});

describe("the label", () => {
  const identity: Identity = {
    kind: "ethernet",
    device: "eth0",
    gateway: "192.168.1.1",
    gatewayMac: "02:00:00:00:00:01",
    ssid: null,
    operator: null,
  };
  const wifi: Identity = { ...identity, kind: "wifi", device: "wlan0" };
  const cellular: Identity = { ...identity, kind: "cellular", device: "wwan0", gatewayMac: null };
  test.each([
    ["ethernet:eth0@02:00:00:00:00:01", identity],
    ["ethernet:eth0@192.168.1.1", { ...identity, gatewayMac: null }],
    ["ethernet:eth0", { ...identity, gatewayMac: null, gateway: null }],
    ["wifi:Home net", { ...wifi, ssid: "Home net" }],
    ["wifi@02:00:00:00:00:01", wifi],
    ["wifi:wlan0", { ...wifi, gatewayMac: null, gateway: null }],
    ["cellular:26201", { ...cellular, operator: "26201" }],
    ["cellular:wwan0", cellular],
    ["unknown:wg0", { ...identity, kind: "unknown", device: "wg0", gatewayMac: null, gateway: null }],
  ] as const)("%s", (label, of) => {
    expect(networkOf(of)).toEqual({ label, kind: of.kind, metered: of.kind === "cellular" });
  });

  test("is printable and bounded, whatever the network is called", () => {
    expect(networkOf({ ...wifi, ssid: "a\u001b[31mb\u202e" }).label).toBe("wifi:a?[31mb?");
    expect(networkOf({ ...wifi, ssid: "x".repeat(500) }).label).toHaveLength(NETWORK_LABEL_CHARS_MAX);
  });
});

test("iw, mmcli and the neighbour table are read", () => {
  const iw = "Connected to 0a:00:00:00:00:01 (on wlan0)\n\tSSID: Home net: 5\n\tfreq: 5180\n";
  expect(readSsid(iw)).toBe("Home net: 5");
  expect(readSsid("Not connected.\n")).toBeNull();
  expect(readOperator('{"modem":{"3gpp":{"operator-code":"26201","operator-name":"x"}}}')).toBe("26201");
  expect(readOperator('{"modem":{"3gpp":{"operator-code":"--"}}}')).toBeNull();
  expect(readOperator("error: couldn't find modem")).toBeNull();
  const reachable = '[{"dst":"192.168.1.1","lladdr":"02:00:00:00:00:0A","state":["REACHABLE"]}]';
  expect(readMac(reachable)).toBe("02:00:00:00:00:0a");
  expect(readMac('[{"dst":"192.168.1.1","state":["FAILED"]}]')).toBeNull();
  expect(readMac('[{"lladdr":"../../etc"}]')).toBeNull();
});

test("the addresses of an interface: those that stay first, none that are not good everywhere", () => {
  const address = (local: unknown, members: object = {}) => ({ local, scope: "global", ...members });
  const eth0 = link("eth0", {
    addr_info: [
      address("2001:db8::1", { temporary: true, deprecated: true }),
      address("2001:db8::2", { temporary: true }),
      address("2001:db8::3"),
      address("192.0.2.5"),
      address("fe80::1", { scope: "link" }),
      address("2001:db8::4", { tentative: true }),
      address("nonsense"),
    ],
  });
  const other = link("eth1", { addr_info: [address("192.0.2.99")] });
  expect(readAddresses(JSON.stringify([eth0, other]), "eth0")).toEqual([
    "2001:db8::3",
    "192.0.2.5",
    "2001:db8::2",
    "2001:db8::1",
  ]);
});

describe("addresses in use", () => {
  const [v4, v6, temporary] = ["192.0.2.5", "2001:db8::5", "2001:db8::77"];
  test.each([
    ["another lease", [v4], ["192.0.2.6"], ["192.0.2.6"], true],
    ["another prefix", [v4, v6], [v4, "2001:db8:1::5"], [v4, "2001:db8:1::5"], true],
    ["IPv6 lost", [v4, v6], [v4], [v4], true],
    ["a temporary one more", [v4, v6], [v4, v6, temporary], [v4, v6], false],
    ["now behind another", [v4, v6], [v4, "2001:db8:1::5", v6], [v4, v6], false],
    ["IPv6 won", [v4], [v4, v6, temporary], [v4, v6], false],
    ["none for now", [v4], [], [v4], false],
    ["none before", [], [v4], [v4], false],
  ] as const)("%s", (_name, before, addresses, inUse, isGone) => {
    expect(followAddresses(before, addresses)).toEqual({ inUse, isGone });
  });
});

describe("properties", () => {
  const text = fc.oneof(fc.string(), fc.json());
  /** JSON in which the names the functions look for do occur, with anything behind them. */
  const names = ["dev", "gateway", "flags", "metric", "nexthops", "via", "ifname", "addr_info", "scope"];
  const almost = fc
    .array(fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom(...names), fc.jsonValue())))
    .map((value) => JSON.stringify(value));

  test("no text makes any of them throw", () => {
    fc.assert(
      fc.property(fc.oneof(text, almost), fc.oneof(text, almost), fc.oneof(text, almost), (a, b, c) => {
        const uplink = chooseUplink(a, b, c);
        if (uplink) kindOf(uplink, false, a);
        readAddresses(a, "eth0");
        readMac(a);
        readSsid(b);
        readOperator(c);
      }),
    );
  });
});
