"""The pages: what people read of jobs, schedules and runs, and the acts they may do there. One module a page."""
