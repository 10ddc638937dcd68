/** What can go wrong between a page and the API, as classes to catch. */

/** Base of all errors of this module. */
export class RecsysError extends Error {
  /** @param {string} code stable, for programs @param {string} message for people */
  constructor(code, message) {
    super(message);
    this.name = new.target.name;
    this.code = code;
  }
}

/** No answer of the API arrived: `unreachable`, `timeout`, or `unexpected_answer` (a portal's or proxy's page). */
export class NetworkError extends RecsysError {}

/** The API answered that it will not. */
export class ApiError extends RecsysError {
  /**
   * @param {number} status of HTTP
   * @param {{code?: string, message?: string, details?: Record<string, unknown>}} error
   * @param {number} [retryAfterMs] what the server asked to wait
   */
  constructor(status, { code, message, details }, retryAfterMs = 0) {
    super(code ?? `http_${status}`, message ?? `the API answered ${status}`);
    this.status = status;
    this.details = details ?? {};
    this.retryAfterMs = retryAfterMs;
  }
}

/** 401 or 403: the token has ended, could not be renewed, or may not do this. */
export class AuthError extends ApiError {}

/** 429 or 5xx: later is fine, after `retryAfterMs` where it is not 0. */
export class UnavailableError extends ApiError {}
