"""Portfolio views: account lists, rule tables, KPIs and model cards."""
