"""Statistics behind the KPIs."""
