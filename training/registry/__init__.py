"""The MLflow registry: runs, versions, promotion and the champion's alias."""
