/** One request to the API: credential, time limit, renewal of the token, and errors by class. */

import { ApiError, AuthError, NetworkError, UnavailableError } from "./errors.js";

const REQUEST_TIMEOUT_MS = 15_000;
const RENEW_BEFORE_MS = 60_000;
const LONGEST_PAUSE_MS = 10 * 60_000;

export class Transport {
  /** @type {string} */ #baseUrl;
  /** @type {string} */ #token;
  #expiresAt = NaN;
  #refreshToken;
  /** @type {Promise<boolean>|null} */ #renewing = null;

  /**
   * @param {{baseUrl: string, token?: string, expiresAt?: string,
   *   refreshToken?: () => Promise<string|{token: string, expires_at?: string}>}} options
   */
  constructor({ baseUrl, token = "", expiresAt = "", refreshToken }) {
    this.#baseUrl = baseUrl.replace(/\/$/, "");
    this.#token = token;
    this.#expiresAt = Date.parse(expiresAt);
    this.#refreshToken = refreshToken;
  }

  get token() {
    return this.#token;
  }

  /** @param {string} path */
  url(path) {
    return this.#baseUrl + path;
  }

  /**
   * @param {"GET"|"POST"|"PUT"|"DELETE"} method
   * @param {string} path below the base URL
   * @param {object} [body] sent as JSON
   * @returns {Promise<any>} the decoded answer
   * @throws {NetworkError|ApiError}
   */
  async call(method, path, body) {
    if (this.#mustRenew()) await this.#renew();
    let response = await this.#fetch(method, path, body);
    if (response.status === 401 && (await this.#renew())) response = await this.#fetch(method, path, body);
    const answer = await response.json().catch(() => null);
    if (response.ok && answer !== null) return answer;
    throw failure(response, answer);
  }

  /** @returns {Promise<Response>} */
  async #fetch(method, path, body) {
    try {
      return await fetch(this.url(path), {
        method,
        headers: { Authorization: `Bearer ${this.#token}`, ...(body && { "Content-Type": "application/json" }) },
        body: body && JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
    } catch (error) {
      const late = error instanceof DOMException && error.name === "TimeoutError";
      throw new NetworkError(late ? "timeout" : "unreachable", `${method} ${path}: ${error}`);
    }
  }

  #mustRenew() {
    return !this.#token || this.#expiresAt - Date.now() < RENEW_BEFORE_MS;
  }

  /** @returns {Promise<boolean>} whether there is a new token */
  #renew() {
    if (!this.#refreshToken) return Promise.resolve(false);
    const renewing = this.#renewing ?? this.#refreshToken().then(this.#adopt).catch(() => false).finally(() => {
      this.#renewing = null;
    });
    this.#renewing = renewing;
    return renewing;
  }

  /** @param {string|import("../client.d.ts").Credential} credential */
  #adopt = (credential) => {
    const { token, expires_at: expiresAt = "" } = typeof credential === "string" ? { token: credential } : credential;
    this.#token = token;
    this.#expiresAt = Date.parse(expiresAt);
    // A new token that is about to end is a clock that runs ahead. Then the server's 401 says when, not the clock.
    if (this.#mustRenew()) this.#expiresAt = NaN;
    return Boolean(token);
  };
}

/** @param {Response} response @param {any} answer decoded, null where it was no JSON */
function failure(response, answer) {
  const { status } = response;
  const retryAfterMs = pauseOf(response.headers.get("Retry-After"));
  const error = answer?.error ?? {};
  if (status === 429 || status >= 500) return new UnavailableError(status, error, retryAfterMs);
  // 413 often comes from a proxy, in whose words does not matter.
  if (typeof error.code !== "string" && status !== 413) {
    return new NetworkError("unexpected_answer", `${response.url} answered ${status} with something else than the API's JSON`);
  }
  return new (status === 401 || status === 403 ? AuthError : ApiError)(status, error, retryAfterMs);
}

/** Retry-After in milliseconds: seconds, or a date. @param {string|null} text */
function pauseOf(text) {
  const seconds = Number(text);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text ?? "") - Date.now();
  return Math.min(LONGEST_PAUSE_MS, Math.max(0, ms || 0));
}
