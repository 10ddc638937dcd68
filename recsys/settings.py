"""All configuration, read from the environment once, in sections named after the boxes of the flow chart.

With nothing set, everything runs on the embedded default below `var/`. `DATABASE_URL` and `CELERY_BROKER_URL` point at
real servers instead. Configuration that differs between experiments does not belong here, but in the frozen config
that is stored with a model version.
"""

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from events.cleaning.origins import is_origin
from recsys import metric_files, secrets_from
from recsys.embedded import addresses

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("RECSYS_VAR_DIR") or BASE_DIR / "var").resolve()
# The name of the release this is, where `manage.py deploy` made it one.
RELEASE = BASE_DIR.name if (BASE_DIR / "release.json").exists() else ""


def _flag(name: str, default: bool) -> bool:
    """A boolean from the environment; anything but the listed words is an error that names the variable."""
    raw = os.environ.get(name, "").strip().lower()
    if raw not in {"", "0", "1", "false", "true", "no", "yes"}:
        raise ImproperlyConfigured(f"{name} must be one of 0, 1, false, true, no, yes; got {raw!r}")
    return raw in {"1", "true", "yes"} if raw else default


def _count(name: str, default: int, *, least: int) -> int:
    """A whole number from the environment; anything else is an error that names the variable."""
    raw = os.environ.get(name, "").strip()
    if raw and not (raw.isdecimal() and int(raw) >= least):
        raise ImproperlyConfigured(f"{name} must be a whole number of at least {least}; got {raw!r}")
    return int(raw) if raw else default


def _one_of(name: str, default: str, choices: tuple[str, ...]) -> str:
    """One of some words from the environment; anything else is an error that names the variable."""
    raw = os.environ.get(name, "").strip().lower() or default
    if raw not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}; got {raw!r}")
    return raw


def _names(name: str, default: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _origins(name: str) -> tuple[str, ...]:
    """Exact origins from the environment, as they stand in a header of every page."""
    found = tuple(dict.fromkeys(each.lower() for each in _names(name, "")))
    for each in found:
        if not is_origin(each):
            raise ImproperlyConfigured(f"{name} has {each!r}, which is no origin such as https://cdn.example.com")
    return found


def _json_texts(name: str) -> dict[str, str]:
    """A JSON object of texts from the environment; anything else is an error that names the variable."""
    try:
        value = json.loads(os.environ.get(name) or "{}")
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a JSON object: {error}") from error
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ImproperlyConfigured(f"{name} must be a JSON object of texts; got {type(value).__name__}")
    return value


def _patience(seconds: int) -> dict[str, str]:
    """Connection options that end a statement after so many seconds, and a wait for a lock after half of them."""
    # PgBouncer refuses start-up options; there, its own query_timeout does this.
    if not seconds or _flag("PGBOUNCER", default=False):
        return {}
    return {"options": f"-c statement_timeout={seconds}s -c lock_timeout={max(seconds // 2, 1)}s"}


def _postgres(url: str) -> dict[str, object]:
    """Django's database entry for a URL like postgres://user:password@host:5432/name?sslmode=require."""
    parts = urlsplit(url)
    name = unquote(parts.path.lstrip("/"))
    try:
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL has a port that is no number: {error}") from error
    if parts.scheme not in {"postgres", "postgresql"} or not name:
        shape = "postgres://user:password@host:port/database"
        raise ImproperlyConfigured(f"DATABASE_URL must look like {shape}; its scheme is {parts.scheme!r}")
    return {
        "ENGINE": "recsys.database",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "recsys",
            **_patience(DATABASE_PATIENCE_S),
            **dict(parse_qsl(parts.query)),
        },
        # A web thread keeps its connection: connecting costs more than the feed's own queries.
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": _flag("PGBOUNCER", default=False),
    }


try:
    secrets_from.take_from_files(os.environ)
except secrets_from.SecretError as error:
    raise ImproperlyConfigured(str(error)) from error

# --- Core ------------------------------------------------------------------------------------------------------------
EMBEDDED = "DATABASE_URL" not in os.environ or _flag("RECSYS_EMBEDDED", False)
_embedded = addresses.load(VAR_DIR)
# Never a known default: an unset key is made once per installation. Several hosts must share one through SECRET_KEY.
SECRET_KEY = os.environ.get("SECRET_KEY") or _embedded.secret_key
DEBUG = _flag("DEBUG", False)
HTTPS = _flag("HTTPS", False)
# Who answers the public says so, or is taken to behind TLS; then nothing starts with a secret that others know.
PRODUCTION = _flag("PRODUCTION", HTTPS)
if PRODUCTION and (weak := secrets_from.faults(os.environ, embedded=EMBEDDED)):
    raise ImproperlyConfigured(f"not fit for production: {'; '.join(weak)}")
if PRODUCTION and DEBUG:
    raise ImproperlyConfigured("not fit for production: DEBUG shows settings and code to everybody")
ALLOWED_HOSTS = _names("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = _names("CSRF_TRUSTED_ORIGINS", "")
ROOT_URLCONF = "recsys.urls"
WSGI_APPLICATION = "recsys.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["recsys.formats"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "events",
    "features",
    "ranking",
    "dashboards",
    "recsys",
]

MIDDLEWARE = [
    "recsys.requests.RequestIds",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "recsys.deadlines.DatabaseDeadline",
    "recsys.middleware.ContentSecurityPolicy",
    "recsys.middleware.CrossOrigin",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "recsys.middleware.Gate",
    "recsys.confirmation.FreshPassword",
    "recsys.history.Actor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"numbers": "dashboards.formats"},
        },
    }
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
# The first one makes new hashes; those of the others still hold, and are made anew when their owner logs in.
PASSWORD_HASHERS = ["recsys.passwords.Argon2", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]

# --- Storage ---------------------------------------------------------------------------------------------------------
# Seconds after which a statement is given up, 0 for never. `manage.py up` sets it for the web server, where somebody
# waits for the answer and a thread is taken meanwhile; training and imports take the time they take.
DATABASE_PATIENCE_S = _count("DATABASE_PATIENCE_S", 0, least=0)
DATABASES = {"default": _postgres(os.environ.get("DATABASE_URL") or _embedded.database_url)}
# Months of events kept beside the current one; 0 keeps them for good. An event of a month that was dropped is refused.
EVENT_RETENTION_MONTHS = _count("EVENT_RETENTION_MONTHS", 0, least=0)
# For so many days after its arrival an event that is sent again is recognised.
EVENT_DEDUP_DAYS = _count("EVENT_DEDUP_DAYS", 35, least=7)
# Refused events that nobody fixed are forgotten so many days after they came last.
DEAD_LETTER_DAYS = _count("DEAD_LETTER_DAYS", 30, least=1)

# An end user's events that are older on arrival are refused as too late; a server may backfill with `historical`.
EVENT_LATE_DAYS = _count("EVENT_LATE_DAYS", 7, least=1)
# User ids of staff and test devices: their events are marked, and no figure counts them.
INTERNAL_USERS = frozenset(_names("INTERNAL_USERS", ""))

# --- Moderation ------------------------------------------------------------------------------------------------------
# How readily reports hide a content before anybody has looked: off, low, medium, high.
AUTO_HIDE = _one_of("AUTO_HIDE", "medium", ("off", "low", "medium", "high"))
# Creators whom no crowd can hide.
AUTO_HIDE_NEVER = frozenset(_names("AUTO_HIDE_NEVER", ""))
# What people reported and how authors objected is forgotten so many days later, once it is settled; verdicts of the
# automatic check after so many. Decisions and their reasons stay.
REPORT_DAYS = _count("REPORT_DAYS", 365, least=1)
SCREENING_DAYS = _count("SCREENING_DAYS", 180, least=8)
# 1 keeps new contents out of feeds until the automatic check has let them in: some seconds for text, longer for media.
# 0 shows them at once, and takes back within seconds what the check objects to.
UPLOADS_WAIT = _flag("UPLOADS_WAIT", False)

# --- Queue -----------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or _embedded.broker_url
# Results are rows in Postgres (features, model versions), so the broker may be lost without losing an answer.
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = 3600
# A door that enqueues must not hang on a broker that is away; the beat finds the work again.
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"visibility_timeout": 7200, "socket_timeout": 2, "socket_connect_timeout": 2}
    if CELERY_BROKER_URL.startswith("redis")
    else {}
)
CELERY_TIMEZONE = "UTC"
# How far workers stand back where the processor is too little for all: at 5 the web server gets three quarters of it.
TASK_NICENESS = _count("TASK_NICENESS", 5, least=0)
# One logging configuration for all processes: the one at the end of this file.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- Serving ---------------------------------------------------------------------------------------------------------
MODEL_DIR = VAR_DIR / "models"
# What a user was served or met within so many days does not come again while there is anything else.
FEED_SEEN_DAYS = _count("FEED_SEEN_DAYS", 90, least=1)
# Vectors of contents that the host app makes itself: how many numbers they have (0: none are taken), and which model
# makes them. Another model is another space: vectors of the old one are not read any more.
EMBEDDING_DIMENSIONS = _count("EMBEDDING_DIMENSIONS", 0, least=0)
if EMBEDDING_DIMENSIONS > 2048:
    raise ImproperlyConfigured(f"EMBEDDING_DIMENSIONS must be at most 2048; got {EMBEDDING_DIMENSIONS}")
EMBEDDING_SPACE = os.environ.get("EMBEDDING_SPACE") or "host"
if not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", EMBEDDING_SPACE):
    raise ImproperlyConfigured(f"EMBEDDING_SPACE must be 1 to 40 letters, digits, . _ or -; got {EMBEDDING_SPACE!r}")
# Once a feed took so long, the stages that are left give way to the light ranker.
FEED_BUDGET_MS = _count("FEED_BUDGET_MS", 200, least=1)
# Feeds in work per web process; further ones are refused at once. Below the threads of a process, so that events are
# still taken in.
FEED_MAX_IN_WORK = _count("FEED_MAX_IN_WORK", 12, least=1)
# Which stage of a feed tries something out; `ranking.explorers` says what each does, `bench exploration` what it costs.
FEED_EXPLORER = _one_of("FEED_EXPLORER", "thompson", ("thompson", "linear", "epsilon_greedy", "diverse"))
# Share of the users whom no experiment and nothing shipped by one reaches, to see what all of them together did.
EXPERIMENT_HOLDOUT = min(_count("EXPERIMENT_HOLDOUT_PERCENT", 2, least=0), 50) / 100
SNAPSHOT_DIR = VAR_DIR / "snapshots"
# The demo player acts for any user id it is given, so it is off unless the data is the embedded default's own.
DEMO_PLAYER = _flag("DEMO_PLAYER", EMBEDDED)
# `manage.py up` fills a database without any content with the demo world; 0 leaves it empty.
DEMO_DATA = _flag("DEMO_DATA", True)
# People of that world: with fewer, the first start makes and trains on less, and the first model knows less.
DEMO_USERS = _count("DEMO_USERS", 2_000, least=1)
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
MEDIA_URL = "/media/"
MEDIA_ROOT = VAR_DIR / "public" / "media"
# WhiteNoise serves what lies below var/public with range requests, which video players need.
WHITENOISE_ROOT = VAR_DIR / "public"
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True

# --- Content understanding -------------------------------------------------------------------------------------------
ENCODER_DIR = VAR_DIR / "encoders"
# Looks at frames: "efficientnet-lite0", whose weights a package ships, or "resnet50", whose weights are downloaded.
VISUAL_BACKBONE = os.environ.get("VISUAL_BACKBONE") or "efficientnet-lite0"
# A weight file instead: PyTorch's for the former, Keras's HDF5 for the latter.
VISUAL_WEIGHTS = os.environ.get("VISUAL_WEIGHTS", "")
# Media addresses are fetched from the public internet only, and from these hosts.
MEDIA_PRIVATE_HOSTS = frozenset(_names("MEDIA_PRIVATE_HOSTS", ""))
# Webhooks of alerts are called on the public internet by https only, and on these hosts however they are reached.
WEBHOOK_PRIVATE_HOSTS = frozenset(_names("WEBHOOK_PRIVATE_HOSTS", ""))
EMAIL_HOST = os.environ.get("EMAIL_HOST", "localhost")
EMAIL_PORT = _count("EMAIL_PORT", 25, least=1)
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = _flag("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("EMAIL_FROM", "recsys@localhost")
MEDIA_MAX_BYTES = _count("MEDIA_MAX_MB", 512, least=1) * 1024 * 1024
# 0 leaves media alone: contents are then known by their text.
ANALYSE_MEDIA = _flag("ANALYSE_MEDIA", True)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["events.authentication.BearerAuthentication"],
    # Closed unless a view names the scope it needs.
    "DEFAULT_PERMISSION_CLASSES": ["events.authentication.Closed"],
    "DEFAULT_THROTTLE_CLASSES": ["events.throttling.RateLimit"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "events.errors.handle_exception",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "recsys",
    "DESCRIPTION": "Send what people do, get the feed that keeps them coming back.",
    "VERSION": "1",
    # Events are described by JSON Schema, in which a field may also be null; 3.0 has a dialect of its own.
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # Words that several answers use for different choices.
    "ENUM_NAME_OVERRIDES": {
        "StopKindEnum": "events.stops.KINDS",
        "SubjectKindEnum": "dashboards.casework.log.SUBJECTS",
        "ToldOfEnum": "dashboards.casework.statement.TOLD_OF",
        "PolicyEnum": "dashboards.casework.policies.CODES",
        "GrainEnum": ["hour", "day", "week", "month"],
        "SimilarityEnum": ["similar", "category", "latest"],
        "FeedLevelEnum": ["ranked", "light", "trending", "latest"],
        "RankLevelEnum": ["ranked", "light", "trending", "none"],
    },
}
# The largest accepted batch (1,000 events) with room for long comments, unpacked; the API answers 413 as JSON above it.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

# --- Credentials and limits ------------------------------------------------------------------------------------------
# Public keys of tokens that the host app issues itself: {"<kid>": "<PEM>"}; Ed25519, RSA or P-256.
JWT_PUBLIC_KEYS = _json_texts("JWT_PUBLIC_KEYS")
JWT_ISSUER = os.environ.get("JWT_ISSUER", "")
JWT_AUDIENCE = os.environ.get("JWT_AUDIENCE", "recsys")
if JWT_PUBLIC_KEYS and not JWT_ISSUER:
    raise ImproperlyConfigured("JWT_PUBLIC_KEYS needs JWT_ISSUER: the iss that the host app's tokens carry")
# Pages of other hosts that may call the API, beside those that publishable keys list; exact origins.
CORS_ORIGINS = frozenset(_names("CORS_ORIGINS", ""))
# Hosts whose pictures and clips the pages may show, beside this one.
MEDIA_ORIGINS = _origins("MEDIA_ORIGINS")
# How many proxies in front of this server write X-Forwarded-For. 0: the header is the client's own word, so ignored.
TRUSTED_PROXY_HOPS = _count("TRUSTED_PROXY_HOPS", 0, least=0)
# Requests per second in the long run, and at once. Generous: a limit protects the server, it does not shape products.
RATE_LIMITS: dict[str, tuple[float, int]] = (
    {
        "server": (2_000.0, 10_000),
        "publishable": (1_000.0, 5_000),
        "user": (20.0, 200),
        # Many people may share one address.
        "address": (200.0, 2_000),
        # Keys and tokens from one address that did not hold; see events/guessing.py.
        "failure": (1.0, 60),
    }
    if _flag("RATE_LIMIT", True)
    else {}
)

# --- Security --------------------------------------------------------------------------------------------------------
SECURE_SSL_REDIRECT = HTTPS
# The platform asks for health by plain HTTP, inside.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
# A proxy that ends TLS says so in a header, which anybody else could write too.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS and TRUSTED_PROXY_HOPS else None
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# 0 where a name below this one still has to answer without TLS.
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _flag("HSTS_SUBDOMAINS", HTTPS)
# Whoever guesses the password of a member of staff is locked out, from that address and for that name alone: a stranger
# must not be able to lock out a moderator. Nothing is kept of log-ins that worked.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "recsys.login_address.of"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_LOCKOUT_TEMPLATE = "admin/locked.html"
AXES_VERBOSE = False
# Roles whose members must have a second factor, such as "admin, moderation lead"; * for all staff. Whoever has set one
# up must use it in any case.
SECOND_FACTOR_ROLES = frozenset(_names("SECOND_FACTOR_ROLES", ""))
OTP_TOTP_ISSUER = "recsys"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
# A working day: a browser that staff left open somewhere is logged out by the next.
SESSION_COOKIE_AGE = 12 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Monitoring ------------------------------------------------------------------------------------------------------
REPORTING_TIME_ZONE = os.environ.get("REPORTING_TIME_ZONE", "UTC")
PROMETHEUS_EXPORT_MIGRATIONS = False
metric_files.install()
# Lets a scraper read /metrics with it as bearer token; staff may always.
METRICS_TOKEN = os.environ.get("METRICS_TOKEN", "")
# Where the web workers leave their counters (their PROMETHEUS_MULTIPROC_DIR); workers on the same host read them there.
WEB_METRICS_DIR = os.environ.get("WEB_METRICS_DIR") or str(VAR_DIR / "prometheus" / "web")
# `json` is one object a line, for programs. A line for every request that was answered goes with it, unless told
# otherwise.
LOG_FORMAT = _one_of("LOG_FORMAT", "line", ("line", "json"))
LOG_REQUESTS = _flag("LOG_REQUESTS", LOG_FORMAT == "json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"planned": {"()": "recsys.logs.PlannedRefusals"}},
    "formatters": {
        "line": {"()": "recsys.logs.Lines", "format": "{asctime} {levelname} {name} {message}", "style": "{"},
        "json": {"()": "recsys.logs.Objects"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django.request": {"filters": ["planned"]},
        # It reports every instruction set that this processor lacks.
        "faiss.loader": {"level": "WARNING"},
        # A line for every log-in; lock-outs are warnings.
        "axes": {"level": "WARNING"},
        # Two lines for every tick of the beat would bury what the tasks themselves have to say.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        # While all workers are busy, ticks expire by design (see recsys.celery); each would be "revoked" in a line.
        "celery.worker.request": {"level": "WARNING"},
    },
}
