"""The embedded default: a real PostgreSQL and a real Valkey from wheels, for whoever configured neither.

`servers.configure` settles ports and exports the URLs before settings load, `servers.running` starts what is not
already running and stops exactly that. Everything is kept below `var/` and listens on 127.0.0.1 only. Nothing here
imports Django, and nothing here is used once `DATABASE_URL` and `CELERY_BROKER_URL` point at servers of your own.
`preflight` and `supervisor` are the other two parts of `manage.py up`.
"""
