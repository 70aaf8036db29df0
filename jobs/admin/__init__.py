"""What operators see and do of jobs in the admin."""

from jobs.admin.job import JobAdmin

__all__ = ["JobAdmin"]
