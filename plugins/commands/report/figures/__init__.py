"""The figures of a report: each draws a study, or gives the reason not to."""
