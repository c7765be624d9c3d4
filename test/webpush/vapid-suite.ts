// SPDX-License-Identifier: MIT
// Goal: exactly the tokens RFC 8292 and autopush's rules allow are accepted, each refusal with its code. Method: the RFC's
// example, then one good token of ours bent in one way per case; a function of the provider.
import { describe, expect, test } from "vitest";
import { utf8Encode } from "../../src/bytes.ts";
import { base64urlDecode, base64urlEncode } from "../../src/webpush/base64url.ts";
import type { SigningProvider } from "../../src/webpush/crypto.ts";
import { generateKeyPair } from "../../src/webpush/keys.ts";
import { signVapid, type VapidExpectation, verifyVapid } from "../../src/webpush/vapid.ts";
import { codeOf, seededFill } from "./support.ts";

/** RFC 8292 §2.4. */
const RFC_TOKEN =
  "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9." +
  "eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0." +
  "i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA";
const RFC_KEY = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs";

const NOW_S = 1_453_500_000;
const AUDIENCE = "https://push.example.net";
const OTHER_KEY = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

/** All VAPID specs for `provider`. */
export function describeVapid(provider: SigningProvider): void {
  const keys = generateKeyPair(seededFill(3), provider);
  const signed = (header: string, claims: string) => {
    const text = `${base64urlEncode(utf8Encode(header))}.${base64urlEncode(utf8Encode(claims))}`;
    const signature = base64urlEncode(provider.sign(keys, utf8Encode(text)));
    return `vapid t=${text}.${signature}, k=${base64urlEncode(keys.publicKey)}`;
  };
  const verify = (authorization: string, expected: Partial<VapidExpectation> = {}) =>
    verifyVapid({ authorization, audience: AUDIENCE, nowS: NOW_S, provider, ...expected });

  describe(`vapid, ${provider.name}`, () => {
    spelling(verify);
    claimRules(verify, signed);

    test("what we sign we accept, further claims pass through", () => {
      const subject = "https://push.example.net/p/5";
      const options = {
        keys,
        audience: AUDIENCE,
        expiresS: NOW_S + 60,
        subject,
        claims: { act: "revoke" },
        provider,
      };
      const authorization = signVapid(options);
      expect(verify(authorization, { expectedKey: keys.publicKey })).toEqual({
        aud: AUDIENCE,
        exp: NOW_S + 60,
        sub: subject,
        act: "revoke",
      });
      const { subject: _none, ...anonymous } = options;
      expect(verify(signVapid(anonymous)).sub).toBe(undefined);
    });

    test("claims of the caller cannot replace aud and exp", () => {
      const claims = { aud: "https://evil.example", exp: 0 };
      const token = signVapid({ keys, audience: AUDIENCE, expiresS: NOW_S + 60, claims, provider });
      expect(verify(token)).toEqual({ aud: AUDIENCE, exp: NOW_S + 60 });
    });

    test("a changed claim or signature is refused", () => {
      const [header = "", , signature = ""] = RFC_TOKEN.split(".");
      const claims = base64urlEncode(utf8Encode(`{"aud":"${AUDIENCE}","exp":1453523769}`));
      expect(codeOf(() => verify(`vapid t=${header}.${claims}.${signature},k=${RFC_KEY}`))).toBe(
        "ERR_VAPID_SIGNATURE",
      );
      const bent = RFC_TOKEN.replace(".i3CY", ".j3CY");
      expect(codeOf(() => verify(`vapid t=${bent},k=${RFC_KEY}`))).toBe("ERR_VAPID_SIGNATURE");
    });
  });
}

type Verify = (authorization: string, expected?: Partial<VapidExpectation>) => unknown;

function spelling(verify: Verify): void {
  const claims = { aud: AUDIENCE, exp: 1_453_523_768, sub: "mailto:push@example.com" };
  const standard = RFC_KEY.replaceAll("-", "+").replaceAll("_", "/");
  const good = [
    ["RFC 8292 section 2.4", `vapid t=${RFC_TOKEN}, k=${RFC_KEY}`],
    ["no space after the comma", `vapid t=${RFC_TOKEN},k=${RFC_KEY}`],
    ["key first, spaces everywhere", `  Vapid \t k = ${RFC_KEY} , t= ${RFC_TOKEN} `],
    ["upper-case scheme and names", `VAPID T=${RFC_TOKEN}, K=${RFC_KEY}`],
    ["quoted values", `vapid t="${RFC_TOKEN}", k="${RFC_KEY}"`],
    ["unknown parameter", `vapid t=${RFC_TOKEN}, realm="push, service", k=${RFC_KEY}`],
    ["standard alphabet", `vapid t=${RFC_TOKEN}, k=${standard}`],
    ["padded key", `vapid t=${RFC_TOKEN}, k=${RFC_KEY}=`],
  ] as const;
  test.each(good)("accepted: %s", (_what, authorization) => {
    expect(verify(authorization)).toEqual(claims);
    expect(verify(authorization, { expectedKey: base64urlDecode(RFC_KEY) })).toEqual(claims);
  });

  const [header = "", body = "", signature = ""] = RFC_TOKEN.split(".");
  const bad = [
    ["empty", "", "ERR_VAPID_SYNTAX"],
    ["another scheme", `WebPush ${RFC_TOKEN}`, "ERR_VAPID_SYNTAX"],
    ["scheme only", "vapid", "ERR_VAPID_SYNTAX"],
    ["no key", `vapid t=${RFC_TOKEN}`, "ERR_VAPID_SYNTAX"],
    ["no token", `vapid k=${RFC_KEY}`, "ERR_VAPID_SYNTAX"],
    ["two tokens", `vapid t=${RFC_TOKEN}, t=${RFC_TOKEN}, k=${RFC_KEY}`, "ERR_VAPID_SYNTAX"],
    ["separated by space only", `vapid t=${RFC_TOKEN} k=${RFC_KEY}`, "ERR_VAPID_SYNTAX"],
    ["over the limit", `vapid t=${RFC_TOKEN}, k=${RFC_KEY}, x=${"x".repeat(4096)}`, "ERR_VAPID_SYNTAX"],
    ["two parts", `vapid t=${header}.${body}, k=${RFC_KEY}`, "ERR_VAPID_SYNTAX"],
    ["four parts", `vapid t=${RFC_TOKEN}.x, k=${RFC_KEY}`, "ERR_VAPID_SYNTAX"],
    ["padded part", `vapid t=${header}=.${body}.${signature}, k=${RFC_KEY}`, "ERR_VAPID_SYNTAX"],
    ["no JSON", `vapid t=${header}.e30x.${signature}, k=${RFC_KEY}`, "ERR_VAPID_SYNTAX"],
    ["key not base64", `vapid t=${RFC_TOKEN}, k=%%%`, "ERR_VAPID_KEY"],
    ["key too short", `vapid t=${RFC_TOKEN}, k=${RFC_KEY.slice(0, 44)}`, "ERR_VAPID_KEY"],
    ["key off the curve", `vapid t=${RFC_TOKEN}, k=${RFC_KEY.slice(0, 86)}8`, "ERR_VAPID_KEY"],
    ["key of another", `vapid t=${RFC_TOKEN}, k=${OTHER_KEY}`, "ERR_VAPID_SIGNATURE"],
    ["cut signature", `vapid t=${RFC_TOKEN.slice(0, -2)}, k=${RFC_KEY}`, "ERR_VAPID_SIGNATURE"],
  ] as const;
  test.each(bad)("refused: %s", (_what, authorization, code) => {
    expect(codeOf(() => verify(authorization))).toBe(code);
  });

  test("a key the subscription was not made for is refused", () => {
    const expectedKey = base64urlDecode(OTHER_KEY);
    expect(codeOf(() => verify(`vapid t=${RFC_TOKEN}, k=${RFC_KEY}`, { expectedKey }))).toBe("ERR_VAPID_KEY");
  });
}

function claimRules(verify: Verify, signed: (header: string, claims: string) => string): void {
  const es256 = '{"typ":"JWT","alg":"ES256"}';
  const aud = `"aud":"${AUDIENCE}"`;
  const good = [
    ["60 s past", `{${aud},"exp":${NOW_S - 60}}`],
    ["24 h ahead", `{${aud},"exp":${NOW_S + 86_400}}`],
    ["a fraction of a second", `{${aud},"exp":${NOW_S}.5}`],
    ["subject that is no URL", `{${aud},"exp":${NOW_S},"sub":"push@example.com"}`],
    ["https subject", `{${aud},"exp":${NOW_S},"sub":"https://example.com/"}`],
    ["unknown claims", `{${aud},"exp":${NOW_S},"nbf":"x","a":[{"b":[1]}],"s":"[[[[[[[[[[[[\\"["}`],
  ] as const;
  test.each(good)("claims accepted: %s", (_what, claims) => {
    expect(verify(signed(es256, claims))).toEqual(JSON.parse(claims));
  });

  const exp = `"exp":${NOW_S + 60}`;
  const bad = [
    ["61 s past", `{${aud},"exp":${NOW_S - 61}}`, "ERR_VAPID_EXPIRED"],
    ["more than 24 h ahead", `{${aud},"exp":${NOW_S + 86_401}}`, "ERR_VAPID_EXPIRY_TOO_FAR"],
    ["milliseconds", `{${aud},"exp":${NOW_S}000}`, "ERR_VAPID_EXPIRY_TOO_FAR"],
    ["no exp", `{${aud}}`, "ERR_VAPID_SYNTAX"],
    ["exp as text", `{${aud},"exp":"${NOW_S + 60}"}`, "ERR_VAPID_SYNTAX"],
    ["infinite exp", `{${aud},"exp":1e999}`, "ERR_VAPID_SYNTAX"],
    ["no aud", `{${exp}}`, "ERR_VAPID_AUDIENCE"],
    ["another origin", `{"aud":"https://push.example.com",${exp}}`, "ERR_VAPID_AUDIENCE"],
    ["aud with a path", `{"aud":"${AUDIENCE}/",${exp}}`, "ERR_VAPID_AUDIENCE"],
    ["list of audiences", `{"aud":["${AUDIENCE}"],${exp}}`, "ERR_VAPID_AUDIENCE"],
    ["null subject", `{${aud},${exp},"sub":null}`, "ERR_VAPID_SUBJECT"],
    ["numeric subject", `{${aud},${exp},"sub":5}`, "ERR_VAPID_SUBJECT"],
    ["array", `[${exp}]`, "ERR_VAPID_SYNTAX"],
    ["null", "null", "ERR_VAPID_SYNTAX"],
    ["too deep", `{${aud},${exp},"x":${"[".repeat(8)}${"]".repeat(8)}}`, "ERR_VAPID_SYNTAX"],
    ["far too deep", `${"[".repeat(1400)}${"]".repeat(1400)}`, "ERR_VAPID_SYNTAX"],
    ["a string of escapes without an end", `"${'\\"'.repeat(1400)}`, "ERR_VAPID_SYNTAX"],
    ["too deep behind a string of escapes", `["${'\\"'.repeat(1000)}",${"[".repeat(9)}`, "ERR_VAPID_SYNTAX"],
  ] as const;
  test.each(bad)("claims refused: %s", (_what, claims, code) => {
    expect(codeOf(() => verify(signed(es256, claims)))).toBe(code);
  });

  test.each(['{"alg":"none"}', '{"alg":"HS256"}', '{"alg":"es256"}', "{}", '"ES256"'])(
    "header refused: %s",
    (header) => {
      expect(codeOf(() => verify(signed(header, `{${aud},${exp}}`)))).toBe("ERR_VAPID_SYNTAX");
    },
  );
}
