"""The database backend of the project: Django's for PostgreSQL, counted by Prometheus, with a cheaper health check."""
