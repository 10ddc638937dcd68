"""Monitoring: business KPIs from the log and the screens that show them.

Others may call `rollups.measure_kpis(until=...)`. It reads the other apps through their `queries` only.
"""
