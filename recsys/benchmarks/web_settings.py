"""The settings of a benchmark's web server: those of the system, and one endpoint that does nothing."""

from recsys.settings import *  # noqa: F403  nothing else may differ

ROOT_URLCONF = "recsys.benchmarks.web_urls"
