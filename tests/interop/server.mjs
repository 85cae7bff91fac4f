// Better Auth on a free port of 127.0.0.1, set up by the environment. Its last
// word before it serves is its URL. It ends with its standard input.
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { bearer, jwt } from "better-auth/plugins";
import pg from "pg";

const { DATABASE_URL, BETTER_AUTH_SECRET, ALG, IDS, SECURE, SESSION_SECONDS, JWT_SECONDS, CACHE_BY_KEY } = process.env;
// Without them a key signs for ever; one that has ended stays published for thirty days.
const { ROTATION_SECONDS, GRACE_SECONDS } = process.env;
const seconds = (text) => (text ? Number(text) : undefined);

let handler;
const server = createServer((request, response) => handler(request, response));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const baseURL = `http://127.0.0.1:${server.address().port}`;

const options = {
  baseURL,
  secret: BETTER_AUTH_SECRET,
  logger: { level: "error" },
  database: new pg.Pool({ connectionString: DATABASE_URL, max: 4 }),
  emailAndPassword: { enabled: true },
  session: {
    expiresIn: Number(SESSION_SECONDS ?? 3600),
    cookieCache: { enabled: true, strategy: "jwt" },
  },
  advanced: { useSecureCookies: SECURE === "1", database: IDS ? { generateId: IDS } : {} },
  plugins: [
    bearer(),
    jwt({
      jwks: {
        keyPairConfig: { alg: ALG ?? "EdDSA" },
        rotationInterval: seconds(ROTATION_SECONDS),
        gracePeriod: seconds(GRACE_SECONDS),
      },
      jwt: { expirationTime: new Date(Date.now() + 1000 * Number(JWT_SECONDS ?? 900)) },
      sessionCookieCache: CACHE_BY_KEY === "1",
    }),
  ],
};
await (await getMigrations(options)).runMigrations();
handler = toNodeHandler(betterAuth(options));
console.log(baseURL);

process.stdin.on("end", () => process.exit()).resume();
