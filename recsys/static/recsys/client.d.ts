/** Types of the browser client; docs/client.md is the guide. */

export type EventType =
  | "impression" | "view" | "complete_view" | "replay" | "skip" | "like" | "unlike" | "comment" | "share" | "save"
  | "unsave" | "follow" | "unfollow" | "hide" | "unhide" | "report";
export type Surface = "for_you" | "following" | "trending" | "latest" | "category" | "creator";
/** A function that takes back what was just said; the second call does nothing. */
export type Undo = () => void;

/** The answer of `POST /auth/client-token`, as your own server hands it on. */
export interface Credential {
  token: string;
  /** RFC 3339. */
  expires_at?: string;
}

export interface ClientOptions {
  /** The person who is logged in, or `anonymousId()` with a publishable key. */
  userId: string;
  /** Default `/api/v1`. */
  baseUrl?: string;
  /** A short end-user token, or a publishable key. May be left out where `refreshToken` is given. */
  token?: string;
  /** When the token ends, RFC 3339: it is then renewed in time instead of after a refusal. */
  expiresAt?: string;
  /** Fetch a new token from your own server. Called once at a time, before the old one ends and after a 401. */
  refreshToken?: () => Promise<string | Credential>;
  /** Of the feed and of events that name none; default `for_you`. */
  surface?: Surface;
  /** Send once so many events wait; default 20. */
  flushAt?: number;
  /** Send after so many milliseconds at the latest; default 2,000. */
  flushAfterMs?: number;
  /** First delay before a retry, doubled each time up to a minute; default 1,000. */
  retryMs?: number;
  /** Longest queue; default 1,000. What merely happened is given up before what the person did. */
  maxQueued?: number;
  /** Told of each event or wish that will not be sent again; default: a warning in the console. */
  onRejected?: (letter: FeedEvent | Wish, reason: { code: string; detail: string }) => void;
}

export interface FeedEvent {
  event_id: string;
  event_type: EventType;
  timestamp: string;
  user_id: string;
  session_id: string;
  surface?: string;
  content_id?: string;
  creator_id?: string;
  request_id?: string;
  position?: number;
  /** Seconds. */
  watch_duration?: number;
  /** How often the clip began anew by itself within this view. */
  loops?: number;
  comment_text?: string;
  platform?: string;
  reason?: string;
  additional_info?: Record<string, unknown>;
}

/** A muted or blocked creator on the way to the server: the path of the relation, and whether it shall hold. */
export interface Wish {
  wish: string;
  present: boolean;
}

/** What ties an event to the serving it answers. A `FeedItem` is one. */
export interface Reference {
  content_id: string;
  request_id?: string;
  position?: number;
  surface?: string;
}

export interface Content {
  creator_id: string;
  caption: string;
  tags: string[];
  category: string;
  duration_s: number | null;
  language: string;
  media_url: string;
  thumbnail_url: string;
}

export interface Move {
  stage: string;
  start: number;
  end: number;
  reason: string | null;
}

export interface Explanation {
  /** For the person who sees the item. */
  sentence: string;
  /** Rank by source, from 0. */
  ranks: Record<string, number>;
  /** The chance that this position showed this item. */
  propensity: number;
  moves: Move[];
}

export interface FeedItem {
  content_id: string;
  /** Of the page that served it. */
  request_id: string;
  position: number;
  surface: Surface;
  source: string;
  sources: string[];
  score: number;
  model_version: string;
  content: Content;
  /** With `explain` only. */
  explanation?: Explanation;
}

export interface FeedPage {
  request_id: string;
  items: FeedItem[];
  model_version: string;
  fallback_level: "ranked" | "light" | "trending" | "latest";
  /** The page had to show something again. */
  repeats: boolean;
  has_more: boolean;
  next_cursor: string | null;
  took_ms: number;
}

/** The parameters of `GET /feed`; see /api/docs. Lists are joined with commas. */
export interface FeedOptions {
  /** Items per page, default 10. Small pages follow the person sooner. */
  limit?: number;
  /** `next()` asks for the next page once so many items are left; default 3. */
  prefetchAt?: number;
  surface?: Surface;
  exclude_ids?: string | string[];
  seed_content_id?: string;
  categories?: string | string[];
  languages?: string | string[];
  country?: string;
  creator_id?: string;
  diversity?: number;
  exploration?: number;
  max_per_creator?: number;
  profiling?: boolean;
  explain?: boolean;
  filter?: string;
  boost?: string;
  include?: string | string[];
  /** The circumstances: device, network, os, app_version, country, time_zone, local_time. */
  context?: Record<string, string>;
}

export interface WatchOptions {
  /** What has to be visible. */
  element: Element;
  item: Reference & { content?: { duration_s?: number | null } };
  video?: HTMLMediaElement | null;
  /**
   * What counts as watching: `playing` (default with a video), `on_screen` (default without one: pictures, texts), or
   * `seen`: there is nothing to watch, only the impression is reported.
   */
  measure?: "playing" | "on_screen" | "seen";
  /** The scroller, default the viewport. */
  root?: Element | null;
}

/** Base of all errors of this module; `code` is stable, for programs. */
export class RecsysError extends Error {
  constructor(code: string, message: string);
  readonly code: string;
}
/** No answer of the API arrived: `unreachable`, `timeout`, or `unexpected_answer` (a portal's or proxy's page). */
export class NetworkError extends RecsysError {}
/** The API answered that it will not. */
export class ApiError extends RecsysError {
  constructor(status: number, error: { code?: string; message?: string; details?: Record<string, unknown> }, retryAfterMs?: number);
  readonly status: number;
  readonly details: Record<string, unknown>;
  readonly retryAfterMs: number;
}
/** 401 or 403: the token has ended, could not be renewed, or may not do this. */
export class AuthError extends ApiError {}
/** 429 or 5xx: later is fine, after `retryAfterMs` where it is not 0. */
export class UnavailableError extends ApiError {}

/** A walk through the feed by its cursors. After an error, call `next` or `nextPage` again: nothing is skipped. */
export class FeedWalk implements AsyncIterableIterator<FeedItem> {
  constructor(client: RecsysClient, options?: FeedOptions);
  next(): Promise<IteratorResult<FeedItem, undefined>>;
  /** The next page, without what the person refused meanwhile; null at the end. For one caller at a time. */
  nextPage(): Promise<FeedPage | null>;
  /** Ask for the next page now, so that it is there when it is needed. */
  prefetch(): void;
  /** Begin anew, as pulling down to refresh does. */
  restart(): void;
  return(): Promise<IteratorReturnResult<undefined>>;
  [Symbol.asyncIterator](): this;
}

/** Measures how one served item is watched, and reports it. Made by `client.watch`. */
export class ViewTracker {
  constructor(client: RecsysClient, options: WatchOptions);
  /** Seconds watched during the current stay on screen. */
  readonly watchedS: number;
  /** It is on screen now; for where an IntersectionObserver cannot see the change. */
  enter(): void;
  /** It has left the screen: report how it was watched. */
  leave(): void;
  /** Leave, and stop measuring for good. */
  dispose(): void;
}

export class RecsysClient {
  constructor(options: ClientOptions);
  readonly userId: string;
  /** How many events and wishes wait for the server's confirmation. */
  readonly pending: number;
  /** Whether what waits survives the page; false where the browser lets the site store nothing. */
  readonly durable: boolean;
  /** Stop timers and listeners; what still waits stays stored for the next client of this user. */
  close(): void;
  feed(options?: FeedOptions): FeedWalk;
  /** One page, after the waiting events were sent. Throws `NetworkError` or `ApiError`. */
  getFeed(options?: FeedOptions & { cursor?: string | null }): Promise<FeedPage>;
  watch(options: WatchOptions): ViewTracker;
  /** Queue one event; returns its id. */
  track(eventType: EventType, fields?: Partial<FeedEvent>): string;
  /** The item was on screen; a second call for the same serving is ignored. */
  trackImpression(item: Reference): void;
  like(item: Reference): Undo;
  unlike(item: Reference): void;
  save(item: Reference): Undo;
  unsave(item: Reference): void;
  /** Follow the creator of an item. */
  follow(item: FeedItem | (Partial<Reference> & { creator_id: string })): Undo;
  unfollow(item: FeedItem | (Partial<Reference> & { creator_id: string })): void;
  comment(item: Reference, text: string): void;
  share(item: Reference, platform: string): void;
  /** The item breaks the rules. It is gone from this person's feed for good. */
  report(item: Reference, reason: string): void;
  /** The item and what is like it are not wanted. */
  notInterested(item: Reference): Undo;
  /** No more of a creator in the feed. */
  muteCreator(creatorId: string): Undo;
  unmuteCreator(creatorId: string): void;
  blockCreator(creatorId: string): Undo;
  unblockCreator(creatorId: string): void;
  /** Whether the person refused an item on this page, by itself or with its creator. */
  refuses(item: { content_id: string; content?: { creator_id?: string } }): boolean;
  /** Send everything that waits; false where something has to wait longer. */
  flush(): Promise<boolean>;
  /** Hand waiting events to `navigator.sendBeacon`. Happens by itself when the page is hidden. */
  sendBeacon(): boolean;
  /** Run a callback just before the last beacon of a page that gets hidden; returns a function that removes it. */
  onHide(listener: () => void): () => void;
}

export function createClient(options: ClientOptions): RecsysClient;
/** A random UUID (version 4), also where `crypto.randomUUID` does not exist. */
export function newId(): string;
/** The user id of this device where nobody has logged in, for use with a publishable key. */
export function anonymousId(): string;
